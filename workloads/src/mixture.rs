//! Several kinds of requests at once.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rustc_hash::FxHashMap;

use crate::error::WorkloadError;
use crate::request::{ContentId, Prompt, Request, RequestId, SessionId, Span};
use crate::rng::stream;
use crate::source::Source;
use crate::spec::WorkloadSpec;
use crate::synthetic::Synthetic;
use crate::time::SimTime;

/// Bits of a content's number that its own part gives.
const OWN_BITS: u32 = 54;
/// Most parts: what is left of the 62 bits that a content's number has.
const MAX_PARTS: usize = 1 << 8;

/// A [`Source`] of the requests of several workloads, which share nothing.
///
/// Each part is what it would be alone, under a seed of its own. Of parts whose next requests arrive at the same time, one is drawn
/// by how many requests it has left, so that what is all there from the beginning is shuffled.
#[derive(Debug)]
pub struct Mixture {
    parts: Vec<Synthetic>,
    draws: Xoshiro256PlusPlus,
    issued: u64,
    /// What a request under way is called in its part.
    names: FxHashMap<RequestId, (usize, RequestId)>,
}

impl Mixture {
    /// The requests of all `parts` under `seed`.
    ///
    /// # Errors
    /// A parameter that cannot be, as [`WorkloadSpec::validate`]; or no part, or more than 256.
    pub fn new(parts: &[WorkloadSpec], seed: u64) -> Result<Self, WorkloadError> {
        if parts.is_empty() || parts.len() > MAX_PARTS {
            return Err(crate::check::wrong("mixture", "parts", parts.len(), format!("from 1 to {MAX_PARTS}")));
        }
        let part = |(number, spec): (u64, &WorkloadSpec)| Synthetic::new(spec, stream(seed, "part", number).random());
        Ok(Mixture {
            parts: (0..).zip(parts).map(part).collect::<Result<_, _>>()?,
            draws: stream(seed, "mixture", 0),
            issued: 0,
            names: FxHashMap::default(),
        })
    }

    /// When the next request arrives, and the parts it may be of.
    fn next(&mut self) -> Result<Option<(SimTime, Vec<usize>)>, WorkloadError> {
        let mut first = None;
        let mut which = Vec::new();
        for (number, part) in self.parts.iter_mut().enumerate() {
            let Some(at) = part.next_arrival()? else { continue };
            if first.is_none_or(|first| at < first) {
                (first, which) = (Some(at), vec![number]);
            } else if first == Some(at) {
                which.push(number);
            }
        }
        Ok(first.map(|at| (at, which)))
    }

    /// One of these parts.
    fn draw(&mut self, which: &[usize]) -> usize {
        if let [only] = which {
            return *only;
        }
        let left = |part: &usize| self.parts[*part].remaining_hint().unwrap_or(1).max(1);
        let mut place = self.draws.random_range(0..which.iter().map(left).sum::<u64>());
        for part in which {
            match place.checked_sub(left(part)) {
                Some(rest) => place = rest,
                None => return *part,
            }
        }
        unreachable!("the place lies in one of the parts")
    }
}

/// The content of a part under a name that no other part has.
fn content(part: usize, id: ContentId) -> ContentId {
    const OWNER: u64 = !(ContentId::LIMIT - 1);
    let number = id.0 & (ContentId::LIMIT - 1);
    assert!(number >> OWN_BITS == 0, "a part has fewer than 2^{OWN_BITS} pieces of content");
    ContentId(id.0 & OWNER | (part as u64) << OWN_BITS | number)
}

impl Source for Mixture {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        Ok(self.next()?.map(|(at, _)| at))
    }

    fn take(&mut self) -> Request {
        let next = self.next().expect("what was announced can be made");
        let (_, which) = next.expect("a request was announced");
        let part = self.draw(&which);
        let request = self.parts[part].take();
        let id = RequestId(self.issued);
        self.issued += 1;
        self.names.insert(id, (part, request.id));
        let rename = |span: &Span| Span { content: content(part, span.content), tokens: span.tokens };
        let parts = self.parts.len() as u64;
        Request {
            id,
            prompt: Prompt::new(request.prompt.spans().iter().map(rename).collect()),
            answer: content(part, request.answer),
            session: request.session.map(|SessionId(number)| SessionId(number * parts + part as u64)),
            ..request
        }
    }

    fn ended(&mut self, request: RequestId, now: SimTime) {
        let (part, own) = self.names.remove(&request).expect("a request ends once, after it was taken");
        self.parts[part].ended(own, now);
    }

    fn remaining_hint(&self) -> Option<u64> {
        self.parts.iter().map(Synthetic::remaining_hint).sum()
    }
}
