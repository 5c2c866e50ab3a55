//! The work of operators whose cost depends on the number of rows alone, and what it costs on one GPU.

use super::Evidence;
use super::collectives::Collective;
use super::gemm::GemmTime;
use super::small::Elementwise;

/// Nanoseconds per microsecond, per second.
pub(super) const NS_PER_US: f64 = 1e3;
pub(super) const NS_PER_S: f64 = 1e9;

/// What an operator costs on one GPU.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    pub(super) time_ns: f64,
    /// Including rows that padding adds.
    pub(super) flops: f64,
    /// Without padding, and work that several GPUs repeat divided among them.
    pub(super) useful_flops: f64,
    /// Time that `flops` would take at the peak of their number format.
    pub(super) at_peak_ns: f64,
    pub(super) memory_bytes: f64,
    /// Weights and caches, without activations; what several GPUs hold divided among them.
    pub(super) necessary_bytes: f64,
    pub(super) link_bytes: f64,
}

/// A time and what it stands on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    pub(super) ns: f64,
    pub(super) evidence: Evidence,
}

impl Default for Timed {
    /// No time.
    fn default() -> Self {
        Self { ns: 0.0, evidence: Evidence::Measured }
    }
}

/// Times by what they stand on, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ByEvidence(pub(super) [f64; Evidence::COUNT]);

impl ByEvidence {
    #[inline]
    pub(super) fn add(&mut self, evidence: Evidence, ns: f64) {
        self.0[evidence as usize] += ns;
    }
}

/// What a time was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// Measured at this shape, or between measured neighbours.
    Measured,
    /// The curve of the operator alone.
    Curve,
    /// Measured, but with operands in caches, and corrected for that.
    Corrected,
    /// The curve, beyond what was measured.
    Beyond,
}

impl Basis {
    /// For a time that a look-up in measured points gave: whether it lies between them.
    pub(super) fn of_measured(inside: bool) -> Self {
        if inside { Self::Measured } else { Self::Beyond }
    }

    /// The evidence, where the curve alone would be `curve`.
    pub(super) fn evidence(self, curve: Evidence) -> Evidence {
        match self {
            Self::Measured => Evidence::Measured,
            Self::Curve => curve,
            Self::Corrected => Evidence::Fitted,
            Self::Beyond => Evidence::Extrapolated,
        }
    }
}

/// A matrix product `y[rows, n] = x[rows, k] · w[k, n]`, compiled for one device.
#[derive(Clone, Debug)]
pub(super) struct Gemm {
    weight_bytes: f64,
    bytes_per_row: f64,
    flops_per_row: f64,
    /// Part of the columns that counts as useful on each GPU; see [`Gemm::held_by_several`].
    useful_share: f64,
    peak_ns_per_flop: f64,
    time: GemmTime,
}

/// Bytes per element of a product's operands, and the tensor peak for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct GemmOperands {
    pub(super) weight_bytes: f64,
    pub(super) activation_bytes: f64,
    /// FLOP/s.
    pub(super) peak: f64,
}

/// Bytes of an activation between operators: 16 bits.
pub(super) const ACTIVATION_BYTES: f64 = 2.0;

impl Gemm {
    pub(super) fn new(n: f64, k: f64, operands: GemmOperands, time: GemmTime) -> Self {
        Self {
            weight_bytes: n * k * operands.weight_bytes,
            bytes_per_row: k * operands.activation_bytes + n * ACTIVATION_BYTES,
            flops_per_row: 2.0 * n * k,
            useful_share: 1.0,
            peak_ns_per_flop: NS_PER_S / operands.peak,
            time,
        }
    }

    /// The same, of whose columns only this share counts as useful work and necessary weights on each GPU, because other
    /// GPUs hold and compute the same columns: `1/r` for a product that `r` GPUs hold whole. What this GPU computes
    /// and reads stays the same.
    pub(super) fn held_by_several(self, useful_share: f64) -> Self {
        Self { useful_share, ..self }
    }

    fn load(&self, rows: u32, useful_rows: u32) -> (Load, Basis) {
        let exact_rows = f64::from(rows);
        let (time_ns, basis) = self.time.ns(rows);
        let load = Load {
            time_ns,
            flops: exact_rows * self.flops_per_row,
            useful_flops: f64::from(useful_rows) * self.flops_per_row * self.useful_share,
            at_peak_ns: exact_rows * self.flops_per_row * self.peak_ns_per_flop,
            memory_bytes: self.weight_bytes + exact_rows * self.bytes_per_row,
            necessary_bytes: self.weight_bytes * self.useful_share,
            link_bytes: 0.0,
        };
        (load, basis)
    }
}

/// Work whose cost depends on the number of rows alone.
#[derive(Clone, Debug)]
pub(super) enum RowWork {
    Gemm(Gemm),
    Elementwise(Elementwise),
    Collective(Collective),
    /// Priced per step from more than the number of rows; the kernels it launches.
    Elsewhere(f64),
}

impl RowWork {
    /// Cost for `rows` rows, `useful_rows` of which are not padding, and what its time stands on.
    pub(super) fn load(&self, rows: u32, useful_rows: u32) -> (Load, Basis) {
        match self {
            Self::Gemm(gemm) => gemm.load(rows, useful_rows),
            Self::Elementwise(elementwise) => elementwise.load(rows),
            Self::Collective(collective) => collective.load(rows),
            Self::Elsewhere(_) => (Load::default(), Basis::Curve),
        }
    }

    /// Kernels it launches.
    pub(super) fn kernels(&self) -> f64 {
        match self {
            Self::Gemm(_) | Self::Elementwise(_) | Self::Collective(_) => 1.0,
            Self::Elsewhere(kernels) => *kernels,
        }
    }
}
