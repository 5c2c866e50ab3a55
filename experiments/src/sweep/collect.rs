//! Puts together what the parts of a sweep have done, and finds what is missing, doubled or foreign.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::manifest::{Manifest, shown_run};
use super::store::{self, Line, StoreError, Stored};
use crate::output::RunLabel;

/// Results by address.
pub(super) struct Collected {
    results: BTreeMap<String, Stored>,
    /// Runs that were done more than once, each time with the same result.
    pub(super) doubled: usize,
    /// The files they were read from.
    files: Vec<PathBuf>,
}

/// What is wrong with the results of a sweep.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectError {
    /// A file of results cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A result of something else.
    #[error("{}, line {line}: run {run} is not one of this sweep", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// Its address.
        run: String,
    },
    /// Two results of the same run.
    #[error(
        "the same run gave different results ({run}): {}, line {line}, and {}, line {other_line}; nothing it depends on is \
         different, so that one of the files was changed or one of the machines is broken",
        path.display(), other.display()
    )]
    Contradiction {
        /// The run in words.
        run: String,
        /// One file.
        path: PathBuf,
        /// Which line of it.
        line: usize,
        /// The other.
        other: PathBuf,
        /// Which line of it.
        other_line: usize,
    },
    /// Runs that nobody has done.
    #[error("{missing} of {of} runs are missing, the first: {first}; {found}")]
    Missing {
        /// How many.
        missing: usize,
        /// Of how many.
        of: usize,
        /// The first in words.
        first: String,
        /// Which files there are.
        found: String,
    },
}

/// Reads the results in these folders.
///
/// A run may have been done twice with the same result, such as when the number of parts was changed in between: nothing is
/// wrong with that. A result replaces a failure, so that failures can be tried again.
pub(super) fn collect(manifest: &Manifest, directories: &[&Path]) -> Result<Collected, CollectError> {
    let mut files = Vec::new();
    for directory in directories {
        files.extend(store::files(directory)?);
    }
    let known: BTreeSet<&str> = manifest.runs.iter().map(String::as_str).collect();
    let mut kept: BTreeMap<String, Line> = BTreeMap::new();
    let mut doubled = BTreeSet::new();
    for line in store::read_all(&files)? {
        let run = line.stored.run.clone();
        if !known.contains(run.as_str()) {
            return Err(CollectError::Foreign { path: files[line.file].clone(), line: line.number, run });
        }
        let Some(other) = kept.get(&run) else {
            kept.insert(run, line);
            continue;
        };
        match (&other.stored.result, &line.stored.result) {
            (Ok(_), Ok(_)) if other.stored == line.stored => {
                doubled.insert(run);
            }
            (Ok(_), Ok(_)) => {
                let place = manifest.runs.iter().position(|known| *known == run).expect("it is one of this sweep");
                return Err(CollectError::Contradiction {
                    run: shown_run(&manifest.labels()[place]),
                    path: files[other.file].clone(),
                    line: other.number,
                    other: files[line.file].clone(),
                    other_line: line.number,
                });
            }
            (Err(_), _) => {
                kept.insert(run, line);
            }
            (Ok(_), Err(_)) => {}
        }
    }
    let results = kept.into_iter().map(|(run, line)| (run, line.stored)).collect();
    Ok(Collected { results, doubled: doubled.len(), files })
}

impl Collected {
    /// Whether a run has succeeded.
    pub(super) fn has(&self, address: &str) -> bool {
        self.results.get(address).is_some_and(|stored| stored.result.is_ok())
    }

    /// How many have.
    pub(super) fn successes(&self) -> usize {
        self.results.values().filter(|stored| stored.result.is_ok()).count()
    }

    /// Why a run failed, if it did.
    pub(super) fn failure(&self, address: &str) -> Option<&str> {
        self.results.get(address)?.result.as_ref().err().map(String::as_str)
    }

