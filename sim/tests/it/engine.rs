//! The engine under test, with everything it reports collected.

use std::collections::BTreeMap;

use sim::{DeploymentSpec, GapsOf, Observer, RequestRecord, SimError, StepDetails, StepRecord, Window};
use workloads::{SimDuration, SimTime, Source};

use crate::reference::{Members, Run};

#[derive(Default)]
struct Log {
    followed: Option<Window>,
    records: Vec<RequestRecord>,
    gaps: BTreeMap<(u64, u64), u64>,
    steps: Vec<StepRecord>,
    members: Vec<Members>,
}

impl Observer for Log {
    fn wants_steps(&self) -> bool {
        true
    }

    fn wants_step_details(&self) -> bool {
        true
    }

    fn gaps_of(&self) -> GapsOf {
        GapsOf::of(self.followed)
    }

    fn request(&mut self, record: &RequestRecord) {
        self.records.push(record.clone());
    }

    fn gaps(&mut self, now: SimTime, gap: SimDuration, requests: u64) {
        *self.gaps.entry((now.as_nanos(), gap.as_nanos())).or_default() += requests;
    }

    fn step(&mut self, record: &StepRecord) {
        self.steps.push(record.clone());
    }

    fn step_details(&mut self, details: &StepDetails<'_>) {
        assert_eq!(Some(details.record), self.steps.last(), "details belong to the step before them");
        self.members.push(Members {
            prefill: details.prefill.to_vec(),
            decode: details.decode.to_vec(),
            sampled: details.sampled,
            stage_ns: details.stage_ns.to_vec(),
        });
    }
}

/// Runs the engine on all requests of the source.
pub(crate) fn simulate(spec: DeploymentSpec, source: &mut dyn Source) -> Result<Run, SimError> {
    simulate_followed(spec, source, None)
}

/// The same, with the gaps of requests that arrive in this window only, if there is one.
pub(crate) fn simulate_followed(
    spec: DeploymentSpec,
    source: &mut dyn Source,
    followed: Option<Window>,
) -> Result<Run, SimError> {
    let mut log = Log { followed, ..Log::default() };
    let outcome = sim::simulate(spec, source, &mut log)?;
    log.gaps.retain(|_, requests| *requests > 0);
    Ok(Run { records: log.records, gaps: log.gaps, steps: log.steps, members: log.members, outcome })
}
