//! Attention of generating requests.

use super::fast;
use super::feature::{Feature, Point};
use super::prefill::Heads;
use super::surface::{Sheet, Surface};
use crate::device::DeviceSpec;

const NS_PER_S: f64 = 1e9;
/// Bytes of activations: 16 bits.
const ACTIVATION_BYTES: f64 = 2.0;

impl Heads {
    /// The features that a surface of decode attention may have.
    pub const DECODE_FEATURES: [Feature; 5] =
        [Feature::Context, Feature::RequestHeads, Feature::HeadDim, Feature::Group, Feature::KvHeads];

    /// Bytes that decode attention of `requests` requests reads and writes, which attend to `keys` tokens in all.
    pub fn decode_bytes(&self, requests: f64, keys: f64) -> f64 {
        keys * 2.0 * self.kv * self.dim * self.kv_bytes + requests * 2.0 * self.query * self.dim * ACTIVATION_BYTES
    }

    /// What the correction of decode attention is applied to, in nanoseconds: the floor, and all bytes at the peak
    /// bandwidth.
    pub fn decode_base_ns(&self, requests: f64, keys: f64, floor_ns: f64, device: &DeviceSpec) -> f64 {
        floor_ns + self.decode_bytes(requests, keys) / device.memory_bandwidth * NS_PER_S
    }

    /// What the correction of decode attention depends on.
    pub fn decode_point(&self, requests: f64, keys: f64) -> Point {
        self.fixed_point().with(Feature::Context, keys / requests).with(Feature::RequestHeads, requests * self.kv)
    }
}

/// Decode attention compiled for the heads of a layer.
#[derive(Clone, Debug)]
pub(crate) struct CompiledDecode {
    floor_ns: f64,
    ns_per_request: f64,
    ns_per_key: f64,
    kv_heads_log2: f64,
    surface: Sheet,
}

impl CompiledDecode {
    pub(crate) fn new(heads: Heads, floor_ns: f64, surface: &Surface, device: &DeviceSpec) -> Self {
        let fixed = surface.fix(&heads.fixed_point(), &[Feature::Context, Feature::RequestHeads]);
        Self {
            floor_ns,
            ns_per_request: heads.decode_base_ns(1.0, 0.0, 0.0, device),
            ns_per_key: heads.decode_base_ns(0.0, 1.0, 0.0, device),
            kv_heads_log2: heads.kv.log2(),
            surface: fixed.sheet(Feature::Context, Feature::RequestHeads),
        }
    }

    #[inline]
    pub(crate) fn time_ns(&self, requests: f64, keys: f64) -> f64 {
        let base = self.floor_ns + requests * self.ns_per_request + keys * self.ns_per_key;
        // The logarithm of a quotient is a difference of logarithms.
        let requests_log2 = fast::log2(requests);
        let correction = self.surface.at(fast::log2(keys) - requests_log2, requests_log2 + self.kv_heads_log2);
        base * fast::exp(correction)
    }
}
