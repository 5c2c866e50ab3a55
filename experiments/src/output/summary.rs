//! `summary.csv`: one row per run, every figure.

use sim::{Summary, Value};

use super::decimal::push_integer;
use super::label::RunLabel;

/// The whole file.
pub(super) fn summary_csv(runs: &[RunLabel], summaries: &[Summary]) -> Vec<u8> {
    let mut file = runs.first().map(RunLabel::header).unwrap_or_default();
    let names: Vec<&str> = Summary::columns().iter().map(|column| column.name.as_str()).collect();
    file.extend_from_slice(names.join(",").as_bytes());
    for (run, summary) in runs.iter().zip(summaries) {
        file.push(b'\n');
        file.extend_from_slice(&run.fields());
        for (index, column) in Summary::columns().iter().enumerate() {
            if index > 0 {
                file.push(b',');
            }
            push_value(&mut file, column.value(summary));
        }
    }
    file.push(b'\n');
    file
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
