//! `steps.csv`: one row per step, in the order in which they are scheduled.

use sim::{Observer, StepRecord};

use super::decimal::{push_integer, push_nanos};
use super::label::RunLabel;
use super::part::Part;

/// Columns behind those of the label. The layers that prefill tokens pass through are a half-open range, empty where
/// it is all of them.
pub(super) const COLUMNS: &str = "replica,slot,scheduled_s,start_s,duration_s,prefill_tokens,prefill_requests,\
     decode_requests,decode_context_tokens,admitted,preempted,waiting,running,free_kv_blocks,prefill_first_layer,\
     prefill_end_layer,dynamic_energy_j,flops,memory_bytes,link_bytes,expert_load_bytes\n";

/// Writes the rows of one run.
pub(super) struct StepsCsv {
    part: Part,
    label: Vec<u8>,
}

impl StepsCsv {
    pub(super) fn new(part: Part, label: &RunLabel) -> Self {
        StepsCsv { part, label: label.fields() }
    }

    pub(super) fn into_part(self) -> Part {
        self.part
    }
}

impl Observer for StepsCsv {
    fn wants_steps(&self) -> bool {
        true
    }

    fn wants_step_work(&self) -> bool {
        true
    }

    fn step(&mut self, record: &StepRecord) {
        let row = self.part.row();
        row.extend_from_slice(&self.label);
        push_integer(row, record.replica);
        row.push(b',');
        push_integer(row, record.slot);
        for time_ns in [record.scheduled.as_nanos(), record.start.as_nanos(), (record.end - record.start).as_nanos()] {
            row.push(b',');
            push_nanos(row, time_ns);
        }
        for count in [record.prefill_tokens, record.prefill_requests, record.decode_requests] {
            row.push(b',');
            push_integer(row, count);
        }
        row.push(b',');
        push_integer(row, record.decode_context_tokens);
        for count in [record.admitted, record.preempted, record.waiting, record.running, record.free_blocks] {
            row.push(b',');
            push_integer(row, count);
        }
        row.push(b',');
        if let Some((first, _)) = record.prefill_layers {
            push_integer(row, first);
        }
        row.push(b',');
        if let Some((_, end)) = record.prefill_layers {
            push_integer(row, end);
        }
        row.push(b',');
        push_nanos(row, (record.dynamic_energy_j * 1e9).round() as u64);
        let work = record.work.expect("steps carry the work that was asked for");
        for count in [work.flops, work.memory_bytes, work.link_bytes, work.expert_load_bytes] {
            row.push(b',');
            push_integer(row, count.round() as u64);
        }
        row.push(b'\n');
    }
}
