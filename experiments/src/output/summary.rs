//! `summary.csv`: one row per run, every figure.

use sim::{Summary, Value};

use super::decimal::push_integer;
use super::label::RunLabel;

/// The whole file.
pub(super) fn summary_csv(runs: &[RunLabel], summaries: &[Summary]) -> Vec<u8> {
    let mut file = runs.first().map(summary_header).unwrap_or_default();
    file.extend(summary_rows(runs, summaries));
    file
}

/// The line of names above the rows of runs like this one.
pub(crate) fn summary_header(run: &RunLabel) -> Vec<u8> {
    let names: Vec<&str> = Summary::columns().iter().map(|column| column.name.as_str()).collect();
    [run.header(), names.join(",").into_bytes(), b"\n".to_vec()].concat()
}

/// One row per run.
pub(crate) fn summary_rows(runs: &[RunLabel], summaries: &[Summary]) -> Vec<u8> {
    let mut rows = Vec::new();
    for (run, summary) in runs.iter().zip(summaries) {
        rows.extend_from_slice(&run.fields());
        for (index, column) in Summary::columns().iter().enumerate() {
            if index > 0 {
                rows.push(b',');
            }
            push_value(&mut rows, column.value(summary));
        }
        rows.push(b'\n');
    }
    rows
}

/// Appends a value so that it reads back as the same number; nothing where there is none.
pub(super) fn push_value(out: &mut Vec<u8>, value: Option<Value>) {
    match value {
        None => {}
        Some(Value::Count(count)) => push_integer(out, count),
        Some(Value::Real(real)) => out.extend_from_slice(real.to_string().as_bytes()),
        Some(Value::Word(word)) => out.extend_from_slice(word.as_bytes()),
    }
}
