//! How a model is spread over devices, and in which number formats it runs.

/// A number format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// 16-bit floating point, `bf16` or `fp16`.
    Bf16,
    /// 8-bit floating point.
    Fp8,
    /// 8-bit integer.
    Int8,
    /// 4-bit integer with group scales; weights only.
    Int4,
}

/// Number formats of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    /// Weights as they lie in memory.
    pub weights: DType,
    /// Activations as they enter the tensor cores: decides which peak applies.
    pub activations: DType,
    /// KV cache.
    pub kv_cache: DType,
}

/// How one replica is spread over devices (vLLM's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
