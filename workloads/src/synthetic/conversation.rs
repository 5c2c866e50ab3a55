//! Sessions in flight, and the rules they follow.

use crate::durations::DurationSampler;
use crate::error::WorkloadError;
use crate::lengths::LengthSampler;
use crate::request::Span;
use crate::rng::Streams;
use crate::sessions::SessionSpec;
use crate::time::SimDuration;

/// A session in flight.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Which session, in order of start.
    pub(super) number: u64,
    /// Content number of its first turn; the later ones follow.
    pub(super) first_content: u64,
    /// The turn it is at, from 0.
    pub(super) turn: u64,
    /// Turns it will have.
    pub(super) turns: u64,
    /// Length of the answer to the turn it is at, tokens.
    pub(super) output: u32,
    /// The prompt of that turn.
    pub(super) spans: Vec<Span>,
}

impl Conversation {
    /// Number that names what is new in its present turn, in the prompt and in the answer.
    pub(super) fn content(&self) -> u64 {
        self.first_content + self.turn
    }
}

/// [`SessionSpec`], ready to be drawn from.
#[derive(Debug)]
pub(super) struct Rules {
    turns: LengthSampler,
    turn_draws: Streams,
    think: DurationSampler,
    think_draws: Streams,
    followup: Option<LengthSampler>,
    max_context: u64,
    kept_messages: Option<u64>,
}

impl Rules {
    pub(super) fn new(spec: &SessionSpec, seed: u64) -> Result<Self, WorkloadError> {
        spec.validate()?;
        Ok(Rules {
            turns: LengthSampler::new(&spec.turns)?,
            turn_draws: Streams::new(seed, "turns"),
            think: spec.think.sampler()?,
            think_draws: Streams::new(seed, "think"),
            followup: spec.followup.as_ref().map(LengthSampler::new).transpose()?,
            max_context: u64::from(spec.max_context.unwrap_or(u32::MAX)),
            kept_messages: spec.kept_messages.map(u64::from),
        })
    }

    /// Tokens the user adds in a later turn.
    pub(super) fn added(&self, draw: &TurnDraw) -> u32 {
        self.followup.as_ref().map_or(draw.input, |followup| followup.quantile(draw.u_input))
    }

    /// The earlier turn, not the first, whose message is no longer part of the prompt from this turn on.
    pub(super) fn dropped(&self, turn: u64) -> Option<u64> {
        turn.checked_sub(self.kept_messages? + 1).filter(|&dropped| dropped > 0)
    }

    /// Turns a session just started will have, at most `most`: those drawn for it, unless its context becomes too long
    /// before. `draw` gives what is drawn for a turn.
    pub(super) fn turns(&self, session: &Conversation, most: u64, draw: impl Fn(u64) -> TurnDraw) -> u64 {
        let wanted = u64::from(self.turns.quantile(self.turn_draws.uniform(session.number))).min(most);
        let prompt: u64 = session.spans.iter().map(|span| u64::from(span.tokens)).sum();
        let mut context = prompt + u64::from(session.output);
        let mut added: Vec<u64> = vec![0];
        for turn in 1..wanted {
            let draw = draw(turn);
            added.push(u64::from(self.added(&draw)));
            context += added[turn as usize] + u64::from(draw.output);
            context -= self.dropped(turn).map_or(0, |dropped| added[dropped as usize]);
            if context > self.max_context {
                return turn;
            }
        }
        wanted
    }

    /// Time to think before the turn the session is at.
    pub(super) fn think(&self, session: &Conversation) -> SimDuration {
        self.think.quantile(self.think_draws.part(session.number).uniform(session.turn))
    }
}

/// What was drawn for one turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnDraw {
    /// The uniform draw behind the input length.
    pub(super) u_input: f64,
    /// Input length by the workload's input lengths, tokens.
    pub(super) input: u32,
    /// Answer length, tokens.
    pub(super) output: u32,
}
