//! Tables of a replay: one row per step, one per operator of the steps that were taken apart, one per bucket.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use calibration::replay::schedule::ScheduledStep;
use calibration::replay::{Comparison, MeasuredStep, StepPair};

use super::error::OutputError;
use super::series::part_path;

/// Names of the tables.
pub(crate) const REPLAY_TABLES: [&str; 3] = ["replay_steps.csv", "replay_operators.csv", "replay_buckets.csv"];
const NS_PER_MS: f64 = 1e6;

/// One row per step: what it was, both times, and each pass. `measured` adds what only an execution here knows, step by
/// step in the same order; the columns are empty without.
pub(crate) fn steps_csv(steps: &[ScheduledStep], pairs: &[StepPair], measured: &[MeasuredStep]) -> String {
    let passes = pairs.iter().map(|pair| pair.measured_ns.len()).max().unwrap_or(0);
    let mut text = String::from(
        "step,replica,start_s,phase,prefill_tokens,prefill_requests,decode_requests,context_tokens,predicted_ms,measured_ms,\
         error,wall_ms,rows_executed,graph",
    );
    for pass in 1..=passes {
        let _ = write!(text, ",pass_{pass}_ms");
    }
    text.push('\n');
    for (place, (step, pair)) in steps.iter().zip(pairs).enumerate() {
        let _ = write!(
            text,
            "{},{},{:.9},{},{},{},{},{},{:.6},{:.6},{:.6}",
            step.step,
            step.replica,
            step.start_ns as f64 * 1e-9,
            pair.phase.name(),
            step.prefill_tokens(),
            step.prefill.len(),
            step.decode.len(),
            pair.context_tokens,
            pair.predicted_ns / NS_PER_MS,
            pair.median_ns() / NS_PER_MS,
            pair.error()
        );
        match measured.get(place).and_then(|measured| measured.passes.last()) {
            Some(last) => {
                let _ = write!(text, ",{:.6},{},{}", last.wall_ns / NS_PER_MS, last.rows, last.graph);
            }
            None => text.push_str(",,,"),
        }
        for pass in 0..passes {
            match pair.measured_ns.get(pass) {
                Some(ns) => {
                    let _ = write!(text, ",{:.6}", ns / NS_PER_MS);
                }
                None => text.push(','),
            }
        }
        text.push('\n');
    }
    text
}

/// One row per operator of each step that was taken apart; `None` if none was. `of_operator` gives an operator's
/// prediction for a step in nanoseconds.
pub(crate) fn operators_csv(
    steps: &[ScheduledStep],
    measured: &[MeasuredStep],
    of_operator: impl Fn(&ScheduledStep, profiles::Operator) -> f64,
) -> Option<String> {
    let mut text = String::from("step,operator,predicted_ms,measured_ms\n");
    let mut any = false;
    for (step, measured) in steps.iter().zip(measured) {
        for &(operator, ns) in &measured.operators_ns {
            any = true;
            let predicted_ms = of_operator(step, operator) / NS_PER_MS;
            let _ = writeln!(text, "{},{},{predicted_ms:.6},{:.6}", step.step, operator.name(), ns / NS_PER_MS);
        }
    }
    any.then_some(text)
}

/// One row per bucket; errors are predicted ÷ measured − 1.
pub(crate) fn buckets_csv(comparison: &Comparison) -> String {
    let mut text = String::from("by,bucket,steps,median_error,p90_error,largest_error,bias,time_bias,measured_ms\n");
    for (by, bucket) in comparison.buckets() {
        let _ = writeln!(
            text,
            "{by},{},{},{:.6},{:.6},{:.6},{:.6},{:.6},{:.6}",
            bucket.label,
            bucket.count,
            bucket.median,
            bucket.p90,
            bucket.largest,
            bucket.bias,
            bucket.time_bias,
            bucket.measured_ns / NS_PER_MS
        );
    }
    text
}

/// Makes the folder, and refuses it if it holds one of these files and must not be written over.
pub(crate) fn claim(directory: &Path, names: &[&str], force: bool) -> Result<(), OutputError> {
    let there: Vec<String> =
        names.iter().filter(|name| directory.join(name).exists()).map(|name| (*name).to_owned()).collect();
    if !there.is_empty() && !force {
        return Err(OutputError::Exists { directory: directory.to_owned(), names: there });
    }
    fs::create_dir_all(directory)
        .map_err(|source| OutputError::Directory { directory: directory.to_owned(), source })?;
    // Found out now rather than after a measurement.
    let probe = part_path(&directory.join("replay"));
    let removed = |()| match fs::remove_file(&probe) {
        // Another part of the same sweep, which starts at the same moment, took it away.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    fs::write(&probe, "").and_then(removed).map_err(OutputError::write(&probe))
}

/// Writes a file, complete or not at all.
pub(crate) fn write_whole(
    directory: &Path,
    name: &str,
    text: &(impl AsRef<[u8]> + ?Sized),
) -> Result<PathBuf, OutputError> {
    let path = directory.join(name);
    let part = part_path(&path);
    if let Err(error) = fs::write(&part, text).and_then(|()| fs::rename(&part, &path)) {
        // Of a full disk, what was begun would take the rest.
        let _ = fs::remove_file(&part);
        return Err(OutputError::write(&path)(error));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::claim;

    #[test]
    fn many_that_start_at_once_all_find_the_folder_writable() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let often = || (0..300).all(|_| claim(folder.path(), &["x"], false).is_ok());
        std::thread::scope(|scope| {
            let parts: Vec<_> = (0..4).map(|_| scope.spawn(often)).collect();
            assert!(parts.into_iter().all(|part| part.join().expect("it ends")));
        });
    }
}
