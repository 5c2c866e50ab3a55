//! Tables as Parquet files.

use std::fs::File;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::support::Place;

/// Asserts that a Parquet file has the columns, the rows and the values of a CSV file, and returns how many are empty.
fn assert_same_values(place: &Place, csv: &str, parquet: &str) -> usize {
    let mut table = csv::Reader::from_path(place.path(csv)).expect("there");
    let header = table.headers().expect("a header").clone();
    let file = SerializedFileReader::new(File::open(place.path(parquet)).expect("there")).expect("Parquet");
    let mut rows = file.get_row_iter(None).expect("readable");
    let mut nulls = 0;
    for record in table.records() {
        let (record, row) = (record.expect("well formed"), rows.next().expect("a row").expect("readable"));
        assert_eq!(row.len(), header.len());
        for ((name, field), (column, text)) in row.get_column_iter().zip(header.iter().zip(&record)) {
            assert_eq!(name, column);
            let same = match field {
                Field::Null => text.is_empty(),
                Field::Long(value) => value.to_string() == text,
                Field::Double(value) => text.parse::<f64>().is_ok_and(|wanted| wanted.to_bits() == value.to_bits()),
                Field::Str(value) => value == text,
                _ => false,
            };
            assert!(same, "{parquet}, {name}: {field} instead of `{text}`");
            nulls += usize::from(text.is_empty());
        }
    }
    assert!(rows.next().is_none(), "{parquet} has more rows");
    nulls
}

#[test]
fn parquet_tables_hold_what_the_csv_tables_hold() {
    let place = Place::with_small(&[("steps = true", "steps = true\npower = true")]);
    place.succeed(&["run", "x.toml", "-o", "csv", "--no-figures"]);
    let said = place.succeed(&["run", "x.toml", "-o", "one", "--no-figures", "--format", "parquet"]);
    place.succeed(&["run", "x.toml", "-o", "two", "--no-figures", "--set", "output.format=parquet", "--jobs", "1"]);
    let tables = ["comparison", "gaps", "intervals", "power", "replicas", "requests", "steps", "summary"];
    let mut names: Vec<String> = tables.iter().map(|table| format!("{table}.parquet")).collect();
    names.extend(["experiment.lock.toml".to_owned(), "trace.json.gz".to_owned()]);
    names.sort();
    assert_eq!(place.files("one"), names);
    let mut nulls = 0;
    for table in tables {
        let parquet = format!("one/{table}.parquet");
        nulls += assert_same_values(&place, &format!("csv/{table}.csv"), &parquet);
        assert!(said.stdout.contains(&parquet), "{}", said.stdout);
    }
    assert!(nulls > 0, "one-token answers have no gaps");
    for name in names {
        assert!(place.read(&format!("one/{name}")) == place.read(&format!("two/{name}")), "{name}");
    }
}

#[test]
fn the_option_comes_before_the_file_and_the_lock_file_remembers_it() {
    let place = Place::with_small(&[("steps = true", "format = \"csv\"")]);
    place.succeed(&["run", "x.toml", "-o", "one", "--no-figures", "--format", "parquet"]);
    place.succeed(&["run", "one/experiment.lock.toml", "-o", "again", "--no-figures"]);
    assert!(place.read("one/requests.parquet") == place.read("again/requests.parquet"));
    place.succeed(&["run", "one/experiment.lock.toml", "-o", "csv", "--no-figures", "--format", "csv"]);
    assert!(place.text("csv/summary.csv").starts_with("system,seed,"));
}

#[test]
fn tables_of_either_format_are_kept_unless_force_is_said() {
    let place = Place::with_small(&[("steps = true", "format = \"parquet\"")]);
    place.write("out/requests.parquet", "precious");
    place.write("out/summary.csv", "precious");
    let message = place.fail(2, &["run", "x.toml", "-o", "out", "--no-figures"]);
    assert!(message.starts_with("error: out already holds requests.parquet, summary.csv; "), "{message}");
    assert_eq!(
        (place.text("out/requests.parquet"), place.text("out/summary.csv")),
        ("precious".into(), "precious".into())
    );
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures", "--force"]);
    assert!(place.read("out/requests.parquet").starts_with(b"PAR1"));
}
