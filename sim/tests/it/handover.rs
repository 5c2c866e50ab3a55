//! Hand-overs worked out by hand: what of a transfer shows, and who waits for whom.

use std::collections::BTreeMap;

use profiles::CostTotals;
use profiles::cost::simple::ConstantCost;
use sim::network::{FlowLink, NetworkSpec, Path};
use sim::{
    DecodeChoice, DeploymentSpec, HandoverSpec, LayerGroups, Policy, ReplicaSpec, RequestRecord, Role, RouterSpec,
    TransferMode,
};
use workloads::SimDuration;

use crate::cost::ShapeCost;
use crate::deployment::{CHUNKED, cache, records, replica, scheduler};
use crate::script::{Planned, Script};

/// Every step takes so long.
const STEP_NS: u64 = 1_000_000;
/// Tokens of every prompt.
const PROMPT: u32 = 100;
const LATENCY_NS: u64 = 2_000;

/// One prefill and one decode replica, on a link over which a prompt's KV takes `transfer_ns` and the latency.
fn deployment(mode: TransferMode, decode_blocks: u32, transfer_ns: u64) -> DeploymentSpec {
    let pool = |role, blocks| {
        let budget = if role == Role::Prefill { PROMPT } else { 10 * PROMPT };
        let scheduler = scheduler(Policy::PrefillFirst { watermark_permille: 0 }, budget, 8);
        ReplicaSpec { role, ..replica(scheduler, cache(PROMPT, blocks), ConstantCost::new(STEP_NS)) }
    };
    let bytes_per_s = 1_000_000_000;
    let latency = SimDuration::from_nanos(LATENCY_NS);
    let mut network = NetworkSpec::new(vec![FlowLink { name: "link".to_owned(), bytes_per_s, latency }]);
    let route = network.add_route(vec![Path { links: vec![0], parts: 1 }]);
    let pushes = matches!(mode, TransferMode::PushByLayer { .. });
    DeploymentSpec {
        replicas: vec![pool(Role::Prefill, 2), pool(Role::Decode, decode_blocks)],
        router: RouterSpec::RoundRobin,
        seed: 0,
        handover: Some(HandoverSpec {
            mode,
            router: RouterSpec::RoundRobin,
            choice: if pushes { DecodeChoice::AtArrival } else { DecodeChoice::AfterPrefill },
            // A byte takes a nanosecond.
            kv_bytes_per_token: transfer_ns / u64::from(PROMPT),
            state_bytes: 0,
            network,
            routes: BTreeMap::from([((0, 1), route)]),
            mixing: None,
        }),
    }
}

/// `requests` prompts at once, each answered with `output_tokens`.
fn served(spec: DeploymentSpec, requests: u64, output_tokens: u32) -> Vec<RequestRecord> {
    let planned: Vec<_> = (0..requests).map(|number| Planned::alone(number, 0, PROMPT, output_tokens)).collect();
    records(spec, &mut Script::new(&planned)).0
}

fn wait_ns(record: &RequestRecord) -> u64 {
    record.handover.expect("it was handed over").wait().as_nanos()
}

#[test]
fn after_the_prompt_the_whole_transfer_shows_between_the_first_two_tokens() {
    let records = served(deployment(TransferMode::AfterPrefill, 10, 400_000), 1, 3);
    assert_eq!(records[0].ttft().as_nanos(), STEP_NS, "the first token does not wait for it");
    assert_eq!(wait_ns(&records[0]), 400_000 + LATENCY_NS);
    assert_eq!(records[0].max_gap.as_nanos(), 400_000 + LATENCY_NS + STEP_NS);
}

#[test]
fn of_pushed_layers_the_last_one_shows_if_the_network_keeps_up() {
    let records = served(deployment(TransferMode::PushByLayer { layers: 10 }, 10, 400_000), 1, 2);
    assert_eq!(wait_ns(&records[0]), 400_000 / 10 + LATENCY_NS);
}

#[test]
fn of_pushed_layers_what_the_network_has_not_carried_shows_if_it_does_not_keep_up() {
    // The first layer is there after 0.1 ms; from then on the link is busy for 4 ms, of which 0.9 ms are hidden.
    let records = served(deployment(TransferMode::PushByLayer { layers: 10 }, 10, 4_000_000), 1, 2);
    assert_eq!(wait_ns(&records[0]), 4_000_000 - 900_000 + LATENCY_NS);
}

