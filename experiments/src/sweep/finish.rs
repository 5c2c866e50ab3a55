//! The end of a sweep: its tables, and what is said.

use std::path::Path;

use sim::{Steadiness, Summary};

use super::collect::Collected;
use super::manifest::{Manifest, shown_run};
use super::shard::Shard;
use super::show_paths;
use crate::failure::Failure;
use crate::output::{Look, RunLabel, SweepTables, comparison_table, results_json, write_whole};
use crate::run::LOCK_FILE;
use crate::terminal::{self, Terminal, short};

/// With more points than this, their tables would only scroll by.
const SHOWN_POINTS: usize = 4;
/// Remarks on single runs that are shown; all of them are kept with the runs.
const SHOWN_REMARKS: usize = 8;

/// Writes the tables of a whole sweep and tells how it went.
///
/// # Errors
/// Files that cannot be written; failed runs, once everything is written.
pub(super) fn tables(
    directory: &Path,
    manifest: &Manifest,
    collected: &Collected,
    json: bool,
    terminal: Terminal,
) -> Result<(), Failure> {
    let rows = collected.rows(manifest).map_err(|error| Failure::Run(error.to_string()))?;
    let first = rows[0].0.clone();
    let mut remarks: Vec<&str> = rows.iter().flat_map(|(_, run)| run.remarks.iter().map(String::as_str)).collect();
    let (mut runs, mut summaries, mut failures): (Vec<RunLabel>, Vec<Summary>, Vec<_>) = Default::default();
    for (label, stored) in &rows {
        match &stored.result {
            Ok(summary) => {
                runs.push(label.clone());
                summaries.push((**summary).clone());
            }
            Err(why) => failures.push((label.clone(), stored.run.clone(), why.clone())),
        }
    }
    let written = SweepTables {
        first: &first,
        systems: &manifest.systems,
        runs: &runs,
        summaries: &summaries,
        failures: &failures,
        parquet: manifest.parquet,
    };
    let failed = |error| Failure::while_writing(&error);
    let mut paths = written.write(directory).map_err(failed)?;
    paths.push(write_whole(directory, LOCK_FILE, &manifest.experiment).map_err(failed)?);
    let overloaded = summaries.iter().filter(|run| run.steadiness == Steadiness::Overloaded).count();
    if overloaded > 0 {
        terminal.note(&format!(
            "note: {overloaded} of {} runs were overloaded, so that their latencies tell how long they were: `steadiness` in summary.csv",
            summaries.len()
        ));
    }
    let unsteady = summaries.iter().filter(|run| run.steadiness == Steadiness::Unsteady).count();
    if unsteady > 0 {
        terminal.note(&format!(
            "note: {unsteady} of {} runs never became steady: latencies had a trend to the end; `steadiness` in summary.csv",
            summaries.len()
        ));
    }
    remarks.sort_unstable();
    remarks.dedup();
    for remark in remarks.iter().take(SHOWN_REMARKS) {
        terminal.note(remark);
    }
    if remarks.len() > SHOWN_REMARKS {
        terminal.note(&format!("… and {} more remarks like these, in runs/*.jsonl", remarks.len() - SHOWN_REMARKS));
    }
    if collected.doubled > 0 {
        terminal.note(&format!("{} runs were done more than once, with the same results", collected.doubled));
    }
    if json {
        let mut json = results_json(&runs, &summaries);
        json["name"] = manifest.name.as_str().into();
        json["files"] = paths.iter().map(|path| path.display().to_string()).collect();
        json["failures"] = failures.iter().map(|(label, _, why)| format!("{}: {why}", shown_run(label))).collect();
        terminal::print_line(&json.to_string());
    } else if terminal.talks() {
        terminal::print_line(&manifest.name);
        if manifest.points.len() <= SHOWN_POINTS {
            let look = Look { color: terminal.colour_on_stdout(), width: terminal.width() };
            terminal::print(&comparison_table(&runs, &summaries, look));
        }
        show_paths(&paths);
        terminal.note(&format!("servesim plot {} draws what it found", short(directory)));
    }
    match failures.first() {
        None => Ok(()),
        Some((label, _, why)) => Err(Failure::Run(format!(
            "{} of {} rows are of runs that failed, all of them in failures.{}; the first: {}: {why}",
            failures.len(),
            rows.len(),
            if manifest.parquet { "parquet" } else { "csv" },
            shown_run(label)
        ))),
    }
}

/// Tells how a part went, whose runs are `addresses`.
///
/// # Errors
/// Failed runs.
pub(super) fn part(
    directory: &Path,
    shard: Shard,
    addresses: &[&str],
    collected: &Collected,
    terminal: Terminal,
) -> Result<(), Failure> {
    let shown = short(directory);
    terminal.note(&format!("part {shard} is done; servesim merge {shown} makes the tables once all are"));
    let failed: Vec<&str> = addresses.iter().filter_map(|run| collected.failure(run)).collect();
    match failed.first() {
        None => Ok(()),
        Some(why) => {
            Err(Failure::Run(format!("{} of {} runs failed; the first: {why}", failed.len(), addresses.len())))
        }
    }
}
