//! One row of a request trace, whatever format it was read from.

use crate::request::{SessionId, Span};
use crate::time::SimTime;

/// One row of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRow {
    /// When the request came, relative to the first row of the trace.
    pub arrival: SimTime,
    /// Length of its prompt in tokens, as the trace states it (0 occurs in published traces).
    pub input_tokens: u32,
    /// Tokens it generated, as the trace states it (0 occurs in published traces: the request failed).
    pub output_tokens: u32,
    /// What the prompt is made of, first token first, `input_tokens` in all; `None`: its content is shared with no
    /// other row. Their ids are made with [`crate::ContentId::from_trace`].
    pub spans: Option<Vec<Span>>,
    /// The conversation it belongs to, where the trace tells.
    pub session: Option<SessionId>,
    /// Line of the file the row was read from, counted from 1.
    pub line: u64,
}

impl TraceRow {
    /// Which of its lengths is 0: a request that no engine serves.
    pub(crate) fn zero_field(&self) -> Option<&'static str> {
        match (self.input_tokens, self.output_tokens) {
            (0, _) => Some("input"),
            (_, 0) => Some("output"),
            _ => None,
        }
    }
}
