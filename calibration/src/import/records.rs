//! Records with named fields, as any file of rows gives them.

use super::error::ImportError;
use super::report::Rejected;

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Line of the file, counted from 1; of files without lines, number of the row plus 1, as if names stood above.
    pub line: u64,
    /// Its fields, in the order of the columns.
    pub fields: Vec<String>,
}

/// The rows of a file, one after another.
pub struct Records<'a> {
    file: String,
    columns: Vec<String>,
    used: Vec<bool>,
    rows: Box<dyn Iterator<Item = Result<Record, ImportError>> + 'a>,
}

/// A column that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    index: usize,
    name: &'static str,
}

impl<'a> Records<'a> {
    /// Rows of `file`, which is the name used in messages, with the names of their columns.
    pub fn new(
        file: impl Into<String>,
        columns: Vec<String>,
        rows: impl Iterator<Item = Result<Record, ImportError>> + 'a,
    ) -> Self {
        let used = vec![false; columns.len()];
        Self { file: file.into(), columns, used, rows: Box::new(rows) }
    }

    /// The name used in messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The column that has one of these names.
    pub(super) fn column(&mut self, names: &[&'static str]) -> Result<Column, ImportError> {
        self.maybe_column(names).ok_or_else(|| ImportError::MissingColumn {
            file: self.file.clone(),
            column: names.join("` or `"),
            found: self.columns.join(", "),
        })
    }

    /// The column that has one of these names, if there is one.
    pub(super) fn maybe_column(&mut self, names: &[&'static str]) -> Option<Column> {
        let find = |name: &&'static str| self.columns.iter().position(|column| column == name).map(|at| (at, *name));
        let (index, name) = names.iter().find_map(find)?;
        self.used[index] = true;
        Some(Column { index, name })
    }

    /// The columns that nobody asked for.
    pub(super) fn unused(&self) -> Vec<&str> {
        let unused = self.columns.iter().zip(&self.used).filter(|(_, used)| !**used);
        unused.map(|(column, _)| column.as_str()).collect()
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let width = self.columns.len();
        let file = &self.file;
        self.rows.next().map(|row| {
            row.and_then(|record| {
                if record.fields.len() == width {
                    return Ok(record);
                }
                Err(ImportError::Unreadable {
                    file: file.clone(),
                    line: Some(record.line),
                    problem: format!("{} fields, but {width} columns: the file may have been cut", record.fields.len()),
                })
            })
        })
    }
}

impl Record {
    /// The text of a field.
    pub(super) fn text(&self, column: Column) -> &str {
        self.fields[column.index].trim()
    }

    /// A whole number of at least `least`.
    pub(super) fn count(&self, column: Column, least: u32) -> Result<u32, Rejected> {
        let text = self.text(column);
        // Tables that went through other tools write whole numbers as `8.0`.
        let number = text.strip_suffix(".0").unwrap_or(text).parse().ok().filter(|number| *number >= least);
        number.ok_or_else(|| Rejected::new(format!("`{}` is not a whole number of {least} or more", column.name), text))
    }

    /// A finite number above 0.
    pub(super) fn positive(&self, column: Column) -> Result<f64, Rejected> {
        let text = self.text(column);
        if text.is_empty() {
            return Err(Rejected::new(format!("`{}` is empty", column.name), text));
        }
        let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
        number.ok_or_else(|| Rejected::new(format!("`{}` is not a finite number above 0", column.name), text))
    }
}

/// A time in microseconds of a time in a unit of `unit_us`, without the digits that only the conversion adds.
pub(super) fn micros(time: f64, unit_us: f64) -> f64 {
    /// Femtoseconds: far below what any clock tells.
    const RESOLUTION: f64 = 1e9;
    let time_us = time * unit_us;
    let rounded = (time_us * RESOLUTION).round() / RESOLUTION;
    if rounded > 0.0 && rounded.is_finite() { rounded } else { time_us }
}

impl Column {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        self.name
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The records of a small CSV text.
    pub(crate) fn records<'a>(file: &str, text: &str) -> Records<'a> {
        let mut lines = text.lines().enumerate();
        let split = |line: &str| line.split(',').map(str::to_string).collect::<Vec<_>>();
        let columns = split(lines.next().expect("names of columns").1);
        let rows: Vec<_> = lines.map(|(n, line)| Ok(Record { line: n as u64 + 1, fields: split(line) })).collect();
        Records::new(file, columns, rows.into_iter())
    }

    #[test]
    fn a_row_that_was_cut_is_an_error_with_its_line() {
        let error = records("t.csv", "a,b\n1,2\n3\n").find_map(Result::err).expect("a fault");
        assert_eq!(error.to_string(), "t.csv, line 3: 1 fields, but 2 columns: the file may have been cut");
    }

    #[test]
    fn a_missing_column_is_named_beside_those_that_are_there() {
        let error = records("t.csv", "a,b\n").column(&["latency_ms", "latency"]).expect_err("a fault");
        assert_eq!(
            error.to_string(),
            "t.csv, line 1: column `latency_ms` or `latency` is missing; the columns are a, b"
        );
    }
}
