//! Routed experts, by how many of them at least one token chose.

use profiles::table::{ExpertsRow, Rows, Scaling, Timing};

use super::layers::experts;
use super::{Subject, precision, report};
use crate::import::Imported;
use crate::import::error::ImportError;
use crate::import::records::Records;

pub(super) fn activated(subject: &Subject<'_>, mut records: Records<'_>) -> Result<Imported, ImportError> {
    let (tokens, touched) = (records.column(&["tokens"])?, records.column(&["activated_experts"])?);
    let time = records.column(&["time_us"])?;
    let format = precision(subject)?;
    let spec = experts(&subject.model).map_err(|why| ImportError::Model {
        file: subject.file.clone(),
        problem: format!("{}, and the file holds times of experts: {}", why.reason, why.example),
    })?;
    let mut imported = Imported { tables: Vec::new(), report: report(&records) };
    let mut sink = subject.sink();
    for record in records {
        let record = record?;
        imported.report.read += 1;
        let row = record.count(tokens, 1).and_then(|tokens| {
            Ok(ExpertsRow {
                tokens,
                hidden_size: subject.model.hidden_size,
                intermediate_size: subject.divided(spec.intermediate_size),
                top_k: spec.top_k,
                experts: spec.experts,
                local_experts: spec.experts,
                routing: "touched".to_string(),
                touched_experts: Some(record.count(touched, 1)?),
                weights: format,
                activations: format,
                scaling: Scaling::None,
                timing: Timing::of_us(record.positive(time)?),
            })
        });
        sink.take(record.line, row, &mut imported.report);
    }
    subject.finish(sink, Rows::Experts, (time.name(), ""), &mut imported)?;
    Ok(imported)
}
