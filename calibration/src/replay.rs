//! Executing simulated steps on a GPU and laying the measured time of each beside the predicted one.
//!
//! A run records its steps in a [schedule]. [`select`] picks some of them, a [`StepExecutor`] executes them
//! ([`replay`]), and a [`Comparison`] says how far the prediction was off: by phase, by tokens, by context, over time, and
//! how far two replays of the same steps are from each other, below which an error means nothing.
//!
//! What a replay on one GPU cannot check: collectives, transfers between GPUs, and the host of a real engine. Their
//! predicted time is left out where GPU time is compared ([`schedule::ScheduledStep::kernels_ns`]).

mod blocks;
mod bounds;
mod comparison;
mod error;
mod execute;
mod experts;
mod gpu;
mod lists;
mod measured;
mod memory;
mod program;
mod rehearsal;
pub mod schedule;
mod select;
mod shard;
#[cfg(test)]
mod testing;

pub use blocks::BlockTables;
pub use comparison::{Bucket, Comparison, Drift, NoiseFloor, Phase, StepPair};
pub use error::ReplayError;
pub use execute::{MeasuredStep, ReplayOptions, StepExecutor, StepTiming, Timing, replay};
pub use experts::{ExpertDraws, StepDraws};
pub use gpu::{GpuExecutor, GpuReplay};
pub use measured::{read_measured, read_measured_file};
pub(crate) use rehearsal::Rehearsal;
pub use select::select;
pub use shard::{Shard, ShardFfn};
