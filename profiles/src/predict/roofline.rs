//! What a device could reach at best.

use crate::cost::Evidence;
use crate::device::DeviceSpec;
use crate::parallel::DType;
use crate::table::Scaling;

/// Nanoseconds per second.
const NS_PER_S: f64 = 1e9;

/// Number formats of a product's operands, and how narrow ones are scaled: kernels of one format do not speak for
/// those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperandFormat {
    /// Format of the weights.
    pub weights: DType,
    /// Format of the activations.
    pub activations: DType,
    /// How narrow operands are scaled.
    pub scaling: Scaling,
}

/// Why a table cannot be predicted from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The device has no tensor cores for the activations that the table names.
    #[error("the table has products with {activations:?} activations, for which {device} has no tensor cores")]
    NoPeak {
        /// Name of the device.
        device: String,
        /// The activations.
        activations: DType,
    },
    /// A routing that is none of those that tables may name.
    #[error(
        "`{routing}` is no routing; use `balanced`, `uniform`, `power_law_S` or `zipf_S` with an exponent S of 0 or more, or `touched`"
    )]
    UnknownRouting {
        /// The name.
        routing: String,
    },
    /// Rows say that only the number of touched experts is known, and do not give it.
    #[error("a row for {tokens} tokens has the routing `touched` but no number of touched experts")]
    NotTouched {
        /// Tokens of the row.
        tokens: u32,
    },
    /// More experts on a GPU than the layer has.
    #[error("a row has {local} experts on the GPU, more than the {experts} of the layer")]
    TooManyExperts {
        /// Experts on the GPU.
        local: u32,
        /// Experts of the layer.
        experts: u32,
    },
}

/// Datasheet ceilings for one format of operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roofline {
    /// Nanoseconds per floating-point operation at the tensor peak.
    pub(super) ns_per_flop: f64,
    /// Nanoseconds per byte at the bandwidth of device memory.
    pub(super) ns_per_byte: f64,
    /// Bytes per element of weights and of activations.
    pub(super) weight_bytes: f64,
    pub(super) activation_bytes: f64,
    pub(super) sms: f64,
    pub(super) l2_bytes: f64,
}

impl Roofline {
    pub(super) fn new(format: OperandFormat, device: &DeviceSpec) -> Result<Self, PredictError> {
        let no_peak = || PredictError::NoPeak { device: device.name.clone(), activations: format.activations };
        Ok(Self {
            ns_per_flop: NS_PER_S / device.peak_ops(format.activations).ok_or_else(no_peak)?,
            ns_per_byte: NS_PER_S / device.memory_bandwidth,
            weight_bytes: format.weights.bytes_per_element(),
            activation_bytes: format.activations.bytes_per_element(),
            sms: f64::from(device.sms),
            l2_bytes: device.l2_bytes as f64,
        })
    }

    /// No kernel that reads its operands from device memory can be faster, in nanoseconds.
    pub(super) fn bound_ns(&self, flops: f64, bytes: f64) -> f64 {
        (flops * self.ns_per_flop).max(bytes * self.ns_per_byte)
    }
}

/// A measured time that a bound for cold operands raises by more than this part stands on that bound.
const CORRECTED: f64 = 0.03;

/// A time that was `measured`, or else extrapolated, held to a bound that cold operands set.
pub(super) fn held_to(bound_ns: f64, ns: f64, measured: bool) -> (f64, Evidence) {
    let evidence = match measured {
        true if bound_ns > ns * (1.0 + CORRECTED) => Evidence::Fitted,
        true => Evidence::Measured,
        false => Evidence::Extrapolated,
    };
    (ns.max(bound_ns), evidence)
}

/// Where the weights of a product lie when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    /// Where the benchmark left them. Tables that time a kernel over and over on the same buffers find small weights in
    /// the L2 cache, and such kernels are faster than device memory allows.
    AsMeasured,
    /// In device memory, as in a serving step, where all other layers' weights have passed through the cache since.
    Cold,
}
