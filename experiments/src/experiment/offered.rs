//! The same requests, offered at another rate.

use workloads::{Arrivals, Lengths, PrefixSpec, RequestLengths, Timing, WorkloadError};

use super::workload::{Origin, Workload};

impl Workload {
    /// The same requests at another mean rate, in requests per second, and as many more as that takes for `least_duration_s`
    /// seconds, where they are made.
    ///
    /// # Errors
    /// If the workload has no rate, or `rate` cannot be.
    pub(crate) fn at_rate(&self, rate: f64, least_duration_s: f64) -> Result<Self, WorkloadError> {
        let mut workload = self.clone();
        match &mut workload.origin {
            Origin::Trace { replay, .. } => {
                replay.timing = match &replay.timing {
                    Timing::Own | Timing::Rate(_) => Timing::Rate(rate),
                    Timing::Process(arrivals) => Timing::Process(arrivals.at_rate(rate)?),
                };
            }
            Origin::Made { spec, .. } => {
                **spec = spec.at_rate(rate)?;
                spec.requests = spec.requests.max((rate * least_duration_s).ceil() as u64);
            }
            Origin::Parts(_) => unreachable!("workloads of several parts have no rate of their own"),
        }
        Ok(workload)
    }

    /// `times` as many requests of the same kind; `None` where they are not made but read.
    pub(crate) fn extended(&self, times: u32) -> Option<Self> {
        let mut workload = self.clone();
        let Origin::Made { spec, .. } = &mut workload.origin else { return None };
        spec.requests *= u64::from(times);
        Some(workload)
    }

    /// The same prompts with answers of one token: what prefill has to do.
    pub(crate) fn prompts_only(&self) -> Self {
        let one_token = |lengths: &mut RequestLengths| match lengths {
            RequestLengths::Independent { output, .. } | RequestLengths::Correlated { output, .. } => {
                *output = Lengths::Fixed { tokens: 1 };
            }
            RequestLengths::Resampled { pairs } => pairs.iter_mut().for_each(|(_, output)| *output = 1),
        };
        let mut workload = self.clone();
        match &mut workload.origin {
            // Every answer is then rounded to one token, the least there is.
            Origin::Trace { replay, .. } => replay.output_scale = f64::MIN_POSITIVE,
            Origin::Made { spec, .. } => one_token(&mut spec.lengths),
            Origin::Parts(parts) => parts.iter_mut().for_each(|spec| one_token(&mut spec.lengths)),
        }
        workload
    }

    /// `factor` times as many requests of the same kind; `None` of a trace, which has as many as it has.
    pub(crate) fn longer(&self, factor: u64) -> Option<Self> {
        let mut workload = self.clone();
        match &mut workload.origin {
            Origin::Trace { .. } => return None,
            Origin::Made { spec, .. } => spec.requests *= factor,
            Origin::Parts(parts) => parts.iter_mut().for_each(|spec| spec.requests *= factor),
        }
        Some(workload)
    }

    /// How many requests there are, where that is known beforehand.
    pub(crate) fn requests_made(&self) -> Option<u64> {
        match &self.origin {
            Origin::Made { spec, .. } => Some(spec.requests),
            Origin::Parts(parts) => Some(parts.iter().map(|spec| spec.requests).sum()),
            Origin::Trace { .. } => None,
        }
    }

    /// Mean length of a prompt in tokens, where requests share nothing and stand alone, so that all of it is computed; `None`
    /// where that is not known beforehand.
    pub(crate) fn mean_computed_prompt(&self) -> Option<f64> {
        let Origin::Made { spec, .. } = &self.origin else { return None };
        if spec.sessions.is_some() || spec.prefix != PrefixSpec::None {
            return None;
        }
        match &spec.lengths {
            RequestLengths::Independent { input, .. } | RequestLengths::Correlated { input, .. } => input.mean().ok(),
            RequestLengths::Resampled { pairs } => {
                Some(pairs.iter().map(|(input, _)| f64::from(*input)).sum::<f64>() / pairs.len() as f64)
            }
        }
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
            Origin::Parts(_) => return Some(("its parts have rates of their own", "search with one part alone")),
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
