//! Times that a device cannot have reached.

use super::KernelsError;
use crate::device::DeviceSpec;
use crate::parallel::DType;
use crate::table::{
    CollectiveRow, DecodeAttentionRow, ElementwiseRow, ExpertsRow, GemmRow, MixedAttentionRow, PrefillAttentionRow,
    Row, StateSpaceRow, TableWarning,
};

/// A row that is faster than this many times the tensor peak is wrong.
const FASTER_THAN_PEAK: f64 = 1.2;

/// If this share of a table is faster than the peak, its unit is wrong.
const WRONG_UNIT_SHARE: f64 = 0.05;

/// If half the rows take this many times as long as the roofline and a launch have it, the unit is wrong.
const TOO_SLOW: f64 = 300.0;

/// What a launch takes at most, in microseconds: kernels that do nothing are not held against the roofline.
const LAUNCH_US: f64 = 30.0;

/// The same for small kernels and collectives, whose tables hold no launches of a framework.
const SHORT_LAUNCH_US: f64 = 5.0;

/// No kernel is shorter, in microseconds.
const SHORTEST_US: f64 = 0.3;

/// A row whose work is known.
pub(super) trait Work: Row + Clone {
    /// Floating-point operations and their format.
    fn flops(&self) -> (f64, DType);

    /// Bytes from memory, at least.
    fn bytes(&self) -> f64;

    /// What a kernel of this kind can take on top of its FLOPs and bytes, in microseconds.
    fn launch_us(&self) -> f64 {
        LAUNCH_US
    }

    /// Bytes that travel over links.
    fn link_bytes(&self) -> f64 {
        0.0
    }
}

impl Work for ElementwiseRow {
    fn flops(&self) -> (f64, DType) {
        (0.0, DType::Bf16)
    }

    fn bytes(&self) -> f64 {
        self.bytes as f64
    }

    fn launch_us(&self) -> f64 {
        SHORT_LAUNCH_US
    }
}

impl Work for CollectiveRow {
    fn flops(&self) -> (f64, DType) {
        (0.0, DType::Bf16)
    }

    fn bytes(&self) -> f64 {
        0.0
    }

    fn launch_us(&self) -> f64 {
        SHORT_LAUNCH_US * f64::from(self.servers)
    }

    fn link_bytes(&self) -> f64 {
        self.bytes as f64
    }
}

impl Work for StateSpaceRow {
    fn flops(&self) -> (f64, DType) {
        (0.0, DType::Bf16)
    }

    fn bytes(&self) -> f64 {
        // Inputs and outputs of the mixer, 16 bits wide.
        4.0 * f64::from(self.tokens) * f64::from(self.d_inner)
    }
}

impl Work for GemmRow {
    fn flops(&self) -> (f64, DType) {
        (2.0 * f64::from(self.m) * f64::from(self.n) * f64::from(self.k), self.activations)
    }

    fn bytes(&self) -> f64 {
        f64::from(self.n) * f64::from(self.k) * self.weights.bytes_per_element()
    }
}

/// FLOPs of attention over so many pairs of a query and a key.
fn attention_flops(pairs: f64, query_heads: u32, head_dim: u32) -> f64 {
    4.0 * pairs * f64::from(query_heads) * f64::from(head_dim)
}

/// Pairs of a query and a key that it sees, of pieces with a causal mask and perhaps a window.
fn causal_pairs(requests: u32, new_tokens: u32, context_tokens: u32, window: u32) -> f64 {
    let (new, context) = (f64::from(new_tokens), f64::from(context_tokens));
    let all = new * context + new * (new + 1.0) / 2.0;
    let seen = if window > 0 { all.min(new * f64::from(window)) } else { all };
    // A window that the prompt grows into is seen in part: half is a bound that no prompt goes below.
    f64::from(requests) * if window > 0 { seen / 2.0 } else { seen }
}

impl Work for PrefillAttentionRow {
    fn flops(&self) -> (f64, DType) {
        let pairs = causal_pairs(self.requests, self.new_tokens, self.context_tokens, self.window);
        (attention_flops(pairs, self.query_heads, self.head_dim), self.activations)
    }

