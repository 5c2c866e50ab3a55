//! What can be wrong with results.

use std::io;
use std::path::PathBuf;

/// Results that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResultsError {
    /// A file or folder cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds no results.
    #[error(
        "{} holds no results: none of summary, goodput, plan or caches (.csv or .parquet){}{}",
        directory.display(),
        unfinished.as_ref().map(|name| format!("; {name} is of a command that has not finished")).unwrap_or_default(),
        match within.as_slice() {
            [] => String::new(),
            names => format!("; these in it do: {}", names.join(", ")),
        }
    )]
    NoResults {
        /// Which folder.
        directory: PathBuf,
        /// A file of a command that goes on or was stopped.
        unfinished: Option<String>,
        /// Folders in it that hold results, the first few by name.
        within: Vec<String>,
    },
    /// It is a file.
    #[error(
        "{} is a file; name the folder of results, which `servesim run` and its like write: results/ and the name of the \
         experiment file, or what -o says",
        path.display()
    )]
    NoFolder {
        /// Which.
        path: PathBuf,
    },
    /// The folder was written by a command whose results are shown elsewhere.
    #[error("{} is of `servesim {command}`: {instead}", directory.display())]
    OfAnother {
        /// Which folder.
        directory: PathBuf,
        /// What wrote it.
        command: &'static str,
        /// Where to look instead.
        instead: &'static str,
    },
    /// The folder holds the results of several commands.
    #[error(
        "{} holds the results of several commands ({}); keep each in a folder of its own",
        directory.display(),
        files.iter().map(|(command, file)| format!("{command}: {file}")).collect::<Vec<_>>().join(", ")
    )]
    Several {
        /// Which folder.
        directory: PathBuf,
        /// Commands, and the file by which each is known.
        files: Vec<(&'static str, String)>,
    },
    /// A table is not there.
    #[error(
        "{} has no table `{table}` (.csv or .parquet): `servesim {command}` did not write one{}",
        directory.display(),
        if *command == "sweep" && table == "summary" { "; `servesim merge` does once all parts are done" } else { "" }
    )]
    NoTable {
        /// Where.
        directory: PathBuf,
        /// Which.
        table: String,
        /// What wrote the folder.
        command: &'static str,
    },
    /// A table lacks a column.
    #[error("{} has no column `{column}`{}", path.display(), did_you_mean(nearest.as_deref()))]
    NoColumn {
        /// Which table.
        path: PathBuf,
        /// Which column.
        column: String,
        /// A column whose name is like it.
        nearest: Option<String>,
    },
    /// A field is not the number it has to be.
    #[error("{} line {line}, column `{column}`: `{field}` is not a number", path.display())]
    NotANumber {
        /// Which table.
        path: PathBuf,
        /// Line of a CSV file, row of a Parquet file plus one: as if it had a header.
        line: u64,
        /// Which column.
        column: String,
        /// What stands there.
        field: String,
    },
    /// A file is not what its name says.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with the line where the format knows it.
        message: String,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
