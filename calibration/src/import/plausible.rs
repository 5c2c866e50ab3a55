//! The least time a shape can take by the datasheet, to find times in a wrong unit.

use profiles::table::{
    CollectiveOperation, CollectiveRow, DecodeAttentionRow, ElementwiseRow, ExpertsRow, GemmRow, MixedAttentionRow,
    PassPhase, PassRow, PrefillAttentionRow, Row,
};
use profiles::{DType, DeviceSpec, ModelSpec};

/// Microseconds in a second.
const MICROS: f64 = 1e6;

/// A kernel whose least time the datasheet tells.
pub(super) trait Floor: Row {
    /// Least time in microseconds at the datasheet's peaks: of the products, or of the bytes if they cannot lie in the L2
    /// cache. 0 where nothing can be said.
    fn floor_us(&self, device: &DeviceSpec) -> f64;
}

fn compute_us(flops: f64, activations: DType, device: &DeviceSpec) -> f64 {
    flops / device.peak_ops(activations).unwrap_or(device.bf16_flops) * MICROS
}

/// Caches of the GPU can be several times as fast as its memory, so bytes that may lie there say nothing.
fn memory_us(bytes: f64, device: &DeviceSpec) -> f64 {
    if bytes > 4.0 * device.l2_bytes as f64 { bytes / device.memory_bandwidth * MICROS } else { 0.0 }
}

impl Floor for GemmRow {
    fn floor_us(&self, device: &DeviceSpec) -> f64 {
        compute_us(2.0 * f64::from(self.m) * f64::from(self.n) * f64::from(self.k), self.activations, device)
    }
}

/// Pairs of a query and a key that `new` tokens after `context` cached ones need, with a window or without (0).
fn pairs(new: f64, context: f64, window: f64) -> f64 {
    let all = new * context + new * (new + 1.0) / 2.0;
    if window > 0.0 { all.min(new * window) } else { all }
}

impl Floor for PrefillAttentionRow {
    fn floor_us(&self, device: &DeviceSpec) -> f64 {
        let pairs = pairs(self.new_tokens.into(), self.context_tokens.into(), self.window.into());
        let flops = 4.0 * f64::from(self.head_dim) * f64::from(self.query_heads) * f64::from(self.requests) * pairs;
        compute_us(flops, self.activations, device)
    }
}

impl Floor for DecodeAttentionRow {
    fn floor_us(&self, device: &DeviceSpec) -> f64 {
        let bytes = 2.0 * f64::from(self.kv_heads) * f64::from(self.head_dim) * self.kv_cache.bytes_per_element();
        let seen = self.context_tokens as f64;
        let window = f64::from(self.window) * f64::from(self.requests);
        memory_us(bytes * if self.window > 0 { seen.min(window) } else { seen }, device)
    }
}

impl Floor for MixedAttentionRow {
    fn floor_us(&self, device: &DeviceSpec) -> f64 {
        let pairs = pairs(self.new_tokens.into(), self.prefill_context_tokens.into(), self.window.into());
        let flops =
            4.0 * f64::from(self.head_dim) * f64::from(self.query_heads) * f64::from(self.prefill_requests) * pairs;
        compute_us(flops, self.activations, device)
    }
}

impl Floor for ExpertsRow {
    fn floor_us(&self, device: &DeviceSpec) -> f64 {
        // Two matrices at least; a gated network has three. Ranks that hold few experts may get none of the rows, so only
        // those that hold all of them tell anything.
        if self.local_experts < self.experts {
            return 0.0;
        }
        let rows = f64::from(self.tokens) * f64::from(self.top_k);
        let flops = 4.0 * rows * f64::from(self.hidden_size) * f64::from(self.intermediate_size);
        compute_us(flops, self.activations, device)
    }
}

impl Floor for ElementwiseRow {
    fn floor_us(&self, device: &DeviceSpec) -> f64 {
        memory_us(self.bytes as f64, device)
    }
}

impl Floor for CollectiveRow {
    fn floor_us(&self, device: &DeviceSpec) -> f64 {
        // What each rank receives at least, whatever the algorithm.
        let (ranks, bytes) = (f64::from(self.ranks), self.bytes as f64);
        let received = match self.operation {
            CollectiveOperation::AllReduce | CollectiveOperation::PointToPoint => bytes,
            CollectiveOperation::AllGather | CollectiveOperation::ReduceScatter | CollectiveOperation::AllToAll => {
                bytes * (ranks - 1.0) / ranks
            }
        };
        received / device.peer_bandwidth * MICROS
    }
}

impl Floor for PassRow {
    fn floor_us(&self, device: &DeviceSpec) -> f64 {
        let Ok(model) = ModelSpec::shipped(&self.model) else { return 0.0 };
        let active = model.active_parameters().total() as f64;
        let gpus = f64::from(self.tensor_parallel_size);
        match self.phase {
            PassPhase::Prompt => {
                let tokens = f64::from(self.requests) * f64::from(self.new_tokens);
                compute_us(2.0 * active * tokens / gpus, DType::Bf16, device)
            }
            PassPhase::Token => memory_us(active * self.weights.bytes_per_element() / gpus, device),
        }
    }
}
