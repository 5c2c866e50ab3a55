//! Which steps each request took part in, from the schedule of the folder, packed for the page.

use std::collections::BTreeMap;
use std::path::Path;

use calibration::replay::ReplayError;
use calibration::replay::schedule::{RunChoice, ScheduleReader, ScheduledStep, list_runs};
use serde::Serialize;

use super::packed::Packed;
use super::requests::{PackedRun, TIME_SCALE};
use crate::output::SCHEDULE;

/// Most stretches of steps in a page, some ten bytes each.
const MOST: usize = 400_000;
const NS_PER_S: f64 = 1e9;

/// What the schedule tells.
#[derive(Default, Serialize)]
pub(super) struct Participation {
    /// What is not here and how to get it; empty if all is.
    pub(super) note: String,
    runs: Vec<PackedRun>,
}

/// Steps next to each other, of one replica and slot, in which a request did the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    request: u64,
    replica: u32,
    slot: u32,
    decodes: bool,
    /// Number of the first step among those of its replica and slot, and how many there are; of a prompt one.
    first: u32,
    count: u32,
    /// Of the first step: tokens computed, and tokens whose keys and values were there before.
    tokens: u32,
    context: u32,
    start_ns: u64,
    end_ns: u64,
}

/// The stretches of a run, in the order in which they begin.
#[derive(Default)]
struct Stretches {
    all: Vec<Stretch>,
    /// Steps so far by replica and slot.
    steps: BTreeMap<(u32, u32), u32>,
    /// Of each request the latest stretch.
    latest: BTreeMap<u64, usize>,
}

impl Stretches {
    fn add(&mut self, step: &ScheduledStep) {
        let counted = self.steps.entry((step.replica, step.slot)).or_default();
        let number = *counted;
        *counted += 1;
        let of = |request, decodes, tokens, context| Stretch {
            request,
            replica: step.replica,
            slot: step.slot,
            decodes,
            first: number,
            count: 1,
            tokens,
            context,
            start_ns: step.start_ns,
            end_ns: step.end_ns,
        };
        for piece in &step.prefill {
            self.push(of(piece.request, false, piece.new_tokens, piece.context_tokens));
        }
        for &(request, context) in &step.decode {
            // The schedule counts the token that is computed.
            let stretch = of(request, true, 1, context.saturating_sub(1));
            let latest = self.latest.get(&request).map(|at| &mut self.all[*at]);
            match latest.filter(|latest| latest.goes_on_in(&stretch)) {
                Some(latest) => {
                    latest.count += 1;
                    latest.end_ns = stretch.end_ns;
                }
                None => self.push(stretch),
            }
        }
    }

    fn push(&mut self, stretch: Stretch) {
        self.latest.insert(stretch.request, self.all.len());
        self.all.push(stretch);
    }
}

impl Stretch {
    fn goes_on_in(&self, next: &Stretch) -> bool {
        self.decodes && (self.replica, self.slot, self.first + self.count) == (next.replica, next.slot, next.first)
    }
}

impl Participation {
    /// Reads the schedule of a folder for those of its runs that `wanted` says the page has.
    pub(super) fn read(
        directory: &Path,
        systems: &[String],
        wanted: impl Fn(usize, &str) -> bool,
    ) -> Result<Self, ReplayError> {
        let path = directory.join(SCHEDULE);
        if !path.exists() {
            let note = "In which steps it took part was not recorded: run with --set output.record_steps=true to have them here.";
            return Ok(Participation { note: note.to_owned(), runs: Vec::new() });
        }
        let (mut runs, mut left, mut note) = (Vec::new(), MOST, String::new());
        for (name, seed) in list_runs(&path)? {
            let Some(system) = systems.iter().position(|there| *there == name) else { continue };
            let seed_name = seed.to_string();
            if !wanted(system, &seed_name) {
                continue;
            }
            let mut found = Stretches::default();
            let mut until_s = f64::MAX;
            for step in ScheduleReader::open(&path, &RunChoice { system: Some(name), seed: Some(seed) })? {
                let step = step?;
                if found.all.len() + step.prefill.len() + step.decode.len() > left {
                    until_s = step.start_ns as f64 / NS_PER_S;
                    "The page has not all steps of all requests; schedule.jsonl.gz has.".clone_into(&mut note);
                    break;
                }
                found.add(&step);
            }
            left -= found.all.len();
            runs.push(PackedRun { system, seed: seed_name, until_s, columns: pack(found.all) });
        }
        Ok(Participation { note, runs })
    }
}

