//! Splitwise's mixed pool worked out by hand: who computes which prompt, and who decodes.

use std::collections::BTreeMap;

use profiles::cost::simple::ConstantCost;
use sim::network::{NetworkSpec, Path};
use sim::{
    DecodeChoice, DeploymentSpec, HandoverSpec, MixedPool, MixingSpec, Outcome, Policy, QueueOrder, ReplicaSpec,
    RequestRecord, Role, RouterSpec, TransferMode,
};

use crate::deployment::{CHUNKED, cache, records, replica, scheduler};
use crate::engine;
use crate::script::{Planned, Script};

/// Every step takes so long.
const STEP_NS: u64 = 1_000_000;
/// Tokens of every prompt, of a block, and of a step.
const PROMPT: u32 = 100;
/// Output tokens with which a request owns two blocks in the end.
const TWO_BLOCKS: u32 = 101;

/// A prefill and a decode replica with so many blocks, and nothing between them.
fn deployment(blocks: [u32; 2], max_pending_tokens: u64) -> DeploymentSpec {
    let pool = |role, blocks| {
        let scheduler = scheduler(Policy::Splitwise, PROMPT, 8);
        ReplicaSpec { role, ..replica(scheduler, cache(PROMPT, blocks), ConstantCost::new(STEP_NS)) }
    };
    let mut network = NetworkSpec::new(Vec::new());
    let route = network.add_route(vec![Path { links: Vec::new(), parts: 1 }]);
    DeploymentSpec {
        replicas: vec![pool(Role::Prefill, blocks[0]), pool(Role::Decode, blocks[1])],
        router: RouterSpec::RoundRobin,
        seed: 0,
        handover: Some(HandoverSpec {
            mode: TransferMode::AfterPrefill,
            router: RouterSpec::RoundRobin,
            choice: DecodeChoice::AtArrival,
            kv_bytes_per_token: 1,
            state_bytes: 0,
            network,
            routes: BTreeMap::from([((0, 1), route), ((1, 0), route)]),
            mixing: Some(MixingSpec { max_pending_tokens }),
        }),
    }
}

/// Prompts at these times, each with so many output tokens; the records in the order of arrival.
fn served(spec: DeploymentSpec, arrivals_ns: &[u64], output_tokens: u32) -> (Vec<RequestRecord>, Outcome) {
    let planned: Vec<_> =
        (0..).zip(arrivals_ns).map(|(number, &at)| Planned::alone(number, at, PROMPT, output_tokens)).collect();
    let (mut records, outcome) = records(spec, &mut Script::new(&planned));
    records.sort_by_key(|record| record.id);
    (records, outcome)
}

#[test]
fn a_long_queue_of_prompts_takes_a_decode_replica_which_goes_home_when_it_is_done() {
    let later = 50 * STEP_NS;
    let arrivals = [0, 0, 0, 0, 0, later, later, later];
    let (records, outcome) = served(deployment([10, 10], 200), &arrivals, 1);
    // Two prompts are 200 tokens, and a third would be more: the decode replica gets it, and the fourth. The fifth finds
    // both with 200 and nobody to take, and goes to the first of the two.
    let prefilled: Vec<_> = records.iter().map(|record| record.replica).collect();
    assert_eq!(prefilled, [0, 0, 1, 1, 0, 0, 0, 1]);
    let last: Vec<_> = records[..5].iter().map(|record| record.last_token.as_nanos() / STEP_NS).collect();
    assert_eq!(last, [1, 2, 1, 2, 3]);
    let twice = MixedPool { taken_from_decode: 2, ..MixedPool::default() };
    assert_eq!(outcome.mixed, Some(twice), "it had gone home before it was taken again");
}

