//! Everything that watches one run.

use sim::{GapsOf, Measures, Observer, RequestRecord, StepDetails, StepRecord};
use workloads::{SimDuration, SimTime};

use super::progress::RunProgress;
use crate::figures::TimelineCollector;
use crate::output::RunOutputs;

/// Watches one run for files, tables, figures and the progress bar.
pub(super) struct RunObserver<'a> {
    pub(super) files: RunOutputs<'a>,
    pub(super) measures: Measures,
    pub(super) timelines: Vec<TimelineCollector>,
    pub(super) progress: Option<RunProgress<'a>>,
}

impl Observer for RunObserver<'_> {
    fn wants_steps(&self) -> bool {
        !self.timelines.is_empty() || self.files.wants_steps()
    }

    fn wants_step_work(&self) -> bool {
        self.files.wants_step_work()
    }

    fn wants_step_details(&self) -> bool {
        self.files.wants_step_details()
    }

    fn gaps_of(&self) -> GapsOf {
        self.measures.gaps_of()
    }

    fn request(&mut self, record: &RequestRecord) {
        self.files.request(record);
        self.measures.request(record);
    }

    #[inline]
    fn gaps(&mut self, now: SimTime, gap: SimDuration, requests: u64) {
        Observer::gaps(&mut self.measures, now, gap, requests);
    }

    fn step(&mut self, record: &StepRecord) {
        self.files.step(record);
        self.timelines.iter_mut().for_each(|timeline| timeline.step(record));
    }

    fn step_details(&mut self, details: &StepDetails<'_>) {
        self.files.step_details(details);
    }

    fn progress(&mut self, now: SimTime, ended: u64) {
        if let Some(progress) = &mut self.progress {
            progress.reached(now, ended);
        }
    }
}
