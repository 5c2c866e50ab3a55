//! Full batches of vLLM with their power, published by the ML.ENERGY leaderboard.

use super::described::Described;
use crate::validate::error::NotScored;
use crate::validate::figure::{Metric, Statistic};
use crate::validate::rows::Row;
use crate::validate::system::quantization;

/// Lengths of prompts are not published. A step with a prompt in it is among the longest gaps, so the 99th percentile of the
/// gaps tells about how long prompts are: chosen per task out of 256, 512, 1024 and 2048 where the median error of that percentile
/// is smallest, which is the same length on H100 and on B200. 2048 is the longest that was tried.
fn input_tokens(task: &str) -> u32 {
    match task {
        "sourcegraph-fim" => 2048,
        "lm-arena-chat" => 512,
        // Questions of a few hundred tokens, which hardly count beside answers of thousands.
        _ => 256,
    }
}

/// Results of the end of 2025, when vLLM was at 0.11: any version before 0.14 schedules synchronously.
const ASSUMED_VERSION: &str = "0.11";

/// A row of the table.
pub(super) fn row(row: Row<'_>) -> Result<Described, NotScored> {
    let text = |column: &str| row.text(column).ok_or_else(|| row.wrong(column, "a name"));
    let (model, gpu) = (text("model")?, text("gpu")?);
    let mut described = Described::new(model, gpu, "vLLM", Some(ASSUMED_VERSION))?;
    described.assume(format!("the version of vLLM is not recorded: {ASSUMED_VERSION}, as of the end of 2025"));
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
    described.system.set("sampling", "\"sorted\"");
    described.assume(
        "how tokens are sampled is not recorded: with `top_p`, as gaps say that grow by the same time per logit in all models",
    );
    let batch = row.count("max_num_seqs", 1)?;
    // 397 tokens/s at 19.7 ms each are 8 requests: the limit is that of all ranks together.
    let of_a_rank = batch.div_ceil(data);
    described.system.set("scheduler.max_num_seqs", of_a_rank);
    let mean = row.needed("avg_output_len", "tokens")?;
    let (shortest, longest) = ((0.5 * mean).round().max(1.0), (1.5 * mean).round().max(2.0));
    let input = input_tokens(text("task")?);
    described.workload = format!(
        "arrivals = \"all-at-once\"\nrequests = {}\ninput = {{ distribution = \"fixed\", tokens = {input} }}\n\
         output = {{ distribution = \"uniform\", min = {shortest}, max = {longest} }}\n",
        4 * batch.max(16)
    );
    described.is_steady = true;
    described
        .assume(format!("lengths of prompts are not published: {input} tokens, as the longest gaps of this task say"));
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
