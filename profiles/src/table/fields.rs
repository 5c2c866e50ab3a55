//! The fields of a row, by the names of their columns.

use std::cell::Cell;
use std::fmt::Display;
use std::str::FromStr;

use csv::StringRecord;

use super::error::FieldError;

/// One row of a file.
#[derive(Debug)]
pub struct Fields<'a> {
    columns: &'a [String],
    record: &'a StringRecord,
    /// Where the next field is likely to be: rows are read in the order in which they are written.
    next: Cell<usize>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(columns: &'a [String], record: &'a StringRecord) -> Self {
        Self { columns, record, next: Cell::new(0) }
    }

    fn find(&self, column: &str) -> Option<&str> {
        let next = self.next.get();
        let index = match self.columns.get(next) {
            Some(name) if name == column => next,
            _ => self.columns.iter().position(|name| name == column)?,
        };
        self.next.set(index + 1);
        self.record.get(index).map(str::trim)
    }

    /// The text in a column that the reader has found to be there.
    pub(super) fn text(&self, column: &'static str) -> Result<&str, FieldError> {
        let text = self.find(column).unwrap_or_default();
        if text.is_empty() { Err(FieldError { column, problem: "is empty".to_string() }) } else { Ok(text) }
    }

    /// A whole number of at least `least`.
    pub(super) fn count<T: FromStr + PartialOrd + From<u8>>(
        &self,
        column: &'static str,
        least: u8,
    ) -> Result<T, FieldError> {
        let text = self.text(column)?;
        let wrong = || FieldError { column, problem: format!("`{text}` is not a whole number of {least} or more") };
        text.parse().ok().filter(|number| *number >= T::from(least)).ok_or_else(wrong)
    }

    /// A finite number above 0.
    pub(super) fn positive(&self, column: &'static str) -> Result<f64, FieldError> {
        let text = self.text(column)?;
        let wrong = || FieldError { column, problem: format!("`{text}` is not a finite number above 0") };
        text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite()).ok_or_else(wrong)
    }

    /// A name.
    pub(super) fn name<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T, FieldError> {
        self.text(column)?.parse().map_err(|error: T::Err| FieldError { column, problem: error.to_string() })
    }

    /// What `read` reads, or nothing if the column or the field is not there.
    pub(super) fn optional<T>(
        &self,
        column: &'static str,
        read: impl Fn(&Self, &'static str) -> Result<T, FieldError>,
    ) -> Result<Option<T>, FieldError> {
        match self.find(column) {
            None | Some("") => Ok(None),
            Some(_) => read(self, column).map(Some),
        }
    }
}

/// Text of a value, or none.
pub(super) fn write_optional(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
