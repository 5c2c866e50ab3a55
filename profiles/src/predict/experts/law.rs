//! A simple law of the time of a layer's experts. What is interpolated between measured layers is the ratio to it.

use super::super::roofline::Roofline;
use super::ExpertsShape;
use super::routing::ExpertsLoad;
use crate::parallel::DType;

/// Sorting, two grouped products and the activation between them, of next to no rows.
const FLOOR_NS: f64 = 40_000.0;
const BANDWIDTH_SHARE: f64 = 0.9;
/// Of the tensor peak, by width of the activations: what grouped kernels reach on Hopper. It needs no fit: an error here
/// moves the ratio of all layers alike.
const PEAK_SHARE: f64 = 0.5;
const NARROW_PEAK_SHARE: f64 = 0.3;
/// Rows that tiles add to every expert.
const TILE_ROWS: f64 = 16.0;
/// Times that activations pass through device memory.
const ACTIVATION_PASSES: f64 = 3.0;
/// Up, gate and down.
const MATRICES: f64 = 3.0;

/// Costs of a layer, per touched expert and per assignment of a row to one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Law {
    memory_ns_per_expert: f64,
    memory_ns_per_row: f64,
    compute_ns_per_row: f64,
    /// The same at the datasheet's ceilings, without activations.
    bound_ns_per_expert: f64,
    bound_ns_per_row: f64,
}

impl Law {
    pub(super) fn new(shape: &ExpertsShape, activations: DType, roofline: &Roofline) -> Self {
        let (hidden, width) = (f64::from(shape.hidden_size), f64::from(shape.intermediate_size));
        let peak_share = if activations == DType::Bf16 { PEAK_SHARE } else { NARROW_PEAK_SHARE };
        let weights = MATRICES * hidden * width * roofline.weight_bytes * roofline.ns_per_byte;
        let activations = (2.0 * hidden + MATRICES * width) * 2.0 * roofline.ns_per_byte;
        let compute = 2.0 * MATRICES * hidden * width * roofline.ns_per_flop;
        Self {
            memory_ns_per_expert: weights / BANDWIDTH_SHARE,
            memory_ns_per_row: ACTIVATION_PASSES * activations / BANDWIDTH_SHARE,
            compute_ns_per_row: compute / peak_share,
            bound_ns_per_expert: weights,
            bound_ns_per_row: compute,
        }
    }

    #[inline]
    pub(super) fn ns(&self, load: ExpertsLoad) -> f64 {
        let memory = load.touched * self.memory_ns_per_expert + load.assignments * self.memory_ns_per_row;
        let compute = (load.assignments + load.touched * TILE_ROWS) * self.compute_ns_per_row;
        FLOOR_NS + (memory * memory + compute * compute).sqrt()
    }

    /// No kernel that reads the weights of touched experts from device memory can be faster.
    #[inline]
    pub(super) fn bound_ns(&self, load: ExpertsLoad) -> f64 {
        (load.touched * self.bound_ns_per_expert).max(load.assignments * self.bound_ns_per_row)
    }
}
