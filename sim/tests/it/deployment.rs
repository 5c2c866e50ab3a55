//! Small deployments, and what tests read from their runs.

use profiles::CostModel;
use profiles::cost::simple::{DecodePolynomial, PolynomialOptions};
use profiles::cost::{AnalyticCost, CostOptions, EngineOverheads};
use profiles::{DeviceSpec, ModelSpec};
use sim::{
    DeploymentSpec, EngineSpec, KvSpec, Observer, Outcome, Policy, QueueOrder, ReplicaSpec, RequestRecord, Role,
    RouterSpec, SchedulerSpec,
};
use workloads::{Arrivals, Lengths, RequestLengths, Source, Synthetic, WorkloadSpec};

/// vLLM v1's policy with its default settings of old: no threshold, no reservation.
pub(crate) const CHUNKED: Policy =
    Policy::ChunkedPrefill { long_prefill_token_threshold: 0, scheduler_reserve_full_isl: false };

/// A cost of nothing, to which tests add the terms they mean.
pub(crate) const FREE: PolynomialOptions = PolynomialOptions {
    prefill_base_ns: 0.0,
    per_prompt_token_ns: 0.0,
    per_prompt_token_squared_ns: 0.0,
    decode: FREE_DECODE,
    decode_large: FREE_DECODE,
    large_batch_requests: u32::MAX,
    stages: 1,
    per_stage_prefill_ns: 0.0,
    per_step_ns: 0.0,
    per_step_token_ns: 0.0,
};

const FREE_DECODE: DecodePolynomial = DecodePolynomial { base_ns: 0.0, per_context_token_ns: 0.0, per_request_ns: 0.0 };

/// A scheduler's settings in one line.
pub(crate) fn scheduler(policy: Policy, max_num_batched_tokens: u32, max_num_seqs: u32) -> SchedulerSpec {
    SchedulerSpec { policy, max_num_batched_tokens, max_num_seqs, order: QueueOrder::Fcfs }
}

/// A cache without prefix caching.
pub(crate) fn cache(block_size: u32, blocks: u32) -> KvSpec {
    KvSpec { block_size, blocks, prefix_caching: false }
}

/// One replica without idle power that rejects nothing for its length.
pub(crate) fn replica(scheduler: SchedulerSpec, kv: KvSpec, cost: impl CostModel + 'static) -> ReplicaSpec {
    ReplicaSpec {
        role: Role::Serve,
        scheduler,
        kv,
        checkpoints: None,
        max_model_len: u32::MAX,
        cost: Box::new(cost),
        sliding_window: None,
        devices: 1,
        idle_power_w: 0.0,
        engine: EngineSpec::default(),
    }
}

/// A deployment of one replica.
pub(crate) fn alone(replica: ReplicaSpec) -> DeploymentSpec {
    DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 0, handover: None }
}

/// Llama-3.1-8B in 16 bits on one H100, with the overheads of a serving engine or without any.
pub(crate) fn llama_8b_on_h100(engine: EngineOverheads) -> AnalyticCost {
    AnalyticCost::new(&CostOptions { engine, ..CostOptions::new(&llama_8b(), &h100()) }).expect("a valid model")
}

/// The H100 SXM.
pub(crate) fn h100() -> DeviceSpec {
    DeviceSpec::shipped("H100-SXM-80GB").expect("shipped")
}

/// Llama-3.1-8B.
pub(crate) fn llama_8b() -> ModelSpec {
    ModelSpec::shipped("meta-llama/Llama-3.1-8B").expect("shipped")
}

/// Requests at Poisson times with prompts and answers drawn from these lengths.
pub(crate) fn poisson(rate: f64, input: Lengths, output: Lengths, requests: u64, seed: u64) -> Synthetic {
    let lengths = RequestLengths::Independent { input, output };
    Synthetic::new(&WorkloadSpec::new(Arrivals::Poisson { rate }, lengths, requests), seed).expect("a valid workload")
}

/// Keeps request records only.
#[derive(Default)]
struct Records(Vec<RequestRecord>);

impl Observer for Records {
    fn request(&mut self, record: &RequestRecord) {
        self.0.push(record.clone());
    }
}

/// Runs the engine and keeps what requests report, in order of their endings.
pub(crate) fn records(spec: DeploymentSpec, source: &mut dyn Source) -> (Vec<RequestRecord>, Outcome) {
    let mut records = Records::default();
    let outcome = sim::simulate(spec, source, &mut records).expect("a valid run");
    (records.0, outcome)
}

/// Mean of a figure in seconds.
pub(crate) fn mean(seconds: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = seconds.len() as f64;
    seconds.sum::<f64>() / n
}

/// Demands that `measured` is within `share` of `expected`.
#[expect(clippy::print_stdout, reason = "figures for whoever runs the tests with --nocapture")]
pub(crate) fn assert_within(what: &str, measured: f64, expected: f64, share: f64) {
    let off = measured / expected - 1.0;
    println!("{what}: measured {measured:.6}, expected {expected:.6} ({:+.2} %)", 100.0 * off);
    assert!(off.abs() <= share, "{what}: {measured} is not within {share} of {expected}");
}
