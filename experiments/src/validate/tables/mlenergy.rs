//! Full batches of vLLM with their power, published by the ML.ENERGY leaderboard.

use super::described::Described;
use crate::validate::error::NotScored;
use crate::validate::figure::{Metric, Statistic};
use crate::validate::rows::Row;
use crate::validate::system::quantization;

/// Lengths of prompts are not published. Those of people's chats are short.
const ASSUMED_INPUT_TOKENS: u32 = 256;

/// A row of the table.
pub(super) fn row(row: Row<'_>) -> Result<Described, NotScored> {
    let text = |column: &str| row.text(column).ok_or_else(|| row.wrong(column, "a name"));
    let (model, gpu) = (text("model")?, text("gpu")?);
    let mut described = Described::new(model, gpu, "vLLM", None)?;
    described.group = format!("mlenergy/{}", gpu.to_lowercase());
    let (gpus, tensor) = (row.count("n_gpus", 1)?, row.count("tp", 1)?);
    let data = gpus / tensor.max(1);
    let has_experts = text("architecture")? == "MoE" && row.count("ep", 1)? > 1;
    described.spread(tensor, data, has_experts);
    let dtype = text("weight_precision")?;
    if dtype != "mxfp4" {
        let format = quantization(dtype).ok_or_else(|| row.wrong("weight_precision", "bfloat16, fp8 or mxfp4"))?;
        described.system.set("quantization", format!("\"{format}\""));
    }
    let batch = row.count("max_num_seqs", 1)?;
    // 397 tokens/s at 19.7 ms each are 8 requests: the limit is that of all ranks together.
    let of_a_rank = batch.div_ceil(data);
    described.system.set("scheduler.max_num_seqs", of_a_rank);
    let mean = row.needed("avg_output_len", "tokens")?;
    let (shortest, longest) = ((0.5 * mean).round().max(1.0), (1.5 * mean).round().max(2.0));
    described.workload = format!(
        "arrivals = \"all-at-once\"\nrequests = {}\ninput = {{ distribution = \"fixed\", tokens = {ASSUMED_INPUT_TOKENS} }}\n\
         output = {{ distribution = \"uniform\", min = {shortest}, max = {longest} }}\n",
        4 * batch.max(16)
    );
    described.is_steady = true;
    described.assume(format!("lengths of prompts are not published: {ASSUMED_INPUT_TOKENS} tokens"));
    described.assume("answers are uniform between 0.5 and 1.5 of their published mean");
    described.assume("throughput and power are those of the time in which requests wait, gaps those of the whole run");
    let of_gaps = [
        ("itl_median_ms", Statistic::P50),
        ("itl_p90_ms", Statistic::P90),
        ("itl_p95_ms", Statistic::P95),
        ("itl_p99_ms", Statistic::P99),
    ];
    described.times(row, Metric::Itl, &of_gaps, 1e-3)?;
    described.measure(Metric::OutputThroughput, Statistic::Mean, row.number("output_tokens_per_s")?);
    described.measure(Metric::Power, Statistic::Mean, row.number("avg_power_w")?);
    Ok(described)
}
