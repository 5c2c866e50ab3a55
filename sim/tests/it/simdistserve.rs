//! DistServe's own simulator (simdistserve): its times come out where prompts and decodes are on replicas of their own, KV caches
//! take no time, and a prefill step takes everything that waits.
//!
//! Coefficients: OPT-13B on one A100-80GB, DistServe's engine (`simdistserve/estimators/profile_data`, to five digits).
//! Overheads: 1 ms per stage of a prefill pass, 2 ms and 100 ns per token for each pass. For decode passes the tokens
//! are those attended to and not the rows, so that part is folded into the coefficients of contexts and requests.

use std::collections::BTreeMap;

use profiles::cost::simple::{DecodePolynomial, PolynomialCost, PolynomialOptions};
use sim::network::{NetworkSpec, Path};
use sim::{
    DecodeChoice, DeploymentSpec, HandoverSpec, KvSpec, Policy, ReplicaSpec, Role, RouterSpec, SchedulerSpec,
    TransferMode,
};
use workloads::{Arrivals, Lengths, RequestLengths, Synthetic, WorkloadSpec};

use crate::deployment::{alone, records, replica};

const MS: f64 = 1e6;

fn opt_13b() -> PolynomialCost {
    let decode = DecodePolynomial {
        base_ns: 19.935 * MS,
        per_context_token_ns: 6.269e-4 * MS + 100.0,
        per_request_ns: 0.038_507 * MS - 100.0,
    };
    PolynomialCost::new(PolynomialOptions {
        prefill_base_ns: 18.103 * MS,
        per_prompt_token_ns: 0.101_912 * MS,
        per_prompt_token_squared_ns: 7.122e-6 * MS,
        decode,
        decode_large: DecodePolynomial {
            base_ns: 7.166 * MS,
            per_context_token_ns: 5.798e-4 * MS + 100.0,
            per_request_ns: 0.158_311 * MS - 100.0,
        },
        large_batch_requests: 95,
        stages: 1,
        per_stage_prefill_ns: MS,
        per_step_ns: 2.0 * MS,
        per_step_token_ns: 100.0,
    })
}

/// Prefill batches take all that waits, whole; decode batches hold 50,000 tokens.
fn pool(role: Role) -> ReplicaSpec {
    let scheduler = SchedulerSpec {
        policy: Policy::PrefillFirst { watermark_permille: 0 },
        max_num_batched_tokens: 66_144,
        max_num_seqs: 65_536,
        order: sim::QueueOrder::Fcfs,
    };
    let blocks = if role == Role::Prefill { 66_144 } else { 50_000 };
    let kv = KvSpec { block_size: 1, blocks, prefix_caching: false };
    ReplicaSpec { role, ..replica(scheduler, kv, opt_13b()) }
}

/// One prefill and one decode replica, with nothing between them.
fn disaggregated() -> DeploymentSpec {
    let mut network = NetworkSpec::new(Vec::new());
    let route = network.add_route(vec![Path { links: Vec::new(), parts: 1 }]);
    DeploymentSpec {
        replicas: vec![pool(Role::Prefill), pool(Role::Decode)],
        router: RouterSpec::RoundRobin,
        seed: 0,
        handover: Some(HandoverSpec {
            mode: TransferMode::AfterPrefill,
            router: RouterSpec::RoundRobin,
            choice: DecodeChoice::AfterPrefill,
            kv_bytes_per_token: 819_200,
            state_bytes: 0,
            network,
            routes: BTreeMap::from([((0, 1), route)]),
            mixing: None,
        }),
    }
}

/// Requests at one moment.
fn at_once(input: u32, output: u32, requests: u64) -> Synthetic {
    let fixed = |tokens| Lengths::Fixed { tokens };
    let lengths = RequestLengths::Independent { input: fixed(input), output: fixed(output) };
    Synthetic::new(&WorkloadSpec::new(Arrivals::AllAtOnce, lengths, requests), 1).expect("a valid workload")
}

fn assert_ms(what: &str, seconds: f64, expected_ms: f64) {
    assert!((seconds * 1e3 - expected_ms).abs() < 0.001, "{what}: {} ms, expected {expected_ms} ms", seconds * 1e3);
}

#[test]
fn a_prompt_of_512_tokens_alone_takes_75_2_ms() {
    let (records, _) = records(disaggregated(), &mut at_once(512, 2, 1));
    let ttft = records[0].ttft().as_secs_f64();
    assert!((ttft * 1e3 - 75.2).abs() < 0.05, "{} ms", ttft * 1e3);
    assert_ms("72.149 of the polynomial, 1 of the stage, 2.0512 of the overhead", ttft, 72.149 + 1.0 + 2.0512);
}

#[test]
fn a_decode_pass_of_32_requests_at_512_tokens_takes_31_4_and_2_and_1_6_ms() {
    // Requests that arrive with the KV of 512 tokens attend to 512 in the first pass.
    let (records, outcome) = records(alone(pool(Role::Decode)), &mut at_once(512, 1, 32));
    assert_eq!((records.len(), outcome.replicas[0].steps), (32, 1), "one pass for all");
    let pass = records[0].ttft().as_secs_f64();
    assert!((pass * 1e3 - (31.4 + 2.0 + 1.6)).abs() < 0.1, "{} ms", pass * 1e3);
    assert_ms("31.4384 of the polynomial, 2 and 1.6384 of the overhead", pass, 31.4384 + 2.0 + 1.6384);
}

#[test]
fn the_second_token_comes_a_decode_pass_after_the_first() {
    let (records, outcome) = records(disaggregated(), &mut at_once(512, 2, 1));
    let gap = (records[0].last_token - records[0].first_token).as_secs_f64();
    assert_ms("nothing but the pass", gap, 19.935 + 513.0 * (6.269e-4 + 1e-4) + 0.038_507 + 2.0);
    let handover = records[0].handover.expect("it was handed over");
    assert_eq!((handover.wait().as_nanos(), handover.kv_bytes), (0, 512 * 819_200));
    assert_eq!(outcome.transfers.expect("hand-overs").requests, 1);
}

#[test]
fn all_prompts_that_wait_are_one_pass() {
    let (records, outcome) = records(disaggregated(), &mut at_once(256, 2, 16));
    let tokens = 16.0 * 256.0;
    let pass = 18.103 + tokens * 0.101_912 + tokens * 256.0 * 7.122e-6 + 1.0 + 2.0 + tokens * 1e-4;
    assert!(records.iter().all(|record| (record.ttft().as_secs_f64() * 1e3 - pass).abs() < 0.001));
    assert_eq!(outcome.replicas[0].steps, 1);
}

#[test]
fn decodes_wait_where_their_contexts_exceed_50_000_tokens() {
    // 32 prompts of 2,000 tokens: 25 fit.
    let (records, _) = records(disaggregated(), &mut at_once(2000, 2, 32));
    let mut waits: Vec<_> = records.iter().map(|record| record.handover.expect("handed over").wait()).collect();
    waits.sort_unstable();
    assert!(waits[24].as_nanos() == 0 && waits[25].as_nanos() > 0, "{waits:?}");
}
