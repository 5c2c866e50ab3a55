//! CSV tables of a case, read by the names of their columns.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::NotScored;
use crate::diagnostic::nearest;

/// Columns of docs/ground-truth.md that resemble others: none is a misspelling of another.
const KNOWN: [&str; 21] = [
    "arrival_s",
    "scheduled_arrival_s",
    "input_tokens",
    "output_tokens",
    "ttft_s",
    "tpot_s",
    "e2e_s",
    "status",
    "stage",
    "request_id",
    "requests",
    "model",
    "gpu",
    "engine",
    "engine_version",
    "tensor_parallel",
    "data_parallel",
    "expert_parallel",
    "max_num_seqs",
    "max_num_batched_tokens",
    "output_tokens_per_s",
];

/// A table, all in memory: those of measured runs have some ten thousand rows. Remembers which columns were read, so that
/// those nobody reads can be told.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    header: Vec<String>,
    rows: Vec<csv::StringRecord>,
    asked: RefCell<BTreeSet<String>>,
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    table: &'a Table,
    number: usize,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is not there, is not a CSV table with a header, or has no rows.
    pub(super) fn read(path: &Path, needed: &'static str) -> Result<Self, NotScored> {
        if !path.is_file() {
            return Err(NotScored::Missing { path: path.to_owned(), needed });
        }
        let unreadable = |error: csv::Error| NotScored::Unreadable { path: path.to_owned(), why: error.to_string() };
        let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
        let header = reader.headers().map_err(unreadable)?.iter().map(|name| name.trim().to_owned()).collect();
        let rows: Vec<_> = reader.records().collect::<Result<_, _>>().map_err(unreadable)?;
        if rows.is_empty() {
            return Err(NotScored::Nothing(format!("{} has no rows", path.display())));
        }
        Ok(Table { path: path.to_owned(), header, rows, asked: RefCell::default() })
    }

    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has a column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.column(column).is_some()
    }

    fn ask(&self, column: &str) {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(column) {
            asked.insert(column.to_owned());
        }
    }

    fn column(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name == column)
    }

    /// Refuses a table without a column.
    pub(super) fn require(&self, column: &'static str, needed: &'static str) -> Result<(), NotScored> {
        if self.has(column) {
            return Ok(());
        }
        Err(self.missing(column, needed))
    }

    /// A column that is not there.
    pub(super) fn missing(&self, column: &'static str, needed: &'static str) -> NotScored {
        let found = self.meant_as(column).map(str::to_owned);
        NotScored::Column { path: self.path.clone(), column, needed, found }
    }

    /// The column that was probably meant to be one that is not there.
    pub(super) fn meant_as(&self, column: &str) -> Option<&str> {
        nearest(column, self.header.iter().map(String::as_str).filter(|name| !KNOWN.contains(name)))
    }

    /// Which columns nobody has read, in sentences.
    pub(super) fn unread(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        let absent: Vec<&str> = asked.iter().map(String::as_str).filter(|name| !self.has(name)).collect();
        let mut sentences = Vec::new();
        let mut strange = Vec::new();
        for name in self.header.iter().filter(|name| !asked.contains(*name)) {
            // A column that is known is no misspelling of another.
            let meant = nearest(name, absent.iter().copied()).filter(|_| !KNOWN.contains(&name.as_str()));
            match meant {
                Some(meant) => {
                    sentences.push(format!("column `{name}` of {file} is not read; did you mean `{meant}`?"));
                }
                None => strange.push(format!("`{name}`")),
            }
        }
        match strange.as_slice() {
            [] => {}
            [one] => sentences.push(format!("column {one} of {file} is not read")),
            several => sentences.push(format!("columns {} of {file} are not read", several.join(", "))),
        }
        sentences
    }

    /// Its rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows.len()).map(|number| Row { table: self, number })
    }
}

impl<'a> Row<'a> {
    /// The text of a column; `None` if it is empty or there is no such column.
    pub(super) fn text(&self, column: &str) -> Option<&'a str> {
        self.table.ask(column);
        let text = self.table.rows[self.number].get(self.table.column(column)?)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// A finite number; `None` if the cell is empty.
    pub(super) fn number(&self, column: &str) -> Result<Option<f64>, NotScored> {
        let Some(text) = self.text(column) else { return Ok(None) };
        let number: Option<f64> = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(column, "a number"))
    }

    /// A number that is not negative and has to be there.
    pub(super) fn needed(&self, column: &str, expected: &str) -> Result<f64, NotScored> {
        self.number(column)?.filter(|number| *number >= 0.0).ok_or_else(|| self.wrong(column, expected))
    }

    /// A whole number that has to be there, at least `least`.
    pub(super) fn count(&self, column: &str, least: u32) -> Result<u32, NotScored> {
        let fits = |number: &f64| number.fract() == 0.0 && (f64::from(least)..=f64::from(u32::MAX)).contains(number);
        let whole = self.number(column)?.filter(fits);
        whole.map(|number| number as u32).ok_or_else(|| self.wrong(column, format!("a whole number from {least}")))
    }

    /// A whole number that may be absent.
    pub(super) fn maybe_count(&self, column: &str) -> Result<Option<u32>, NotScored> {
        if self.text(column).is_none() { Ok(None) } else { self.count(column, 0).map(Some) }
    }

    /// A problem with a cell.
    pub(super) fn wrong(&self, column: &str, expected: impl Into<String>) -> NotScored {
        NotScored::Row {
            path: self.table.path.clone(),
            line: self.line(),
            column: column.to_owned(),
            found: match (self.text(column), self.table.meant_as(column)) {
                (Some(text), _) => format!("`{text}`"),
                (None, _) if self.table.has(column) => "empty".to_owned(),
                (None, Some(meant)) => format!("missing (found the column `{meant}`)"),
                (None, None) => "missing (there is no such column)".to_owned(),
            },
            expected: expected.into(),
        }
    }

    /// Line of the file, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.table.rows[self.number].position().map_or(0, csv::Position::line)
    }

    /// A problem with the whole row.
    pub(super) fn contradiction(&self, what: String) -> NotScored {
        NotScored::Contradiction { path: self.table.path.clone(), line: self.line(), what }
    }
}
