//! What an engine needs besides weights and caches.
//!
//! vLLM runs one step of `max_num_batched_tokens` rows and samples `max_num_seqs` of them before it sizes the KV cache,
//! and takes the peak of both (`determine_available_memory` in `vllm/v1/worker/gpu_worker.py`). The terms below
//! are the tensors that live at those two peaks. Memory of captured CUDA graphs is not among them: engines before 0.19 do
//! not count it, later ones estimate it and raise the default `gpu_memory_utilization` to make up for it.

use super::MemoryOptions;
use super::layout::vocab_per_gpu;
use crate::model::{Attention, FeedForward, LayerSpec, Mixer, ModelSpec, StateSpace, StateSpaceKind};
use crate::parallel::Parallelism;
use crate::step::LayerRange;

/// Bytes of an activation.
const ACTIVATION_BYTES: u64 = 2;

/// Bytes per logit at the sampler's peak, which is the sort for top-p: the logit as computed (2) and as f32 (4), the
/// sorted value and its 64-bit index (12), and the sort's second buffer for both (12). `TopKTopPSampler` in
/// `vllm/v1/sample/ops/topk_topp_sampler.py`.
const SAMPLER_BYTES_PER_LOGIT: u64 = 30;

/// CUDA modules, cuBLAS and attention workspaces: what vLLM logs as non-torch memory on one GPU is 0.1 to 0.3 GB, and
/// 0.19 GB is what the KV block count of Llama-2-7B on one H100 leaves.
const LIBRARY_BYTES: u64 = 190_000_000;

/// Buffers of NCCL channels and of the custom all-reduce: what the KV block counts of three models on two and four H100
/// leave beside the other terms is 0.45 to 0.50 GB.
const COMMUNICATOR_BYTES: u64 = 480_000_000;

/// Memory that no tensor accounts for, per GPU.
pub(super) fn overhead_bytes(parallelism: Parallelism) -> u64 {
    LIBRARY_BYTES + if parallelism.gpus() > 1 { COMMUNICATOR_BYTES } else { 0 }
}

/// Activations at the peak of the largest step, per GPU of the stage that holds `range`.
pub(super) fn activation_bytes(
    model: &ModelSpec,
    parallelism: Parallelism,
    options: MemoryOptions,
    range: LayerRange,
    slices: &[LayerSpec],
) -> u64 {
    let rows = u64::from(options.max_num_batched_tokens);
    let hidden = u64::from(model.hidden_size);
    // Routed experts also see the rows of the other data-parallel ranks.
    let expert_rows = rows * u64::from(parallelism.data_parallel_size);
    let widest = slices
        .iter()
        .map(|layer| (rows * mixer_width(&layer.mixer)).max(feed_forward_elements(layer, rows, expert_rows, hidden)))
        .max()
        .unwrap_or(0);
    // The residual stream and the normed input of the layer stay alive beside it.
    let forward = (2 * rows * hidden + widest) * ACTIVATION_BYTES;
    if (range.end as usize) < model.layers.len() {
        return forward;
    }
    let sampled = u64::from(options.max_num_seqs).min(rows);
    // Logits are gathered: each tensor-parallel rank samples over the whole vocabulary.
    let vocab = u64::from(vocab_per_gpu(model, parallelism) * parallelism.tensor_parallel_size);
    let sampling = sampled * vocab * SAMPLER_BYTES_PER_LOGIT + rows * hidden * ACTIVATION_BYTES;
    forward.max(sampling)
}

/// Elements per row that are alive at once inside a mixer: its projections, and the mixed values.
fn mixer_width(mixer: &Mixer) -> u64 {
    let width = match mixer {
        Mixer::Attention(Attention { query_heads, kv_heads, head_dim, .. }) => 2 * (query_heads + kv_heads) * head_dim,
        Mixer::Latent(latent) => {
            let keys = latent.heads * (latent.qk_nope_head_dim + latent.qk_rope_head_dim);
            2 * keys + 2 * latent.heads * latent.v_head_dim
        }
        Mixer::StateSpace(StateSpace { kind, d_inner, d_state, .. }) => match kind {
            StateSpaceKind::Mamba1 { .. } => 4 * d_inner,
            StateSpaceKind::Mamba2 { groups, .. } => 4 * d_inner + 4 * groups * d_state,
        },
        Mixer::None => 0,
    };
    u64::from(width)
}

/// Elements that are alive at once inside a feed-forward part, all rows.
fn feed_forward_elements(layer: &LayerSpec, rows: u64, expert_rows: u64, hidden: u64) -> u64 {
    match &layer.feed_forward {
        FeedForward::Dense(ffn) => rows * u64::from(ffn.intermediate_size) * if ffn.gated { 3 } else { 2 },
        FeedForward::Experts(ffn) => {
            // `fused_experts` in vLLM: one buffer for the first product and the third, one for the activation.
            let inner = u64::from(ffn.intermediate_size);
            let first = inner * if ffn.gated { 2 } else { 1 };
            expert_rows * (u64::from(ffn.top_k) * (first.max(hidden) + inner) + hidden)
        }
        FeedForward::None => 0,
    }
}
