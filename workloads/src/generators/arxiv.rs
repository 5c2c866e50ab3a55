//! Summaries of arXiv papers.
//!
//! Source: the layered prefill study (scale-snu/layered-prefill) on `ccdv/arxiv-summarization`: 600 prompts of mean 9194
//! tokens, the article whole, and about 190 tokens generated, an abstract. Published are only those means. Assumed here:
//! prompts are lognormal with median 7500 (estimates range from 7000 to 8000), cut at 32,768 tokens; answers are lognormal
//! with median 167, the median of the arXiv summarization lengths that Vidur publishes (microsoft/vidur, 28,257 rows,
//! Llama-2 tokenizer), cut at 1,024 tokens.

use super::Generator;
use crate::arrivals::Arrivals;
use crate::lengths::{Bounds, Lengths, LogNormalShape, RequestLengths};
use crate::spec::WorkloadSpec;

/// Long prompts, short answers.
pub(super) const SUMMARIZATION: Generator = Generator {
    name: "arxiv-summarization",
    summary: "summaries of whole arXiv papers, Poisson at 1.3 requests/s",
    source: "means of ccdv/arxiv-summarization as reported by layered prefill; lognormal shape assumed",
    requests: 600,
    build: summarization,
};

/// The set has no times: arrivals are Poisson, at the lowest rate of the layered prefill study's grid.
fn summarization(requests: u64) -> WorkloadSpec {
    let lognormal = |mean, median, max| Lengths::LogNormal {
        shape: LogNormalShape::MeanAndQuantile { mean, probability: 0.5, value: median },
        bounds: Bounds::clamp(1, max),
    };
    let lengths = RequestLengths::Independent {
        input: lognormal(9194.0, 7500.0, 32_768),
        output: lognormal(190.0, 167.0, 1_024),
    };
    WorkloadSpec::new(Arrivals::Poisson { rate: 1.3 }, lengths, requests)
}
