//! What can go wrong with output files.

use std::io;
use std::path::{Path, PathBuf};

/// An output file or folder that cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The folder cannot be made.
    #[error("cannot create the output folder {}: {source}", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Results are there already.
    #[error("{} already holds {}; write elsewhere with -o, or replace with --force", directory.display(), names.join(", "))]
    Exists {
        /// Where.
        directory: PathBuf,
        /// The files in the way.
        names: Vec<String>,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OutputError {
    /// For `map_err`: the file that could not be written.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}
