//! *`BlendServe`*'s mixes of requests under its scheduler and its baselines: throughput, sharing, how even steps are, and how long
//! it takes to simulate.
//!
//! `cargo run --release --example blendserve -p servesim-sim -- [REQUESTS] [DENSITY] [SHARING]`, or `-- grid [REQUESTS]`, or
//! `-- ranks [REQUESTS] [DENSITY] [SHARING]`.
//!
//! The mixes follow the paper's recipe: requests like those of `BurstGPT` (its table 4: density 17.8) and `OpenVid` (0.05, answers
//! of 16,000 tokens on average) in the proportion that gives a density, and `MMLU` (54.9, sharing 0.86) until enough is shared.
//! Lengths are drawn so that each kind has the density of that table under the paper's formulas for Llama-3-8B on an A100.

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::fmt::Write as _;
use std::time::Instant;

use profiles::cost::{AnalyticCost, Composition, CostOptions, EngineOverheads};
use profiles::{DeviceSpec, ModelSpec};
use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use sim::offline::{BatchRequest, Demand, Plan, PlanOptions, cut, prepare};
use sim::{
    DeploymentSpec, EngineSpec, KvSpec, Observer, Outcome, Policy, QueueOrder, ReplicaSpec, Role, RouterSpec,
    SchedulerSpec,
};
use workloads::{ContentId, Prompt, Request, RequestId, SimTime, Source, Span, WorkloadError};

#[derive(Clone)]
struct Job {
    spans: Vec<Span>,
    output_tokens: u32,
}

/// All of them at time zero.
struct Batch<'a>(&'a [Job], usize);

impl Source for Batch<'_> {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        Ok((self.1 < self.0.len()).then_some(SimTime::ZERO))
    }

    fn take(&mut self) -> Request {
        let number = self.1 as u64;
        let job = &self.0[self.1];
        self.1 += 1;
        Request {
            id: RequestId(number),
            arrival: SimTime::ZERO,
            prompt: Prompt::new(job.spans.clone()),
            output_tokens: job.output_tokens,
            answer: ContentId::answer(number),
            session: None,
        }
    }

    fn ended(&mut self, _: RequestId, _: SimTime) {}
}

/// A lognormal length with this mean and coefficient of variation.
fn length(rng: &mut impl Rng, mean: f64, cv: f64, most: f64) -> u32 {
    let sigma2 = (1.0 + cv * cv).ln();
    let (u, v): (f64, f64) = (rng.random::<f64>().max(1e-12), rng.random());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    (mean.ln() - sigma2 / 2.0 + sigma2.sqrt() * normal).exp().clamp(1.0, most).round() as u32
}

/// A request of kind 0 (`BurstGPT`), 1 (`MMLU`) or 2 (`OpenVid`).
fn job(rng: &mut impl Rng, kind: usize, number: u64) -> Job {
    let own = |tokens| Span { content: ContentId::unique(number), tokens };
    let shared = |content, tokens| Span { content: ContentId::shared(content), tokens };
    match kind {
        0 => Job {
            spans: vec![shared(0, 12), own(length(rng, 588.0, 0.8, 8000.0))],
            output_tokens: length(rng, 46.0, 0.8, 4000.0),
        },
        1 => {
            let subject = 10 + rng.random_range(0..57);
            let spans = vec![shared(1, 20), shared(subject, 600), own(length(rng, 100.0, 0.5, 1000.0))];
            Job { spans, output_tokens: length(rng, 15.0, 0.5, 200.0) }
        }
        _ => Job {
            spans: vec![shared(2, 2), own(length(rng, 98.0, 0.5, 1000.0))],
            output_tokens: length(rng, 16_000.0, 1.04, 100_000.0),
        },
    }
}

/// `requests` requests of this density and sharing, in any order.
fn mix(requests: usize, density: f64, sharing: f64) -> Vec<Job> {
    let demand = Demand::of_sizes(8.03e9, 4096.0, 1024.0, 32.0, 255e12, 1.733e12);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    // Means of each kind: compute left, memory, prompt tokens, and tokens saved.
    let means: Vec<[f64; 4]> = (0..3)
        .map(|kind| {
            let saved = [12.0, 620.0, 2.0][kind];
            let mut sums = [0.0; 4];
            for number in 0..20_000 {
                let job = job(&mut rng, kind, number);
                let prompt: u32 = job.spans.iter().map(|span| span.tokens).sum();
                let work = demand.work(prompt, f64::from(job.output_tokens));
                let left = work.compute_ns - saved * demand.compute_ns_per_token;
                for (sum, term) in sums.iter_mut().zip([left, work.memory_ns, f64::from(prompt), saved]) {
                    *sum += term / 20_000.0;
                }
            }
            sums
        })
        .collect();
    // n_burst is 1; solve for the other two: both conditions are linear.
    let balance = |kind: usize| means[kind][0] - density * means[kind][1];
    let share = |kind: usize| means[kind][3] - sharing * means[kind][2];
    let det = balance(1) * share(2) - balance(2) * share(1);
    let mmlu = ((-balance(0)) * share(2) - balance(2) * (-share(0))) / det;
    let video = (balance(1) * (-share(0)) - (-balance(0)) * share(1)) / det;
    let all = 1.0 + mmlu + video;
    assert!(mmlu >= 0.0 && video >= 0.0, "no such mix");
    let counts = [1.0, mmlu, video].map(|part| (part / all * requests as f64).round() as usize);
    let mut kinds: Vec<usize> = (0..3).flat_map(|kind| vec![kind; counts[kind]]).collect();
    for last in (1..kinds.len()).rev() {
        kinds.swap(last, rng.random_range(0..=last));
    }
    (0..).zip(kinds).map(|(number, kind)| job(&mut rng, kind, number)).collect()
}

