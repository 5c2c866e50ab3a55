//! Layers by tokens, and those that run once per sequence.

use profiles::table::{Rows, Timing};

use super::layers::{LayerRow, row};
use super::{Subject, precision, report};
use crate::import::Imported;
use crate::import::error::ImportError;
use crate::import::records::{Records, micros};
use crate::import::report::Rejected;

pub(super) fn dense(subject: &Subject<'_>, records: Records<'_>) -> Result<Imported, ImportError> {
    layers(subject, records, ["layer", "tokens", "time_us"], 1.0, "")
}

pub(super) fn per_sequence(subject: &Subject<'_>, records: Records<'_>) -> Result<Imported, ImportError> {
    layers(subject, records, ["layer", "sequences", "time_us"], 1.0, "_per-sequence")
}

/// Layers whose times are in units of `unit_us` microseconds.
pub(super) fn layers(
    subject: &Subject<'_>,
    mut records: Records<'_>,
    [layer, rows, time]: [&'static str; 3],
    unit_us: f64,
    kind: &str,
) -> Result<Imported, ImportError> {
    let (layer, rows) = (records.column(&[layer])?, records.column(&[rows])?);
    let time = records.column(&[time])?;
    let tensor = records.maybe_column(&["tp_size"]);
    let format = precision(subject)?;
    let mut imported = Imported { tables: Vec::new(), report: report(&records) };
    let (mut gemm, mut elementwise) = (subject.sink(), subject.sink());
    for record in records {
        let record = record?;
        imported.report.read += 1;
        let parsed = match tensor.map(|tensor| record.text(tensor)) {
            Some(size) if size != subject.tensor_parallel_size.to_string() => {
                Err(Rejected::new("`tp_size` is not the one in the name of the file", size))
            }
            _ => record.count(rows, 1).and_then(|rows| {
                let timing = Timing::of_us(micros(record.positive(time)?, unit_us));
                row(subject, record.text(layer), rows, format, timing)
            }),
        };
        match parsed {
            Ok(LayerRow::Gemm(row)) => gemm.take(record.line, Ok(row), &mut imported.report),
            Ok(LayerRow::Elementwise(row)) => elementwise.take(record.line, Ok(row), &mut imported.report),
            Err(why) => imported.report.leave_out(record.line, why),
        }
    }
    subject.finish(gemm, Rows::Gemm, (time.name(), kind), &mut imported)?;
    subject.finish(elementwise, Rows::Elementwise, (time.name(), kind), &mut imported)?;
    Ok(imported)
}
