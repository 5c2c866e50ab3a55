//! What the formats that have one row per line share.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{RowError, quote};
use crate::request::{SessionId, Span};

/// How one line becomes a row.
pub(super) trait RowFormat: Send {
    /// Reads the line with this number into `row`, whose former content means nothing.
    fn parse(&mut self, line: &[u8], number: u64, row: &mut RawRow) -> Result<(), RowError>;
}

/// A row before its time has been made relative.
#[derive(Default)]
pub(super) struct RawRow {
    /// Time on the trace's own clock, in ns; 0 where a trace has no times.
    pub(super) nanos: i64,
    pub(super) input_tokens: u32,
    /// 0 if the request failed, where the format marks failures so.
    pub(super) output_tokens: u32,
    pub(super) spans: Option<Vec<Span>>,
    pub(super) session: Option<SessionId>,
}

/// The JSON object on a line.
pub(super) fn json_row<'l, T: Deserialize<'l>>(line: &'l [u8]) -> Result<T, RowError> {
    // serde would also take an array for a structure.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(RowError::whole(quote(line, 60), "a JSON object"));
    }
    serde_json::from_slice(line).map_err(|error| {
        // The line is all that serde_json saw, so its line number says nothing; the column does.
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        RowError::whole(format!("{} ({reason} at byte {})", quote(line, 60), error.column()), "a JSON object")
    })
}

/// The field's value as it stands in the file, read by `parse`; a fault is located in the field.
pub(super) fn json_field<T>(
    value: Option<&RawValue>,
    name: &str,
    parse: impl FnOnce(&[u8]) -> Result<T, RowError>,
) -> Result<T, RowError> {
    let located = |error: RowError| error.in_field(name);
    let value = value.ok_or_else(|| located(RowError::whole("nothing", "a value in every row")))?;
    parse(value.get().as_bytes()).map_err(located)
}

/// What stands between the ends of a JSON array or string, which are `open` and `close`.
pub(super) fn inside(text: &[u8], open: u8, close: u8) -> Option<&[u8]> {
    match text {
        [first, inside @ .., last] if *first == open && *last == close => Some(inside),
        _ => None,
    }
}

/// Block ids of a JSON array.
pub(super) fn json_ids(value: Option<&RawValue>) -> Result<&[u8], RowError> {
    let Some(value) = value else { return Ok(&[]) };
    inside(value.get().as_bytes(), b'[', b']')
        .ok_or_else(|| RowError::whole(quote(value.get().as_bytes(), 40), "an array of block ids"))
}
