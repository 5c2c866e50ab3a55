//! What a run measured: latencies, attainment, throughput, energy, cost, and the one list that defines them all.
//!
//! [`Measures`] observes a run in bounded memory; [`Summary`] joins it with the run's [`Outcome`](crate::Outcome) and
//! the deployment's [`SystemFacts`]; [`Summary::columns`] names, explains and reads every figure, so that tables, CSV
//! files and the reference page cannot disagree.

mod buckets;
mod collector;
mod columns;
mod distribution;
mod histogram;
mod pools;
mod slo;
mod statistics;
mod summary;

#[cfg(test)]
pub(crate) use collector::tests as collector_tests;
pub use collector::{Measures, Window};
pub use columns::{Better, Column, Section, Value};
pub use distribution::Distribution;
pub use histogram::WeightedHistogram;
pub use pools::{PoolFigures, TransferFigures};
pub use slo::{Slos, Verdict};
pub(crate) use statistics::position;
pub use statistics::{Method, Statistics};
pub use summary::{Summary, SystemFacts};
