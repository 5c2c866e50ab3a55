//! `power.csv`: power over time, all replicas of a run together.

use std::ops::Range;

use sim::{Observer, PowerMeter, StepRecord};
use workloads::SimTime;

use super::decimal::push_nanos;
use super::label::RunLabel;
use super::part::Part;

/// Columns behind those of the label. `power_w` is idle and dynamic power together.
pub(super) const COLUMNS: &str = "start_s,end_s,dynamic_power_w,power_w\n";

/// Width of a row; a run of more than 4,096 s has rows twice, four times, … as wide.
const BIN_NS: u64 = 1_000_000_000;

/// Writes the rows of one run.
pub(super) struct PowerCsv {
    part: Part,
    label: Vec<u8>,
    idle_power_w: f64,
    meter: PowerMeter,
}

impl PowerCsv {
    pub(super) fn new(part: Part, label: &RunLabel, idle_power_w: f64) -> Self {
        PowerCsv { part, label: label.fields(), idle_power_w, meter: PowerMeter::new(BIN_NS) }
    }

    /// The first and the last row are cut to the time of the run, from its first arrival to its end, so that power times
    /// width, summed over all rows, is the energy of the run.
    pub(super) fn into_part(mut self, time: &Range<SimTime>) -> Part {
        // After its last step a run may still wait for a request that is rejected: there the devices are idle.
        let last_moment = SimTime::from_nanos(time.end.as_nanos().saturating_sub(1));
        self.meter.add(last_moment, time.end, 0.0);
        for sample in self.meter.samples() {
            let (start, end) = (sample.start.max(time.start), sample.end.min(time.end));
            if start >= end {
                continue;
            }
            let cut = (sample.end - sample.start).as_secs_f64() / (end - start).as_secs_f64();
            let dynamic_power_w = sample.dynamic_power_w * cut;
            let row = self.part.row();
            row.extend_from_slice(&self.label);
            push_nanos(row, start.as_nanos());
            row.push(b',');
            push_nanos(row, end.as_nanos());
            for watts in [dynamic_power_w, self.idle_power_w + dynamic_power_w] {
                row.push(b',');
                push_nanos(row, (watts * 1e9).round() as u64);
            }
            row.push(b'\n');
        }
        self.part
    }
}

impl Observer for PowerCsv {
    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, record: &StepRecord) {
        self.meter.step(record);
    }
}
