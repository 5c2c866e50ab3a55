//! What pricing steps from kernel tables costs the simulator: `cargo run --release --example tables -p servesim-sim`.
//!
//! Plays Load A (10,000 requests, Poisson 10/s, input normal(512, 256) cut to [16, 4096], output normal(128, 64) cut to
//! [2, 1024]; Llama-3.1-8B on one H100 with chunked prefill) in turns with the fitted cost model and with one that has kernel
//! tables too, and compares the shortest times per step. The tables hold made-up times (a roofline and a launch) of as many
//! shapes as published ones, so that the program runs anywhere.

use std::io::Write;
use std::time::{Duration, Instant};

use profiles::cost::{AnalyticCost, CostOptions};
use profiles::kernels::{Kernels, NamedTable};
use profiles::table::{
    Cache, DecodeAttentionRow, GemmRow, Header, KernelTable, Launch, PrefillAttentionRow, Rows, Scaling, Timing,
};
use profiles::{DType, DeviceSpec, Evidence, ModelSpec};
use sim::{
    DeploymentSpec, EngineSpec, KvSpec, Measures, Policy, ReplicaSpec, Role, RouterSpec, SchedulerSpec, Slos, simulate,
};
use workloads::{Arrivals, Bounds, Cut, Lengths, RequestLengths, Synthetic, WorkloadSpec};

const TURNS: u32 = 15;
const LAUNCH_US: f64 = 4.0;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let model = ModelSpec::shipped("meta-llama/Llama-3.1-8B")?;
    let device = DeviceSpec::shipped("H100-SXM-80GB")?;
    let tables = tables(&device);
    let rows: usize = tables.iter().map(|table| table.table.len()).sum();
    let began = Instant::now();
    let (kernels, _) = Kernels::new(&device, &tables)?;
    let built = began.elapsed();
    let options = CostOptions::new(&model, &device);
    let fitted = AnalyticCost::new(&options)?;
    let began = Instant::now();
    let measured = AnalyticCost::new(&CostOptions { kernels: Some(&kernels), ..options })?;
    let compiled = began.elapsed();

    let mut shortest = [f64::INFINITY; 2];
    let mut measured_share = 0.0;
    for _ in 0..TURNS {
        for (cost, shortest) in [&fitted, &measured].into_iter().zip(&mut shortest) {
            let (time, steps, share) = load_a(cost, &device)?;
            *shortest = shortest.min(time.as_nanos() as f64 / steps as f64);
            measured_share = share;
        }
    }
    let [fitted, measured] = shortest;
    writeln!(
        std::io::stdout(),
        "fitted {fitted:.0} ns per step, with tables {measured:.0} ns per step: ratio {:.3}\n{:.0} % of the step time measured; \
         {rows} rows made ready in {:.1} ms, compiled for the model in {:.1} ms",
        measured / fitted,
        measured_share * 100.0,
        built.as_secs_f64() * 1e3,
        compiled.as_secs_f64() * 1e3,
    )?;
    Ok(())
}

/// Plays Load A: time of the simulation alone, steps, and share of the step time that counts as measured.
fn load_a(cost: &AnalyticCost, device: &DeviceSpec) -> Result<(Duration, u64, f64), Failure> {
    let normal = |mean, sd, min, max| Lengths::Normal { mean, sd, bounds: Bounds { min, max, cut: Cut::Clamp } };
    let lengths =
        RequestLengths::Independent { input: normal(512.0, 256.0, 16, 4096), output: normal(128.0, 64.0, 2, 1024) };
    let workload = WorkloadSpec::new(Arrivals::Poisson { rate: 10.0 }, lengths, 10_000);
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
        cost: Box::new(cost.clone()),
        engine: EngineSpec::default(),
        sliding_window: None,
        devices: 1,
        idle_power_w: device.idle_power_w,
    };
    let spec = DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 1, handover: None };
    let mut measures = Measures::new(Slos::default(), None);
    let began = Instant::now();
    let outcome = simulate(spec, &mut source, &mut measures)?;
    let time = began.elapsed();
    Ok((time, outcome.replicas[0].steps, outcome.replicas[0].cost.evidence_share(Evidence::Measured)))
}

