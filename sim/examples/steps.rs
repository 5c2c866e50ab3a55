//! Time per step by number of running requests, with the real cost model and a saturated queue behind them:
//! `cargo run --release --example steps -p servesim-sim`.
//!
//! Each figure of the first column is the difference between two runs whose answers differ only in length, divided by the
//! difference in steps, so that letting requests in and out does not count; each run is repeated and the shortest time
//! taken. The second column is a run that lacks KV blocks for as many as may run, so that requests are preempted all the
//! time: its whole time divided by its steps.

use std::io::Write;
use std::time::{Duration, Instant};

use profiles::cost::{AnalyticCost, CostOptions};
use profiles::{DeviceSpec, ModelSpec};
use sim::{
    DeploymentSpec, EngineSpec, KvSpec, Measures, Outcome, Policy, ReplicaSpec, Role, RouterSpec, SchedulerSpec, Slos,
    simulate,
};
use workloads::{Arrivals, Lengths, RequestLengths, Synthetic, WorkloadSpec};

const REPETITIONS: u32 = 7;
const OUTPUT_TOKENS: u32 = 100_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let model = ModelSpec::shipped("meta-llama/Llama-3.1-8B")?;
    let device = DeviceSpec::shipped("H100-SXM-80GB")?;
    let mut options = CostOptions::new(&model, &device);
    (options.max_num_batched_tokens, options.max_num_seqs) = (8192, 4096);
    let cost = AnalyticCost::new(&options)?;
    let mut out = std::io::stdout();
    writeln!(out, "running   ns per step   short of blocks")?;
    for running in [8, 64, 512, 4096] {
        let (short, short_steps) = shortest(&cost, running, OUTPUT_TOKENS)?;
        let (long, long_steps) = shortest(&cost, running, 2 * OUTPUT_TOKENS)?;
        let ns = long.saturating_sub(short).as_nanos() as f64 / (long_steps - short_steps) as f64;
        let (time, steps, preemptions) = short_of_blocks(&cost, running)?;
        let starved = time.as_nanos() as f64 / steps as f64;
        writeln!(out, "{running:>7} {ns:>13.0} {starved:>17.0} ({preemptions} preemptions in {steps} steps)")?;
    }
    Ok(())
}

/// The shortest time of several runs, and their steps.
fn shortest(cost: &AnalyticCost, running: u32, output_tokens: u32) -> Result<(Duration, u64), Failure> {
    let mut shortest = run(cost, running, output_tokens)?;
    for _ in 1..REPETITIONS {
        shortest = shortest.min(run(cost, running, output_tokens)?);
    }
    Ok(shortest)
}

/// Plays twice as many requests as can run at a time, so that half of them wait for the others.
fn run(cost: &AnalyticCost, running: u32, output_tokens: u32) -> Result<(Duration, u64), Failure> {
    let (time, outcome) = play(cost, running, 2 * running, output_tokens, 60_000_000)?;
    Ok((time, outcome.replicas[0].steps))
}

/// Plays ten times as many requests as can run at a time, with blocks for three quarters of the tokens of those.
fn short_of_blocks(cost: &AnalyticCost, running: u32) -> Result<(Duration, u64, u64), Failure> {
    let (time, outcome) = play(cost, running, 10 * running, 512, running * (256 + 512) / 16 * 3 / 4)?;
    Ok((time, outcome.replicas[0].steps, outcome.replicas[0].preemptions))
}

fn play(
    cost: &AnalyticCost,
    running: u32,
    requests: u32,
    output_tokens: u32,
    blocks: u32,
) -> Result<(Duration, Outcome), Failure> {
    let lengths = RequestLengths::Independent {
        input: Lengths::Fixed { tokens: 256 },
        output: Lengths::Fixed { tokens: output_tokens },
    };
    let workload = WorkloadSpec::new(Arrivals::AllAtOnce, lengths, u64::from(requests));
    let replica = ReplicaSpec {
        role: Role::Serve,
        scheduler: SchedulerSpec {
            policy: Policy::ChunkedPrefill { long_prefill_token_threshold: 0, scheduler_reserve_full_isl: false },
            max_num_batched_tokens: 8192,
            max_num_seqs: running,
            order: sim::QueueOrder::Fcfs,
        },
        kv: KvSpec { block_size: 16, blocks, prefix_caching: true },
        checkpoints: None,
        max_model_len: 1_000_000,
        cost: Box::new(cost.clone()),
        sliding_window: None,
        devices: 1,
        idle_power_w: 72.0,
        engine: EngineSpec::default(),
    };
    let spec = DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 1, handover: None };
    let mut source = Synthetic::new(&workload, 1)?;
    let mut measures = Measures::new(Slos::default(), None);
    let began = Instant::now();
    let outcome = simulate(spec, &mut source, &mut measures)?;
    Ok((began.elapsed(), outcome))
}
