//! What a fitted profile holds.

use serde::{Deserialize, Serialize};

use super::surface::Surface;
use crate::parallel::DType;
use crate::table::Scaling;

/// Number formats that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelFormat {
    /// 16 bits.
    Bf16,
    /// 8-bit floating point with a scale per tensor or channel; the KV cache of attention in 8 bits.
    Fp8,
    /// 8-bit floating point with a scale per block of 128 × 128 weights and 1 × 128 activations.
    Fp8Block,
}

impl KernelFormat {
    /// The format of a product of these; `None`: one that profiles do not fit.
    pub fn of_product(weights: DType, activations: DType, scaling: Scaling) -> Option<Self> {
        match (weights, activations, scaling) {
            (DType::Bf16, DType::Bf16, _) => Some(Self::Bf16),
            (DType::Fp8, DType::Fp8, Scaling::Block) => Some(Self::Fp8Block),
            (DType::Fp8, DType::Fp8, _) => Some(Self::Fp8),
            _ => None,
        }
    }

    /// The format of attention over such a KV cache.
    pub fn of_cache(kv_cache: DType) -> Option<Self> {
        match kv_cache {
            DType::Bf16 => Some(Self::Bf16),
            DType::Fp8 => Some(Self::Fp8),
            DType::Int8 | DType::Int4 => None,
        }
    }

    /// What an operand is made of.
    pub fn element(self) -> DType {
        match self {
            Self::Bf16 => DType::Bf16,
            Self::Fp8 | Self::Fp8Block => DType::Fp8,
        }
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bf16 => "bf16",
            Self::Fp8 => "fp8",
            Self::Fp8Block => "fp8_block",
        }
    }
}

/// How far a fit is from its table, as relative errors of time in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitError {
    /// Median of the absolute errors.
    pub median: f64,
    /// Their 95th percentile.
    pub p95: f64,
    /// Median of the signed errors.
    pub bias: f64,
    /// Mean of the signed errors.
    pub mean: f64,
}

/// A kind of kernel in one number format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedKernel {
    /// The number format.
    pub format: KernelFormat,
    /// Time of the shortest kernels in microseconds.
    pub floor_us: f64,
    /// Where the rows come from.
    pub source: String,
    /// Rows fitted.
    pub rows: u64,
    /// Rows of the tables that were left out, by reason.
    #[serde(default)]
    pub left_out: String,
    /// How far the fit is from the rows fitted.
    pub error_percent: FitError,
    /// The natural logarithm of the correction.
    pub surface: Surface,
}

/// Small kernels: `kernels · kernel_us + bytes ÷ (memory · bandwidth)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElementwiseFit {
    /// Time of a kernel on few bytes in microseconds.
    pub kernel_us: f64,
    /// Part of the memory bandwidth reached; above 1 where kernels find in the L2 what the one before wrote.
    pub memory: f64,
    /// Where it comes from, and its error.
    pub source: String,
}

/// `latency + us_per_doubling · log₂(ranks ÷ 2) + second_phase · min(1, bytes ÷ second_phase_bytes) + 2·(ranks − 1)/ranks ·
/// bytes ÷ (efficiency · bandwidth)`. Short messages are summed by every GPU at once; longer ones take a second phase, in
/// which the GPUs that summed a part hand it to the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllReduceFit {
    /// Time of a message of few bytes between two GPUs in microseconds.
    pub latency_us: f64,
    /// Added with every doubling of the GPUs.
    pub us_per_doubling: f64,
    /// Part of the link's bandwidth reached by 2, 4 and 8 GPUs; the last holds beyond.
    pub efficiency: [f64; 3],
    /// What the second phase adds between 2, 4 and 8 GPUs in microseconds; the last holds beyond.
    #[serde(default)]
    pub second_phase_us: [f64; 3],
    /// Bytes from which it does so in full.
    #[serde(default)]
    pub second_phase_bytes: f64,
    /// Where it comes from, and its error.
    pub source: String,
}

/// `floor + bytes sent ÷ (efficiency · bandwidth)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllToAllFit {
    /// Time of a message of few bytes in microseconds.
    pub floor_us: f64,
    /// Part of the link's bandwidth reached.
    pub efficiency: f64,
    /// Where it comes from, and its error.
    pub source: String,
}

/// Power above idle of one kind of kernel, in parts of the range between idle and the board limit:
/// `busy + flops · (FLOP rate ÷ peak) + memory · (byte rate ÷ bandwidth)`, at most 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelEnergy {
    /// Drawn while the kernel runs.
    pub busy: f64,
    /// Added at the peak FLOP rate of the number format.
    pub flops: f64,
    /// Added at the peak memory bandwidth.
    pub memory: f64,
}

/// Power above idle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnergyFit {
    /// Matrix products, and what has no coefficients of its own.
    pub gemm: KernelEnergy,
    /// Prefill attention.
    pub prefill_attention: KernelEnergy,
    /// Decode attention.
    pub decode_attention: KernelEnergy,
    /// Routed experts.
    pub experts: KernelEnergy,
    /// Where it comes from, and its error.
    pub source: String,
}

/// What kernels take on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedProfile {
    /// The device, by the name of its file.
    pub device: String,
    /// Day of the fit, `YYYY-MM-DD`.
    pub date: String,
    /// Matrix products.
    #[serde(default)]
    pub gemm: Vec<FittedKernel>,
    /// Prefill attention.
    #[serde(default)]
    pub prefill_attention: Vec<FittedKernel>,
    /// Decode attention.
    #[serde(default)]
    pub decode_attention: Vec<FittedKernel>,
    /// Routed experts.
    #[serde(default)]
    pub experts: Vec<FittedKernel>,
    /// Small kernels.
    pub elementwise: Option<ElementwiseFit>,
    /// All-reduce.
    pub all_reduce: Option<AllReduceFit>,
    /// All-to-all.
    pub all_to_all: Option<AllToAllFit>,
    /// Power.
    pub energy: Option<EnergyFit>,
}

impl FittedProfile {
    /// The first of these formats that a kind of kernel was fitted in.
    pub(crate) fn first<'a>(kernels: &'a [FittedKernel], formats: &[KernelFormat]) -> Option<&'a FittedKernel> {
        formats.iter().find_map(|format| kernels.iter().find(|kernel| kernel.format == *format))
    }
}
