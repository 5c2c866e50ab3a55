//! Tables of Parquet files, as this program writes them: optional columns of 64-bit integers, doubles and text.

use std::fs::File;
use std::path::Path;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::table::{Column, Table, Values, WordsBuilder};
use super::{LABELS, ResultsError};

/// Reads all columns, or those that are wanted.
pub(super) fn read(path: &Path, wanted: Option<&[&str]>) -> Result<Table, ResultsError> {
    let malformed = |message: String| ResultsError::Malformed { path: path.to_owned(), message };
    let file = File::open(path).map_err(|source| ResultsError::Unreadable { path: path.to_owned(), source })?;
    let failed = |error: ParquetError| malformed(error.to_string());
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let mut columns = Vec::new();
    for (index, descriptor) in schema.columns().iter().enumerate() {
        let name = descriptor.name();
        if wanted.is_some_and(|wanted| !wanted.contains(&name)) {
            continue;
        }
        let mut growing = Growing::new(name);
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group).map_err(failed)?;
            let column = group.get_column_reader(index).map_err(failed)?;
            growing.read(column).map_err(|error| malformed(format!("column `{name}`: {error}")))?;
        }
        columns.push(growing.finish());
    }
    let rows = reader.metadata().file_metadata().num_rows() as usize;
    let header = schema.columns().iter().map(|column| column.name().to_owned()).collect();
    Ok(Table { path: path.to_owned(), rows, columns, header })
}

/// A column that is being read.
struct Growing {
    name: String,
    numbers: Vec<f64>,
    words: WordsBuilder,
    first_word: Option<(u64, String)>,
    is_label: bool,
    rows: u64,
}

impl Growing {
    fn new(name: &str) -> Self {
        Growing {
            name: name.to_owned(),
            numbers: Vec::new(),
            words: WordsBuilder::default(),
            first_word: None,
            is_label: LABELS.contains(&name),
            rows: 0,
        }
    }

    fn read(&mut self, column: ColumnReader) -> Result<(), ParquetError> {
        match column {
            ColumnReader::Int64ColumnReader(reader) => {
                let values = values(reader)?;
                self.push_numbers(values.into_iter().map(|value| value.map(|whole| (whole as f64, whole.to_string()))));
            }
            ColumnReader::DoubleColumnReader(reader) => {
                let values = values(reader)?;
                self.push_numbers(values.into_iter().map(|value| value.map(|real| (real, real.to_string()))));
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                for value in values::<parquet::data_type::ByteArrayType>(reader)? {
                    self.push_word(value.as_ref())?;
                }
            }
            _ => return Err(ParquetError::General("is neither of 64-bit numbers nor of text".to_owned())),
        }
        Ok(())
    }

    fn push_numbers(&mut self, values: impl Iterator<Item = Option<(f64, String)>>) {
        for value in values {
            self.rows += 1;
            if self.is_label {
                self.words.push(value.map(|(_, text)| text).as_deref().unwrap_or_default());
            } else {
                self.numbers.push(value.map_or(f64::NAN, |(number, _)| number));
            }
        }
    }

    fn push_word(&mut self, value: Option<&ByteArray>) -> Result<(), ParquetError> {
        self.rows += 1;
        let word = value.map_or(Ok(""), |bytes| bytes.as_utf8())?;
        if self.first_word.is_none() && !word.is_empty() && word.parse::<f64>().is_err() {
            self.first_word = Some((self.rows + 1, word.to_owned()));
        }
        self.words.push(word);
        Ok(())
    }

    fn finish(self) -> Column {
        let words = self.words.finish();
        let is_words = self.is_label || !words.codes().is_empty();
        let values = if is_words { Values::Words(words) } else { Values::Numbers(self.numbers) };
        Column { name: self.name, values, first_word: self.first_word }
    }
}

/// The values of a column in one row group; `None` for nulls.
fn values<T: DataType>(mut reader: ColumnReaderImpl<T>) -> Result<Vec<Option<T::T>>, ParquetError> {
    const BATCH: usize = 8192;
    let (mut all, mut levels, mut there) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        levels.clear();
        there.clear();
        let (rows, ..) = reader.read_records(BATCH, Some(&mut levels), None, &mut there)?;
        if rows == 0 {
            return Ok(all);
        }
        let mut present = there.drain(..);
        if levels.is_empty() {
            // A required column has no levels: all are there.
            all.extend(present.map(Some));
        } else {
            all.extend(levels.iter().map(|level| if *level > 0 { present.next() } else { None }));
        }
    }
}