    fn bytes(&self) -> f64 {
        0.0
    }
}

impl Work for DecodeAttentionRow {
    fn flops(&self) -> (f64, DType) {
        let seen = if self.window > 0 {
            (self.context_tokens).min(u64::from(self.requests) * u64::from(self.window))
        } else {
            self.context_tokens
        };
        (attention_flops(seen as f64, self.query_heads, self.head_dim), self.activations)
    }

    fn bytes(&self) -> f64 {
        let context = if self.window > 0 { 0.0 } else { self.context_tokens as f64 };
        2.0 * context * f64::from(self.kv_heads) * f64::from(self.head_dim) * self.kv_cache.bytes_per_element()
    }
}

impl Work for MixedAttentionRow {
    fn flops(&self) -> (f64, DType) {
        let pairs = causal_pairs(self.prefill_requests, self.new_tokens, self.prefill_context_tokens, self.window);
        (attention_flops(pairs, self.query_heads, self.head_dim), self.activations)
    }

    fn bytes(&self) -> f64 {
        0.0
    }
}

impl Work for ExpertsRow {
    fn flops(&self) -> (f64, DType) {
        // Without a gate there are two matrices; at least one row must have reached this GPU for the kernel to be timed.
        let choices = f64::from(self.tokens) * f64::from(self.top_k);
        let assigned = choices * f64::from(self.local_experts) / f64::from(self.experts);
        let skewed = if self.local_experts == self.experts { 1.0 } else { 0.25 };
        let per_row = 4.0 * f64::from(self.hidden_size) * f64::from(self.intermediate_size);
        (assigned * skewed * per_row, self.activations)
    }

    fn bytes(&self) -> f64 {
        0.0
    }
}

/// The rows that the device can have reached; what is left out is counted in a warning.
///
/// Only FLOPs are held against the datasheet from below: bytes may come from caches.
pub(super) fn keep<R: Work>(
    rows: &[R],
    device: &DeviceSpec,
    file: &str,
    warnings: &mut Vec<TableWarning>,
) -> Result<Vec<R>, KernelsError> {
    let mut kept = Vec::with_capacity(rows.len());
    let mut too_fast: Option<String> = None;
    let mut count = 0_u32;
    let mut slow = 0;
    for row in rows {
        let (flops, dtype) = row.flops();
        // A device without tensor cores for a format computes in 16 bits.
        let peak = device.peak_ops(dtype).unwrap_or(device.bf16_flops);
        let least_us = (flops / peak * 1e6).max(SHORTEST_US);
        let time_us = row.timing().time_us;
        if time_us * FASTER_THAN_PEAK < least_us {
            count += 1;
            too_fast.get_or_insert_with(|| {
                format!(
                    "{} in {time_us} us, but at the peak of {} it takes {least_us:.3} us",
                    row.shape().join(","),
                    device.name
                )
            });
        } else {
            kept.push(row.clone());
        }
        let memory_us = row.bytes() / device.memory_bandwidth * 1e6;
        let link_us = row.link_bytes() / device.peer_bandwidth * 1e6;
        slow += usize::from(time_us > TOO_SLOW * (least_us.max(memory_us).max(link_us) + row.launch_us()));
    }
    let wrong_unit = |problem| Err(KernelsError::Unit { file: file.to_string(), problem });
    if let Some(first) = too_fast {
        if f64::from(count) > WRONG_UNIT_SHARE * rows.len() as f64 {
            return wrong_unit(format!(
                "{count} of {} rows are faster than the device can be (first: {first})",
                rows.len()
            ));
        }
        let problem = format!("{count} rows are faster than the device can be and are left out (first: {first})");
        warnings.push(TableWarning { file: file.to_string(), count: u64::from(count), problem });
    }
    if 2 * slow > rows.len() {
        return wrong_unit(format!(
            "{slow} of {} rows take {TOO_SLOW} times as long as the device's peaks have it",
            rows.len()
        ));
    }
    Ok(kept)
}
