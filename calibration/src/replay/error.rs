//! What can go wrong with a replay.

use std::io;
use std::path::PathBuf;

/// A replay or a comparison that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}, line {line}: {message}", path.display())]
    Line {
        /// Which.
        path: PathBuf,
        /// Line, from 1 on.
        line: u64,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The file holds no run, or several of which one has to be chosen.
    #[error("{}: {message}", path.display())]
    Run {
        /// Which.
        path: PathBuf,
        /// What is wrong, and which runs there are.
        message: String,
    },
    /// The schedule holds something that cannot be executed.
    #[error("cannot replay {what}: {why}")]
    Unsupported {
        /// What.
        what: String,
        /// Why, and what can be done.
        why: String,
    },
    /// The device failed, or is not there.
    #[error("{0}")]
    Device(String),
}
