//! Useful work is what the tokens need, however they are computed.

use profiles::{CostModel, CostTotals, DecodeBatch, Mixer, ModelSpec, Parallelism, StepShape};

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

/// Pieces of a prompt see what came before; with latent attention each piece expands it again, which helps nobody.
#[test]
fn cutting_a_prompt_into_chunks_does_not_change_its_useful_flops() {
    let device = h100();
    for name in
        ["deepseek-ai/DeepSeek-V3", "meta-llama/Llama-3.1-8B", "openai/gpt-oss-20b", "ai21labs/AI21-Jamba-1.5-Mini"]
    {
        let model = shipped(name);
        let cost = compile(&bare(&model, &device));
        let step = |tokens: u32, context: u32, sampled: u32| {
            let prefill = pieces(&[(tokens, context)]);
            cost.explain(&StepShape {
                prefill: &prefill,
                decode: DecodeBatch::default(),
                sampled,
                prefill_layers: None,
            })
        };
        let whole = step(4096, 0, 1);
        let mut chunked = CostTotals::default();
        for (tokens, context) in [(1000, 0), (24, 1000), (2048, 1024)] {
            chunked += &step(tokens, context, 0);
        }
        chunked += &step(1024, 3072, 1);
        assert_same(chunked.useful_flops, whole.useful_flops, name);
        let expanded_again = chunked.flops() - whole.flops();
        let latent = matches!(model.layers[0].mixer, Mixer::Latent(_));
        assert_eq!(expanded_again > 1e-6 * whole.flops(), latent, "{name}: {expanded_again} more FLOPs");
    }
}

/// What a cache saves is what the cost model would have booked.
#[test]
fn flops_of_a_prefix_are_those_of_computing_it() {
    let device = h100();
    for name in ["marconi-7b", "jamba-1.5-mini", "meta-llama/Llama-3.1-8B", "qwen3-30b-a3b", "deepseek-ai/DeepSeek-V3"]
    {
        let model = shipped(name);
        let cost = compile(&bare(&model, &device));
        let flops = model.prefix_flops();
        for tokens in [1000, 20_000] {
            let prefill = pieces(&[(tokens, 0)]);
            let decode = DecodeBatch::default();
            let booked = cost.explain(&StepShape { prefill: &prefill, decode, sampled: 0, prefill_layers: None });
            let per_token = (flops.recurrent + flops.feed_forward + flops.attention) as f64;
            let tokens = f64::from(tokens);
            let counted = tokens * per_token + tokens * tokens * flops.attention_squared as f64;
            // Half of all pairs of tokens, where each also attends to itself; biases and inner norms are no products.
            let ratio = counted / booked.useful_flops;
            assert!(
                (ratio - 1.0).abs() < 2e-3,
                "{name}, {tokens} tokens: {counted:e}, booked {:e}",
                booked.useful_flops
            );
        }
    }
}
