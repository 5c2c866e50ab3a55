//! Attention that is offloaded to workers of its own: prices, bytes and memory.

use profiles::cost::{CostOptions, OffloadOptions, OffloadedCost, Wire};
use profiles::{CostModel, DeviceSpec, MemoryOptions, MemoryPlan, ModelSpec, Operator, Parallelism, Precision};

use super::{assert_same, compile, decode, h100, shape, shipped};

/// 400 Gbit/s adapters as Lamina's own stack uses them: 45.7 GB/s, 33 µs there and back (its figure 13).
const WIRE: Wire = Wire { bandwidth: 45.7e9, latency_ns: 16_500 };

fn h20() -> DeviceSpec {
    DeviceSpec::shipped("H20").expect("a shipped device")
}

fn workers(gpus: u32) -> Parallelism {
    Parallelism { tensor_parallel_size: gpus, ..Parallelism::default() }
}

fn side<'a>(model: &'a ModelSpec, device: &'a DeviceSpec, gpus: u32) -> CostOptions<'a> {
    CostOptions { parallelism: workers(gpus), max_num_seqs: 1024, ..CostOptions::new(model, device) }
}

fn offloaded<'a>(model: &'a ModelSpec, devices: &'a [DeviceSpec; 2], early_query: bool) -> OffloadOptions<'a> {
    OffloadOptions {
        model_workers: side(model, &devices[0], 2),
        attention_workers: side(model, &devices[1], 4),
        wire: WIRE,
        early_query,
    }
}

#[test]
fn the_parts_of_a_step_are_those_of_a_step_that_is_not_offloaded() {
    let model = shipped("meta-llama/Llama-3.1-70B");
    let devices = [h100(), h100()];
    let mut options = offloaded(&model, &devices, false);
    options.attention_workers.parallelism = workers(2);
    let mut cost = OffloadedCost::new(&options, 2).expect("it can be offloaded");
    let together = compile(&side(&model, &devices[0], 2));
    for batch in [decode(1, 4096), decode(7, 100), decode(128, 2048), decode(700, 1000)] {
        let passage = cost.pass(&shape(&[], batch)).passage;
        let sum = passage.models_ns() + 80 * (passage.attention_ns + passage.merge_ns);
        let mut whole_ns = [0];
        together.clone().step(&shape(&[], batch), &mut whole_ns);
        let difference = sum.abs_diff(whole_ns[0]);
        assert!(difference <= 160, "{batch:?}: {sum} ns in parts, {} ns in one", whole_ns[0]);
    }
}

#[test]
fn the_books_hold_what_both_sides_do_and_what_crosses_the_network() {
    let model = shipped("meta-llama/Llama-3.1-70B");
    let devices = [h100(), h20()];
    let options = offloaded(&model, &devices, true);
    let mut cost = OffloadedCost::new(&options, 2).expect("it can be offloaded");
    let batch = decode(300, 4096);
    let step = cost.pass(&shape(&[], batch));
    let totals = cost.totals();
    assert_eq!(totals.steps, 1);
    assert_same(totals.dynamic_energy_j, step.dynamic_energy_j, "energy");
    // (2 + 2/G)·e·d·B·L with G = 8: 885 MB for 300 rows (Lamina).
    let bytes = totals.operator(Operator::Handover).link_bytes;
    assert_same(bytes, (2.0 + 2.0 / 8.0) * 2.0 * 8192.0 * 300.0 * 80.0, "bytes on the network");
    let attention = totals.operator(Operator::DecodeAttention);
    let rounding = (attention.time_ns() - 80.0 * step.passage.attention_ns as f64).abs();
    assert!(rounding <= 80.0, "attention is booked where it is timed: {rounding} ns apart");
    assert_eq!(cost.clone().totals().steps, 0, "a clone has empty books");
    assert_eq!(cost.explain(&shape(&[], batch)).steps, 1);
    assert_eq!(cost.totals().steps, 1, "what is explained is not booked");
}

