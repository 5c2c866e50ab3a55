//! What can be wrong with a workload.

use std::path::PathBuf;

use crate::time::SimTime;

use crate::trace::TraceError;

/// Why a workload cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// The file cannot be opened or read. Fatal.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A trace that cannot be read or written.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A parameter of a workload is not what it must be.
    #[error("{of}: {parameter} is {value}, but it must be {expected}")]
    Parameter {
        /// Of what: `poisson arrivals`, `normal lengths` …
        of: &'static str,
        /// Its name, as in the struct that has it.
        parameter: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// No lognormal distribution has this mean and this quantile.
    #[error(
        "lognormal lengths: no lognormal of mean {mean} has its p{} at {value}: with that mean it is at most \
         {highest:.1}; lower the quantile, or give the median instead of the mean",
        100.0 * probability
    )]
    NoSuchLogNormal {
        /// Mean, tokens.
        mean: f64,
        /// Probability of the quantile.
        probability: f64,
        /// The quantile, tokens.
        value: f64,
        /// The highest value that quantile has with that mean, tokens.
        highest: f64,
    },
    /// A trace without a request.
    #[error("{origin}: the trace has no request{}", left_out(*skipped))]
    EmptyTrace {
        /// Which trace.
        origin: String,
        /// Rows left out because they had no tokens.
        skipped: u64,
    },
    /// A request of a trace comes before its predecessor.
    #[error(
        "{origin}, line {line}: this request arrives at {now}, before the one above it at {last}; sort the trace by time"
    )]
    ClockBackwards {
        /// Which trace.
        origin: String,
        /// Which line, from 1.
        line: u64,
        /// When it arrives.
        now: SimTime,
        /// When its predecessor arrives.
        last: SimTime,
    },
    /// A request of a trace has no input or no output tokens.
    #[error("{origin}, line {line}: {field} tokens are 0, and a request has at least 1; leave such rows out")]
    ZeroTokens {
        /// Which trace.
        origin: String,
        /// Which line, from 1.
        line: u64,
        /// `input` or `output`.
        field: &'static str,
    },
    /// A trace whose times cannot be rescaled to a rate.
    #[error(
        "{origin}: cannot be rescaled to a rate, since its {rows} request(s) all arrive at one time; replace its arrivals by a process"
    )]
    NoRate {
        /// Which trace.
        origin: String,
        /// Requests it has.
        rows: u64,
    },
    /// A generator of that name is not shipped.
    #[error("no generator is named \"{name}\"; there are {known}")]
    UnknownGenerator {
        /// What was asked for.
        name: String,
        /// Those that are shipped, separated by commas.
        known: String,
    },
}

fn left_out(rows: u64) -> String {
    if rows == 0 { String::new() } else { format!(" but {rows} of no input or no output tokens, which were left out") }
}
