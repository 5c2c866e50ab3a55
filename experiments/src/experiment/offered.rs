//! The same requests, offered at another rate.

use workloads::{Arrivals, Timing, WorkloadError};

use super::workload::{Origin, Workload};

impl Workload {
    /// The same requests at another mean rate, in requests per second.
    ///
    /// # Errors
    /// If the workload has no rate, or `rate` cannot be.
    pub(crate) fn at_rate(&self, rate: f64) -> Result<Self, WorkloadError> {
        let mut workload = self.clone();
        match &mut workload.origin {
            Origin::Trace { replay, .. } => {
                replay.timing = match &replay.timing {
                    Timing::Own | Timing::Rate(_) => Timing::Rate(rate),
                    Timing::Process(arrivals) => Timing::Process(arrivals.at_rate(rate)?),
                };
            }
            Origin::Made { spec, .. } => **spec = spec.at_rate(rate)?,
        }
        Ok(workload)
    }

    /// Why it cannot be offered at a rate of one's choice, and what would be right, if it cannot.
    pub(crate) fn has_no_rate(&self) -> Option<(&'static str, &'static str)> {
        const GIVE_IT_ONE: &str = "give it `rate`, or arrivals such as { process = \"poisson\", rate = 4 }";
        if self.max_concurrency.is_some() {
            let why =
                "`max_concurrency` holds requests back, so that systems are not offered the rate that is searched";
            return Some((why, "take `max_concurrency` out"));
        }
        let arrivals = match &self.origin {
            Origin::Made { spec, .. } => &spec.arrivals,
            Origin::Trace { replay, .. } => match &replay.timing {
                Timing::Process(arrivals) => arrivals,
                Timing::Own | Timing::Rate(_) => return None,
            },
        };
        match arrivals {
            Arrivals::AllAtOnce => Some(("its requests arrive all at once", GIVE_IT_ONE)),
            Arrivals::ClosedLoop { .. } => {
                Some(("its clients wait for answers: a closed loop has no rate of its own", GIVE_IT_ONE))
            }
            _ => None,
        }
    }

    /// What has to be known of its rates.
    pub(crate) fn notes_on_rates(&self) -> Vec<&'static str> {
        let mut notes = Vec::new();
        if let Origin::Trace { replay, .. } = &self.origin
            && replay.timing == Timing::Own
        {
            notes.push(
                "note: the trace's own times are stretched or squeezed to each rate: its bursts stay, at another pace",
            );
        }
        if let Origin::Made { spec, .. } = &self.origin
            && spec.sessions.is_some()
        {
            notes.push(
                "note: the rate is that of a system that answers at once: later turns of a session wait for the answer before",
            );
        }
        notes
    }
}
