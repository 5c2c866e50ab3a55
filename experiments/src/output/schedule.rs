//! `schedule.jsonl.gz`: who was in each step and what it was predicted to cost, for `servesim replay`.
//!
//! The format is defined, and read, by [`calibration::replay::schedule`].

use std::collections::BTreeMap;

use calibration::replay::schedule::{
    FileHeader, Line, RunEnd, RunHeader, ScheduledLayers, ScheduledPiece, ScheduledStep, VERSION,
};
use sim::{Observer, StepDetails};

use super::gzip::GzipPart;
use super::part::Part;

/// The beginning of the file.
pub(super) fn opening() -> Vec<u8> {
    let mut text = Vec::new();
    push_line(&mut text, &Line::Schedule(FileHeader { version: VERSION }));
    text
}

fn push_line(row: &mut Vec<u8>, line: &Line) {
    serde_json::to_writer(&mut *row, line).expect("lines are plain data, and memory takes them");
    row.push(b'\n');
}

/// Writes the lines of one run.
pub(super) struct ScheduleFile {
    part: GzipPart,
    totals: RunEnd,
}

impl ScheduleFile {
    pub(super) fn new(part: Part, header: RunHeader) -> Self {
        let mut part = GzipPart::new(part);
        push_line(part.row(), &Line::Run(Box::new(header)));
        ScheduleFile { part, totals: RunEnd::default() }
    }

    pub(super) fn into_part(mut self) -> Part {
        push_line(self.part.row(), &Line::End(self.totals));
        self.part.into_part()
    }
}

impl Observer for ScheduleFile {
    fn wants_step_details(&self) -> bool {
        true
    }

    fn step_details(&mut self, details: &StepDetails<'_>) {
        let step = scheduled(details, self.totals.steps);
        self.totals.add(&step);
        push_line(self.part.row(), &Line::Step(Box::new(step)));
    }
}

/// The step as the file has it.
fn scheduled(details: &StepDetails<'_>, number: u64) -> ScheduledStep {
    let record = details.record;
    let mut step = ScheduledStep {
        step: number,
        replica: record.replica,
        slot: record.slot,
        start_ns: record.start.as_nanos(),
        end_ns: record.end.as_nanos(),
        stage_ns: details.stage_ns.to_vec(),
        sampled: details.sampled,
        free_blocks: record.free_blocks,
        prefill_layers: record.prefill_layers.map(|(start, end)| ScheduledLayers { start, end }),
        prefill: details
            .prefill
            .iter()
            .map(|member| ScheduledPiece {
                request: member.request.0,
                new_tokens: member.piece.new_tokens,
                context_tokens: member.piece.context_tokens,
                completes: member.completes,
            })
            .collect(),
        decode: details.decode.iter().map(|member| (member.request.0, member.context_tokens)).collect(),
        operators_ns: BTreeMap::new(),
        evidence_ns: BTreeMap::new(),
        operator_evidence_ns: BTreeMap::new(),
    };
    step.set_cost(details.cost);
    step
}
