//! What must hold on any device: bounds, directions, orders of magnitude.

use profiles::cost::{CostOptions, EngineOverheads};
use profiles::{CostModel, DeviceSpec, Evidence, Operator, Parallelism};
use proptest::prelude::*;

use crate::{assert_same, bare, compile, decode, h100, milliseconds, pieces, shape, shipped};

/// Fitted times follow measured kernels, whose times are not quite monotone.
const WITHIN_FIT: f64 = 0.97;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No step is faster than its FLOPs at peak, nor than its bytes at full bandwidth.
    #[test]
    fn no_step_beats_the_datasheet(size in 0_u32..5000, context in 0_u32..9000, requests in 0_u32..300, each in 1_u64..9000) {
        let device = h100();
        for name in ["meta-llama/Llama-3.1-8B", "Qwen/Qwen3-30B-A3B", "ai21labs/AI21-Jamba-1.5-Mini"] {
            let model = shipped(name);
            let cost = compile(&CostOptions { max_num_batched_tokens: 1, max_num_seqs: 1, ..bare(&model, &device) });
            let prompt = if size > 0 { pieces(&[(size, context)]) } else { Vec::new() };
            let totals = cost.explain(&shape(&prompt, decode(requests, each)));
            let seconds = totals.time_ns() * 1e-9;
            prop_assert!(seconds >= totals.useful_flops / device.bf16_flops, "{name}: compute");
            prop_assert!(seconds >= totals.necessary_bytes / device.memory_bandwidth, "{name}: memory");
            // Prompts and generating requests share a launch, and with it a time.
            let attention = [Operator::PrefillAttention, Operator::DecodeAttention];
            let mut launches = vec![totals.operator(attention[0]).time_ns() + totals.operator(attention[1]).time_ns()];
            let mut flops = vec![totals.operator(attention[0]).flops + totals.operator(attention[1]).flops];
            for (_, spent) in totals.operators().filter(|(operator, _)| !attention.contains(operator)) {
                launches.push(spent.time_ns());
                flops.push(spent.flops);
            }
            for (time_ns, flops) in launches.iter().zip(flops) {
                prop_assert!(time_ns * 1e-9 >= flops / device.bf16_flops * (1.0 - 1e-9), "{name}: {totals:?}");
            }
        }
    }

    #[test]
    fn more_work_takes_no_less_time(rows in 1_u32..4000, more in 1_u32..500, context in 0_u32..8000, each in 1_u64..9000) {
        let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
        let cost = compile(&CostOptions { max_num_batched_tokens: 1, ..CostOptions::new(&model, &device) });
        let prompt = |size, context| milliseconds(&cost, &shape(&pieces(&[(size, context)]), decode(0, 0)));
        // A step of up to 512 rows replays a graph, a larger one waits for launches at worst.
        prop_assert!(prompt(rows + more, context) >= WITHIN_FIT * prompt(rows, context), "prompt tokens");
        prop_assert!(prompt(rows, context + more) >= WITHIN_FIT * prompt(rows, context), "cached tokens");
        let requests = rows % 512 + 1;
        let step = |requests, each| milliseconds(&cost, &shape(&[], decode(requests, each)));
        prop_assert!(step(requests + more, each) >= WITHIN_FIT * step(requests, each), "requests");
        prop_assert!(step(requests, each + u64::from(more)) >= WITHIN_FIT * step(requests, each), "contexts");
    }
}

/// Chunks of a prompt read its cache again, and each reads all weights.
#[test]
fn chunking_a_prompt_costs_more_than_one_pass() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    let cost = compile(&CostOptions::new(&model, &device));
    let whole = milliseconds(&cost, &shape(&pieces(&[(8192, 0)]), decode(0, 0)));
    let mut before = whole;
    for chunk in [4096, 2048, 1024, 512, 256] {
        let starts = (0..8192).step_by(chunk as usize);
        let sum: f64 = starts.map(|at| milliseconds(&cost, &shape(&pieces(&[(chunk, at)]), decode(0, 0)))).sum();
        // Measured products of 8192 rows take more than twice as long as of 4096, as the board runs at its power limit: larger
        // chunks may win back a little of what they read twice.
        assert!(sum > before * WITHIN_FIT, "chunks of {chunk}: {sum} ms after {before} ms");
        before = sum;
    }
    assert!(before < 2.5 * whole, "chunks of 256 tokens: {before} ms, whole: {whole} ms");
}

