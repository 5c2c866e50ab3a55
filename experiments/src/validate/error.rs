//! Why a measured run cannot be scored.

use std::path::{Path, PathBuf};

/// Why a case is not scored. Shown beside its name; a case is never dropped without one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum NotScored {
    /// A file of the case is not there.
    #[error("{} is missing: {needed}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it has to say.
        needed: &'static str,
    },
    /// A file cannot be read at all.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A field of the metadata cannot be used.
    #[error("{}: `{field}` is {found}; expected {expected}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field, with dots.
        field: String,
        /// What stands there.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A field of a table cannot be used.
    #[error("{}, line {line}: `{column}` is {found}; expected {expected}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A column is not there.
    #[error("{}: column `{column}` is missing ({needed}){}", path.display(),
            found.as_ref().map_or(String::new(), |found| format!("; found `{found}`")))]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// What it is needed for.
        needed: &'static str,
        /// A column that was probably meant to be it.
        found: Option<String>,
    },
    /// Measured times that no engine takes, so that their unit must be wrong.
    #[error("{}: {what} is {found_s} s, which cannot be: between {low_s} and {high_s} s was expected; are these seconds?",
            path.display())]
    Unit {
        /// The file.
        path: PathBuf,
        /// Which figure.
        what: String,
        /// What it is.
        found_s: String,
        /// Least that can be.
        low_s: f64,
        /// Most that can be.
        high_s: f64,
    },
    /// Times of a request that contradict each other.
    #[error("{}, line {line}: {what}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What contradicts what.
        what: String,
    },
    /// The metadata does not make an experiment: model, device or settings nobody knows.
    #[error("no experiment can be made of it: {0}")]
    Experiment(String),
    /// It was measured with something that is not simulated.
    #[error("{0}")]
    NotSimulated(String),
    /// The simulation failed.
    #[error("the simulation failed: {0}")]
    Simulation(String),
    /// The simulated engine turned away what the real one served, so that the rest had it to themselves.
    #[error("{rejections}: figures of the others alone would say nothing of the run")]
    Rejected {
        /// How many, and why.
        rejections: Rejections,
    },
    /// Nothing is left to compare.
    #[error("nothing to compare: {0}")]
    Nothing(String),
}

/// Requests that the real engine served and the simulated one rejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejections {
    /// Requests that the real engine served.
    pub(crate) served: usize,
    /// Of these, rejected because prompt and answer together exceed `max_model_len`.
    pub(crate) model_length: usize,
    /// Because they need more KV blocks than there are.
    pub(crate) kv_cache: usize,
    /// Because the prompt exceeds a step of whole prompts.
    pub(crate) batch: usize,
}

impl Rejections {
    /// Share of the served requests that may be rejected in a case that is scored.
    const MOST: f64 = 0.01;

    /// All of them.
    pub(crate) fn count(&self) -> usize {
        self.model_length + self.kv_cache + self.batch
    }

    /// Whether they are too many for the others to stand for the run.
    pub(crate) fn are_too_many(&self) -> bool {
        self.count() as f64 > Self::MOST * self.served as f64
    }
}

impl std::fmt::Display for Rejections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reasons = [
            (self.model_length, "longer than max_model_len"),
            (self.kv_cache, "larger than the KV cache"),
            (self.batch, "longer than a step of whole prompts holds (max_num_batched_tokens)"),
        ];
        let reasons: Vec<String> =
            reasons.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
        write!(
            f,
            "the simulated engine rejected {} of {} requests that the real one served ({})",
            self.count(),
            self.served,
            reasons.join(", ")
        )
    }
}

impl NotScored {
    /// For `map_err`: a file that cannot be read.
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Unreadable { path, why: error.to_string() }
    }
}
