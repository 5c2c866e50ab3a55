//! Useful work is what the tokens need, however they are computed.

use profiles::{CostModel, CostTotals, ModelSpec, Parallelism};

use crate::{assert_same, bare, compile, decode, h100, pieces, shape, shipped};

/// The largest tensor-parallel size of one server that the model allows.
fn largest_tensor_size(model: &ModelSpec) -> u32 {
    *Parallelism::default().tensor_sizes(model).iter().rfind(|&&size| size <= 8).expect("1 always does")
}

fn explained(model: &ModelSpec, tensor_parallel_size: u32) -> CostTotals {
    let device = h100();
    let mut options = bare(model, &device);
    options.parallelism = Parallelism::tensor(tensor_parallel_size);
    compile(&options).explain(&shape(&pieces(&[(1024, 0), (100, 300)]), decode(32, 2000)))
}

/// Routers, latents, and KV heads fewer than GPUs are computed and held more than once; none of that is useful.
#[test]
fn tensor_parallelism_changes_neither_useful_flops_nor_necessary_bytes() {
    let mut repeated = 0;
    for name in ModelSpec::shipped_names() {
        let model = shipped(&name);
        let size = largest_tensor_size(&model);
        let (one, many) = (explained(&model, 1), explained(&model, size));
        assert_same(one.useful_flops, many.useful_flops, &format!("{name}: useful FLOPs on {size} GPUs"));
        assert_same(one.necessary_bytes, many.necessary_bytes, &format!("{name}: necessary bytes on {size} GPUs"));
        assert!(many.flops() >= one.flops() * (1.0 - 1e-12), "{name}: GPUs together do no less");
        repeated += u32::from(many.flops() > one.flops() * (1.0 + 1e-9));
    }
    assert!(repeated >= 3, "models with experts, latents and few KV heads repeat work on 8 GPUs");
}

/// What is computed and read stays that of every GPU: repeated work takes its time and energy.
#[test]
fn work_that_gpus_repeat_is_done_all_the_same() {
    let model = shipped("deepseek-ai/DeepSeek-V3");
    let (one, eight) = (explained(&model, 1), explained(&model, 8));
    assert!(eight.flops() > 1.1 * one.flops(), "{} FLOPs on 8 GPUs, {} on one", eight.flops(), one.flops());
    assert!(eight.sum().memory_bytes > one.sum().memory_bytes);
}
