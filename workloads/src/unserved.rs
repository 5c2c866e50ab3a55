//! A workload looked at without a system to serve it.

use crate::error::WorkloadError;
use crate::request::Request;
use crate::source::Source;
use crate::time::SimTime;

/// The requests of a source as if each was answered the moment it arrived: the times of open arrivals are those any
/// system sees, those of closed loops and later turns are the earliest that can be.
#[derive(Debug)]
pub struct Unserved<S> {
    source: S,
    failed: bool,
    now: SimTime,
}

impl<S: Source> Unserved<S> {
    /// The requests of `source`.
    pub fn new(source: S) -> Self {
        Unserved { source, failed: false, now: SimTime::ZERO }
    }
}

impl<S: Source> Iterator for Unserved<S> {
    type Item = Result<Request, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.source.next_arrival() {
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
            Ok(None) => None,
            Ok(Some(arrival)) => {
                assert!(arrival >= self.now, "arrivals never go backwards: {arrival} after {}", self.now);
                self.now = arrival;
                let request = self.source.take();
                self.source.ended(request.id, arrival);
                Some(Ok(request))
            }
        }
    }
}
