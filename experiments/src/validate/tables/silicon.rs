//! Operating points collected by aiconfigurator: engines at a fixed concurrency.

use super::described::{Described, closed_loop};
use crate::validate::error::NotScored;
use crate::validate::figure::{Metric, Statistic};
use crate::validate::rows::Row;

/// Prompt tokens that fit a step of TensorRT-LLM beside one decode token per client; longer prompts fit alone. Its default
/// is 8192 in all (`BuildConfig.max_num_tokens`), but times to first token say that fewer prompts share a step: chosen on Hopper
/// out of 2048, 3072, 4096, 6144 and 8192. With one of seven models left out in turn, six choose the same and one 2048.
const TRTLLM_STEP_TOKENS: u32 = 4096;

/// Tokens of a step beside one prompt and a token per client in NVIDIA's sweeps, which deploy an engine anew for every point
/// instead of taking its default of 8192: prompts of 1024 tokens wait for as many others as prompts of 4096 do, and no
/// fixed budget says that. Chosen on Hopper out of 0, 250, 500, 1000 and 1500, whole prompts tried beside cut ones; with
/// one of five pairs of model and engine left out in turn, four choose the same and one 1500 (docs/error-budget.md).
const SWEPT_STEP_TOKENS: u32 = 1000;

/// Host time to launch a kernel outside CUDA graphs, where steps with prompts run. All three engines launch from `PyTorch`. Borrowed:
/// an all-reduce of at most 64 KiB takes so long in aiconfigurator's tables of eager launches under vLLM 0.14 to 0.24 and SGLang
/// 0.5.9 to 0.5.14 on H100 and H200 (median; 18.5 to 34.8 by table), and 4.6 us inside graphs. That it is taken for every kernel, on B200 and under
/// TensorRT-LLM too, is extrapolated; that only this group has it was decided after seeing that others get worse with it.
const EAGER_LAUNCH: &str = "\"21 us\"";

/// A row of `silicon_sample.csv`.
pub(super) fn row(row: Row<'_>) -> Result<Described, NotScored> {
    if row.text("exact_duplicate_of_earlier_row") == Some("1") {
        return Err(NotScored::Nothing("an exact duplicate of an earlier row".to_owned()));
    }
    if row.text("mode") != Some("agg") {
        let why = "prompts and answers were computed by different workers: disaggregated deployments are not simulated";
        return Err(NotScored::NotSimulated(why.to_owned()));
    }
    let text = |column: &str| row.text(column).ok_or_else(|| row.wrong(column, "a name"));
    let (engine, system) = (text("backend")?, text("system")?);
    let mut described = Described::new(text("model_path")?, system, engine, row.text("backend_version"))?;
    let generation = if ["h100_sxm", "h200_sxm"].contains(&system) { "hopper" } else { system };
    described.group = format!("silicon_{generation}/{engine}");
    described.over_http();
    spread(row, &mut described)?;
    precision(row, &mut described)?;
    if row.number("pp_size")?.is_some_and(|stages| stages > 1.0) {
        described.system.set("pipeline_parallel_size", row.count("pp_size", 1)?);
    }
    let concurrency = if let Some(concurrency) = row.maybe_count("concurrency")? {
        concurrency
    } else {
        described.assume("the concurrency is not recorded: that of its batch size");
        row.count("batch_size", 1)?
    };
    let share = if is_by_nvidia(row) { 1.0 } else { 0.8 };
    if share < 1.0 {
        described.assume(
            "lengths are uniform between 0.8 of the given ones and these, as the benchmark's scripts draw them",
        );
    }
    described.workload = closed_loop(concurrency, row.count("isl", 1)?, row.count("osl", 1)?, share);
    described.assume("ten requests per client, all clients starting at once after the warm-up");
    described.system.set("enable_prefix_caching", false);
    described.system.set("engine.eager_launch", EAGER_LAUNCH);
    described.assume("kernels outside CUDA graphs take the host 21 us each, which was measured of small all-reduces under vLLM and SGLang on Hopper");
    scheduler(row, &mut described, engine, concurrency)?;
    described.assume("whether TTFT and TPOT are means or medians is not said: they are compared with means");
    described.times(row, Metric::Ttft, &[("ttft_ms", Statistic::Mean)], 1e-3)?;
    described.times(row, Metric::Tpot, &[("tpot_ms", Statistic::Mean)], 1e-3)?;
    Ok(described)
}

/// Whether the point is of NVIDIA's own sweeps, not of the public dashboard.
fn is_by_nvidia(row: Row<'_>) -> bool {
    row.text("source_kind") == Some("nvidia-gap-analysis")
}

