//! A source of requests made by rules.

mod conversation;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::arrivals::ArrivalClock;
use crate::error::WorkloadError;
use crate::lengths::RequestLengthSampler;
use crate::prefix::PrefixSampler;
use crate::request::{ContentId, Prompt, Request, RequestId, SessionId, Span};
use crate::rng::Streams;
use crate::source::Source;
use crate::spec::WorkloadSpec;
use crate::time::SimTime;
use conversation::{Conversation, Rules, TurnDraw};

/// A [`Source`] of the requests a [`WorkloadSpec`] describes, the same for the same seed.
///
/// Arrivals, inputs, outputs, prefixes, turns and thinking each draw from their own streams, by the number of the request
/// or of session and turn: two systems, or two workloads that differ in one rule, see the same requests otherwise. The
/// sessions and their turns do not depend on the system they are sent to; when later turns arrive does, and with it the
/// order in which requests are numbered. Memory is bounded by the sessions in flight; without sessions it is constant.
#[derive(Debug)]
pub struct Synthetic {
    clock: ArrivalClock,
    lengths: RequestLengthSampler,
    prefix: PrefixSampler,
    inputs: Streams,
    outputs: Streams,
    rules: Option<Rules>,
    /// Requests to issue in all.
    requests: u64,
    /// Requests of everything started so far, later turns included.
    planned: u64,
    issued: u64,
    /// Sessions started.
    started: u64,
    /// Later turns whose time is known, earliest first; of equal times the older session.
    pending: BinaryHeap<Reverse<(SimTime, u64)>>,
    /// Sessions between turns, by number.
    thinking: FxHashMap<u64, Conversation>,
    /// Sessions whose request is being served.
    waiting: FxHashMap<RequestId, Conversation>,
}

impl Synthetic {
    /// The requests of `spec` under `seed`.
    ///
    /// # Errors
    /// A parameter that cannot be, as [`WorkloadSpec::validate`].
    pub fn new(spec: &WorkloadSpec, seed: u64) -> Result<Self, WorkloadError> {
        spec.validate()?;
        Ok(Synthetic {
            clock: ArrivalClock::new(&spec.arrivals, seed)?,
            lengths: RequestLengthSampler::new(&spec.lengths)?,
            prefix: PrefixSampler::new(&spec.prefix, seed)?,
            inputs: Streams::new(seed, "input"),
            outputs: Streams::new(seed, "output"),
            rules: spec.sessions.as_ref().map(|sessions| Rules::new(sessions, seed)).transpose()?,
            requests: spec.requests,
            planned: 0,
            issued: 0,
            started: 0,
            pending: BinaryHeap::new(),
            thinking: FxHashMap::default(),
            waiting: FxHashMap::default(),
        })
    }

    /// When the next request or session starts, if there is one left to start.
    fn next_start(&mut self) -> Option<SimTime> {
        if self.planned < self.requests { self.clock.peek() } else { None }
    }

    fn next_turn(&self) -> Option<SimTime> {
        self.pending.peek().map(|&Reverse((time, _))| time)
    }

    /// A request that stands alone.
    fn single(&mut self, arrival: SimTime) -> Request {
        let number = self.started;
        self.started += 1;
        self.planned += 1;
        let (input, output_tokens) = self.lengths.quantile(self.inputs.uniform(number), self.outputs.uniform(number));
        let prompt = Prompt::new(self.prefix.prompt(number, input, ContentId::unique(number)));
        self.issue(arrival, prompt, output_tokens, number, None)
    }

    /// The first turn of the next session.
    fn first_turn(&mut self, arrival: SimTime) -> Request {
        let rules = self.rules.as_ref().expect("only sessions have turns");
        let (number, first_content) = (self.started, self.planned);
        let TurnDraw { input, output, .. } = self.draw(number, 0);
        let spans = self.prefix.prompt(number, input, ContentId::unique(first_content));
        let mut session = Conversation { number, first_content, turn: 0, turns: 1, output, spans };
        session.turns = rules.turns(&session, self.requests - self.planned, |turn| self.draw(number, turn));
        self.started += 1;
        self.planned += session.turns;
        self.turn(arrival, session)
    }

    /// A later turn of a session that has thought.
    fn later_turn(&mut self, arrival: SimTime, number: u64) -> Request {
        let rules = self.rules.as_ref().expect("only sessions have turns");
        let mut session = self.thinking.remove(&number).expect("a pending session is thinking");
        let draw = self.draw(number, session.turn);
        if let Some(dropped) = rules.dropped(session.turn) {
            let content = ContentId::unique(session.first_content + dropped);
            session.spans.retain(|span| span.content != content);
        }
        session.spans.push(Span { content: ContentId::unique(session.content()), tokens: rules.added(&draw) });
        session.output = draw.output;
        self.turn(arrival, session)
    }

    fn draw(&self, session: u64, turn: u64) -> TurnDraw {
        let u_input = self.inputs.part(session).uniform(turn);
        let (input, output) = self.lengths.quantile(u_input, self.outputs.part(session).uniform(turn));
        TurnDraw { u_input, input, output }
    }

    fn turn(&mut self, arrival: SimTime, session: Conversation) -> Request {
        let prompt = Prompt::new(session.spans.clone());
        let (output, content, id) = (session.output, session.content(), SessionId(session.number));
        self.waiting.insert(RequestId(self.issued), session);
        self.issue(arrival, prompt, output, content, Some(id))
    }

    fn issue(
        &mut self,
        arrival: SimTime,
        prompt: Prompt,
        output_tokens: u32,
        content: u64,
        session: Option<SessionId>,
    ) -> Request {
        let id = RequestId(self.issued);
        self.issued += 1;
        Request { id, arrival, prompt, output_tokens, answer: ContentId::answer(content), session }
    }
}

impl Source for Synthetic {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        let (start, turn) = (self.next_start(), self.next_turn());
        Ok(start.into_iter().chain(turn).min())
    }

    fn take(&mut self) -> Request {
        let (start, turn) = (self.next_start(), self.next_turn());
        if let Some(turn) = turn
            && start.is_none_or(|start| turn <= start)
        {
            let Some(Reverse((arrival, number))) = self.pending.pop() else { unreachable!("a turn is pending") };
            return self.later_turn(arrival, number);
        }
        let arrival = start.and_then(|_| self.clock.take()).expect("a request was announced");
        if self.rules.is_some() { self.first_turn(arrival) } else { self.single(arrival) }
    }

    fn ended(&mut self, request: RequestId, now: SimTime) {
        let Some(rules) = &self.rules else {
            // Without sessions requests are numbered as they start.
            return self.clock.ended(request.0, now);
        };
        let mut session = self.waiting.remove(&request).expect("a request ends once, after it was taken");
        if session.turn + 1 == session.turns {
            return self.clock.ended(session.number, now);
        }
        session.spans.push(Span { content: ContentId::answer(session.content()), tokens: session.output });
        session.turn += 1;
        self.pending.push(Reverse((now + rules.think(&session), session.number)));
        self.thinking.insert(session.number, session);
    }

    fn remaining_hint(&self) -> Option<u64> {
        let to_come = if self.clock.is_over() { self.planned } else { self.requests };
        Some(to_come - self.issued)
    }
}
