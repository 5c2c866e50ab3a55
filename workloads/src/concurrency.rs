//! A client that holds requests back while too many of its own are under way.

use crate::error::WorkloadError;
use crate::request::{Request, RequestId};
use crate::source::Source;
use crate::time::SimTime;

/// A source whose requests are held back while `limit` of them are in flight, as `vllm bench serve --max-concurrency`
/// does. A request held back arrives when one ends, so its own queueing at the client is not part of its latency.
#[derive(Debug)]
pub struct ConcurrencyLimit<S> {
    source: S,
    limit: u32,
    in_flight: u32,
    /// When the last request ended that others were held back for.
    freed: SimTime,
}

impl<S: Source> ConcurrencyLimit<S> {
    /// At most `limit` requests of `source` at a time.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] if `limit` is 0.
    pub fn new(source: S, limit: u32) -> Result<Self, WorkloadError> {
        if limit == 0 {
            return Err(crate::check::wrong("client", "max_concurrency", 0, "at least 1"));
        }
        Ok(ConcurrencyLimit { source, limit, in_flight: 0, freed: SimTime::ZERO })
    }
}

impl<S: Source> Source for ConcurrencyLimit<S> {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        if self.in_flight == self.limit {
            return Ok(None);
        }
        Ok(self.source.next_arrival()?.map(|arrival| arrival.max(self.freed)))
    }

    fn take(&mut self) -> Request {
        assert!(self.in_flight < self.limit, "a request was announced");
        let mut request = self.source.take();
        request.arrival = request.arrival.max(self.freed);
        self.in_flight += 1;
        request
    }

    fn ended(&mut self, request: RequestId, now: SimTime) {
        if self.in_flight == self.limit {
            self.freed = now;
        }
        self.in_flight -= 1;
        self.source.ended(request, now);
    }

    fn remaining_hint(&self) -> Option<u64> {
        self.source.remaining_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arrivals, Lengths, RequestLengths, Synthetic, WorkloadSpec};

    fn once_a_second(requests: u64, limit: u32) -> ConcurrencyLimit<Synthetic> {
        let one = Lengths::Fixed { tokens: 1 };
        let lengths = RequestLengths::Independent { input: one.clone(), output: one };
        let spec = WorkloadSpec::new(Arrivals::Constant { rate: 1.0 }, lengths, requests);
        ConcurrencyLimit::new(Synthetic::new(&spec, 0).unwrap(), limit).unwrap()
    }

    #[test]
    fn requests_beyond_the_limit_arrive_when_one_ends() {
        let mut source = once_a_second(4, 2);
        let at = SimTime::from_secs_f64;
        assert_eq!((source.take().arrival, source.take().arrival), (at(0.0), at(1.0)));
        assert_eq!(source.next_arrival().unwrap(), None, "two are in flight");
        source.ended(RequestId(0), at(2.5));
        assert_eq!(source.next_arrival().unwrap(), Some(at(2.5)), "planned for 2 s, held back");
        assert_eq!(source.take().arrival, at(2.5));
        source.ended(RequestId(1), at(2.75));
        assert_eq!(source.take().arrival, at(3.0), "planned for 3 s, not held back");
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        let error = ConcurrencyLimit::new(once_a_second(1, 1), 0).unwrap_err();
        assert_eq!(error.to_string(), "client: max_concurrency is 0, but it must be at least 1");
    }
}
