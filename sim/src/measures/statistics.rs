//! The figures quoted of a distribution, and how percentiles lie between order statistics.

use serde::{Deserialize, Serialize};

/// How percentiles were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// From all values, sorted.
    Exact,
    /// From logarithmic buckets: each order statistic is within 0.025 % of the true one.
    Buckets,
}

impl Method {
    /// Its name in tables and CSV files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Buckets => "buckets",
        }
    }
}

/// The figures quoted of a distribution, in nanoseconds. Mean, minimum and maximum are exact under either method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Values, or the sum of their weights.
    pub count: u64,
    /// Arithmetic mean.
    pub mean_ns: f64,
    /// Smallest value.
    pub min_ns: f64,
    /// 50th percentile.
    pub median_ns: f64,
    /// 90th percentile.
    pub p90_ns: f64,
    /// 95th percentile.
    pub p95_ns: f64,
    /// 99th percentile.
    pub p99_ns: f64,
    /// Largest value.
    pub max_ns: f64,
    /// How the percentiles were found.
    pub method: Method,
}

impl Statistics {
    /// The quantiles among them, in order.
    pub(crate) const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];
}

/// Where quantile `q` of `count` order statistics lies: the rank below it (from 0) and the part of the way to the next.
///
/// Hyndman & Fan (1996), definition 7, the default of numpy and R: position `(count − 1)·q`.
pub(crate) fn position(count: u64, q: f64) -> (u64, f64) {
    assert!((0.0..=1.0).contains(&q), "{q} is not a quantile");
    let position = (count - 1) as f64 * q;
    (position.floor() as u64, position.fract())
}

/// The point `part` of the way from `low` to `high`, symmetric in its ends as numpy's.
pub(super) fn between(low: f64, high: f64, part: f64) -> f64 {
    if part < 0.5 { low + (high - low) * part } else { high - (high - low) * (1.0 - part) }
}

/// Mean of `count` (≥ 1) integers with this sum, rounded once.
pub(super) fn mean(sum: u128, count: u64) -> f64 {
    let count = u128::from(count);
    (sum / count) as f64 + (sum % count) as f64 / count as f64
}
