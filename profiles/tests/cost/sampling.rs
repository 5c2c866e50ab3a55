//! What choosing tokens costs.

use profiles::cost::{CostOptions, Operator, OperatorTotals, Sampling};
use profiles::{CostModel, StepShape};

use crate::{assert_same, bare, compile, decode, h100, shipped};

/// Vocabulary of Llama 3, a multiple of what it is padded to.
const VOCABULARY: f64 = 128_256.0;

fn sampled(sampling: Sampling, positions: u32) -> OperatorTotals {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    let cost = compile(&CostOptions { sampling, ..bare(&model, &device) });
    let shape = StepShape { prefill: &[], decode: decode(64, 1000), sampled: positions, prefill_layers: None };
    *cost.explain(&shape).operator(Operator::Sampling)
}

fn seconds(totals: &OperatorTotals) -> f64 {
    totals.time_ns() * 1e-9
}

/// The traffic of sorting is that of the positions that are sampled, whatever else is in the step.
#[test]
fn sorting_moves_600_bytes_for_every_logit_that_is_sampled() {
    for positions in [0, 1, 64] {
        let (plain, sorted) = (sampled(Sampling::Plain, positions), sampled(Sampling::Sorted, positions));
        let extra = f64::from(positions) * VOCABULARY * 600.0;
        assert_same(sorted.memory_bytes, plain.memory_bytes + extra, "bytes");
    }
}

/// Never faster than the memory, and the 50 us per request and step that full batches of gpt-oss show, for its 201,088 logits.
#[test]
fn sorting_takes_what_full_batches_show() {
    let extra =
        |positions| seconds(&sampled(Sampling::Sorted, positions)) - seconds(&sampled(Sampling::Plain, positions));
    assert_same(extra(64), 64.0 * extra(1), "no part of it is shared");
    let of_gpt_oss_us = extra(1) * 1e6 * 201_088.0 / VOCABULARY;
    assert!((45.0..55.0).contains(&of_gpt_oss_us), "{of_gpt_oss_us} us");
    assert!(extra(1) > 600.0 * VOCABULARY / h100().memory_bandwidth, "within the bandwidth");
}
