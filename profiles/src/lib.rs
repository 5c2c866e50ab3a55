//! Models, devices, and what a forward pass costs on them.
//!
//! This crate knows nothing of queues, policies or requests.

pub mod cost;
mod device;
mod error;
pub mod fitted;
pub mod kernels;
mod memory;
mod model;
mod parallel;
pub mod predict;
mod step;
pub mod table;
pub mod topology;

pub use cost::{CostModel, CostTotals, Evidence, Operator, OperatorClass, OperatorTotals};
pub use device::DeviceSpec;
pub use error::{DoesNotFit, ProfileError};
pub use memory::{MemoryOptions, MemoryPlan, StageMemory};
pub use model::{
    Attention, DenseFfn, ExpertFfn, FeedForward, LatentAttention, LayerSpec, Mixer, ModelSpec, ParameterCount,
    PrefixFlops, QuantizedParts, StateSpace, StateSpaceKind, WeightsHint,
};
pub use parallel::{DType, Parallelism, Precision};
pub use step::{DecodeBatch, LayerRange, Passage, PrefillPiece, SharedPrefixes, StepCost, StepShape};
