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

/// Hidden size, expert width, experts per token and experts of models whose experts have no gate (Nemotron 3).
///
/// TensorRT-LLM's tables time these five with kernels called `nongated`, and with no others. Other engines' tables do not
/// say so, but their times do: with two matrices, vLLM's bf16 kernel does 485 TFLOP/s at 16,384 tokens on an H200, as it
/// does for other shapes with three (418 to 580 in 13 of 14); with three it would be 727.
const WITHOUT_GATE: [[u32; 4]; 5] =
    [[1024, 2688, 22, 512], [2048, 5120, 22, 512], [2688, 1856, 6, 128], [4096, 2688, 22, 512], [8192, 5120, 22, 512]];

/// Whether a row times experts of two matrices.
fn has_no_gate(kernel: &str, model: [u32; 4]) -> bool {
    kernel.contains("nongated") || WITHOUT_GATE.contains(&model)
}

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
        let (hidden_size, top_k) = (record.count(hidden, 1)?, record.count(top_k, 1)?);
        let (whole_width, all) = (record.count(width, 1)?, record.count(experts, 1)?);
        let kernel = kernel.map_or("", |kernel| record.text(kernel));
        if has_no_gate(kernel, [hidden_size, whole_width, top_k, all]) {
            let shown = format!("{all} experts of {hidden_size} x {whole_width}, {top_k} per token, {kernel}");
            return Err(Rejected::new("experts without a gate have no place in the table", shown));
        }
        let (weights, activations, scaling) = formats(record.text(format))?;
        let whole = |whole: u32, parts: u32, what: &str| {
            let even = || Rejected::new(format!("{what} are not divided evenly"), format!("{whole} by {parts}"));
            if whole.is_multiple_of(parts) { Ok(whole / parts) } else { Err(even()) }
        };
        Ok(ExpertsRow {
            tokens: record.count(tokens, 1)?,
            hidden_size,
            intermediate_size: whole(whole_width, record.count(tensor, 1)?, "expert widths")?,
            top_k,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experts_of_two_matrices_are_known_by_their_kernel_or_their_sizes() {
        assert!(has_no_gate("moe_torch_flow_nongated", [1, 1, 1, 1]));
        assert!(has_no_gate("vllm_fused_moe", [2688, 1856, 6, 128]));
        assert!(!has_no_gate("vllm_fused_moe", [2048, 768, 8, 128]), "Qwen3-30B-A3B has gates");
    }
}
