//! Parquet files as records.

use std::fs::File;
use std::path::Path;

use calibration::import::{ImportError, Record, Records};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;

/// The rows of a Parquet file; their line is the one that they would have below a line of column names.
pub(super) fn records(path: &Path, file: File) -> Result<Records<'static>, ImportError> {
    let shown = path.display().to_string();
    let reader = SerializedFileReader::new(file).map_err(|error| failure(&shown, None, &error))?;
    let schema = reader.metadata().file_metadata().schema();
    let columns: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    if let Some(nested) = schema.get_fields().iter().find(|field| !field.is_primitive()) {
        return Err(ImportError::Unreadable {
            file: shown,
            line: None,
            problem: format!("column `{}` is nested; expected plain columns", nested.name()),
        });
    }
    let file = shown.clone();
    let mut failed = false;
    let rows = RowIter::from_file_into(Box::new(reader)).zip(2..).map_while(move |(row, line)| {
        if failed {
            return None;
        }
        Some(match row {
            Ok(row) => {
                let fields = row.get_column_iter().map(|(_, field)| text(field)).collect();
                Ok(Record { line, fields })
            }
            Err(error) => {
                failed = true;
                Err(failure(&file, Some(line), &error))
            }
        })
    });
    Ok(Records::new(shown, columns, rows))
}

/// A field as a CSV file would hold it; a null is empty.
fn text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    }
}

fn failure(file: &str, line: Option<u64>, error: &ParquetError) -> ImportError {
    let said = error.to_string();
    let Some((_, feature)) = said.split_once("Disabled feature at compile time: ") else {
        let problem = format!("this is no whole Parquet file ({said}): it may have been cut; fetch it again");
        return ImportError::Unreadable { file: file.to_owned(), line, problem };
    };
    // The library names the crate that would read the codec, and all rows are compressed alike.
    let codec = if feature.starts_with("flate2") { "gzip" } else { feature };
    let problem = format!(
        "it is compressed with {codec}, which is not read; write it anew with Snappy (pyarrow.parquet.write_table(…, \
         compression=\"snappy\")) or as CSV"
    );
    ImportError::Unreadable { file: file.to_owned(), line: None, problem }
}
