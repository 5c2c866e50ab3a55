//! Step times that were measured elsewhere, as a table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::ReplayError;

/// Columns of the table.
const COLUMNS: [&str; 2] = ["step", "time_ms"];
const NS_PER_MS: f64 = 1e6;

/// Reads the table in a file; see [`read_measured`].
///
/// # Errors
/// If the file cannot be read, and as [`read_measured`].
pub fn read_measured_file(path: &Path) -> Result<BTreeMap<u64, Vec<f64>>, ReplayError> {
    let file = File::open(path).map_err(|source| ReplayError::Read { path: path.to_owned(), source })?;
    read_measured(file, path)
}

/// Measured times in nanoseconds by step, from a CSV table with the columns `step` (a step's number in the schedule) and
/// `time_ms` (milliseconds, positive). A step that occurs again was measured again. `name` is what errors call it.
///
/// # Errors
/// If a column is missing or unknown, or a value is not what its column holds: with its line; if there is no row.
pub fn read_measured(input: impl Read, name: &Path) -> Result<BTreeMap<u64, Vec<f64>>, ReplayError> {
    let wrong = |line: u64, message: String| ReplayError::Line { path: name.to_owned(), line, message };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        wrong(line, error.to_string())
    };
    let header = reader.headers().map_err(broken)?.clone();
    let place = |column: &str| header.iter().position(|name| name == column);
    let (Some(step_at), Some(time_at)) = (place(COLUMNS[0]), place(COLUMNS[1])) else {
        let found = header.iter().collect::<Vec<_>>().join(", ");
        return Err(wrong(1, format!("expected the columns step, time_ms; found {found}")));
    };
    if let Some(other) = header.iter().find(|name| !COLUMNS.contains(name)) {
        return Err(wrong(1, format!("column `{other}` would not be used; expected the columns step, time_ms only")));
    }
    let mut times: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let step = record[step_at].parse::<u64>().map_err(|_| {
            wrong(line, format!("step is `{}`; expected the number of a step of the schedule", &record[step_at]))
        })?;
        let time_ms = record[time_at].parse::<f64>().ok().filter(|ms| ms.is_finite() && *ms > 0.0);
        let time_ms = time_ms.ok_or_else(|| {
            wrong(line, format!("time_ms is `{}`; expected a positive number of milliseconds", &record[time_at]))
        })?;
        times.entry(step).or_default().push(time_ms * NS_PER_MS);
    }
    if times.is_empty() {
        let message = "holds no row: below the names of the columns, expected a line `step,time_ms` for each step that was \
                       measured";
        return Err(ReplayError::Run { path: name.to_owned(), message: message.to_owned() });
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<u64, Vec<f64>>, String> {
        read_measured(text.as_bytes(), Path::new("m.csv")).map_err(|error| error.to_string())
    }

    #[test]
    fn steps_may_come_in_any_order_and_again() {
        let times = read("time_ms, step\n2.5,7\n1.0,3\n2.0,7\n").expect("sound");
        assert_eq!(times, BTreeMap::from([(3, vec![1e6]), (7, vec![2.5e6, 2e6])]));
    }

    #[test]
    fn every_wrong_value_is_named_with_its_line_and_what_would_be_right() {
        for (text, expected) in [
            ("step,ms\n1,2\n", "m.csv, line 1: expected the columns step, time_ms; found step, ms"),
            ("step,time_ms,gpu\n1,2,3\n", "m.csv, line 1: column `gpu` would not be used"),
            ("step,time_ms\n1,2\n2,NaN\n", "m.csv, line 3: time_ms is `NaN`; expected a positive number"),
            ("step,time_ms\n1,0\n", "m.csv, line 2: time_ms is `0`; expected a positive number"),
            ("step,time_ms\n1,-3\n", "m.csv, line 2: time_ms is `-3`"),
            ("step,time_ms\n1.5,3\n", "m.csv, line 2: step is `1.5`; expected the number of a step"),
            ("step,time_ms\n1\n", "m.csv, line 2: "),
            ("step,time_ms\n", "m.csv: holds no row: below the names of the columns, expected a line `step,time_ms`"),
        ] {
            let message = read(text).expect_err(text);
            assert!(message.starts_with(expected), "{text:?}: {message}");
        }
    }
}
