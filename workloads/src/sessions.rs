//! Conversations: turns that carry each other's history, with time to think in between.

use crate::check;
use crate::durations::Durations;
use crate::error::WorkloadError;
use crate::lengths::Lengths;

/// Conversations of several turns. The arrival process starts sessions; the prompt of a later turn is the whole
/// history (earlier prompts and answers) and what the user adds, and it arrives a think time after the previous answer
/// has ended.
///
/// How many turns a session has and how long they are depends on the seed, the session and the turn alone, never on
/// the simulated system; when they arrive does.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSpec {
    /// Turns of a session (≥ 1).
    pub turns: Lengths,
    /// Time between the end of an answer and the next turn.
    pub think: Durations,
    /// Tokens a user adds in each turn after the first; `None`: as many as the workload's input lengths say, drawn
    /// anew, so that input and output of a turn are related as in the first.
    pub followup: Option<Lengths>,
    /// A session ends before the first turn whose prompt and answer together would be longer than this, in tokens. The
    /// first turn is always sent. `None`: the longest prompt that can be, 2^32 - 1.
    pub max_context: Option<u32>,
    /// How many of the latest earlier messages of the user stay in a prompt beside the first one; older ones are left out
    /// of it, their answers are not. So do agents that collapse old observations. `None`: all of them stay.
    pub kept_messages: Option<u32>,
}

impl SessionSpec {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] names the one that cannot be and what it must be.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        self.turns.validate()?;
        self.think.validate()?;
        if let Some(followup) = &self.followup {
            followup.validate()?;
        }
        if self.max_context == Some(0) {
            return Err(check::wrong("sessions", "max_context", 0, "at least 1 token"));
        }
        Ok(())
    }
}
