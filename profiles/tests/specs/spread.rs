//! Spreading models over GPUs.

use profiles::{FeedForward, LayerRange, Mixer, ModelSpec, Parallelism};
use proptest::prelude::*;

fn model(name: &str) -> ModelSpec {
    ModelSpec::shipped(name).expect("shipped")
}

fn refused(parallelism: Parallelism, name: &str) -> String {
    parallelism.validate(&model(name)).expect_err("must be refused").to_string()
}

#[test]
fn tensor_parallelism_must_divide_the_heads() {
    assert_eq!(
        refused(Parallelism::tensor(3), "llama-3.1-8b"),
        "tensor_parallel_size = 3 does not divide the 32 query heads of meta-llama/Llama-3.1-8B; use 1, 2, 4, 8, 16 or 32"
    );
    let uneven = refused(Parallelism::tensor(64), "qwen3-30b-a3b");
    assert!(uneven.contains("does not divide the 32 query heads"), "{uneven}");
    assert_eq!(Parallelism::tensor(13).validate(&model("llama-33b")).map_err(|e| e.to_string()), Err(
        "tensor_parallel_size = 13 does not divide the 17920 feed-forward columns of huggyllama/llama-30b; use 1, 2 or 4".into()
    ));
}

#[test]
fn kv_heads_are_replicated_where_there_are_fewer_than_gpus() {
    let parallelism = Parallelism::tensor(8);
    parallelism.validate(&model("qwen3-30b-a3b")).unwrap();
    assert_eq!(parallelism.kv_heads_per_gpu(4), 1);
    assert_eq!(parallelism.kv_heads_per_gpu(32), 4);
}

#[test]
fn stages_follow_vllm() {
    let ends = |stages, layers| -> Vec<u32> {
        let parallelism = Parallelism { pipeline_parallel_size: stages, ..Parallelism::tensor(1) };
        parallelism.stages(layers).iter().map(|range| range.end - range.start).collect()
    };
    // `get_pp_indices` of vLLM 0.23, executed.
    assert_eq!(ends(4, 32), [8, 8, 8, 8]);
    assert_eq!(ends(4, 30), [7, 8, 8, 7]);
    assert_eq!(ends(4, 31), [8, 8, 8, 7]);
    assert_eq!(ends(4, 33), [8, 8, 9, 8]);
    assert_eq!(ends(2, 61), [31, 30]);
    assert_eq!(ends(8, 61), [7, 7, 8, 8, 8, 8, 8, 7]);
}

proptest! {
    #[test]
    fn stages_cover_every_layer_once_and_differ_by_at_most_one(layers in 1_u32..200, stages in 1_u32..20) {
        prop_assume!(stages <= layers);
        let ranges = Parallelism { pipeline_parallel_size: stages, ..Parallelism::tensor(1) }.stages(layers);
        let mut next = 0;
        for &LayerRange { start, end } in &ranges {
            prop_assert_eq!(start, next);
            prop_assert!(end - start == layers / stages || end - start == layers / stages + 1);
            next = end;
        }
        prop_assert_eq!((next, ranges.len() as u32), (layers, stages));
    }

    /// The slices of a layer add up to the layer but for what is replicated, so they are never smaller together.
    #[test]
    fn slices_never_lose_parameters(index in 0_usize..27, size in 0_usize..8) {
        let names = ModelSpec::shipped_names();
        let model = model(&names[index % names.len()]);
        let sizes = Parallelism::tensor(1).tensor_sizes(&model);
        let size = sizes[size % sizes.len()];
        let parallelism = Parallelism::tensor(size);
        prop_assert!(parallelism.validate(&model).is_ok());
        for layer in &model.layers {
            let slice = layer.slice(parallelism);
            let together = u64::from(size) * slice.mixer.kv_elements_per_token();
            prop_assert!(together >= layer.mixer.kv_elements_per_token());
            if let (FeedForward::Dense(slice), FeedForward::Dense(whole)) = (&slice.feed_forward, &layer.feed_forward) {
                prop_assert_eq!(slice.intermediate_size * size, whole.intermediate_size);
            }
            if let (Mixer::StateSpace(slice), Mixer::StateSpace(whole)) = (&slice.mixer, &layer.mixer) {
                prop_assert_eq!(slice.d_inner * size, whole.d_inner);
            }
        }
    }
}

#[test]
fn experts_are_spread_whole_over_all_ranks() {
    let parallelism = Parallelism { data_parallel_size: 2, enable_expert_parallel: true, ..Parallelism::tensor(4) };
    let model = model("qwen3-30b-a3b");
    parallelism.validate(&model).unwrap();
    let FeedForward::Experts(slice) = model.layers[0].slice(parallelism).feed_forward else { panic!("experts") };
    assert_eq!((slice.experts, slice.intermediate_size), (16, 768));
    assert_eq!(parallelism.gpus(), 8);
}

#[test]
fn splits_without_sense_are_refused_with_advice() {
    let one = Parallelism::tensor(1);
    for (parallelism, name, reason) in [
        (Parallelism::tensor(0), "llama-3.1-8b", "tensor_parallel_size = 0: use 1 or more"),
        (
            Parallelism { pipeline_parallel_size: 33, ..one },
            "llama-3.1-8b",
            "pipeline_parallel_size = 33: meta-llama/Llama-3.1-8B has only 32 layers",
        ),
        (
            Parallelism { enable_expert_parallel: true, ..one },
            "llama-3.1-8b",
            "meta-llama/Llama-3.1-8B has no experts; leave it off",
        ),
        (Parallelism { data_parallel_size: 2, ..one }, "mixtral-8x7b", "use replicas = 2 for independent copies"),
        (
            Parallelism { data_parallel_size: 3, enable_expert_parallel: true, ..one },
            "mixtral-8x7b",
            "3 ranks (tensor_parallel_size 1 × data_parallel_size 3) do not divide the 8 experts",
        ),
    ] {
        let message = refused(parallelism, name);
        assert!(message.contains(reason), "{message}");
    }
}
