//! Routed experts: one fused kernel, without communication.
//!
//! `num_tokens` counts the rows of all expert-parallel ranks, of which one rank is timed; where routing is skewed
//! (`power_law_x`), the one with the most rows.

use profiles::table::{ExpertsRow, Rows};

use super::{formats, table};
use crate::import::error::ImportError;
use crate::import::format::Recognised;
use crate::import::records::Records;
use crate::import::report::Rejected;
use crate::import::{Imported, Known};

pub(super) fn experts(
    recognised: &Recognised,
    mut records: Records<'_>,
    known: Known<'_>,
) -> Result<Imported, ImportError> {
    let kernel = records.maybe_column(&["kernel", "kernel_source"]);
    let format = records.column(&["moe_dtype"])?;
    let [tokens, hidden] = [records.column(&["num_tokens"])?, records.column(&["hidden_size"])?];
    let [width, top_k] = [records.column(&["inter_size"])?, records.column(&["topk"])?];
    let experts = records.column(&["num_experts"])?;
    let [tensor, expert] = [records.column(&["moe_tp_size"])?, records.column(&["moe_ep_size"])?];
    let distribution = records.column(&["distribution"])?;
    table(recognised, records, known, Rows::Experts, |record, timing| {
        if let Some(kernel) = kernel.map(|kernel| record.text(kernel))
            && kernel.contains("nongated")
        {
            return Err(Rejected::new("experts without a gate have no place in the table", kernel));
        }
        let (weights, activations, scaling) = formats(record.text(format))?;
        let whole = |whole: u32, parts: u32, what: &str| {
            let even = || Rejected::new(format!("{what} are not divided evenly"), format!("{whole} by {parts}"));
            if whole.is_multiple_of(parts) { Ok(whole / parts) } else { Err(even()) }
        };
        let all = record.count(experts, 1)?;
        Ok(ExpertsRow {
            tokens: record.count(tokens, 1)?,
            hidden_size: record.count(hidden, 1)?,
            intermediate_size: whole(record.count(width, 1)?, record.count(tensor, 1)?, "expert widths")?,
            top_k: record.count(top_k, 1)?,
            experts: all,
            local_experts: whole(all, record.count(expert, 1)?, "experts")?,
            routing: routing(record.text(distribution))?,
            touched_experts: None,
            weights,
            activations,
            scaling,
            timing,
        })
    })
}

/// `balanced` and `power_law_x` are also our names for them.
fn routing(name: &str) -> Result<String, Rejected> {
    let exponent = name.strip_prefix("power_law_").and_then(|exponent| exponent.parse::<f64>().ok());
    if name == "balanced" || exponent.is_some_and(f64::is_finite) {
        return Ok(name.to_string());
    }
    Err(Rejected::new("unknown routing distribution", name))
}
