//! The first line of a trace: the names it brings, and complaints about those it lacks.

use std::path::PathBuf;

use super::error::{TraceError, quote};
use super::format::TraceFormat;
use super::table::{Column, Table};

/// The first line of a CSV trace, taken for one format.
pub(super) struct Header {
    pub(super) path: PathBuf,
    pub(super) format: TraceFormat,
    line: Vec<u8>,
    table: Table,
}

impl Header {
    pub(super) fn new(path: PathBuf, format: TraceFormat, line: &[u8]) -> Self {
        Header { path, format, line: line.to_owned(), table: Table::new(line) }
    }

    /// The column of this name.
    pub(super) fn require(&self, name: &'static str) -> Result<Column, TraceError> {
        self.table.find(name).ok_or_else(|| TraceError::MissingColumn {
            path: self.path.clone(),
            format: self.format,
            json: false,
            missing: name,
            found: quote(&self.line, 200),
        })
    }

    /// The column of this name, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<Column> {
        self.table.find(name)
    }

    /// The table for its rows.
    pub(super) fn table(&self) -> Table {
        Table::new(&self.line)
    }

    /// Names of the columns that are not among `known`.
    pub(super) fn others(&self, known: &[&str]) -> Vec<String> {
        let known = |name: &&String| known.iter().any(|known| super::table::same_name(name, known));
        self.table.names().iter().filter(|name| !known(name)).cloned().collect()
    }
}
