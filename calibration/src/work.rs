//! Rows of kernel tables as the work that profiles price.

use profiles::DeviceSpec;
use profiles::fitted::{ExpertsLoad, ExpertsShape, FittedKernel, GemmShape, Heads, KernelFormat, Point, PromptWork};
use profiles::table::{DecodeAttentionRow, ExpertsRow, GemmRow, PrefillAttentionRow};

use crate::fit::experts_load;

/// Columns and inner products of a product below which profiles are not fitted: a matrix of 256 × 256 is read in a
/// hundredth of the time that its kernel takes to start.
const SMALLEST_MATRIX: u32 = 256;
/// Tokens of a piece, or of a context, below which attention takes the time of its launch.
const FEWEST_TOKENS: u32 = 16;
/// Widths of an expert below this, or no multiple of 16, are cut finer than tensor cores take.
const NARROWEST_EXPERT: u32 = 64;
const ALIGNED_EXPERT: u32 = 16;

/// A kernel's work on one GPU.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// A product of `m` rows.
    Gemm { shape: GemmShape, m: f64 },
    /// Attention of prompt pieces.
    Prefill { heads: Heads, work: PromptWork },
    /// Attention of generating requests.
    Decode { heads: Heads, requests: f64, keys: f64 },
    /// Routed experts.
    Experts { shape: ExpertsShape, load: ExpertsLoad },
}

impl Work {
    /// What a correction is applied to, in nanoseconds.
    pub(crate) fn base_ns(&self, floor_ns: f64, device: &DeviceSpec) -> f64 {
        match self {
            Self::Gemm { shape, m } => shape.base_ns(*m, floor_ns, device),
            Self::Prefill { heads, work } => heads.prefill_base_ns(work, floor_ns, device),
            Self::Decode { heads, requests, keys } => heads.decode_base_ns(*requests, *keys, floor_ns, device),
            Self::Experts { shape, load } => shape.base_ns(load, floor_ns, device),
        }
    }

    /// What a correction depends on.
    pub(crate) fn point(&self, floor_ns: f64, device: &DeviceSpec) -> Point {
        match self {
            Self::Gemm { shape, m } => shape.point(*m, device),
            Self::Prefill { heads, work } => heads.prefill_point(work, device),
            Self::Decode { heads, requests, keys } => heads.decode_point(*requests, *keys),
            Self::Experts { shape, load } => shape.point(load, floor_ns, device),
        }
    }

    /// What a fitted profile says it takes, in microseconds.
    pub(crate) fn fitted_us(&self, kernel: &FittedKernel, device: &DeviceSpec) -> f64 {
        let floor_ns = kernel.floor_us * 1e3;
        self.base_ns(floor_ns, device) * kernel.surface.at(&self.point(floor_ns, device)).exp() * 1e-3
    }

    /// Bytes read and written.
    pub(crate) fn bytes(&self) -> f64 {
        match self {
            Self::Gemm { shape, m } => shape.bytes(*m),
            Self::Prefill { heads, work } => heads.prefill_bytes(work),
            Self::Decode { heads, requests, keys } => heads.decode_bytes(*requests, *keys),
            Self::Experts { shape, load } => shape.bytes(load),
        }
    }

    /// Seconds that its operations take at the peak of the device for their format.
    pub(crate) fn at_peak_s(&self, device: &DeviceSpec) -> f64 {
        match self {
            Self::Gemm { shape, m } => 2.0 * m * shape.n * shape.k / shape.peak,
            Self::Prefill { heads, work } => 4.0 * heads.query * heads.dim * work.pairs / device.bf16_flops,
            Self::Decode { heads, keys, .. } => 4.0 * heads.query * heads.dim * keys / device.bf16_flops,
            Self::Experts { shape, load } => 2.0 * shape.matrices * shape.hidden * shape.width * load.rows / shape.peak,
        }
    }
}

/// A row that profiles can price: its number format and work, or why not.
pub(crate) trait Priced {
    /// Its number format and work.
    ///
    /// # Errors
    ///
    /// Why profiles are not fitted to such rows.
    fn priced(&self, device: &DeviceSpec) -> Result<(KernelFormat, Work), &'static str>;
}

