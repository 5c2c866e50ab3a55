//! Workloads that ship with the crate, after published traces, so that nothing has to be downloaded.
//!
//! They are made from statistics (quantiles, rates, correlations), not from rows: no request of a trace is in here. What
//! a generator leaves out of its original is said in its file.

mod arxiv;
mod azure;
mod mooncake;
mod sessions;
mod sharegpt;

use crate::error::WorkloadError;
use crate::lengths::Lengths;
use crate::spec::WorkloadSpec;

/// A shipped workload.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    /// Its name, as users write it.
    pub name: &'static str,
    /// What traffic it imitates, in one line.
    pub summary: &'static str,
    /// Where its figures come from.
    pub source: &'static str,
    /// Requests the original has, and the default number to generate.
    pub requests: u64,
    build: fn(u64) -> WorkloadSpec,
}

/// All of them.
pub const GENERATORS: [Generator; 8] = [
    azure::CONVERSATION,
    azure::CODE,
    mooncake::CONVERSATION,
    sharegpt::SHAREGPT_8K,
    arxiv::SUMMARIZATION,
    sessions::LMSYS,
    sessions::SHAREGPT,
    sessions::SWE_AGENT,
];

impl Generator {
    /// The workload, with this many requests. Rates, lengths and the rest may be changed before it is used;
    /// [`WorkloadSpec::at_rate`] changes the rate.
    pub fn spec(&self, requests: u64) -> WorkloadSpec {
        (self.build)(requests)
    }
}

/// The generator of this name.
///
/// # Errors
/// [`WorkloadError::UnknownGenerator`] lists those there are.
pub fn named(name: &str) -> Result<&'static Generator, WorkloadError> {
    static ALL: [Generator; 8] = GENERATORS;
    ALL.iter().find(|generator| generator.name == name).ok_or_else(|| WorkloadError::UnknownGenerator {
        name: name.to_owned(),
        known: GENERATORS.map(|generator| generator.name).join(", "),
    })
}

/// Probabilities of the quantiles that tables made from a trace give: every twentieth, and the tail.
const PROBABILITIES: [f64; 27] = [
    0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
    0.97, 0.98, 0.99, 0.995, 0.999, 1.0,
];

/// Lengths with these values at [`PROBABILITIES`].
fn quantile_table(tokens: [u32; 27]) -> Lengths {
    Lengths::Quantiles { table: PROBABILITIES.into_iter().zip(tokens.map(f64::from)).collect() }
}
