//! Why a file cannot be imported at all.

/// Why a file cannot be imported at all.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("{file}{}: {problem}", line.map_or(String::new(), |line| format!(", line {line}")))]
    Unreadable {
        /// The file's name.
        file: String,
        /// Line, counted from 1, where it is known.
        line: Option<u64>,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// It is none of the formats, or not the one it was said to be.
    #[error("{file}: {problem}")]
    Unrecognised {
        /// The file's name.
        file: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A column that the format has is not there.
    #[error("{file}, line 1: column `{column}` is missing; the columns are {found}")]
    MissingColumn {
        /// The file's name.
        file: String,
        /// The column, or the names it may have.
        column: String,
        /// The columns that are there.
        found: String,
    },
    /// The device is not known, or not the one that the caller named.
    #[error("{file}: {problem}")]
    Device {
        /// The file's name.
        file: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The model is not known.
    #[error("{file}: {problem}")]
    Model {
        /// The file's name.
        file: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Times that no device can reach, or that are slower than any kernel: the unit is wrong.
    #[error("{file}, column `{column}`: {problem}")]
    Unit {
        /// The file's name.
        file: String,
        /// The column of the times.
        column: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A field is wrong that decides about the whole file.
    #[error("{file}: `{field}`: {problem}")]
    Field {
        /// The file's name.
        file: String,
        /// The field.
        field: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}
