//! A source that plays a written list of requests: open loop, closed loop, and turns that follow answers.

use std::collections::{BTreeMap, VecDeque};

use workloads::{ContentId, Prompt, Request, RequestId, SessionId, SimDuration, SimTime, Source, Span, WorkloadError};

/// When a request comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Release {
    /// At this nanosecond.
    At(u64),
    /// This long after request number `of` of the list has ended.
    After { of: usize, think_ns: u64 },
    /// This long after any request has ended that no other `NextEnding` has waited for.
    NextEnding { think_ns: u64 },
}

/// One request of the list.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) release: Release,
    pub(crate) spans: Vec<Span>,
    pub(crate) output_tokens: u32,
    pub(crate) session: Option<u64>,
}

impl Planned {
    /// A request whose prompt nobody shares.
    pub(crate) fn alone(place: u64, at_ns: u64, input_tokens: u32, output_tokens: u32) -> Self {
        let spans = vec![Span { content: ContentId::unique(place), tokens: input_tokens }];
        Planned { release: Release::At(at_ns), spans, output_tokens, session: None }
    }
}

/// The content of the answer to request number `place` of the list.
pub(crate) fn answer(place: usize) -> ContentId {
    ContentId::answer(place as u64)
}

pub(crate) struct Script {
    planned: Vec<Planned>,
    /// Released requests by time, and by order of release within a nanosecond.
    pending: BTreeMap<(SimTime, u64), usize>,
    released: u64,
    backlog: VecDeque<usize>,
    /// Places in the list by request number.
    issued: Vec<usize>,
    ended: Vec<bool>,
}

impl Script {
    pub(crate) fn new(planned: &[Planned]) -> Self {
        let mut script = Script {
            planned: planned.to_vec(),
            pending: BTreeMap::new(),
            released: 0,
            backlog: VecDeque::new(),
            issued: Vec::new(),
            ended: Vec::new(),
        };
        for (place, request) in planned.iter().enumerate() {
            match request.release {
                Release::At(ns) => script.release(SimTime::from_nanos(ns), place),
                Release::NextEnding { .. } => script.backlog.push_back(place),
                Release::After { of, .. } => assert!(of < place, "requests follow earlier ones"),
            }
        }
        script
    }

    fn release(&mut self, at: SimTime, place: usize) {
        self.pending.insert((at, self.released), place);
        self.released += 1;
    }
}

impl Source for Script {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        Ok(self.pending.first_key_value().map(|((at, _), _)| *at))
    }

    fn take(&mut self) -> Request {
        let ((arrival, _), place) = self.pending.pop_first().expect("a request was announced");
        let id = RequestId(self.issued.len() as u64);
        self.issued.push(place);
        self.ended.push(false);
        let planned = &self.planned[place];
        Request {
            id,
            arrival,
            prompt: Prompt::new(planned.spans.clone()),
            output_tokens: planned.output_tokens,
            answer: answer(place),
            session: planned.session.map(SessionId),
        }
    }

    fn ended(&mut self, request: RequestId, now: SimTime) {
        let number = request.0 as usize;
        assert!(!std::mem::replace(&mut self.ended[number], true), "request {number} ended twice");
        let place = self.issued[number];
        for follower in place + 1..self.planned.len() {
            if let Release::After { of, think_ns } = self.planned[follower].release
                && of == place
            {
                self.release(now + SimDuration::from_nanos(think_ns), follower);
            }
        }
        if let Some(next) = self.backlog.pop_front()
            && let Release::NextEnding { think_ns } = self.planned[next].release
        {
            self.release(now + SimDuration::from_nanos(think_ns), next);
        }
    }
}