fn tables(device: &DeviceSpec) -> Vec<NamedTable> {
    [gemm(device), prefill(device), decode(device)]
        .into_iter()
        .map(|rows| {
            let source = "made up: a roofline and a launch";
            let header = Header::new(rows.kernel(), &device.name, Cache::Cold, Launch::Graph, source, "2026-11-25");
            NamedTable { file: rows.kernel().name().to_owned(), table: KernelTable { header, rows } }
        })
        .collect()
}

fn timing(device: &DeviceSpec, flops: f64, bytes: f64) -> Timing {
    let seconds = (flops / (0.7 * device.bf16_flops)).max(bytes / (0.85 * device.memory_bandwidth));
    Timing::of_us(LAUNCH_US + seconds * 1e6)
}

fn gemm(device: &DeviceSpec) -> Rows {
    let sizes: Vec<u32> =
        (0..26).map(|step| (128.0 * 2_f64.powf(f64::from(step) / 2.5)).round() as u32 / 64 * 64).collect();
    let row_counts: Vec<u32> = (0..33).map(|step| 2_f64.powf(f64::from(step) / 2.28).round() as u32).collect();
    let mut rows = Vec::new();
    for &n in &sizes {
        for &k in &sizes {
            for &m in &row_counts {
                let (rows_f, n_f, k_f) = (f64::from(m), f64::from(n), f64::from(k));
                let bytes = 2.0 * (n_f * k_f + rows_f * (n_f + k_f));
                let timing = timing(device, 2.0 * rows_f * n_f * k_f, bytes);
                let (weights, activations) = (DType::Bf16, DType::Bf16);
                rows.push(GemmRow { m, n, k, weights, activations, scaling: Scaling::None, timing });
            }
        }
    }
    rows.dedup_by_key(|row| (row.n, row.k, row.m));
    Rows::Gemm(rows)
}

const HEADS: [(u32, u32); 9] = [(8, 1), (8, 8), (16, 2), (16, 4), (32, 4), (32, 8), (32, 32), (64, 8), (64, 64)];

fn prefill(device: &DeviceSpec) -> Rows {
    let mut rows = Vec::new();
    for (query_heads, kv_heads) in HEADS {
        for new_tokens in [1_u32, 16, 32, 64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16_384] {
            for requests in [1_u32, 2, 4, 8, 16] {
                let tokens = f64::from(new_tokens);
                let pairs = f64::from(requests) * tokens * (tokens + 1.0) / 2.0;
                let bytes = f64::from(requests) * tokens * f64::from(query_heads + kv_heads) * 512.0;
                rows.push(PrefillAttentionRow {
                    requests,
                    new_tokens,
                    context_tokens: 0,
                    query_heads,
                    kv_heads,
                    head_dim: 128,
                    window: 0,
                    activations: DType::Bf16,
                    kv_cache: DType::Bf16,
                    timing: timing(device, pairs * 4.0 * f64::from(query_heads) * 128.0, bytes),
                });
            }
        }
    }
    Rows::PrefillAttention(rows)
}

fn decode(device: &DeviceSpec) -> Rows {
    let mut rows = Vec::new();
    for (query_heads, kv_heads) in HEADS {
        for context in (1..15).map(|power| 1_u64 << power) {
            for requests in [1_u32, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] {
                let keys = u64::from(requests) * context;
                let timing = timing(
                    device,
                    keys as f64 * 4.0 * f64::from(query_heads) * 128.0,
                    keys as f64 * f64::from(kv_heads) * 512.0,
                );
                rows.push(DecodeAttentionRow {
                    requests,
                    context_tokens: keys,
                    longest_context_tokens: context,
                    query_heads,
                    kv_heads,
                    head_dim: 128,
                    window: 0,
                    activations: DType::Bf16,
                    kv_cache: DType::Bf16,
                    timing,
                });
            }
        }
    }
    Rows::DecodeAttention(rows)
}
