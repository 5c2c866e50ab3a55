//! Flows that always have the same rate: those of one path, or one that is released over time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use workloads::{SimDuration, SimTime};

use super::release::Stream;

/// Flows of one rate. Amounts are in units of 10⁻⁹ bytes.
#[derive(Debug)]
pub(super) struct Group {
    /// The links they use.
    pub(super) links: Vec<u32>,
    /// Flows.
    pub(super) count: u32,
    /// Bytes/s of each.
    pub(super) rate: u64,
    /// What each flow that was there all the time has got across by `since`.
    service: u128,
    /// Until when `service` and `carried` are true.
    pub(super) since: SimTime,
    /// What all together have got across by `since`.
    pub(super) carried: u128,
    /// The flows of a path: the service at which each ends, the order of beginning, the message.
    queue: BinaryHeap<Reverse<(u128, u64, u32)>>,
    /// What is special about one that is released over time.
    pub(super) stream: Option<Stream>,
    /// When it was last said to do something.
    pub(super) due: Option<SimTime>,
}

impl Group {
    pub(super) fn new(links: Vec<u32>) -> Self {
        Self {
            links,
            count: 0,
            rate: 0,
            service: 0,
            since: SimTime::ZERO,
            carried: 0,
            queue: BinaryHeap::new(),
            stream: None,
            due: None,
        }
    }

    pub(super) fn streaming(links: Vec<u32>, stream: Stream, now: SimTime) -> Self {
        Self { stream: Some(stream), since: now, ..Self::new(links) }
    }

    /// Lets the flows go on until `now`.
    pub(super) fn settle(&mut self, now: SimTime) {
        if self.count > 0 {
            let served = u128::from(self.rate) * u128::from(now.since(self.since).as_nanos());
            if let Some(stream) = &mut self.stream {
                stream.served = (stream.served + served).min(stream.released(now));
            } else {
                self.service += served;
                self.carried += served * u128::from(self.count);
            }
        }
        self.since = now;
    }

    /// Adds a flow; the group is settled.
    pub(super) fn join(&mut self, amount: u128, order: u64, message: u32) {
        self.queue.push(Reverse((self.service + amount, order, message)));
        self.count += 1;
    }

    /// Takes out a flow that has got all its bytes across, and what the last nanosecond took too much.
    pub(super) fn pop_ended(&mut self) -> Option<u32> {
        let &Reverse((ends, _, message)) = self.queue.peek()?;
        if ends > self.service {
            return None;
        }
        self.queue.pop();
        self.count -= 1;
        self.carried -= self.service - ends;
        Some(message)
    }

    /// When it next does something at its present rate; it is settled.
    pub(super) fn next(&self) -> Option<SimTime> {
        if let Some(stream) = &self.stream {
            return Some(stream.next(self.since, self.count > 0, self.rate));
        }
        let &Reverse((ends, ..)) = self.queue.peek()?;
        // A flow that ends now may have got across what the last nanosecond took too much.
        let nanos = ends.saturating_sub(self.service).div_ceil(u128::from(self.rate));
        Some(self.since + SimDuration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// The rate that it does not exceed, if its release holds it up; it is settled.
    pub(super) fn cap(&self) -> Option<u64> {
        self.stream.as_ref().and_then(|stream| stream.cap(self.since))
    }
}
