//! Expert traffic of Qwen3-30B-A3B, which layered prefill is about.

use profiles::cost::{CostOptions, ExpertRouting};
use profiles::{CostModel, CostTotals, DecodeBatch, LayerRange, Parallelism, StepShape};

use crate::{assert_same, compile, decode, h100, pieces, shape, shipped};

/// Bytes of all routed experts: 48 layers of 128 experts of 3 · 2048 · 768 weights in 16 bits.
const ALL_EXPERTS: f64 = 48.0 * 128.0 * 3.0 * 2048.0 * 768.0 * 2.0;

fn cost(routing: ExpertRouting) -> profiles::cost::AnalyticCost {
    let (model, device) = (shipped("Qwen/Qwen3-30B-A3B"), h100());
    let mut options = CostOptions::new(&model, &device);
    options.parallelism = Parallelism::tensor(2);
    options.routing = routing;
    options.max_num_batched_tokens = 8192;
    compile(&options)
}

/// *Layered Prefill*, figure of expert load over chunk size: 761, 407, 214, 111 and 57 GB.
#[test]
fn chunks_of_a_prompt_read_the_experts_again_and_again() {
    let cost = cost(ExpertRouting::qwen3_30b_a3b_measured());
    for (chunk, published) in [(512, 761e9), (1024, 407e9), (2048, 214e9), (4096, 111e9), (8192, 57e9)] {
        let mut bytes = 0.0;
        for start in (0..8192).step_by(chunk as usize) {
            bytes += cost.explain(&shape(&pieces(&[(chunk, start)]), DecodeBatch::default())).expert_load_bytes;
        }
        assert!((bytes / published - 1.0).abs() < 0.03, "chunks of {chunk}: {bytes:.3e}, published {published:.3e}");
    }
}

#[test]
fn groups_of_layers_read_the_experts_once() {
    let cost = cost(ExpertRouting::Uniform);
    let prompt = pieces(&[(8192, 0)]);
    let one_pass = cost.explain(&shape(&prompt, DecodeBatch::default())).expert_load_bytes;
    assert!((one_pass / ALL_EXPERTS - 1.0).abs() < 1e-12, "8192 tokens touch every expert: {one_pass:.4e}");
    for groups in [2, 4, 8, 16] {
        let mut sum = CostTotals::default();
        for group in 0..groups {
            let layers = LayerRange { start: group * 48 / groups, end: (group + 1) * 48 / groups };
            sum += &cost.explain(&StepShape { prefill_layers: Some(layers), ..shape(&prompt, DecodeBatch::default()) });
        }
        assert_same(sum.expert_load_bytes, one_pass, "expert bytes of all groups");
    }
}

/// A step of layered prefill reads `(1 − 1/G)·cov(decode) + (1/G)·cov(joint)` of all experts.
#[test]
fn prompt_rows_share_the_experts_that_decode_rows_read() {
    let cost = cost(ExpertRouting::qwen3_30b_a3b_measured());
    let prompt = pieces(&[(512, 0)]);
    let share = |prompt: &[profiles::PrefillPiece], requests, layers| {
        let whole = shape(prompt, decode(requests, 500));
        cost.explain(&StepShape { prefill_layers: layers, ..whole }).expert_load_bytes / ALL_EXPERTS
    };
    let alone = share(&[], 32, None);
    let prompt_alone = share(&prompt, 0, None);
    let joint = share(&prompt, 32, None);
    assert!((alone - 0.53).abs() < 0.02, "32 decode rows: {alone}");
    assert!((prompt_alone - 0.82).abs() < 1e-9);
    assert_same(joint, 1.0 - (1.0 - prompt_alone) * (1.0 - alone), "independent choices");
    let quarter = share(&prompt, 32, Some(LayerRange { start: 12, end: 24 }));
    assert_same(quarter, 0.75 * alone + 0.25 * joint, "one group of four");
}

#[test]
fn sliced_experts_are_read_by_all_gpus_together_as_often_as_whole_ones() {
    let (model, device) = (shipped("Qwen/Qwen3-30B-A3B"), h100());
    let bytes = |parallelism| {
        let mut options = CostOptions::new(&model, &device);
        options.parallelism = parallelism;
        compile(&options).explain(&shape(&[], decode(20, 100))).expert_load_bytes
    };
    let one = bytes(Parallelism::tensor(1));
    assert_same(bytes(Parallelism::tensor(4)), one, "sliced");
    assert_same(bytes(Parallelism { enable_expert_parallel: true, ..Parallelism::tensor(4) }), one, "spread");
}