#[test]
fn a_replica_without_a_queue_gets_a_prompt_however_long() {
    let (records, outcome) = served(deployment([10, 10], 0), &[0, 0], 1);
    assert_eq!(records.iter().map(|record| record.replica).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(outcome.mixed.map(|mixed| mixed.taken_from_decode), Some(1));
}

#[test]
fn a_full_decode_pool_takes_a_prefill_replica_and_requests_stay_there() {
    // Two blocks for each request: one fits the three of the decode replica.
    let (records, outcome) = served(deployment([10, 3], 10_000), &[0, 0, 0], TWO_BLOCKS);
    let over: Vec<_> = records.iter().map(|record| record.handover.map(|handover| handover.to)).collect();
    assert_eq!(over, [Some(1), None, None]);
    let expected = MixedPool { taken_from_prefill: 1, taken_from_decode: 0, whole_requests: 2 };
    assert_eq!(outcome.mixed, Some(expected));
    assert_eq!(outcome.replicas[0].decode_tokens, 2 * u64::from(TWO_BLOCKS - 1));
}

#[test]
fn blocks_that_are_promised_to_a_decode_are_not_given_to_a_prompt() {
    // The second request has room nowhere, and goes to the replica that has less to do: the decode replica with one token
    // pending. Both blocks there are free at first, but are the first one's, whose prompt is computed meanwhile.
    let (records, outcome) = served(deployment([2, 2], 10_000), &[0, 0], TWO_BLOCKS);
    assert_eq!(records[0].handover.map(|handover| (handover.from, handover.to)), Some((0, 1)));
    assert_eq!(records[0].last_token.as_nanos(), 101 * STEP_NS, "nothing held it up");
    assert_eq!((records[1].replica, records[1].handover), (1, None));
    assert_eq!(records[1].first_scheduled, records[0].last_token);
    assert_eq!(outcome.mixed.map(|mixed| mixed.whole_requests), Some(1));
}

#[test]
fn what_no_replica_could_serve_alone_is_rejected() {
    // 200 tokens in all: the decode replica holds 100, and might have been the only one to be free.
    let (records, outcome) = served(deployment([10, 1], 10_000), &[0], TWO_BLOCKS);
    assert_eq!((records[0].replica, outcome.requests.rejected_kv_cache), (1, 1));
}

/// What is wrong with a deployment that has a mixed pool, once it is spoilt.
fn refused(spoil: impl FnOnce(&mut DeploymentSpec, &mut HandoverSpec)) -> String {
    let mut spec = deployment([10, 10], 200);
    let mut handover = spec.handover.take().expect("it has one");
    spoil(&mut spec, &mut handover);
    spec.handover = Some(handover);
    engine::simulate(spec, &mut Script::new(&[])).expect_err("it has no requests, at least").to_string()
}

#[test]
fn mixed_pools_that_cannot_be_are_refused() {
    assert_eq!(refused(|_, _| ()), "the workload has no requests");
    let pulled = refused(|_, handover| {
        handover.mode = TransferMode::Pull { max_unbatched_permille: 50, awaited: false };
    });
    assert!(pulled.contains("with a mixed pool KV caches are pushed"), "{pulled}");
    let late = refused(|_, handover| handover.choice = DecodeChoice::AfterPrefill);
    assert!(late.contains("chosen together, at arrival"), "{late}");
    let growing = refused(|spec, _| spec.replicas[1].scheduler = scheduler(CHUNKED, PROMPT, 8));
    assert!(growing.contains("replica 1 of a mixed pool takes blocks as it goes"), "{growing}");
    let sorted = refused(|spec, _| spec.replicas[0].scheduler.order = QueueOrder::Random);
    assert!(sorted.contains("replica 0 of a mixed pool serves prompts out of order"), "{sorted}");
    let cached = refused(|spec, _| spec.replicas[0].kv.prefix_caching = true);
    assert!(cached.contains("replica 0 of a mixed pool has prefix caching"), "{cached}");
    let one_way = refused(|_, handover| handover.routes.retain(|pair, _| *pair == (0, 1)));
    assert!(one_way.contains("no route from replica 1 to replica 0"), "{one_way}");
}