/// Ten layers in five groups, each in a step of its own.
fn by_groups(transfer_ns: u64) -> RequestRecord {
    let mut spec = deployment(TransferMode::PushByLayer { layers: 10 }, 10, transfer_ns);
    let policy = Policy::LayeredPrefill { groups: LayerGroups::Fixed(5), collapse_without_decodes: false };
    let cost = ShapeCost {
        stages: 1,
        base_ns: 0,
        // All there is to do takes less than a step.
        quantum_ns: STEP_NS,
        layers: Some(10),
        handover_base_ns: 0,
        handover_row_ns: 0,
        totals: CostTotals::default(),
    };
    spec.replicas[0] =
        ReplicaSpec { role: Role::Prefill, ..replica(scheduler(policy, PROMPT, 8), cache(PROMPT, 2), cost) };
    let record = served(spec, 1, 2).remove(0);
    assert_eq!(record.ttft().as_nanos(), 5 * STEP_NS, "a step for each group");
    assert_eq!(
        record.handover.expect("it was handed over").accepted.as_nanos(),
        STEP_NS,
        "offered with the first group"
    );
    record
}

#[test]
fn of_groups_of_layers_the_last_one_shows_if_the_network_keeps_up() {
    assert_eq!(wait_ns(&by_groups(400_000)), 400_000 / 5 + LATENCY_NS);
}

#[test]
fn of_groups_of_layers_what_the_network_has_not_carried_shows_if_it_does_not_keep_up() {
    // The first group is there after a step, four steps before the prompt is complete; from then on the link is busy.
    let expected = 10_000_000 - 4 * STEP_NS + LATENCY_NS;
    let wait = wait_ns(&by_groups(10_000_000));
    assert!(
        wait.abs_diff(expected) <= 10,
        "{wait} ns; shares of the link are rounded, but not by so much: {expected} ns"
    );
}

#[test]
fn layers_are_pushed_late_where_the_decode_side_has_no_room_in_time() {
    // Room for one request, prompt and answer: the second is accepted when the first has ended.
    let records = served(deployment(TransferMode::PushByLayer { layers: 10 }, 2, 400_000), 2, 5);
    let accepted = records[1].handover.expect("it was handed over").accepted;
    assert_eq!(accepted, records[0].last_token);
    assert_eq!(records[1].handover.expect("it was handed over").transfer_time().as_nanos(), 400_000 + LATENCY_NS);
}

#[test]
fn a_full_decode_side_stops_the_prefill_side() {
    // Two blocks hold two prompts on the prefill side. The decode side has room for one request at a time.
    let records = served(deployment(TransferMode::AfterPrefill, 2, 400_000), 4, 20);
    let mut first: Vec<u64> = records.iter().map(|record| record.first_token.as_nanos()).collect();
    first.sort_unstable();
    let arrived = |place: usize| records[place].handover.expect("it was handed over").arrived.as_nanos();
    assert_eq!(first[..3], [STEP_NS, 2 * STEP_NS, 3 * STEP_NS], "the first has left before the third needs its block");
    assert_eq!(first[3], arrived(1) + STEP_NS, "the next block became free when the second had left");
    assert!(arrived(1) > records[0].last_token.as_nanos(), "which waited for the end of the first");
}

#[test]
fn pulling_goes_on_without_places_as_long_as_few_blocks_wait() {
    let pull = |max_unbatched_permille| TransferMode::Pull { max_unbatched_permille, awaited: false };
    let waits = |permille| {
        let mut spec = deployment(pull(permille), 40, 400_000);
        spec.replicas[0].kv = cache(PROMPT, 40);
        spec.replicas[1].scheduler = scheduler(CHUNKED, PROMPT, 1);
        served(spec, 6, 50).iter().map(wait_ns).filter(|wait| *wait == 400_000 + LATENCY_NS).count()
    };
    // 50 thousandths of 40 blocks are 2: one decodes, two wait for its place, the others are not fetched.
    assert_eq!((waits(50), waits(1000)), (3, 6));
}

#[test]
fn one_token_answers_stay_where_their_prompts_were_computed() {
    let records = served(deployment(TransferMode::AfterPrefill, 10, 400_000), 3, 1);
    assert!(records.iter().all(|record| record.handover.is_none() && record.first_token == record.last_token));
}