const OTHER_FORMAT: &str = "in a number format that is not fitted";

impl Priced for GemmRow {
    fn priced(&self, device: &DeviceSpec) -> Result<(KernelFormat, Work), &'static str> {
        let format = KernelFormat::of_product(self.weights, self.activations, self.scaling).ok_or(OTHER_FORMAT)?;
        if self.n.min(self.k) < SMALLEST_MATRIX {
            return Err("with fewer than 256 columns or inner products");
        }
        let shape = GemmShape {
            n: f64::from(self.n),
            k: f64::from(self.k),
            weight_bytes: self.weights.bytes_per_element(),
            activation_bytes: self.activations.bytes_per_element(),
            peak: device
                .peak_ops(self.activations)
                .ok_or("in a number format that the device has no tensor cores for")?,
        };
        Ok((format, Work::Gemm { shape, m: f64::from(self.m) }))
    }
}

/// Heads that profiles are fitted to.
fn heads(
    (query, kv, dim): (u32, u32, u32),
    kv_cache: profiles::DType,
    window: u32,
) -> Result<(KernelFormat, Heads), &'static str> {
    let format = KernelFormat::of_cache(kv_cache).ok_or(OTHER_FORMAT)?;
    if window > 0 {
        return Err("with a sliding window");
    }
    if !matches!(dim, 64 | 128 | 256) {
        return Err("with heads of other sizes than 64, 128 and 256");
    }
    let kv_bytes = kv_cache.bytes_per_element();
    Ok((format, Heads { query: f64::from(query), kv: f64::from(kv), dim: f64::from(dim), kv_bytes }))
}

impl Priced for PrefillAttentionRow {
    fn priced(&self, _device: &DeviceSpec) -> Result<(KernelFormat, Work), &'static str> {
        let (format, heads) = heads((self.query_heads, self.kv_heads, self.head_dim), self.kv_cache, self.window)?;
        if self.new_tokens < FEWEST_TOKENS {
            return Err("of fewer than 16 tokens");
        }
        let (new, context) = (f64::from(self.new_tokens), f64::from(self.context_tokens));
        let mut work = PromptWork::default();
        for _ in 0..self.requests {
            work.add(new, context + new, new * context + new * (new + 1.0) / 2.0, &heads);
        }
        Ok((format, Work::Prefill { heads, work }))
    }
}

impl Priced for DecodeAttentionRow {
    fn priced(&self, _device: &DeviceSpec) -> Result<(KernelFormat, Work), &'static str> {
        let (format, heads) = heads((self.query_heads, self.kv_heads, self.head_dim), self.kv_cache, self.window)?;
        let (requests, keys) = (f64::from(self.requests), self.context_tokens as f64);
        if keys / requests < f64::from(FEWEST_TOKENS) {
            return Err("of fewer than 16 tokens");
        }
        if self.longest_context_tokens as f64 > 1.01 * keys / requests {
            return Err("of unequal contexts");
        }
        Ok((format, Work::Decode { heads, requests, keys }))
    }
}

impl Priced for ExpertsRow {
    fn priced(&self, device: &DeviceSpec) -> Result<(KernelFormat, Work), &'static str> {
        let format = KernelFormat::of_product(self.weights, self.activations, self.scaling).ok_or(OTHER_FORMAT)?;
        let width = self.intermediate_size;
        if width < NARROWEST_EXPERT || !width.is_multiple_of(ALIGNED_EXPERT) {
            return Err("of experts narrower than 64 or cut to no multiple of 16");
        }
        let load = experts_load(self).ok_or("with a routing that is not known")?;
        let shape = ExpertsShape {
            hidden: f64::from(self.hidden_size),
            width: f64::from(width),
            matrices: 3.0,
            experts: f64::from(self.local_experts),
            chosen: f64::from(self.top_k),
            weight_bytes: self.weights.bytes_per_element(),
            peak: device
                .peak_ops(self.activations)
                .ok_or("in a number format that the device has no tensor cores for")?,
        };
        Ok((format, Work::Experts { shape, load }))
    }
}
