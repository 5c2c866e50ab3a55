//! Times the simulation alone, without reading or writing files: `cargo run --release --example load -p servesim-sim --
//! 1000000` plays a million requests of Load A (Poisson 10/s, input normal(512, 256) cut to [16, 4096], output
//! normal(128, 64) cut to [2, 1024]) against Llama-3.1-8B on one H100 with chunked prefill; `1000000 async` schedules
//! asynchronously.

use std::time::Instant;

use profiles::cost::{AnalyticCost, CostOptions};
use profiles::{DeviceSpec, ModelSpec};
use sim::{
    DeploymentSpec, EngineSpec, KvSpec, Measures, Policy, ReplicaSpec, Role, RouterSpec, SchedulerSpec, Slos, simulate,
};
use workloads::{Arrivals, Bounds, Cut, Lengths, RequestLengths, Synthetic, WorkloadSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let requests = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let async_scheduling = std::env::args().nth(2).is_some_and(|word| word == "async");
    let began = Instant::now();
    let model = ModelSpec::shipped("meta-llama/Llama-3.1-8B")?;
    let device = DeviceSpec::shipped("H100-SXM-80GB")?;
    let cost = AnalyticCost::new(&CostOptions::new(&model, &device))?;
    let built = began.elapsed();

    let normal = |mean, sd, min, max| Lengths::Normal { mean, sd, bounds: Bounds { min, max, cut: Cut::Clamp } };
    let lengths =
        RequestLengths::Independent { input: normal(512.0, 256.0, 16, 4096), output: normal(128.0, 64.0, 2, 1024) };
    let workload = WorkloadSpec::new(Arrivals::Poisson { rate: 10.0 }, lengths, requests);
    let mut source = Synthetic::new(&workload, 1)?;
    let replica = ReplicaSpec {
        role: Role::Serve,
        scheduler: SchedulerSpec {
            policy: Policy::ChunkedPrefill { long_prefill_token_threshold: 0, scheduler_reserve_full_isl: false },
            max_num_batched_tokens: 2048,
            max_num_seqs: 256,
            order: sim::QueueOrder::Fcfs,
        },
        kv: KvSpec { block_size: 16, blocks: 27_000, prefix_caching: true },
        checkpoints: None,
        max_model_len: 16_384,
        cost: Box::new(cost),
        sliding_window: None,
        devices: 1,
        idle_power_w: device.idle_power_w,
        engine: EngineSpec { async_scheduling, ..EngineSpec::default() },
    };
    let spec = DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 1, handover: None };
    let mut measures = Measures::new(Slos::default(), None);
    let outcome = simulate(spec, &mut source, &mut measures)?;

    let elapsed = began.elapsed();
    let steps = outcome.replicas[0].steps;
    let text = format!(
        "{requests} requests, {steps} steps: {:.3} s, of which tables {:.4} s; {:.0} ns per step, {:.2} us per request\n",
        elapsed.as_secs_f64(),
        built.as_secs_f64(),
        elapsed.saturating_sub(built).as_nanos() as f64 / steps as f64,
        elapsed.saturating_sub(built).as_micros() as f64 / requests as f64,
    );
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
    Ok(())
}
