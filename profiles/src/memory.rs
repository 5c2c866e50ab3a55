//! What lies in a GPU's memory, and how much of it is left for the KV cache.

mod layout;
mod offload;
mod workspace;

use crate::device::DeviceSpec;
use crate::error::ProfileError;
use crate::model::ModelSpec;
use crate::parallel::{Parallelism, Precision};
use crate::step::LayerRange;

/// Engine settings that decide about memory (vLLM's names and defaults).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryOptions {
    /// Share of the device's memory that the engine may use, in (0, 1].
    pub gpu_memory_utilization: f64,
    /// Rows of the largest step.
    pub max_num_batched_tokens: u32,
    /// Requests of the largest step.
    pub max_num_seqs: u32,
    /// Tokens per KV block.
    pub block_size: u32,
    /// KV blocks, if they are not to be computed.
    pub num_gpu_blocks_override: Option<u64>,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            gpu_memory_utilization: 0.9,
            max_num_batched_tokens: 2048,
            max_num_seqs: 256,
            block_size: 16,
            num_gpu_blocks_override: None,
        }
    }
}

/// What lies in the memory of each GPU of one pipeline stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageMemory {
    /// The stage's layers.
    pub layers: LayerRange,
    /// Bytes that the engine may use.
    pub budget_bytes: u64,
    /// Bytes of weights.
    pub weights_bytes: u64,
    /// Bytes of activations at the peak of the largest step.
    pub activation_bytes: u64,
    /// Bytes of CUDA context, libraries and communicators.
    pub overhead_bytes: u64,
    /// Bytes of recurrent state, for `max_num_seqs` sequences.
    pub state_bytes: u64,
    /// Bytes of KV cache per token.
    pub kv_bytes_per_token: u64,
    /// KV blocks that fit; `None` if the stage has no cache.
    pub kv_blocks: Option<u64>,
}

/// What lies in the memory of a replica's GPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryPlan {
    /// By pipeline stage.
    pub stages: Vec<StageMemory>,
    /// Tokens per KV block.
    pub block_size: u32,
    /// KV blocks of each data-parallel rank: the fewest over the stages, or `num_gpu_blocks_override`.
    pub kv_blocks: u64,
    /// `kv_blocks × block_size`.
    pub kv_tokens: u64,
    /// Bytes of KV cache per token, all layers, before tensor-parallel sharding.
    pub kv_bytes_per_token: u64,
}

impl MemoryPlan {
    /// Lays `model` out on GPUs of kind `device`.
    ///
    /// # Errors
    ///
    /// If parallelism, precision or options are invalid, or weights and workspace leave no room for one KV block.
    pub fn new(
        model: &ModelSpec,
        device: &DeviceSpec,
        parallelism: Parallelism,
        precision: Precision,
        options: MemoryOptions,
    ) -> Result<Self, ProfileError> {
        parallelism.validate(model)?;
        precision.validate(device)?;
        layout::plan(model, device, parallelism, precision, options)
    }
}