/// By request, then by time.
fn pack(mut all: Vec<Stretch>) -> BTreeMap<&'static str, Packed> {
    all.sort_by_key(|stretch| (stretch.request, stretch.start_ns));
    let column = |of: fn(&Stretch) -> f64, scale| Packed::new(all.iter().map(of), scale);
    [
        ("request", column(|stretch| stretch.request as f64, 1.0)),
        ("replica", column(|stretch| f64::from(stretch.replica), 1.0)),
        ("slot", column(|stretch| f64::from(stretch.slot), 1.0)),
        ("decodes", column(|stretch| f64::from(u8::from(stretch.decodes)), 1.0)),
        ("first", column(|stretch| f64::from(stretch.first), 1.0)),
        ("count", column(|stretch| f64::from(stretch.count), 1.0)),
        ("tokens", column(|stretch| f64::from(stretch.tokens), 1.0)),
        ("context", column(|stretch| f64::from(stretch.context), 1.0)),
        ("start_s", column(|stretch| stretch.start_ns as f64 / NS_PER_S, TIME_SCALE)),
        ("end_s", column(|stretch| stretch.end_ns as f64 / NS_PER_S, TIME_SCALE)),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use calibration::replay::schedule::ScheduledPiece;

    use super::*;

    fn step(replica: u32, number: u64, prefill: &[(u64, u32, u32)], decode: &[(u64, u32)]) -> ScheduledStep {
        let piece = |&(request, new_tokens, context_tokens): &(u64, u32, u32)| ScheduledPiece {
            request,
            new_tokens,
            context_tokens,
            completes: false,
        };
        ScheduledStep {
            step: number,
            replica,
            slot: 0,
            start_ns: 10 * number,
            end_ns: 10 * number + 9,
            stage_ns: vec![9],
            sampled: 0,
            free_blocks: 0,
            prefill_layers: None,
            prefill: prefill.iter().map(piece).collect(),
            decode: decode.to_vec(),
            operators_ns: BTreeMap::new(),
            evidence_ns: BTreeMap::new(),
            operator_evidence_ns: BTreeMap::new(),
        }
    }

    #[test]
    fn decode_steps_in_a_row_are_one_stretch_and_a_step_without_the_request_ends_it() {
        let mut found = Stretches::default();
        for step in [
            step(0, 0, &[(7, 100, 0)], &[]),
            step(0, 1, &[(7, 50, 100)], &[]),
            step(1, 2, &[(8, 10, 0)], &[]),
            step(0, 3, &[], &[(7, 151)]),
            step(0, 4, &[], &[(7, 152)]),
            step(0, 5, &[(9, 10, 0)], &[]),
            step(0, 6, &[], &[(7, 153), (9, 11)]),
        ] {
            found.add(&step);
        }
        let of_seven: Vec<_> = found
            .all
            .iter()
            .filter(|stretch| stretch.request == 7)
            .map(|stretch| (stretch.first, stretch.count, stretch.tokens, stretch.context, stretch.end_ns))
            .collect();
        // Steps are numbered within their replica: the third of all is the first of replica 1.
        assert_eq!(of_seven, [(0, 1, 100, 0, 9), (1, 1, 50, 100, 19), (2, 2, 1, 150, 49), (5, 1, 1, 152, 69)]);
        assert_eq!(found.all.iter().find(|stretch| stretch.request == 8).map(|stretch| stretch.first), Some(0));
    }
}