#[derive(Clone, Copy)]
struct System {
    name: &'static str,
    policy: Policy,
    order: QueueOrder,
    composition: Composition,
}

const BLEND: Policy = Policy::BlendServe {
    sample_permille: 10,
    known_from_tokens: 2048,
    kept_sharing_permille: 990,
    watermark_permille: 20,
};
const CHUNKED: Policy = Policy::ChunkedPrefill { long_prefill_token_threshold: 0, scheduler_reserve_full_isl: true };
const OVERLAP: Composition = Composition::Overlapped { interference: Composition::INTERFERENCE };
const SYSTEMS: [System; 6] = [
    System { name: "dfs serial", policy: BLEND, order: QueueOrder::DepthFirst, composition: Composition::Serial },
    System { name: "random serial", policy: BLEND, order: QueueOrder::Random, composition: Composition::Serial },
    System { name: "density serial", policy: BLEND, order: QueueOrder::Density, composition: Composition::Serial },
    System { name: "dfs overlap", policy: BLEND, order: QueueOrder::DepthFirst, composition: OVERLAP },
    System { name: "random overlap", policy: BLEND, order: QueueOrder::Random, composition: OVERLAP },
    System { name: "blendserve", policy: BLEND, order: QueueOrder::Density, composition: OVERLAP },
];
const VLLM: System = System {
    name: "chunked dfs serial",
    policy: CHUNKED,
    order: QueueOrder::DepthFirst,
    composition: Composition::Serial,
};

/// KV tokens of 60 GB.
const KV_TOKENS: u32 = 457_600;

fn cost(composition: Composition) -> AnalyticCost {
    let model = ModelSpec::shipped("meta-llama/Llama-3.1-8B").expect("shipped");
    let device = DeviceSpec::shipped("A100-SXM-80GB").expect("shipped");
    let options = CostOptions {
        composition,
        separate_attention: true,
        engine: EngineOverheads::none(),
        max_num_batched_tokens: 8192,
        max_num_seqs: 4096,
        ..CostOptions::new(&model, &device)
    };
    AnalyticCost::new(&options).expect("it suits")
}

fn run(system: &System, jobs: &[Job], observer: &mut impl Observer) -> Outcome {
    let replica = ReplicaSpec {
        role: Role::Serve,
        scheduler: SchedulerSpec {
            policy: system.policy,
            max_num_batched_tokens: 8192,
            max_num_seqs: 4096,
            order: system.order,
        },
        kv: KvSpec { block_size: 16, blocks: KV_TOKENS / 16, prefix_caching: true },
        checkpoints: None,
        max_model_len: 131_072,
        cost: Box::new(cost(system.composition)),
        sliding_window: None,
        devices: 1,
        idle_power_w: 0.0,
        engine: EngineSpec::default(),
    };
    let deployment =
        DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 1, handover: None };
    sim::simulate(deployment, &mut Batch(jobs, 0), observer).expect("a valid run")
}

fn plan(jobs: &[Job], demand: Demand) -> Plan {
    let unit_tokens = f64::from(KV_TOKENS) / 100.0;
    let options =
        PlanOptions { demand, sample: 0.01, known_from_tokens: 2048, kept_sharing: 0.99, unit_tokens, seed: 1 };
    let requests = jobs.iter().map(|job| BatchRequest { prompt: &job.spans, output_tokens: job.output_tokens });
    prepare(requests, None, &options)
}

/// Logical tokens.
fn tokens(jobs: &[Job]) -> f64 {
    let of = |job: &Job| job.spans.iter().map(|span| span.tokens).sum::<u32>() + job.output_tokens;
    jobs.iter().map(|job| f64::from(of(job))).sum()
}

