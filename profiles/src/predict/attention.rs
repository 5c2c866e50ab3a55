//! Attention from measured kernels.
//!
//! A predictor is built once from the rows of a table and compiled for the heads of a layer, which are fixed, into a
//! look-up by what changes from step to step. At every node of a grid over these variables the look-up holds the time
//! that was measured, or that neighbouring shapes suggest: a physical base (kept beside each kernel: tiles, streams of
//! bytes, launch) times a correction kriged from the measured ratios of the nearest shapes of the same head size, window
//! and formats. Between nodes, times are interpolated along the natural variables, which follows `a + b·x` laws exactly
//! where a logarithmic interpolation would overestimate; what the base knows of tiles is not smoothed.
//!
//! Beyond the measured range the base goes on from the edge without a jump, and the time counts as extrapolated. No
//! predicted time falls below the datasheet's roofline, except as far as measured neighbours do: small kernels that are
//! repeated on the same operands find them in the L2 cache.

mod bounds;
mod decode;
mod grid;
mod kriging;
mod mixed;
mod mixed_form;
mod prefill;
mod ragged;
mod tiles;

pub use decode::{DecodePredictor, DecodeTimes};
pub use mixed::{MixedPredictor, MixedTimes};
pub use mixed_form::{MixedForm, TileKernel};
pub use prefill::{PrefillPredictor, PrefillTimes};
pub use ragged::RaggedFactor;

use crate::cost::Evidence;
use crate::device::DeviceSpec;
use crate::parallel::DType;

/// Nearest measured shape, in correlation lengths, from which a time still counts as measured.
const REACH: f64 = 1.0;
/// Tokens that a thread block of a prefill kernel takes from the KV cache at a time.
const KEY_BLOCK: f64 = 128.0;

/// What is fixed about the attention of a layer on one GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadShape {
    /// Query heads on this GPU (≥ 1).
    pub query_heads: u32,
    /// KV heads on this GPU (≥ 1).
    pub kv_heads: u32,
    /// Elements of a head (≥ 1).
    pub head_dim: u32,
    /// Sliding window in tokens; 0: none.
    pub window: u32,
    /// Format of queries and of the products.
    pub activations: DType,
    /// Format of the KV cache.
    pub kv_cache: DType,
}

/// A predicted time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// Nanoseconds.
    pub ns: f64,
    /// What it stands on.
    pub evidence: Evidence,
}

/// Where the KV cache of generating requests lies when a layer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residency {
    /// As in the measurement, which finds a small cache in L2 after the first repetition.
    AsMeasured,
    /// In device memory, as in a serving step: every layer's weights and caches push out those of the layer before.
    DeviceMemory,
}

/// Head size, window and formats, among which nothing is interpolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Family {
    head_dim: u32,
    window: u32,
    activations: DType,
    kv_cache: DType,
}

impl HeadShape {
    fn family(self) -> Family {
        let Self { head_dim, window, activations, kv_cache, .. } = self;
        Family { head_dim, window, activations, kv_cache }
    }

    fn queries(self) -> f64 {
        f64::from(self.query_heads)
    }

    fn keys(self) -> f64 {
        f64::from(self.kv_heads)
    }

    fn dim(self) -> f64 {
        f64::from(self.head_dim)
    }

    /// Query heads per KV head.
    fn group(self) -> f64 {
        self.queries() / self.keys()
    }

    /// Bytes of keys and values of a token.
    fn cache_bytes(self) -> f64 {
        2.0 * self.keys() * self.dim() * self.kv_cache.bytes_per_element()
    }

    /// Floating-point operations for a query and a key that it sees.
    fn flops_per_pair(self) -> f64 {
        4.0 * self.queries() * self.dim()
    }

    /// The largest number of keys that one query sees.
    fn visible(self) -> f64 {
        if self.window == 0 { f64::INFINITY } else { f64::from(self.window) }
    }
}

/// What the predictors take from a datasheet.
#[derive(Clone, Copy, Debug)]
struct Peaks {
    sms: f64,
    l2_bytes: f64,
    ns_per_flop: f64,
    ns_per_byte: f64,
}

impl Peaks {
    /// `activations` may be a format for which the device has no peak of its own: bf16 stands in, which runs at least as
    /// long.
    fn of(device: &DeviceSpec, activations: DType) -> Self {
        Self {
            sms: f64::from(device.sms),
            l2_bytes: device.l2_bytes as f64,
            ns_per_flop: 1e9 / device.peak_ops(activations).unwrap_or(device.bf16_flops),
            ns_per_byte: 1e9 / device.memory_bandwidth,
        }
    }

    fn roofline_ns(&self, flops: f64, bytes: f64) -> f64 {
        (flops * self.ns_per_flop).max(bytes * self.ns_per_byte)
    }
}

fn evidence(measured: bool) -> Evidence {
    if measured { Evidence::Measured } else { Evidence::Extrapolated }
}
