//! Models, devices, and what a forward pass costs on them.
//!
//! This crate knows nothing of queues, policies or requests.

pub mod cost;
mod device;
mod model;
mod parallel;
mod step;

pub use cost::{CostModel, CostTotals, Evidence, Operator, OperatorTotals};
pub use device::DeviceSpec;
pub use model::{
    Attention, DenseFfn, ExpertFfn, FeedForward, LatentAttention, LayerSpec, Mixer, ModelSpec, StateSpace,
    StateSpaceKind,
};
pub use parallel::{DType, Parallelism, Precision};
pub use step::{DecodeBatch, LayerRange, PrefillPiece, StepCost, StepShape};