/// How the engine composes steps. Scheduler limits are not recorded of any.
fn scheduler(row: Row<'_>, described: &mut Described, engine: &str, concurrency: u32) -> Result<(), NotScored> {
    if is_by_nvidia(row) && engine != "sglang" {
        let tokens = row.count("isl", 1)? + concurrency + SWEPT_STEP_TOKENS;
        described.system.set("scheduler.policy", "\"chunked-prefill\"");
        described.system.set("scheduler.max_num_batched_tokens", tokens);
        described.system.set("scheduler.max_num_seqs", concurrency);
        described.assume(format!(
            "scheduler limits are not recorded: deployed for its point, with steps of one prompt, a token per client and \
             {SWEPT_STEP_TOKENS} more, and prompts cut where they do not fit"
        ));
        return Ok(());
    }
    described.assume("scheduler limits and KV share are not recorded: the engine's defaults");
    match engine {
        "sglang" => {
            // `ServerArgs`: `max_prefill_tokens` 16384; `get_next_batch_to_run`: a batch of prompts before any decode.
            described.system.set("scheduler.policy", "\"prefill-first\"");
            described.system.set("scheduler.max_num_batched_tokens", 16_384);
            described.system.set("scheduler.max_num_seqs", 2048);
            described.assume("SGLang: batches of whole prompts, of at most 16384 tokens, come before all decodes");
        }
        "trtllm" => {
            let tokens = TRTLLM_STEP_TOKENS.max(row.count("isl", 1)?) + concurrency;
            described.system.set("scheduler.policy", "\"orca\"");
            described.system.set("scheduler.max_num_batched_tokens", tokens);
            described.system.set("scheduler.max_num_seqs", 2048);
            described.assume(format!(
                "TensorRT-LLM: whole prompts join the decodes, up to {tokens} tokens in a step, and prompt and answer \
                 have their blocks reserved (`GUARANTEED_NO_EVICT`)"
            ));
        }
        _ => {}
    }
    Ok(())
}

/// TensorRT-LLM's attention data parallelism may show the product of two sizes as `tp_size`: then the attention is spread
/// as `attention_dp_size` says, and the experts over all of its ranks.
fn spread(row: Row<'_>, described: &mut Described) -> Result<(), NotScored> {
    let size = |column: &str| Ok(row.maybe_count(column)?.unwrap_or(1).max(1));
    let (tensor, data) = (size("tp_size")?, size("attention_dp_size")?);
    let (in_slices, in_whole) = (size("moe_tp_size")?, size("moe_ep_size")?);
    if in_slices > 1 && in_whole > 1 {
        let why = "experts were sliced and spread at once, which is not simulated";
        return Err(NotScored::NotSimulated(why.to_owned()));
    }
    if data > 1 && in_whole == 1 {
        return Err(NotScored::NotSimulated("attention ranks share sliced experts, which is not simulated".to_owned()));
    }
    if in_whole > 1 && in_whole != tensor * data && in_whole != data && in_whole != tensor {
        let why =
            format!("experts over {in_whole} GPUs beside tensor x data parallel {tensor} x {data} is not simulated");
        return Err(NotScored::NotSimulated(why));
    }
    // Where `tp_size` is the product, whole experts are spread over as many GPUs as attention ranks.
    let tensor = if data > 1 && in_whole == data { 1 } else { tensor };
    described.spread(tensor, data, in_whole > 1);
    Ok(())
}

fn precision(row: Row<'_>, described: &mut Described) -> Result<(), NotScored> {
    let is_gpt_oss = described.system.model.contains("gpt-oss");
    match row.text("gemm_quant_mode").or(row.text("precision")) {
        // Its checkpoint comes in MXFP4 for the experts alone.
        _ if is_gpt_oss => {}
        None => described.assume("the number format is not recorded: that of the model's own weights"),
        Some(format @ ("fp8" | "fp8_block")) => {
            described.system.set("quantization", "\"fp8\"");
            if format == "fp8" && row.text("backend") == Some("trtllm") {
                described.system.set("kv_cache_dtype", "\"fp8\"");
                described.assume("TensorRT-LLM: checkpoints with a scale per fp8 tensor keep the KV cache in fp8 too");
            }
        }
        Some("int4_wo" | "int4") => described.system.set("quantization", "\"int4\""),
        Some("bfloat16") => described.system.set("quantization", "\"none\""),
        Some(other) => {
            return Err(NotScored::NotSimulated(format!("weights and activations in {other} are not simulated")));
        }
    }
    Ok(())
}
