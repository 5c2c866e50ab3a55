//! The tables of a sweep: rows of every run that succeeded, and those that failed.

use std::fs;
use std::path::{Path, PathBuf};

use sim::Summary;

use super::comparison::{compare_against, comparison_csv};
use super::error::OutputError;
use super::estimate::{estimates, intervals_csv};
use super::label::{RunLabel, push_field};
use super::parquet::{self, parquet_path};
use super::replay::write_whole;
use super::summary::{summary_header, summary_rows};

const SUMMARY: &str = "summary.csv";
const COMPARISON: &str = "comparison.csv";
const INTERVALS: &str = "intervals.csv";
const FAILURES: &str = "failures.csv";
/// Names of the tables, as CSV files.
pub(crate) const SWEEP_TABLES: [&str; 4] = [SUMMARY, INTERVALS, COMPARISON, FAILURES];

/// What is in them.
pub(crate) struct SweepTables<'a> {
    /// The first row there would be: its keys are those of all.
    pub(crate) first: &'a RunLabel,
    /// Names of the systems; the others are compared against the first.
    pub(crate) systems: &'a [String],
    /// Runs that succeeded.
    pub(crate) runs: &'a [RunLabel],
    /// Their figures.
    pub(crate) summaries: &'a [Summary],
    /// Runs that failed, with their address and why.
    pub(crate) failures: &'a [(RunLabel, String, String)],
    /// Whether the tables become Parquet files.
    pub(crate) parquet: bool,
}

impl SweepTables<'_> {
    /// Writes them, each complete or not at all, and takes those away that are no longer. Returns their paths.
    pub(crate) fn write(&self, directory: &Path) -> Result<Vec<PathBuf>, OutputError> {
        let summary = [summary_header(self.first), summary_rows(self.runs, self.summaries)].concat();
        let mut paths = vec![write_whole(directory, SUMMARY, &summary)?];
        let rows = estimates(self.runs, self.summaries);
        paths.push(write_whole(directory, INTERVALS, &intervals_csv(self.first.keys(), &rows))?);
        if let [baseline, _, ..] = self.systems {
            let rows = compare_against(baseline, self.runs, self.summaries);
            paths.push(write_whole(directory, COMPARISON, &comparison_csv(self.first.keys(), &rows))?);
        }
        if !self.failures.is_empty() {
            paths.push(write_whole(directory, FAILURES, &self.failures_csv())?);
        }
        if self.parquet {
            for path in &mut paths {
                *path = parquet::convert(path)?;
            }
        }
        for name in SWEEP_TABLES {
            let csv = directory.join(name);
            for stale in [parquet_path(&csv), csv] {
                if !paths.contains(&stale) && stale.exists() {
                    fs::remove_file(&stale).map_err(OutputError::write(&stale))?;
                }
            }
        }
        Ok(paths)
    }

    fn failures_csv(&self) -> Vec<u8> {
        let mut file = [self.first.header(), b"run,error\n".to_vec()].concat();
        for (label, run, error) in self.failures {
            file.extend(label.fields());
            file.extend_from_slice(run.as_bytes());
            file.push(b',');
            push_field(&mut file, error);
            file.push(b'\n');
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::summary;
    use super::*;

    fn label(rate: &str, system: &str) -> RunLabel {
        RunLabel { point: vec![("workload.rate".to_owned(), rate.to_owned())], ..RunLabel::new(system, 1) }
    }

    fn tables<'a>(
        runs: &'a [RunLabel],
        summaries: &'a [Summary],
        failures: &'a [(RunLabel, String, String)],
        systems: &'a [String],
        first: &'a RunLabel,
        parquet: bool,
    ) -> SweepTables<'a> {
        SweepTables { first, systems, runs, summaries, failures, parquet }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("it is there");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("readable").file_name().into_string().expect("plain")).collect();
        names.sort();
        names
    }

    #[test]
    fn the_first_system_of_the_file_is_the_baseline_even_where_it_failed_first() {
        let place = tempfile::tempdir().expect("a folder");
        let systems = ["a".to_owned(), "b".to_owned()];
        let runs = [label("1", "b"), label("2", "a"), label("2", "b")];
        let summaries = [summary(1_000_000), summary(2_000_000), summary(3_000_000)];
        let first = label("1", "a");
        let failures = [(first.clone(), "address".to_owned(), "stuck, \"really\"".to_owned())];
        tables(&runs, &summaries, &failures, &systems, &first, false).write(place.path()).expect("room");
        assert_eq!(names(place.path()), ["comparison.csv", "failures.csv", "intervals.csv", "summary.csv"]);
        let read = |name| fs::read_to_string(place.path().join(name)).expect("text");
        assert_eq!(
            read("failures.csv"),
            "workload.rate,system,seed,run,error\n1,a,1,address,\"stuck, \"\"really\"\"\"\n"
        );
        let comparison = read("comparison.csv");
        assert!(comparison.contains("\n2,b,a,mean_e2el_ms,ms,lower,1,2,3,1.5,1,"), "{comparison}");
        assert!(!comparison.contains("\n1,"), "there is nothing to compare with at rate 1: {comparison}");
    }

    #[test]
    fn tables_that_are_no_longer_are_taken_away_and_nothing_else() {
        let place = tempfile::tempdir().expect("a folder");
        let (systems, first) = (["a".to_owned()], label("1", "a"));
        let failures = [(first.clone(), "address".to_owned(), "why".to_owned())];
        tables(&[], &[], &failures, &systems, &first, false).write(place.path()).expect("room");
        assert_eq!(names(place.path()), ["failures.csv", "intervals.csv", "summary.csv"]);
        fs::write(place.path().join("mine.csv"), "").expect("room");
        let (runs, summaries) = ([first.clone()], [summary(1_000_000)]);
        tables(&runs, &summaries, &[], &systems, &first, true).write(place.path()).expect("room");
        assert_eq!(names(place.path()), ["intervals.parquet", "mine.csv", "summary.parquet"]);
    }
}
