//! The requests of runs, packed for the page.

use std::collections::BTreeMap;

use serde::Serialize;

use super::packed::Packed;
use crate::results::{Results, ResultsError, Table, Words};

/// Microseconds are enough for everything that is shown.
pub(super) const TIME_SCALE: f64 = 1e-6;

/// Columns and what a unit of each is; those of hand-overs are there only where requests are handed over.
const COLUMNS: [(&str, f64); 17] = [
    ("id", 1.0),
    ("arrival_s", TIME_SCALE),
    ("input_tokens", 1.0),
    ("cached_tokens", 1.0),
    ("output_tokens", 1.0),
    ("queue_s", TIME_SCALE),
    ("ttft_s", TIME_SCALE),
    ("tpot_s", TIME_SCALE),
    ("max_tbt_s", TIME_SCALE),
    ("e2e_s", TIME_SCALE),
    ("preemptions", 1.0),
    ("energy_j", 1e-3),
    ("replica", 1.0),
    ("decode_replica", 1.0),
    ("kv_bytes", 1.0),
    ("kv_transfer_s", TIME_SCALE),
    ("handover_wait_s", TIME_SCALE),
];

/// Requests of some runs, and what was left out.
#[derive(Default, Serialize)]
pub(super) struct Requests {
    /// What is not here, in words; empty if all is.
    pub(super) note: String,
    runs: Vec<PackedRun>,
}

/// A run's rows in packed columns.
#[derive(Serialize)]
pub(super) struct PackedRun {
    pub(super) system: usize,
    pub(super) seed: String,
    /// Up to which moment of the run it has everything, in seconds.
    pub(super) until_s: f64,
    pub(super) columns: BTreeMap<&'static str, Packed>,
}

/// The table of requests, if the folder has one.
pub(super) fn table(results: &Results) -> Result<Option<Table>, ResultsError> {
    results.path("requests").map(|_| results.table("requests")).transpose()
}

impl Requests {
    /// Packs at most `most` requests, of each run the first by arrival.
    pub(super) fn pack(table: Option<&Table>, systems: &[String], most: usize) -> Result<Self, ResultsError> {
        let Some(table) = table else {
            return Ok(Requests { note: "The folder has no table of requests.".to_owned(), runs: Vec::new() });
        };
        let arrival = table.numbers("arrival_s")?;
        let (kept, note) =
            chosen(table, systems, most, "requests", |rows| rows.sort_by(|a, b| arrival[*a].total_cmp(&arrival[*b])))?;
        let status = table.words("status")?;
        let runs = kept.into_iter().map(|kept| {
            let mut columns = pack_columns(table, &COLUMNS, &kept.rows)?;
            let codes = kept.rows.iter().map(|row| f64::from(status.codes()[*row]));
            columns.insert("status", Packed::new(codes, 1.0));
            let until_s = kept.rows.last().map_or(0.0, |row| arrival[*row]);
            Ok(PackedRun { system: kept.system, seed: kept.seed, until_s, columns })
        });
        Ok(Requests { note, runs: runs.collect::<Result<_, ResultsError>>()? })
    }

    /// Whether requests of this run are in the page.
    pub(super) fn has(&self, system: usize, seed: &str) -> bool {
        self.runs.iter().any(|run| run.system == system && run.seed == seed)
    }
}

/// Rows of a run that are kept.
pub(super) struct Kept {
    pub(super) system: usize,
    pub(super) seed: String,
    pub(super) rows: Vec<usize>,
    /// Whether these are all of its rows.
    pub(super) whole: bool,
}

/// Chooses at most `most` rows of a table. Every system's run of the first seed comes first; then those of the second, as
/// long as they fit whole. Where the runs of the first seed do not fit, each gets an equal part: its first rows in the
/// order that `sort` makes. Says in words what is left out.
pub(super) fn chosen(
    table: &Table,
    systems: &[String],
    most: usize,
    what: &str,
    sort: impl Fn(&mut Vec<usize>),
) -> Result<(Vec<Kept>, String), ResultsError> {
    let (system, seed) = (table.words("system")?, table.words("seed")?);
    let mut runs: Vec<Kept> = by_run(&system, &seed, systems);
    let (runs_before, rows_before) = (runs.len(), table.len());
    let rank = |seed_name: &str| seed.names().iter().position(|name| name == seed_name);
    runs.sort_by_key(|run| (rank(&run.seed), run.system));
    let first = runs.first().map(|run| run.seed.clone());
    let of_first = runs.iter().filter(|run| Some(&run.seed) == first.as_ref()).count();
    let share = most / of_first.max(1);
    let fits = runs.iter().take(of_first).map(|run| run.rows.len()).sum::<usize>() <= most;
    let mut left = most;
    let mut kept = Vec::new();
    for (place, mut run) in runs.into_iter().enumerate() {
        sort(&mut run.rows);
        if place < of_first && !fits && run.rows.len() > share {
            run.rows.truncate(share);
            run.whole = false;
        }
        if run.rows.is_empty() || run.rows.len() > left {
            continue;
        }
        left -= run.rows.len();
        kept.push(run);
    }
    let rows: usize = kept.iter().map(|run| run.rows.len()).sum();
    let note = if rows == rows_before {
        String::new()
    } else {
        let cut = kept.iter().filter(|run| !run.whole).count();
        let cut = if cut > 0 { format!(", {cut} of them cut after their first {share} {what}") } else { String::new() };
        format!(
            "This page has {rows} of {rows_before} {what}: {} of {runs_before} runs{cut}. --{what} N of servesim report \
             changes how many.",
            kept.len()
        )
    };
    kept.sort_by_key(|run| (run.system, rank(&run.seed)));
    Ok((kept, note))
}

/// The rows of every run.
fn by_run(system: &Words, seed: &Words, systems: &[String]) -> Vec<Kept> {
    let mut runs: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for (row, key) in system.codes().iter().copied().zip(seed.codes().iter().copied()).enumerate() {
        runs.entry(key).or_default().push(row);
    }
    let run = |((system_code, seed_code), rows)| {
        let name = &system.names()[system_code as usize];
        let system = systems.iter().position(|there| there == name)?;
        Some(Kept { system, seed: seed.names()[seed_code as usize].clone(), rows, whole: true })
    };
    runs.into_iter().filter_map(run).collect()
}

/// Packs the columns that the table has.
pub(super) fn pack_columns(
    table: &Table,
    columns: &[(&'static str, f64)],
    rows: &[usize],
) -> Result<BTreeMap<&'static str, Packed>, ResultsError> {
    let there = columns.iter().filter(|(name, _)| table.has(name));
    let pack = |&(name, scale): &(&'static str, f64)| {
        let numbers = table.numbers(name)?;
        Ok((name, Packed::new(rows.iter().map(|row| numbers[*row]), scale)))
    };
    there.map(pack).collect()
}
