//! Routed experts.

use super::fast;
use super::feature::{Feature, Point};
use super::surface::{Line, Sheet, Surface};
use crate::device::DeviceSpec;

const NS_PER_S: f64 = 1e9;
/// Bytes of activations: 16 bits.
const ACTIVATION_BYTES: f64 = 2.0;
/// Rows that a touched expert computes at least: the fewest that tensor cores take.
const FEWEST_ROWS: f64 = 16.0;

/// The experts of one layer as one GPU holds them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpertsShape {
    /// Width of the residual stream.
    pub hidden: f64,
    /// Width of one expert on this GPU.
    pub width: f64,
    /// Weight matrices of an expert: 3 with a gate, else 2.
    pub matrices: f64,
    /// Experts on this GPU.
    pub experts: f64,
    /// Experts that each row chooses.
    pub chosen: f64,
    /// Bytes of an element of the weights.
    pub weight_bytes: f64,
    /// Peak of the device for these formats, in operations per second.
    pub peak: f64,
}

/// What reaches the experts of a GPU in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpertsLoad {
    /// Rows before they are copied for their experts.
    pub tokens: f64,
    /// Rows that reach this GPU's experts, copies counted.
    pub rows: f64,
    /// Experts touched on this GPU.
    pub touched: f64,
    /// Rows of the busiest of them.
    pub busiest_rows: f64,
}

impl ExpertsLoad {
    fn rows_per_expert(&self) -> f64 {
        self.rows / self.touched
    }

    fn imbalance(&self) -> f64 {
        (self.busiest_rows / self.rows_per_expert()).max(1.0)
    }
}

impl ExpertsShape {
    /// The features that its surface may have.
    pub const FEATURES: [Feature; 10] = [
        Feature::RowsPerExpert,
        Feature::WeightTime,
        Feature::Width,
        Feature::Alignment,
        Feature::Hidden,
        Feature::Tokens,
        Feature::TokensPerExpert,
        Feature::Experts,
        Feature::Chosen,
        Feature::Imbalance,
    ];

    fn weights(&self) -> f64 {
        self.matrices * self.hidden * self.width
    }

    fn weight_ns(&self, touched: f64, device: &DeviceSpec) -> f64 {
        self.weights() * self.weight_bytes * touched / device.memory_bandwidth * NS_PER_S
    }

    /// Bytes read and written: the weights of the touched experts, and activations.
    pub fn bytes(&self, load: &ExpertsLoad) -> f64 {
        let row = (2.0 * self.hidden + self.matrices * self.width) * ACTIVATION_BYTES;
        self.weights() * self.weight_bytes * load.touched + load.rows * row
    }

    /// What the correction is applied to: `floor + √(compute² + memory²)`, in nanoseconds. Compute is at the peak with
    /// at least 16 rows per touched expert, memory at the peak bandwidth.
    pub fn base_ns(&self, load: &ExpertsLoad, floor_ns: f64, device: &DeviceSpec) -> f64 {
        let rows = load.rows.max(FEWEST_ROWS * load.touched);
        let compute = 2.0 * self.weights() * rows / self.peak * NS_PER_S;
        let memory = self.bytes(load) / device.memory_bandwidth * NS_PER_S;
        floor_ns + (compute * compute + memory * memory).sqrt()
    }

    /// What the correction depends on.
    pub fn point(&self, load: &ExpertsLoad, floor_ns: f64, device: &DeviceSpec) -> Point {
        self.fixed_point()
            .with(Feature::RowsPerExpert, load.rows_per_expert())
            .with(Feature::WeightTime, self.weight_ns(load.touched, device) / floor_ns)
            .with(Feature::Tokens, load.tokens)
            .with(Feature::TokensPerExpert, load.tokens / self.experts)
            .with(Feature::Imbalance, load.imbalance())
    }

    fn fixed_point(&self) -> Point {
        let alignment = 1_u32 << (self.width as u32).trailing_zeros().min(7);
        Point::default()
            .with(Feature::Width, self.width)
            .with(Feature::Alignment, f64::from(alignment))
            .with(Feature::Hidden, self.hidden)
            .with(Feature::Experts, self.experts)
            .with(Feature::Chosen, self.chosen)
    }
}

/// Experts compiled for a layer on a device.
#[derive(Clone, Debug)]
pub(crate) struct CompiledExperts {
    experts_log2: f64,
    /// Time to read the weights of one expert over the floor.
    weight_time_log2: f64,
    floor_ns: f64,
    compute_ns_per_row: f64,
    memory_ns_per_row: f64,
    memory_ns_per_expert: f64,
    by_rows_and_weights: Sheet,
    by_rows_and_imbalance: Sheet,
    by_tokens: Line,
    by_tokens_per_expert: Line,
}

impl CompiledExperts {
    pub(crate) fn new(shape: ExpertsShape, floor_ns: f64, surface: &Surface, device: &DeviceSpec) -> Self {
        use Feature::{Imbalance, RowsPerExpert, Tokens, TokensPerExpert, WeightTime};
        let free = [RowsPerExpert, WeightTime, Imbalance, Tokens, TokensPerExpert];
        let fixed = surface.fix(&shape.fixed_point(), &free);
        let (by_rows_and_weights, rest) = fixed.split(&[RowsPerExpert, WeightTime]);
        let (by_rows_and_imbalance, rest) = rest.split(&[RowsPerExpert, Imbalance]);
        let (by_tokens, by_tokens_per_expert) = rest.split(&[Tokens]);
        let of = |rows: f64, touched: f64| {
            let load = ExpertsLoad { tokens: 0.0, rows, touched, busiest_rows: 0.0 };
            shape.bytes(&load) / device.memory_bandwidth * NS_PER_S
        };
        Self {
            experts_log2: shape.experts.log2(),
            weight_time_log2: (shape.weight_ns(1.0, device) / floor_ns).log2(),
            floor_ns,
            compute_ns_per_row: 2.0 * shape.weights() / shape.peak * NS_PER_S,
            memory_ns_per_row: of(1.0, 0.0),
            memory_ns_per_expert: of(0.0, 1.0),
            by_rows_and_weights: by_rows_and_weights.sheet(RowsPerExpert, WeightTime),
            by_rows_and_imbalance: by_rows_and_imbalance.sheet(RowsPerExpert, Imbalance),
            by_tokens: by_tokens.line(Tokens),
            by_tokens_per_expert: by_tokens_per_expert.line(TokensPerExpert),
        }
    }

    #[inline]
    pub(crate) fn time_ns(&self, load: &ExpertsLoad) -> f64 {
        let compute = load.rows.max(FEWEST_ROWS * load.touched) * self.compute_ns_per_row;
        let weights = load.touched * self.memory_ns_per_expert;
        let memory = weights + load.rows * self.memory_ns_per_row;
        let base = self.floor_ns + (compute * compute + memory * memory).sqrt();
        let touched = fast::log2(load.touched);
        let rows_per_expert = fast::log2(load.rows) - touched;
        let tokens = fast::log2(load.tokens);
        let imbalance = (fast::log2(load.busiest_rows) - rows_per_expert).max(0.0);
        let correction = self.by_rows_and_weights.at(rows_per_expert, touched + self.weight_time_log2)
            + self.by_rows_and_imbalance.at(rows_per_expert, imbalance)
            + self.by_tokens.at(tokens)
            + self.by_tokens_per_expert.at(tokens - self.experts_log2);
        base * fast::exp(correction)
    }
}
