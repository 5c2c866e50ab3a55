//! The tables as Parquet files: each complete CSV file is read twice, to find the types of its columns and to convert it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::StringRecord;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::error::OutputError;
use super::series::part_path;

/// Rows of a row group: what is held in memory at a time.
const GROUP_ROWS: usize = 131_072;

/// A column that is text even where all its values look like numbers: users choose the names of systems.
const SYSTEM: &str = "system";

/// Where [`convert`] puts the table of this CSV file.
pub(super) fn parquet_path(csv: &Path) -> PathBuf {
    csv.with_extension("parquet")
}

/// Replaces a CSV file by a Parquet file of the same name, which it returns; if that fails, the CSV file stays.
///
/// Every column is optional, an empty field is a null. The same CSV file gives the same bytes.
pub(crate) fn convert(csv: &Path) -> Result<PathBuf, OutputError> {
    let path = parquet_path(csv);
    let part = part_path(&path);
    let replace = || -> io::Result<()> {
        write(csv, &part, GROUP_ROWS)?;
        fs::rename(&part, &path)?;
        fs::remove_file(csv)
    };
    replace().map_err(OutputError::write(&path))?;
    Ok(path)
}

fn write(csv: &Path, to: &Path, group_rows: usize) -> io::Result<()> {
    let (names, kinds) = column_kinds(csv)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = schema(&names, &kinds).map_err(io::Error::other)?;
    let mut file = SerializedFileWriter::new(File::create(to)?, Arc::new(schema), Arc::new(properties))
        .map_err(io::Error::other)?;
    let mut columns: Vec<Column> = kinds.iter().map(|kind| Column::new(*kind)).collect();
    let mut rows = 0;
    let mut reader = csv::Reader::from_path(csv)?;
    let mut record = StringRecord::new();
    while reader.read_record(&mut record)? {
        for (column, field) in columns.iter_mut().zip(&record) {
            column.push(field);
        }
        rows += 1;
        if rows % group_rows == 0 {
            write_group(&mut file, &mut columns).map_err(io::Error::other)?;
        }
    }
    if rows % group_rows != 0 {
        write_group(&mut file, &mut columns).map_err(io::Error::other)?;
    }
    file.close().map_err(io::Error::other)?;
    Ok(())
}

/// What a column holds; each kind holds all that those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Integer,
    Number,
    Text,
}

impl Kind {
    /// The first kind that loses nothing of this field. Integers beyond 64 bits, such as large seeds, are numbers only
    /// if a float holds them exactly.
    fn of(field: &str) -> Self {
        if field.parse::<i64>().is_ok_and(|value| value.to_string() == field) {
            return Kind::Integer;
        }
        let whole = field.bytes().all(|byte| byte.is_ascii_digit());
        match field.parse::<f64>() {
            Ok(value) if value.is_finite() && (!whole || value.to_string() == field) => Kind::Number,
            _ => Kind::Text,
        }
    }
}

/// Names and kinds of all columns. One without any value is of integers.
fn column_kinds(csv: &Path) -> io::Result<(StringRecord, Vec<Kind>)> {
    let mut reader = csv::Reader::from_path(csv)?;
    let names = reader.headers()?.clone();
    let mut kinds: Vec<Kind> =
        names.iter().map(|name| if name == SYSTEM { Kind::Text } else { Kind::Integer }).collect();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record)? {
        for (kind, field) in kinds.iter_mut().zip(&record) {
            if *kind != Kind::Text && !field.is_empty() {
                *kind = Kind::of(field).max(*kind);
            }
        }
    }
    Ok((names, kinds))
}

fn schema(names: &StringRecord, kinds: &[Kind]) -> Result<Type, ParquetError> {
    let field = |(name, kind): (&str, &Kind)| {
        let (physical, logical) = match kind {
            Kind::Integer => (Physical::INT64, None),
            Kind::Number => (Physical::DOUBLE, None),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        builder.with_logical_type(logical).build().map(Arc::new)
    };
    let fields = names.iter().zip(kinds).map(field).collect::<Result<_, _>>()?;
    Type::group_type_builder("table").with_fields(fields).build()
}

/// The values of one column in one row group.
struct Column {
    values: Values,
    /// Per row 1, or 0 where the value is null: Parquet's definition levels.
    levels: Vec<i16>,
}

enum Values {
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Texts(Vec<ByteArray>),
}

impl Column {
    fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Integer => Values::Integers(Vec::new()),
            Kind::Number => Values::Numbers(Vec::new()),
            Kind::Text => Values::Texts(Vec::new()),
        };
        Column { values, levels: Vec::new() }
    }

    fn push(&mut self, field: &str) {
        self.levels.push(i16::from(!field.is_empty()));
        if field.is_empty() {
            return;
        }
        match &mut self.values {
            Values::Integers(values) => values.push(field.parse().expect("the first pass found an integer")),
            Values::Numbers(values) => values.push(field.parse().expect("the first pass found a number")),
            Values::Texts(values) => values.push(field.into()),
        }
    }
}

