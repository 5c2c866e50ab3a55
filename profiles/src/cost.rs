//! What a forward pass costs: the trait behind which every cost model stands.

mod analytic;
mod attention;
mod books;
mod collectives;
mod composition;
mod decode_lookup;
mod efficiency;
mod energy;
mod experts;
mod gemm;
mod graph;
mod laws;
mod layer;
mod load;
mod measured;
mod mixed;
mod offload;
mod once;
mod options;
mod parts;
mod popularity;
mod price;
mod sampling;
mod scan;
mod servers;
mod shared_prefix;
pub mod simple;
mod small;
mod tables;
mod totals;

pub(crate) use small::OPERATIONS;

pub use analytic::AnalyticCost;
pub use composition::Composition;
pub use efficiency::Architecture;
pub use offload::{OffloadOptions, OffloadedCost, OffloadedStep, Wire};
pub use options::{CostOptions, EngineOverheads, ExpertRouting, Link, PrefillCoverage};
pub use parts::{Moments, StepParts};
pub use popularity::{share_touched, zipf_popularity};
pub use sampling::Sampling;
pub use servers::Servers;
pub use shared_prefix::PrefixAttention;
pub use totals::{CostTotals, Evidence, Operator, OperatorClass, OperatorTotals};

use crate::step::{StepCost, StepShape};

/// Prices steps for one replica, and keeps the books of all it has priced.
///
/// Times are those of the replica: GPUs that share a layer work in parallel and their time counts once. FLOPs, bytes
/// and joules are summed over all GPUs of the replica.
pub trait CostModel: Send {
    /// Pipeline stages; the length of `stage_ns` in [`step`](CostModel::step).
    fn stages(&self) -> usize {
        1
    }

    /// Layers of the model, if it prices each of them: `None` where whole passes alone have a price, so that
    /// [`StepShape::prefill_layers`] has to be `None` too.
    fn layers(&self) -> Option<u32> {
        None
    }

    /// Prices one forward pass, writes each pipeline stage's time in nanoseconds (rounded once, here) to `stage_ns`,
    /// and books it.
    ///
    /// # Panics
    ///
    /// If `stage_ns` is not [`stages`](CostModel::stages) long, or the shape names layers the model lacks.
    fn step(&mut self, shape: &StepShape<'_>, stage_ns: &mut [u64]) -> StepCost;

    /// Time to hand `rows` rows of activations to pipeline stage `stage` (not the first) from the one before, in nanoseconds.
    ///
    /// Stages may work on other steps meanwhile, so it is part of neither stage's time nor of [`totals`](CostModel::totals),
    /// which hold the bytes sent and their energy.
    fn handover_ns(&self, stage: usize, rows: u32) -> u64 {
        let _ = (stage, rows);
        0
    }

    /// Batches that steps of this replica travel in, if it [offloads attention](OffloadedCost): then steps are priced by
    /// [`pass`](CostModel::pass), and the stages are the servers they pass, model workers first.
    fn offloaded_batches(&self) -> Option<usize> {
        None
    }

    /// Prices one forward pass of a replica that offloads attention, layer by layer, and books it.
    ///
    /// # Panics
    ///
    /// If the replica does not offload attention.
    fn pass(&mut self, shape: &StepShape<'_>) -> OffloadedStep {
        panic!("{} rows are to pass a replica that does not offload attention", shape.decode.requests)
    }

    /// Time of a step whose [parts](CostTotals::parts) take so long, each as if alone.
    fn composed_ns(&self, compute_ns: f64, memory_ns: f64) -> f64 {
        compute_ns + memory_ns
    }

    /// Everything booked so far, by operator. The energy of all operators is that of all steps, which the engine asserts: a model that
    /// wraps another and adds energy of its own books it here too.
    fn totals(&self) -> CostTotals;

    /// What a step costs, by operator, without booking it. Slower than [`step`](CostModel::step): meant for step
    /// records and explanations.
    fn explain(&self, shape: &StepShape<'_>) -> CostTotals;
}
