//! Two pipeline stages are a tandem of two queues, and two tensor-parallel GPUs one faster server: the formulas of
//! `DistServe` (OSDI 2024, eq. 1-3), for prompts of one length served one at a time in order of arrival.
//!
//! With `D` the time of a prompt on one GPU, `R` the rate, and `K` the speed-up by tensor parallelism, mean TTFT is
//! `D + R D² / (4 (2 − R D))` under pipeline and `D/K + R D² / (2 K (K − R D))` under tensor parallelism.

use profiles::cost::simple::{ConstantCost, PolynomialCost, PolynomialOptions};
use sim::DeploymentSpec;
use workloads::Lengths;

use crate::deployment::{CHUNKED, FREE, alone, assert_within, cache, mean, poisson, records, replica, scheduler};
use crate::engine;

const D_NS: f64 = 189e6;
const D_S: f64 = D_NS / 1e9;
const PROMPT: u32 = 512;
/// Enough for a crossover within 0.01, and few enough for a test.
const REQUESTS: u64 = 20_000;

/// Two stages of D/2. A budget of one prompt and two sequences: one prompt per step, one step on each stage.
fn pipelined() -> DeploymentSpec {
    let cost = PolynomialCost::new(PolynomialOptions { prefill_base_ns: D_NS, stages: 2, ..FREE });
    alone(replica(scheduler(CHUNKED, PROMPT, 2), cache(16, 100), cost))
}

/// One stage of D/K.
fn tensor_parallel(speed_up: f64) -> DeploymentSpec {
    let cost = ConstantCost::new((D_NS / speed_up).round() as u64);
    alone(replica(scheduler(CHUNKED, PROMPT, 1), cache(16, 100), cost))
}

/// Mean TTFT in units of D at load R D. The seed is always the same, so that all systems see the same requests, and all
/// loads the same requests at another pace.
fn ttft(spec: DeploymentSpec, load: f64) -> f64 {
    let output = Lengths::Fixed { tokens: 1 };
    let mut source = poisson(load / D_S, Lengths::Fixed { tokens: PROMPT }, output, REQUESTS, 5);
    let (records, _) = records(spec, &mut source);
    mean(records.iter().map(|record| record.ttft().as_secs_f64())) / D_S
}

fn pipelined_formula(load: f64) -> f64 {
    1.0 + load / (4.0 * (2.0 - load))
}

fn tensor_parallel_formula(load: f64, k: f64) -> f64 {
    1.0 / k + load / (2.0 * k * (k - load))
}

#[test]
fn every_step_holds_one_prompt_and_the_stages_overlap() {
    let output = Lengths::Fixed { tokens: 1 };
    let mut source = poisson(1.5 / D_S, Lengths::Fixed { tokens: PROMPT }, output, 2000, 6);
    let run = engine::simulate(pipelined(), &mut source).expect("a valid run");
    assert_eq!(run.steps.len(), 2000);
    assert!(run.steps.iter().all(|step| (step.prefill_requests, step.prefill_tokens) == (1, PROMPT)));
    let overlapping = run.steps.windows(2).filter(|pair| pair[1].start < pair[0].end).count();
    assert!(overlapping > 1000, "only {overlapping} of 2000 prompts entered while another was on the second stage");
    // A prompt that finds the first stage busy enters the moment it is free: each takes D/2 there and no less.
    let entries: Vec<_> = run.steps.windows(2).map(|pair| (pair[1].start - pair[0].start).as_nanos()).collect();
    assert_eq!(entries.iter().min(), Some(&((D_NS / 2.0) as u64)));
}

#[test]
fn two_deterministic_stages_wait_like_a_tandem() {
    for load in [0.5, 1.0, 1.4] {
        let what = format!("2-stage tandem, TTFT / D at R D = {load}");
        assert_within(&what, ttft(pipelined(), load), pipelined_formula(load), 0.02);
    }
}

#[test]
fn tensor_parallelism_waits_like_a_faster_server() {
    for (k, load) in [(1.5, 0.5), (1.5, 0.94), (1.7, 1.26), (1.9, 1.4)] {
        let what = format!("tensor parallelism, TTFT / D at K = {k}, R D = {load}");
        assert_within(&what, ttft(tensor_parallel(k), load), tensor_parallel_formula(load, k), 0.02);
    }
}

#[test]
fn pipelines_overtake_tensor_parallelism_at_the_published_loads() {
    for (k, published) in [(1.5, 0.94), (1.7, 1.26), (1.9, 1.63)] {
        // Tensor parallelism wins below, the pipeline above.
        let lead = |load: f64| ttft(tensor_parallel(k), load) - ttft(pipelined(), load);
        let (mut below, mut above) = (published - 0.1, published + 0.1);
        let (mut lead_below, mut lead_above) = (lead(below), lead(above));
        assert!(lead_below < 0.0, "K = {k}: the pipeline is ahead at R D = {below} already");
        assert!(lead_above > 0.0, "K = {k}: tensor parallelism is still ahead at R D = {above}");
        while above - below > 0.03 {
            let middle = f64::midpoint(below, above);
            let lead = lead(middle);
            if lead < 0.0 { (below, lead_below) = (middle, lead) } else { (above, lead_above) = (middle, lead) }
        }
        // The lead is as good as linear over what is left.
        let crossing = below + (above - below) * lead_below / (lead_below - lead_above);
        println!("crossover at K = {k}: R D = {crossing:.4}, published {published}");
        assert!((crossing - published).abs() <= 0.03, "K = {k}: crossover at {crossing}, published {published}");
    }
}
