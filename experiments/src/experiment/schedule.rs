//! What the schedule of a system's steps says about the system.

use calibration::replay::schedule::{RunHeader, ScheduledModel};
use profiles::cost::CostOptions;
use sim::{KvSpec, Policy, SchedulerSpec};

/// The head of a schedule of `system`, with the seed still to be filled in.
pub(super) fn header(
    system: &str,
    options: &CostOptions<'_>,
    scheduler: SchedulerSpec,
    kv: KvSpec,
    max_model_len: u32,
    sliding_window: Option<u32>,
) -> RunHeader {
    RunHeader {
        system: system.to_owned(),
        seed: 0,
        model: ScheduledModel::new(options.model),
        device: options.device.name.clone(),
        parallelism: options.parallelism,
        precision: options.precision,
        routing: options.routing.clone(),
        engine: options.engine.clone(),
        policy: policy_name(scheduler.policy).to_owned(),
        max_num_batched_tokens: scheduler.max_num_batched_tokens,
        max_num_seqs: scheduler.max_num_seqs,
        max_model_len,
        block_size: kv.block_size,
        kv_blocks: kv.blocks,
        prefix_caching: kv.prefix_caching,
        sliding_window,
    }
}

/// The name that experiment files have for it.
fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::ChunkedPrefill { .. } => "chunked-prefill",
        Policy::Sarathi => "sarathi",
        Policy::PrefillFirst { .. } => "prefill-first",
        Policy::Orca => "orca",
        Policy::Splitwise => "splitwise",
        Policy::LayeredPrefill { .. } => "layered-prefill",
        Policy::BatchLlm { .. } => "batchllm",
        Policy::BlendServe { .. } => "blendserve",
        Policy::Own(own) => own.name,
    }
}
