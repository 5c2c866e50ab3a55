//! Measuring kernels on a device, point by point, into kernel tables.
//!
//! What to time ([`plan`]), in which order, what to skip because it is there already, when to stop, and what to make of
//! the samples ([`Campaign`]) are decided here without a device: a [`Bench`] times one point, on a GPU or as a test
//! imagines it. How a point becomes launches on memory ([`workload()`]) needs no device either.
//!
//! # Protocol
//!
//! Operands are random normal numbers (zeros draw less power and run faster). Weights and KV caches rotate among enough
//! copies to exceed the L2 cache three times, because a serving step finds them in device memory; activations, which the
//! kernel before has just written, do not. Kernels run inside captured graphs of as many copies as make about a
//! millisecond. A point's time is the median over repetitions, with the 10th and 90th percentile, the clock and the
//! throttle reasons beside it. Points are timed in a random order that the seed fixes, so that drift does not look like a
//! trend over shapes; at the end, one in twenty is timed again and the drift is written into the table's notes.

mod bench;
mod campaign;
mod gpu_bench;
mod overhead;
mod plan;
mod point;
mod power;
mod statistics;
mod store;
mod sustained;
mod workload;

pub use bench::{Bench, BenchError, Conditions, Sample};
pub use campaign::{Campaign, CampaignError, Outcome, Stop};
pub use gpu_bench::GpuBench;
pub use plan::{Grid, plan};
pub use point::Point;
pub use power::{CounterPeriod, EnergyWindow, counter_period, energy_window};
pub use statistics::{percentile, timing};
pub(crate) use store::replace as store_replace;
pub use store::{Store, StoreError};
pub use sustained::{Idle, SustainedBench, sustained_points};
pub use workload::{Item, Operands, Workload, WorkloadError, workload};
