//! ShareGPT conversations cut to 8,192 tokens.
//!
//! Source: percentiles published with layered prefill (scale-snu/layered-prefill, `preprocessed_traces`, 30,731 rows;
//! the same requests as Sarathi-Serve's `openchat_sharegpt4`, OSDI 2024, whose medians 1730 and 415 it repeats).
//! Prompts: mean 2340, p25 580, p50 1730, p75 3735, p90 5696, p95 6563, p99 7434, max 8141. Answers: mean 439, p25 228,
//! p50 415, p75 628, p90 834, p99 998, max 1024.

use super::Generator;
use crate::arrivals::Arrivals;
use crate::lengths::{Lengths, RequestLengths};
use crate::spec::WorkloadSpec;

/// Chat prompts with their history, cut to 8,192 tokens in all.
pub(super) const SHAREGPT_8K: Generator = Generator {
    name: "sharegpt-8k",
    summary: "ShareGPT conversations up to 8,192 tokens, Poisson at 4 requests/s",
    source: "ShareGPT length percentiles as used by Sarathi-Serve (OSDI 2024) and layered prefill",
    requests: 30_731,
    build: sharegpt_8k,
};

/// Between the published percentiles of the prompts stand half-way points at the geometric mean, which brings the mean
/// to the published one; the shortest lengths are not published and set to 4 and 1. Whether prompt and answer lengths
/// are related is not published either; they are independent here. The set has no times: arrivals are Poisson, at the
/// lowest rate of the layered prefill study's grid.
fn sharegpt_8k(requests: u64) -> WorkloadSpec {
    let published: [(f64, f64); 8] = [
        (0.0, 4.0),
        (0.25, 580.0),
        (0.5, 1730.0),
        (0.75, 3735.0),
        (0.9, 5696.0),
        (0.95, 6563.0),
        (0.99, 7434.0),
        (1.0, 8141.0),
    ];
    let mut input = vec![published[0]];
    for pair in published.windows(2) {
        let ((p0, low), (p1, high)) = (pair[0], pair[1]);
        // Below the first quartile the geometric mean with the shortest would be far too low.
        let middle: f64 = if low < 100.0 { 200.0 } else { (low * high).sqrt() };
        input.extend([(0.5 * (p0 + p1), middle.round()), (p1, high)]);
    }
    let output =
        vec![(0.0, 1.0), (0.25, 228.0), (0.5, 415.0), (0.75, 628.0), (0.9, 834.0), (0.99, 998.0), (1.0, 1024.0)];
    let lengths = RequestLengths::Independent {
        input: Lengths::Quantiles { table: input },
        output: Lengths::Quantiles { table: output },
    };
    WorkloadSpec::new(Arrivals::Poisson { rate: 4.0 }, lengths, requests)
}
