//! What can be wrong with a table.

use std::fmt;

/// What can be wrong with a kernel table.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file cannot be read as text.
    #[error("{file}: {problem}")]
    Unreadable {
        /// The file's name.
        file: String,
        /// Why.
        problem: String,
    },
    /// The header is missing or wrong.
    #[error("{file}: header: {problem}")]
    Header {
        /// The file's name.
        file: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Columns are missing, unknown or doubled.
    #[error("{file}, line {line}: {problem}")]
    Columns {
        /// The file's name.
        file: String,
        /// Line of the column names, counted from 1.
        line: u64,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A field of a row is wrong.
    #[error("{file}, line {line}, column `{column}`: {problem}")]
    Field {
        /// The file's name.
        file: String,
        /// Line, counted from 1.
        line: u64,
        /// The column.
        column: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A row cannot be read.
    #[error("{file}, line {line}: {problem}")]
    Row {
        /// The file's name.
        file: String,
        /// Line, counted from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The rows are not those that the digest was taken of.
    #[error("{file}: the rows have digest {found}, the header says {expected}: the file was cut or changed")]
    Digest {
        /// The file's name.
        file: String,
        /// What the header says.
        expected: String,
        /// What the rows have.
        found: String,
    },
}

/// What a reader of a table should be told, though it can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct TableWarning {
    /// The file's name.
    pub file: String,
    /// How many rows or shapes are concerned.
    pub count: u64,
    /// What it is, with the first line it concerns.
    pub problem: String,
}

impl fmt::Display for TableWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.problem)
    }
}

/// A field that is wrong: the column and what is wrong.
#[derive(Debug)]
pub struct FieldError {
    pub(super) column: &'static str,
    pub(super) problem: String,
}
