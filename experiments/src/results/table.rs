//! A table in memory, column by column.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ResultsError;

/// A table, or some columns of it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(super) path: PathBuf,
    pub(super) rows: usize,
    pub(super) columns: Vec<Column>,
    /// Names of all columns of the file, read or not.
    pub(super) header: Vec<String>,
}

/// A column with its name.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(super) name: String,
    pub(super) values: Values,
    /// Where a column of words has its first field that is no number: line and field.
    pub(super) first_word: Option<(u64, String)>,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Numbers; NaN stands for an empty field, as nothing that is written is NaN. Whole numbers beyond 2⁵³ are rounded.
    Numbers(Vec<f64>),
    /// Words: system names, seeds, and every column with a field that is no number.
    Words(Words),
}

/// Words that repeat: each row has the number of its word.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Words {
    codes: Vec<u32>,
    names: Vec<String>,
}

impl Words {
    /// Per row the number of its word in [`names`](Self::names).
    pub(crate) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The different words, in the order in which they first occur; the empty word stands for an empty field.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The word of a row.
    pub(crate) fn get(&self, row: usize) -> &str {
        &self.names[self.codes[row] as usize]
    }
}

/// Collects words.
#[derive(Debug, Default)]
pub(super) struct WordsBuilder {
    words: Words,
    known: BTreeMap<String, u32>,
}

impl WordsBuilder {
    pub(super) fn push(&mut self, word: &str) {
        let code = self.known.get(word).copied().unwrap_or_else(|| {
            let code = self.words.names.len() as u32;
            self.words.names.push(word.to_owned());
            self.known.insert(word.to_owned(), code);
            code
        });
        self.words.codes.push(code);
    }

    pub(super) fn finish(self) -> Words {
        self.words
    }
}

impl Table {
    /// Rows.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Names of the columns, in the order of the file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// Whether there is such a column.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().any(|there| there == name)
    }

    /// What a column holds.
    ///
    /// # Errors
    ///
    /// If there is no such column.
    pub(crate) fn values(&self, name: &str) -> Result<&Values, ResultsError> {
        self.column(name).map(|column| &column.values)
    }

    /// A column of numbers; NaN where a field is empty.
    ///
    /// # Errors
    ///
    /// If there is no such column, or a field of it is no number.
    pub(crate) fn numbers(&self, name: &str) -> Result<&[f64], ResultsError> {
        let column = self.column(name)?;
        match &column.values {
            Values::Numbers(numbers) => Ok(numbers),
            Values::Words(words) => {
                let first = (2, words.names.first().cloned().unwrap_or_default());
                let (line, field) = column.first_word.clone().unwrap_or(first);
                Err(ResultsError::NotANumber { path: self.path.clone(), line, column: name.to_owned(), field })
            }
        }
    }

    /// A column as words: numbers are written out.
    ///
    /// # Errors
    ///
    /// If there is no such column.
    pub(crate) fn words(&self, name: &str) -> Result<Words, ResultsError> {
        Ok(match self.values(name)? {
            Values::Words(words) => words.clone(),
            Values::Numbers(numbers) => {
                let mut words = WordsBuilder::default();
                for number in numbers {
                    words.push(&if number.is_nan() { String::new() } else { number.to_string() });
                }
                words.finish()
            }
        })
    }

    pub(super) fn column(&self, name: &str) -> Result<&Column, ResultsError> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let likeness = |there: &&str| strsim::jaro_winkler(there, name);
            let names = || self.header.iter().map(String::as_str);
            // Tables say ITL, as vLLM's benchmark does, for what `[slo]` and figures call TBT.
            let of_gaps = name.replace("tbt", "itl");
            if let Some(meant) = names().find(|there| *there == of_gaps) {
                let (path, column, nearest) = (self.path.clone(), name.to_owned(), Some(meant.to_owned()));
                return ResultsError::NoColumn { path, column, nearest };
            }
            let nearest = names().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
            ResultsError::NoColumn {
                path: self.path.clone(),
                column: name.to_owned(),
                nearest: nearest.filter(|there| likeness(there) > 0.8).map(str::to_owned),
            }
        })
    }
}