/// Time that all work takes at best, each shared token computed once: both parts beside each other, with interference.
fn optimum_s(jobs: &[Job], demand: &Demand, plan: &Plan) -> [f64; 2] {
    let (mut compute_ns, mut memory_ns, mut prompts) = (0.0, 0.0, 0.0);
    for job in jobs {
        let prompt: u32 = job.spans.iter().map(|span| span.tokens).sum();
        let work = demand.work(prompt, f64::from(job.output_tokens));
        compute_ns += work.compute_ns;
        memory_ns += work.memory_ns;
        prompts += f64::from(prompt);
    }
    compute_ns -= plan.sharing * prompts * demand.compute_ns_per_token;
    [OVERLAP.time(compute_ns, memory_ns) / 1e9, compute_ns / memory_ns]
}

fn compare(requests: usize, density: f64, sharing: f64) {
    let jobs = mix(requests, density, sharing);
    let demand = Demand::of_cost(&cost(Composition::Serial)).expect("it prices both");
    let start = Instant::now();
    let prepared = plan(&jobs, demand);
    let took = start.elapsed().as_secs_f64();
    let [best_s, true_density] = optimum_s(&jobs, &demand, &prepared);
    println!(
        "{requests} requests, density {density} (as priced {true_density:.2}, expected {:.2}), sharing {:.3} (kept {:.4}, moved {}); prepared in {took:.2} s",
        prepared.density, prepared.sharing, prepared.kept_sharing, prepared.moved
    );
    println!(
        "{:<20}{:>9}{:>8}{:>8}{:>8}{:>9}{:>9}{:>9}{:>8}{:>9}{:>9}",
        "system", "tok/s", "of opt", "saving", "of dfs", "steps", "preempt", "compute", "memory", "sd mem", "sim s"
    );
    for system in SYSTEMS.iter().chain([&VLLM]) {
        let start = Instant::now();
        let outcome = run(system, &jobs, &mut ());
        let seconds = outcome.elapsed().as_secs_f64();
        let replica = &outcome.replicas[0];
        let saving = 1.0 - replica.prefill_tokens as f64 / replica.prompt_tokens as f64;
        let parts = replica.cost.parts;
        println!(
            "{:<20}{:>9.0}{:>8.3}{:>8.3}{:>8.3}{:>9}{:>9}{:>9.2}{:>8.2}{:>9.2}{:>9.2}",
            system.name,
            tokens(&jobs) / seconds,
            best_s / seconds,
            saving,
            saving / prepared.sharing,
            replica.steps,
            replica.preemptions,
            parts.compute.mean_ns(parts.steps) / 1e6,
            parts.memory.mean_ns(parts.steps) / 1e6,
            parts.memory.sd_ns(parts.steps) / 1e6,
            start.elapsed().as_secs_f64()
        );
    }
}

/// Gain over depth-first order with overlap, over density and sharing.
fn grid(requests: usize) {
    let (mut sum, mut least, mut most) = (0.0, f64::INFINITY, 0.0_f64);
    for step in 0..=12 {
        let density = 0.8 + 0.05 * f64::from(step);
        let mut line = format!("{density:.2}:");
        for sharing in [0.05, 0.15, 0.25, 0.35, 0.45] {
            let jobs = mix(requests, density, sharing);
            let time = |system: &System| run(system, &jobs, &mut ()).elapsed().as_secs_f64();
            let gain = time(&SYSTEMS[3]) / time(&SYSTEMS[5]);
            let _ = write!(line, " {gain:.3}");
            sum += gain / 65.0;
            (least, most) = (least.min(gain), most.max(gain));
        }
        println!("{line}");
    }
    println!("mean {sum:.3}, from {least:.3} to {most:.3}");
}

/// Throughput of data-parallel ranks over one.
fn ranks(requests: usize, density: f64, sharing: f64) {
    let jobs = mix(requests, density, sharing);
    let demand = Demand::of_cost(&cost(OVERLAP)).expect("it prices both");
    let prepared = plan(&jobs, demand);
    let mut one_s = 0.0;
    for count in [1, 2, 4] {
        let time = |numbers: &Vec<u32>| {
            let part: Vec<Job> = numbers.iter().map(|&number| jobs[number as usize].clone()).collect();
            run(&SYSTEMS[5], &part, &mut ()).elapsed().as_secs_f64()
        };
        let slowest_s = cut(&prepared, count).iter().map(time).fold(0.0, f64::max);
        if count == 1 {
            one_s = slowest_s;
        }
        println!("{count} ranks: {:.0} tok/s, {:.2} x", tokens(&jobs) / slowest_s, one_s / slowest_s);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |place: usize, default: f64| arguments.get(place).map_or(default, |text| text.parse().expect("a number"));
    match arguments.first().map(String::as_str) {
        Some("grid") => grid(number(1, 40_000.0) as usize),
        Some("ranks") => ranks(number(1, 40_000.0) as usize, number(2, 1.4), number(3, 0.35)),
        _ => compare(number(0, 40_000.0) as usize, number(1, 1.4), number(2, 0.35)),
    }
}
