//! Folders of results, read back: what kind of command wrote one, and its tables as typed columns.
//!
//! The one reader of what `servesim` writes, for figures and reports. Tables are CSV or Parquet files of the same columns;
//! callers name a table (`summary`) and get its columns, or an error that names file, line and column.

mod csv_file;
mod error;
mod parquet_file;
mod runs;
mod table;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use error::ResultsError;
pub(crate) use runs::{Estimate, Runs, over_seeds};
pub(crate) use table::{Table, Values, Words};

/// Columns that name things, whose values are words even where all of them look like numbers.
const LABELS: [&str; 2] = ["system", "seed"];

/// What wrote a folder of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `servesim run`.
    Run,
    /// `servesim sweep`.
    Sweep,
    /// `servesim goodput`.
    Goodput,
    /// `servesim plan`.
    Plan,
    /// `servesim cache`.
    Cache,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Sweep, Kind::Goodput, Kind::Plan, Kind::Cache, Kind::Run];

    /// The command.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Run => "run",
            Kind::Sweep => "sweep",
            Kind::Goodput => "goodput",
            Kind::Plan => "plan",
            Kind::Cache => "cache",
        }
    }

    /// The table without which there are no results of this kind.
    pub(crate) fn main_table(self) -> &'static str {
        match self {
            Kind::Run | Kind::Sweep => "summary",
            Kind::Goodput => "goodput",
            Kind::Plan => "plan",
            Kind::Cache => "caches",
        }
    }

    /// The file by which a folder of this kind is known, if it is there.
    fn mark(self, directory: &Path) -> Option<PathBuf> {
        if self == Kind::Sweep {
            return Some(directory.join(SWEEP_MANIFEST)).filter(|path| path.is_file());
        }
        let found = table_path(directory, self.main_table())?;
        // A sweep has a summary as well.
        (self != Kind::Run || !directory.join(SWEEP_MANIFEST).is_file()).then_some(found)
    }
}

/// Folders that other commands write: a file by which each is known, the command, and where to look instead.
const OTHERS: [(&str, &str, &str); 4] = [
    (
        "errors.csv",
        "validate",
        "it draws its figures itself, into figures/, and its page is validation.md; every folder below cases/ has an experiment.toml \
         that `servesim run` takes",
    ),
    (
        "claims.csv",
        "reproduce",
        "its page is reproduction.md; `servesim run` or `servesim sweep` of an experiment of a paper gives a folder with figures",
    ),
    (
        "replay_steps.csv",
        "replay",
        "it draws its figure itself, into figures/; the folder of the recorded run has the others",
    ),
    (
        "gemm.csv",
        "calibrate",
        "kernel tables have no figures here: `servesim profiles check` compares them with predictions, and `servesim profiles \
         fit` fits them",
    ),
];

/// What tells a sweep from a run.
const SWEEP_MANIFEST: &str = "sweep.json";

/// A folder of results.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    directory: PathBuf,
    kind: Kind,
}

/// What is in a folder that holds no results.
fn no_results(directory: PathBuf, entries: std::fs::ReadDir) -> ResultsError {
    /// Folders named in a message.
    const FEW: usize = 8;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let is_part = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "part");
    let unfinished = paths.iter().find(is_part).map(|path| file_name(path));
    let holds = |path: &&PathBuf| path.is_dir() && Kind::ALL.iter().any(|kind| kind.mark(path).is_some());
    let within = paths.iter().filter(holds).take(FEW).map(|path| path.display().to_string()).collect();
    ResultsError::NoResults { directory, unfinished, within }
}

impl Results {
    /// Opens a folder. Nothing but its directory is read.
    ///
    /// # Errors
    ///
    /// If it is no folder, or does not hold the results of exactly one command.
    pub(crate) fn open(directory: &Path) -> Result<Self, ResultsError> {
        if directory.is_file() {
            return Err(ResultsError::NoFolder { path: directory.to_owned() });
        }
        let entries = std::fs::read_dir(directory)
            .map_err(|source| ResultsError::Unreadable { path: directory.to_owned(), source })?;
        let found: Vec<(Kind, PathBuf)> =
            Kind::ALL.into_iter().filter_map(|kind| Some((kind, kind.mark(directory)?))).collect();
        let directory = directory.to_owned();
        match found.as_slice() {
            [(kind, _)] => Ok(Results { directory, kind: *kind }),
            [] => {
                let other = OTHERS.iter().find(|(file, ..)| directory.join(file).is_file());
                Err(match other {
                    Some(&(_, command, instead)) => ResultsError::OfAnother { directory, command, instead },
                    None => no_results(directory, entries),
                })
            }
            several => {
                let files = several.iter().map(|(kind, path)| (kind.name(), file_name(path))).collect();
                Err(ResultsError::Several { directory, files })
            }
        }
    }

    /// What wrote it.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of a table such as `requests`, CSV or Parquet, if it is there.
    pub(crate) fn path(&self, table: &str) -> Option<PathBuf> {
        table_path(&self.directory, table)
    }

    /// A whole table.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be read.
    pub(crate) fn table(&self, name: &str) -> Result<Table, ResultsError> {
        self.read(name, None)
    }

    /// The `wanted` columns of a table, in the order of the file; other columns are not kept in memory.
    ///
    /// # Errors
    ///
    /// If the table is not there, lacks one of them, or cannot be read.
    pub(crate) fn columns(&self, name: &str, wanted: &[&str]) -> Result<Table, ResultsError> {
        self.read(name, Some(wanted))
    }

    fn read(&self, name: &str, wanted: Option<&[&str]>) -> Result<Table, ResultsError> {
        let path = self.path(name).ok_or_else(|| ResultsError::NoTable {
            directory: self.directory.clone(),
            table: name.to_owned(),
            command: self.kind.name(),
        })?;
        let is_parquet = path.extension().is_some_and(|extension| extension == "parquet");
        let table = if is_parquet { parquet_file::read(&path, wanted) } else { csv_file::read(&path, wanted) }?;
        for name in wanted.unwrap_or_default() {
            table.column(name)?;
        }
        Ok(table)
    }
}

fn table_path(directory: &Path, table: &str) -> Option<PathBuf> {
    ["csv", "parquet"].map(|end| directory.join(format!("{table}.{end}"))).into_iter().find(|path| path.is_file())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
