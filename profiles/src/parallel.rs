//! How a model is spread over devices, and in which number formats it runs.

mod precision;
mod split;

pub use precision::{DType, Precision};

use serde::{Deserialize, Serialize};

/// How one replica is spread over devices (vLLM's names).
///
/// Query heads, feed-forward widths and the vocabulary are cut among the `tensor_parallel_size` GPUs; key/value heads
/// too, until each GPU holds one, and from there on they are replicated. MLA's latent is replicated. Data-parallel ranks
/// hold a copy of everything but the experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parallelism {
    /// GPUs that share every layer.
    pub tensor_parallel_size: u32,
    /// Stages that hold contiguous layers.
    pub pipeline_parallel_size: u32,
    /// Data-parallel ranks that share the experts when `enable_expert_parallel` is on.
    pub data_parallel_size: u32,
    /// Whether experts are spread over all tensor- and data-parallel ranks instead of being sliced.
    pub enable_expert_parallel: bool,
}

impl Default for Parallelism {
    /// One GPU.
    fn default() -> Self {
        Self::tensor(1)
    }
}

impl Parallelism {
    /// Tensor parallelism alone.
    pub fn tensor(tensor_parallel_size: u32) -> Self {
        Self { tensor_parallel_size, pipeline_parallel_size: 1, data_parallel_size: 1, enable_expert_parallel: false }
    }

    /// GPUs of one replica, all data-parallel ranks included.
    pub fn gpus(&self) -> u32 {
        self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size
    }

    /// Ranks among which a layer's routed experts are divided whole; 1 if they are sliced instead.
    pub fn expert_ranks(&self) -> u32 {
        if self.enable_expert_parallel { self.tensor_parallel_size * self.data_parallel_size } else { 1 }
    }

    /// Key/value heads that each GPU holds of a layer with `kv_heads`: never less than one (vLLM's rule).
    pub fn kv_heads_per_gpu(&self, kv_heads: u32) -> u32 {
        (kv_heads / self.tensor_parallel_size).max(1)
    }
}
