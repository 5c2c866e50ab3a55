//! `power.csv`: power over time, all replicas of a run together.

use sim::{Observer, PowerMeter, StepRecord};

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

    pub(super) fn into_part(mut self) -> Part {
        for sample in self.meter.samples() {
            let row = self.part.row();
            row.extend_from_slice(&self.label);
            push_nanos(row, sample.start.as_nanos());
            row.push(b',');
            push_nanos(row, sample.end.as_nanos());
            for watts in [sample.dynamic_power_w, self.idle_power_w + sample.dynamic_power_w] {
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
