//! A synthetic workload, whole.

use crate::arrivals::Arrivals;
use crate::check;
use crate::error::WorkloadError;
use crate::lengths::RequestLengths;
use crate::prefix::PrefixSpec;
use crate::sessions::SessionSpec;

/// A synthetic workload. With a seed, it is a [`crate::Synthetic`] source.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadSpec {
    /// When requests (or sessions, if there are any) start.
    pub arrivals: Arrivals,
    /// How long prompts and answers are.
    pub lengths: RequestLengths,
    /// What prompts have in common.
    pub prefix: PrefixSpec,
    /// Conversations; `None`: every request stands alone.
    pub sessions: Option<SessionSpec>,
    /// Requests in all (≥ 1), every turn counted; the last session is cut short to meet it.
    pub requests: u64,
}

impl WorkloadSpec {
    /// Requests that stand alone and share nothing.
    pub fn new(arrivals: Arrivals, lengths: RequestLengths, requests: u64) -> Self {
        WorkloadSpec { arrivals, lengths, prefix: PrefixSpec::None, sessions: None, requests }
    }

    /// The same workload at another mean rate, in requests per second. Where the arrival process starts sessions, it
    /// starts as many as have that many turns on average, before a limit of the context ends any of them.
    ///
    /// # Errors
    /// If the arrivals have no rate, or `rate` cannot be.
    pub fn at_rate(&self, rate: f64) -> Result<Self, WorkloadError> {
        check::rate("workload", "rate", rate)?;
        let requests_per_start = self.sessions.as_ref().map_or(Ok(1.0), |sessions| sessions.turns.mean())?;
        let arrivals = self.arrivals.at_rate(rate / requests_per_start)?;
        Ok(WorkloadSpec { arrivals, ..self.clone() })
    }

    /// Mean rate in requests per second, as [`at_rate`](Self::at_rate) counts it; `None` where the arrivals have none.
    pub fn mean_rate(&self) -> Option<f64> {
        let requests_per_start = self.sessions.as_ref().map_or(Ok(1.0), |sessions| sessions.turns.mean()).ok()?;
        self.arrivals.mean_rate().map(|starts| starts * requests_per_start)
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] names the one that cannot be and what it must be.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        self.arrivals.validate()?;
        self.lengths.validate()?;
        self.prefix.validate()?;
        if let Some(sessions) = &self.sessions {
            sessions.validate()?;
        }
        if self.requests == 0 {
            return Err(check::wrong("workload", "requests", 0, "at least 1"));
        }
        Ok(())
    }
}