    /// What is there of each row, in the order of the manifest.
    ///
    /// # Errors
    /// [`CollectError::Missing`].
    pub(super) fn rows<'a>(&'a self, manifest: &Manifest) -> Result<Vec<(RunLabel, &'a Stored)>, CollectError> {
        let mut rows = Vec::with_capacity(manifest.runs.len());
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        let mut first = None;
        for (label, run) in manifest.labels().into_iter().zip(&manifest.runs) {
            if let Some(stored) = self.results.get(run) {
                rows.push((label, stored));
            } else {
                missing.insert(run);
                first.get_or_insert(label);
            }
        }
        match first {
            None => Ok(rows),
            Some(first) => Err(CollectError::Missing {
                missing: missing.len(),
                of: manifest.runs.iter().collect::<BTreeSet<_>>().len(),
                first: shown_run(&first),
                found: self.found(),
            }),
        }
    }

    /// The files of parts, in words.
    fn found(&self) -> String {
        if self.files.is_empty() {
            return "there is no file of results".to_owned();
        }
        let names = self.files.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy());
        format!("there are {}", names.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::shard::Shard;
    use super::super::store::{RUNS, Store};
    use super::*;
    use crate::output::tiny_summary;

    fn manifest() -> Manifest {
        Manifest {
            format: 1,
            servesim: String::new(),
            build: String::new(),
            name: "x".to_owned(),
            parquet: false,
            keys: vec!["workload.rate".to_owned()],
            points: vec![vec!["1".to_owned()], vec!["2".to_owned()]],
            systems: vec!["a".to_owned()],
            seeds: vec![7],
            runs: vec!["one".to_owned(), "two".to_owned()],
            experiment: String::new(),
        }
    }

    /// A folder in which part `n + 1` has these results, each a run and its figure; without one it has failed.
    fn folder(parts: &[&[(&str, Option<u64>)]]) -> tempfile::TempDir {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(place.path().join(RUNS)).expect("a folder in it");
        for (n, runs) in parts.iter().enumerate() {
            let store = Store::open(place.path(), Shard { number: n + 1, of: parts.len() }).expect("a new file");
            for (run, figure) in *runs {
                let result = figure.map(|figure| Box::new(tiny_summary(figure))).ok_or("why".to_owned());
                store.append(&Stored { run: (*run).to_owned(), result, remarks: Vec::new() }).expect("room");
            }
        }
        place
    }

    fn collected(parts: &[&[(&str, Option<u64>)]]) -> Result<(usize, Vec<bool>), String> {
        let place = folder(parts);
        let collected = collect(&manifest(), &[place.path()]).map_err(|error| error.to_string())?;
        let rows = collected.rows(&manifest()).map_err(|error| error.to_string())?;
        Ok((collected.doubled, rows.iter().map(|(_, stored)| stored.result.is_ok()).collect()))
    }

    #[test]
    fn parts_are_put_together_whatever_the_order_and_the_same_result_twice_does_no_harm() {
        assert_eq!(collected(&[&[("two", Some(5))], &[("one", Some(4))]]), Ok((0, vec![true, true])));
        assert_eq!(collected(&[&[("two", Some(5)), ("one", Some(4))], &[("one", Some(4))]]), Ok((1, vec![true, true])));
    }

    #[test]
    fn a_failure_is_a_result_until_the_run_succeeds_before_or_after() {
        assert_eq!(collected(&[&[("one", Some(4)), ("two", None)]]), Ok((0, vec![true, false])));
        for parts in [[("two", None), ("two", Some(5))], [("two", Some(5)), ("two", None)]] {
            assert_eq!(collected(&[&parts, &[("one", Some(4))]]), Ok((0, vec![true, true])));
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_parts_that_are_there() {
        let said = collected(&[&[("two", Some(5))], &[]]).expect_err("one is missing");
        assert_eq!(
            said,
            "1 of 2 runs are missing, the first: workload.rate = 1, system `a`, seed 7; there are 1-of-2.jsonl, 2-of-2.jsonl"
        );
    }

    #[test]
    fn results_that_contradict_each_other_or_belong_elsewhere_are_refused_with_their_places() {
        let said = collected(&[&[("one", Some(4))], &[("two", Some(1)), ("one", Some(5))]]).expect_err("they differ");
        assert!(said.contains("workload.rate = 1, system `a`, seed 7"), "{said}");
        assert!(said.contains("1-of-2.jsonl, line 1, and ") && said.contains("2-of-2.jsonl, line 2;"), "{said}");
        let said = collected(&[&[("three", Some(4))]]).expect_err("there is no such run");
        assert!(said.contains("1-of-1.jsonl, line 1: run three is not one of this sweep"), "{said}");
    }
}