#[test]
fn an_early_query_leaves_keys_and_values_for_later() {
    let devices = [h100(), h20()];
    for (model, heads, kv_heads) in [("meta-llama/Llama-3.1-70B", 64.0, 8.0), ("meta-llama/Llama-2-7b-hf", 32.0, 32.0)]
    {
        let model = shipped(model);
        let passage = |early| {
            let mut cost = OffloadedCost::new(&offloaded(&model, &devices, early), 2).expect("it can be offloaded");
            cost.pass(&shape(&[], decode(64, 1000))).passage
        };
        let (late, early) = (passage(false), passage(true));
        assert_eq!(late.keys_after_query_ns, 0);
        let share = 2.0 * kv_heads / (heads + 2.0 * kv_heads);
        let most = early.first_slice_ns as f64 * share;
        let keys_ns = early.keys_after_query_ns as f64;
        assert!(keys_ns > 0.0 && keys_ns < most, "{}: {keys_ns} of {most}", model.name);
        assert_eq!((late.inner_slice_ns, late.attention_ns), (early.inner_slice_ns, early.attention_ns));
    }
}

#[test]
fn three_hundred_requests_of_long_contexts_need_less_than_thirty_gigabytes_a_second() {
    // Lamina, figure 4: bandwidth of an adapter so that a token takes at most a fifth longer than model and attention alone.
    // Its contexts are not stated, and decide: short ones leave less time to hide messages behind.
    let devices = [h100(), h20()];
    let model = shipped("meta-llama/Llama-3.1-70B");
    let mut cost = OffloadedCost::new(&offloaded(&model, &devices, false), 2).expect("it can be offloaded");
    let mut needed = |requests, context| {
        let passage = cost.pass(&shape(&[], decode(requests, context))).passage;
        let compute_ns = 80 * (passage.inner_slice_ns + passage.attention_ns);
        let bytes = f64::from(requests) * cost.bytes_per_row();
        // The narrower side has two adapters.
        bytes / (0.2 * compute_ns as f64 * 1e-9) / 2.0
    };
    for requests in [10, 50, 100, 200, 300] {
        for context in [8192, 16_384] {
            let bandwidth = needed(requests, context);
            println!("{requests} requests of {context} tokens need {bandwidth:.3e} bytes/s an adapter");
            assert!(bandwidth < 30e9, "{requests} requests of {context} tokens need {bandwidth:e} bytes/s an adapter");
        }
    }
    assert!(needed(300, 1024) > 40e9, "short contexts need more than one adapter of 400 Gbit/s has to spare");
}

#[test]
fn what_cannot_be_offloaded_is_refused_with_the_reason() {
    let devices = [h100(), h20()];
    let problem = |model: &str, workers_: u32| {
        let model = shipped(model);
        let mut options = offloaded(&model, &devices, false);
        options.attention_workers.parallelism = workers(workers_);
        OffloadedCost::new(&options, 2).expect_err("it cannot be offloaded").to_string()
    };
    assert!(problem("meta-llama/Llama-3.1-70B", 3).contains("8 KV heads"), "heads are cut evenly");
    assert!(problem("deepseek-ai/DeepSeek-V3", 2).contains("softmax attention"));
}

#[test]
fn attention_workers_hold_more_than_twice_the_cache_of_a_replica_of_equal_price() {
    // Lamina's arithmetic for LLaMA3-70B: four H100 hold 459k tokens beside the weights, four H20 hold 1,055k; with 80 GB
    // and 96 GB to a board as its table 1 has them, and nothing set apart for activations.
    let model = shipped("meta-llama/Llama-3.1-70B");
    let board = |device: DeviceSpec, memory_bytes| DeviceSpec { memory_bytes, ..device };
    let (h100, h20) = (board(h100(), 80_000_000_000), board(h20(), 96_000_000_000));
    let precision = Precision::default();
    let options = MemoryOptions::default();
    let plan = MemoryPlan::new(&model, &h100, workers(4), precision, options).expect("it fits");
    let blocks = MemoryPlan::attention_blocks(&model, &h20, 4, precision, options).expect("it fits");
    let stage = &plan.stages[0];
    let beside_weights = (stage.budget_bytes - stage.weights_bytes) / stage.kv_bytes_per_token;
    let (replica, pool) = (beside_weights as f64, (blocks * 16) as f64);
    println!("{replica} tokens beside the weights, {pool} in the pool");
    assert!((replica / 459e3 - 1.0).abs() < 0.05, "{replica} tokens beside the weights");
    assert!((pool / 1_055e3 - 1.0).abs() < 0.05, "{pool} tokens in the pool");
    assert!(pool > 2.3 * plan.kv_tokens as f64, "with activations a replica holds {} tokens", plan.kv_tokens);
}
