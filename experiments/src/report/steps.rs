//! The steps of runs, packed for the page.

use serde::Serialize;

use super::requests::{PackedRun, TIME_SCALE, chosen, pack_columns};
use crate::results::{Results, ResultsError};

const COLUMNS: [(&str, f64); 16] = [
    ("replica", 1.0),
    ("slot", 1.0),
    ("start_s", TIME_SCALE),
    ("duration_s", TIME_SCALE),
    ("prefill_tokens", 1.0),
    ("prefill_requests", 1.0),
    ("decode_requests", 1.0),
    ("decode_context_tokens", 1.0),
    ("admitted", 1.0),
    ("preempted", 1.0),
    ("waiting", 1.0),
    ("running", 1.0),
    ("free_kv_blocks", 1.0),
    ("prefill_first_layer", 1.0),
    ("prefill_end_layer", 1.0),
    ("dynamic_energy_j", 1e-3),
];

/// Steps of some runs, and what was left out.
#[derive(Default, Serialize)]
pub(super) struct Steps {
    /// What is not here and how to get it; empty if all is.
    pub(super) note: String,
    runs: Vec<PackedRun>,
}

impl Steps {
    /// Reads and packs at most `most` steps, of each run the first.
    pub(super) fn read(results: &Results, systems: &[String], most: usize) -> Result<Self, ResultsError> {
        if results.path("steps").is_none() {
            let lock = results.directory().join(crate::run::LOCK_FILE);
            let note = format!(
                "The steps were not recorded. To have them here: servesim run {} --set output.steps=true -o NEW_FOLDER, then \
                 servesim report NEW_FOLDER. The same file gives the same run.",
                lock.display()
            );
            return Ok(Steps { note, runs: Vec::new() });
        }
        let names: Vec<&str> = ["system", "seed"].into_iter().chain(COLUMNS.map(|(name, _)| name)).collect();
        let table = results.columns("steps", &names)?;
        let (start, duration) = (table.numbers("start_s")?, table.numbers("duration_s")?);
        let (kept, note) = chosen(&table, systems, most, "steps", |_| ())?;
        let runs = kept.into_iter().map(|kept| {
            let columns = pack_columns(&table, &COLUMNS, &kept.rows)?;
            let ends = kept.rows.iter().map(|row| start[*row] + duration[*row]);
            let until_s = if kept.whole { f64::MAX } else { ends.fold(0.0, f64::max) };
            Ok(PackedRun { system: kept.system, seed: kept.seed, until_s, columns })
        });
        Ok(Steps { note, runs: runs.collect::<Result<_, ResultsError>>()? })
    }
}