/// Writes what the columns hold as a row group, and empties them.
fn write_group(file: &mut SerializedFileWriter<File>, columns: &mut [Column]) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for Column { values, levels } in columns {
        let mut writer = group.next_column()?.expect("the schema has a field for each column");
        match values {
            Values::Integers(values) => {
                writer.typed::<Int64Type>().write_batch(values, Some(levels), None)?;
                values.clear();
            }
            Values::Numbers(values) => {
                writer.typed::<DoubleType>().write_batch(values, Some(levels), None)?;
                values.clear();
            }
            Values::Texts(values) => {
                writer.typed::<ByteArrayType>().write_batch(values, Some(levels), None)?;
                values.clear();
            }
        }
        writer.close()?;
        levels.clear();
    }
    group.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    const TABLE: &str = "system,seed,time_s,layer,status,none\n\
                         7,18446744073709551615,1.500000000,4,completed,\n\
                         8,1,2,,\"rejected, late\",\n\
                         \"a \"\"b\"\"\",2,,-8,,\n";

    fn rows(path: &Path) -> (usize, Vec<Vec<Field>>) {
        let reader = SerializedFileReader::new(File::open(path).expect("there")).expect("Parquet");
        let rows = reader
            .get_row_iter(None)
            .expect("readable")
            .map(|row| row.expect("readable").get_column_iter().map(|(_, field)| field.clone()).collect::<Vec<_>>());
        (reader.num_row_groups(), rows.collect())
    }

    fn text(text: &str) -> Field {
        Field::Str(text.to_owned())
    }

    fn expected() -> [Vec<Field>; 3] {
        use Field::{Double, Long, Null};
        [
            vec![text("7"), text("18446744073709551615"), Double(1.5), Long(4), text("completed"), Null],
            vec![text("8"), text("1"), Double(2.0), Null, text("rejected, late"), Null],
            vec![text("a \"b\""), text("2"), Null, Long(-8), Null, Null],
        ]
    }

    #[test]
    fn a_table_keeps_its_values_and_replaces_the_csv_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let csv = folder.path().join("requests.csv");
        let mut bytes = Vec::new();
        for _ in 0..2 {
            fs::write(&csv, TABLE).expect("writable");
            let path = convert(&csv).expect("convertible");
            assert_eq!(path, folder.path().join("requests.parquet"));
            assert_eq!(rows(&path), (1, expected().to_vec()));
            assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1, "neither the CSV nor a part is left");
            bytes.push(fs::read(&path).expect("there"));
        }
        assert!(bytes[0] == bytes[1], "the same table gives the same bytes");
    }

    #[test]
    fn rows_keep_their_order_across_row_groups() {
        let folder = tempfile::tempdir().expect("a folder");
        let (csv, path) = (folder.path().join("t.csv"), folder.path().join("t.parquet"));
        fs::write(&csv, TABLE).expect("writable");
        for (group_rows, groups) in [(1, 3), (2, 2), (3, 1)] {
            write(&csv, &path, group_rows).expect("convertible");
            assert_eq!(rows(&path), (groups, expected().to_vec()), "{group_rows} rows per group");
        }
    }

    #[test]
    fn a_table_without_rows_keeps_its_columns() {
        let folder = tempfile::tempdir().expect("a folder");
        let csv = folder.path().join("steps.csv");
        fs::write(&csv, "system,seed\n").expect("writable");
        let path = convert(&csv).expect("convertible");
        let reader = SerializedFileReader::new(File::open(path).expect("there")).expect("Parquet");
        let schema = reader.metadata().file_metadata().schema();
        assert_eq!(schema.get_fields().iter().map(|field| field.name()).collect::<Vec<_>>(), ["system", "seed"]);
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    }

    #[test]
    fn nothing_is_a_number_that_would_not_come_back_the_same() {
        for (field, kind) in [
            ("-9223372036854775808", Kind::Integer),
            ("007", Kind::Text),
            ("9223372036854775808", Kind::Text),
            ("10000000000000000000000", Kind::Number),
            ("0.000000001", Kind::Number),
            ("inf", Kind::Text),
            ("NaN", Kind::Text),
            ("H100", Kind::Text),
        ] {
            assert_eq!(Kind::of(field), kind, "{field}");
        }
    }
}
