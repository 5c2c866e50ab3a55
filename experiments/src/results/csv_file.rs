//! Tables of CSV files.

use std::path::Path;

use csv::StringRecord;

use super::table::{Column, Table, Values, WordsBuilder};
use super::{LABELS, ResultsError};

/// Reads all columns, or those that are wanted. Columns are of numbers where every field is one or empty.
pub(super) fn read(path: &Path, wanted: Option<&[&str]>) -> Result<Table, ResultsError> {
    let failed = |error: csv::Error| malformed(path, error);
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted.contains(&name));
    let mut columns: Vec<(usize, Growing)> = header
        .iter()
        .enumerate()
        .filter(|(_, name)| is_wanted(name))
        .map(|(index, name)| (index, Growing::new(name)))
        .collect();
    let mut record = StringRecord::new();
    let mut rows = 0;
    while reader.read_record(&mut record).map_err(failed)? {
        let line = record.position().map_or(0, csv::Position::line);
        for (index, column) in &mut columns {
            column.push(&record[*index], line);
        }
        rows += 1;
    }
    let columns = columns.into_iter().map(|(_, column)| column.finish()).collect();
    let header = header.iter().map(str::to_owned).collect();
    Ok(Table { path: path.to_owned(), rows, columns, header })
}

/// A column that is being read: of numbers until a field is none.
struct Growing {
    name: String,
    numbers: Vec<f64>,
    /// Fields that are no numbers make words of all; those before are kept as they were written, too.
    words: WordsBuilder,
    first_word: Option<(u64, String)>,
    is_label: bool,
}

impl Growing {
    fn new(name: &str) -> Self {
        Growing {
            name: name.to_owned(),
            numbers: Vec::new(),
            words: WordsBuilder::default(),
            first_word: None,
            is_label: LABELS.contains(&name),
        }
    }

    fn push(&mut self, field: &str, line: u64) {
        if self.is_label {
            return self.words.push(field);
        }
        let number = if field.is_empty() { Some(f64::NAN) } else { finite(field) };
        match number {
            Some(number) if self.first_word.is_none() => self.numbers.push(number),
            _ => {
                if self.first_word.is_none() {
                    self.first_word = Some((line, field.to_owned()));
                    for number in std::mem::take(&mut self.numbers) {
                        self.words.push(&if number.is_nan() { String::new() } else { number.to_string() });
                    }
                }
                self.words.push(field);
            }
        }
    }

    fn finish(self) -> Column {
        let is_words = self.is_label || self.first_word.is_some();
        let values = if is_words { Values::Words(self.words.finish()) } else { Values::Numbers(self.numbers) };
        Column { name: self.name, values, first_word: self.first_word }
    }
}

fn finite(field: &str) -> Option<f64> {
    field.parse().ok().filter(|number: &f64| number.is_finite())
}

fn malformed(path: &Path, error: csv::Error) -> ResultsError {
    let path = path.to_owned();
    let line = error.position().map(csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => ResultsError::Unreadable { path, source },
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let message = format!("line {} has {len} fields where the header has {expected_len}", line.unwrap_or(0));
            ResultsError::Malformed { path, message }
        }
        csv::ErrorKind::Utf8 { .. } => {
            ResultsError::Malformed { path, message: format!("line {} is not UTF-8", line.unwrap_or(0)) }
        }
        _ => ResultsError::Malformed { path, message: format!("line {} is not CSV", line.unwrap_or(0)) },
    }
}