#[test]
fn decode_rows_ride_along_with_a_prompt_almost_for_free() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    let cost = compile(&CostOptions::new(&model, &device));
    let prompt = pieces(&[(1000, 0)]);
    let alone = milliseconds(&cost, &shape(&prompt, decode(0, 0)));
    let mixed = milliseconds(&cost, &shape(&prompt, decode(16, 500)));
    let decode_only = milliseconds(&cost, &shape(&[], decode(16, 500)));
    assert!(mixed - alone < 0.25 * decode_only, "{mixed} ms with 16 decode rows, {alone} ms without");
}

#[test]
fn one_row_beyond_a_tile_costs_a_tile() {
    let (model, device) = (shipped("Qwen/Qwen3-14B"), h100());
    let cost = compile(&CostOptions::new(&model, &device));
    let at = |rows| milliseconds(&cost, &shape(&pieces(&[(rows, 0)]), decode(0, 0)));
    assert!(at(1025) > 1.06 * at(1024), "a row more than 8 tiles of 128");
    assert!(at(1024) < 1.005 * at(1010), "within a tile");
}

#[test]
fn tensor_parallelism_helps_less_than_ideally() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-70B"), h100());
    let time = |ranks, prompt: &[(u32, u32)], requests| {
        let options = CostOptions { parallelism: Parallelism::tensor(ranks), ..CostOptions::new(&model, &device) };
        milliseconds(&compile(&options), &shape(&pieces(prompt), decode(requests, 1000)))
    };
    for (prompt, requests) in [(vec![(2048, 0)], 0), (vec![], 32)] {
        let (two, four, eight) = (time(2, &prompt, requests), time(4, &prompt, requests), time(8, &prompt, requests));
        assert!(two > four && four > eight, "{two} {four} {eight}");
        assert!(four > two / 2.0 && eight > four / 2.0, "{two} {four} {eight}");
    }
}

#[test]
fn eager_launches_slow_small_steps_only() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-8B"), h100());
    let graphs = compile(&CostOptions::new(&model, &device));
    let engine =
        EngineOverheads { cuda_graph_sizes: Vec::new(), eager_launch_ns: 40_000.0, ..EngineOverheads::vllm_v1() };
    let eager = compile(&CostOptions { engine, ..CostOptions::new(&model, &device) });
    let small = shape(&[], decode(8, 100));
    assert!(milliseconds(&eager, &small) > 1.2 * milliseconds(&graphs, &small));
    let prompt = pieces(&[(2048, 0)]);
    let large = shape(&prompt, decode(0, 0));
    assert_same(milliseconds(&eager, &large), milliseconds(&graphs, &large), "a large step hides its launches");
}

#[test]
fn handing_rows_to_the_next_stage_takes_latency_and_bandwidth() {
    let (model, device) = (shipped("meta-llama/Llama-3.1-70B"), h100());
    let mut options = CostOptions::new(&model, &device);
    options.parallelism.pipeline_parallel_size = 2;
    let cost = compile(&options);
    let (one, thousand) = (cost.handover_ns(1, 1), cost.handover_ns(1, 1001));
    let at_full_bandwidth = 1000.0 * 2.0 * 8192.0 * 2.0 / device.peer_bandwidth * 1e9;
    assert!((thousand - one) as f64 > at_full_bandwidth && ((thousand - one) as f64) < 3.0 * at_full_bandwidth);
    assert!(one > 1_000, "latency");
}

#[test]
fn reports_say_what_times_stand_on() {
    let model = shipped("meta-llama/Llama-3.1-8B");
    let share = |name: &str| {
        let device = DeviceSpec::shipped(name).expect("a shipped device");
        let totals = compile(&bare(&model, &device)).explain(&shape(&[], decode(8, 500)));
        totals.evidence_share(Evidence::Fitted)
    };
    assert!(share("H100") > 0.999, "fitted on this device");
    assert!(share("L4-24GB") < 1e-9, "carried over from the L40S");
}

/// Every shipped device has curves, and is slower where its datasheet says so.
#[test]
fn every_shipped_device_prices_a_step() {
    let model = shipped("meta-llama/Llama-3.1-8B");
    for name in DeviceSpec::shipped_names() {
        let device = DeviceSpec::shipped(&name).expect("a shipped device");
        let totals = compile(&bare(&model, &device)).explain(&shape(&[], decode(1, 100)));
        let at_bandwidth = totals.necessary_bytes / device.memory_bandwidth * 1e9;
        let share = at_bandwidth / totals.time_ns();
        assert!((0.4..0.95).contains(&share), "{name}: {share} of its bandwidth");
        assert!(totals.operator(Operator::Host).time_ns() == 0.0);
    }
}
