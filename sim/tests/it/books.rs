//! A long run on the real cost model: what was spent is what the steps spent, and what the tokens need.

use profiles::Mixer;
use profiles::cost::EngineOverheads;
use sim::{Ending, KvSpec, ReplicaSpec};
use workloads::{
    Arrivals, Lengths, Popularity, PrefixLength, PrefixSpec, PromptLengths, RequestLengths, Synthetic, WorkloadSpec,
};

use crate::deployment::{CHUNKED, alone, h100, llama_8b, llama_8b_on_h100, replica, scheduler};
use crate::engine;
use crate::reference::Run;

/// 3,000 requests at a load with queues, behind system prompts that are found in the cache.
fn run() -> Run {
    let kv = KvSpec { block_size: 16, blocks: 27_000, prefix_caching: true };
    let cost = llama_8b_on_h100(EngineOverheads::vllm_v1());
    let replica = ReplicaSpec { idle_power_w: h100().idle_power_w, ..replica(scheduler(CHUNKED, 2048, 256), kv, cost) };
    let normal = |mean, sd, min, max| Lengths::normal(mean, sd, min, max).expect("valid");
    let lengths =
        RequestLengths::Independent { input: normal(512.0, 256.0, 16, 4096), output: normal(128.0, 64.0, 1, 1024) };
    let prefix = PrefixSpec::SystemPrompts {
        prompts: PromptLengths::Given(vec![200, 64, 333]),
        popularity: Popularity::Zipf { exponent: 1.0 },
        length: PrefixLength::OnTop,
    };
    let spec = WorkloadSpec { prefix, ..WorkloadSpec::new(Arrivals::Poisson { rate: 20.0 }, lengths, 3000) };
    engine::simulate(alone(replica), &mut Synthetic::new(&spec, 8).expect("valid")).expect("a valid run")
}

fn assert_equal(what: &str, booked: f64, expected: f64) {
    assert!((booked - expected).abs() <= 1e-9 * expected, "{what}: booked {booked}, expected {expected}");
}

#[test]
fn energy_is_the_integral_of_power() {
    let run = run();
    let books = &run.outcome.replicas[0];
    let stepwise_j: f64 = run.steps.iter().map(|step| step.dynamic_energy_j).sum();
    assert!(stepwise_j > 0.0);
    assert_equal("energy above idle", books.dynamic_energy_j, stepwise_j);
    assert_equal("energy above idle, by the cost model", books.cost.dynamic_energy_j, stepwise_j);

    // Power at each moment: idle, and above it the step's energy over its duration while one is in flight. Walked
    // from moment to moment, gaps between steps included.
    let h100 = h100();
    let (mut now, mut joules) = (run.outcome.first_arrival, 0.0);
    for step in &run.steps {
        assert!(step.start >= now, "one stage runs one step at a time");
        joules += h100.idle_power_w * (step.start - now).as_secs_f64();
        let duration_s = (step.end - step.start).as_secs_f64();
        let power_w = h100.idle_power_w + step.dynamic_energy_j / duration_s;
        assert!(power_w <= h100.power_limit_w * (1.0 + 1e-9), "{power_w} W are more than the board takes");
        joules += power_w * duration_s;
        now = step.end;
    }
    joules += h100.idle_power_w * (run.outcome.end - now).as_secs_f64();
    assert_equal("energy", books.idle_energy_j + books.dynamic_energy_j, joules);
}

#[test]
fn floating_point_operations_are_those_of_a_dense_model_by_hand() {
    let run = run();
    let books = &run.outcome.replicas[0];
    assert_eq!(books.preemptions, 0, "recomputation would add to the work");
    assert!(books.cached_tokens > 0, "the cache was to save some of it");

    let model = llama_8b();
    let Mixer::Attention(attention) = &model.layers[0].mixer else { panic!("Llama attends") };
    let parameters = model.parameters();
    let layers = model.layers.len() as f64;
    // 2 FLOPs per weight and row in all layers; head only where a token is sampled.
    let per_row = 2.0 * (parameters.mixers + parameters.dense_ffn) as f64;
    let per_sample = 2.0 * f64::from(model.hidden_size) * f64::from(model.vocab_size);
    // QK and PV: 4 FLOPs per query element and key. The token at place n attends to n tokens, however it came in.
    let per_pair = 4.0 * f64::from(attention.query_heads * attention.head_dim) * layers;
    let triangle = |n: f64| n * (n + 1.0) / 2.0;
    let mut expected = 0.0;
    for record in &run.records {
        assert_eq!(record.ending, Ending::Completed);
        // The last token of an answer never enters the model.
        let written = f64::from(record.input_tokens + record.output_tokens - 1);
        let cached = f64::from(record.cached_tokens);
        expected += per_row * (written - cached) + per_sample * f64::from(record.output_tokens);
        expected += per_pair * (triangle(written) - triangle(cached));
    }
    assert_equal("useful FLOPs", books.cost.useful_flops, expected);
    // Rows added by padding come on top.
    assert!(books.cost.flops() > expected && books.cost.flops() < 1.2 * expected, "{} FLOPs", books.cost.flops());
}

#[test]
fn time_by_operator_is_the_time_of_the_steps() {
    let run = run();
    let books = &run.outcome.replicas[0];
    let steps_ns: u64 = run.steps.iter().map(|step| (step.end - step.start).as_nanos()).sum();
    assert_eq!(books.stage_busy[0].as_nanos(), steps_ns);
    assert_eq!(books.cost.steps, run.steps.len() as u64);
    // Each step's time was rounded to a nanosecond.
    let off_ns = (books.cost.time_ns() - steps_ns as f64).abs();
    assert!(off_ns <= 0.5 * books.steps as f64 + 1e-9 * steps_ns as f64, "{off_ns} ns of {steps_ns} are missing");
}
