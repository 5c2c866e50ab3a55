//! Replicas that offload attention: with one batch and no network they are plain replicas, to the nanosecond; with several the
//! naive simulator is, as for all others.

use profiles::CostModel;
use profiles::cost::simple::ConstantCost;
use sim::{DeploymentSpec, EngineSpec, KvSpec, Policy, ReplicaSpec, Role, RouterSpec, SchedulerSpec};

use super::compare_some;
use super::tally::Shares;
use crate::engine;
use crate::reference::{Members, Run};
use crate::scenario::{PolicyKind, Scenario, Timing};
use crate::script::{Planned, Script};
use crate::slices::{SlicedCost, Slices};

fn single_stage(scenario: &Scenario) -> bool {
    scenario.deployment().replicas.iter().all(|replica| replica.cost.stages() == 1)
}

/// What is told of steps, in the order in which they were composed: steps that pass a conveyor are told when they end.
fn in_order(run: &Run) -> Vec<(&sim::StepRecord, &Members)> {
    let mut steps: Vec<_> = run.steps.iter().zip(&run.members).collect();
    steps.sort_by_key(|(step, _)| (step.replica, step.scheduled, step.start));
    steps
}

#[test]
fn one_batch_without_a_network_is_a_plain_replica() {
    let mut compared = 0;
    for seed in 0..400 {
        let kind = [PolicyKind::ChunkedPrefill, PolicyKind::Sarathi, PolicyKind::PrefillFirst, PolicyKind::Orca];
        let scenario = Scenario::draw(kind[seed as usize % 4], Timing::Synchronous, seed);
        if !single_stage(&scenario) {
            continue;
        }
        compared += 1;
        let plain = engine::simulate(scenario.deployment(), &mut scenario.source()).expect("it runs");
        let layers = 1 + seed as u32 % 5;
        let deployment = scenario.offloaded(Slices::plain(1, layers)).deployment();
        let offloaded = engine::simulate(deployment, &mut scenario.source()).expect("it runs");
        assert_eq!(plain.records, offloaded.records, "seed {seed}");
        assert_eq!(plain.gaps, offloaded.gaps, "seed {seed}");
        let steps = in_order(&plain).into_iter().zip(in_order(&offloaded));
        for ((step, members), (passed, passing)) in steps {
            assert_eq!(step, passed, "seed {seed}");
            assert_eq!((&members.prefill, &members.decode), (&passing.prefill, &passing.decode), "seed {seed}");
        }
        for (plain, offloaded) in plain.outcome.replicas.iter().zip(&offloaded.outcome.replicas) {
            let busy: u64 = offloaded.stage_busy.iter().map(|busy| busy.as_nanos()).sum();
            assert_eq!(plain.stage_busy[0].as_nanos(), busy, "model workers and pool take turns, seed {seed}");
            assert_eq!(plain.kv_blocks_peak, offloaded.kv_blocks_peak, "seed {seed}");
        }
    }
    assert!(compared > 150, "only {compared} scenarios have one stage");
}

#[test]
fn batches_share_out_the_requests_and_keep_both_sides_busy() {
    let mut most = 0;
    for seed in 0..200 {
        let scenario = Scenario::draw(PolicyKind::Orca, Timing::Synchronous, seed);
        if !single_stage(&scenario) {
            continue;
        }
        let run = engine::simulate(scenario.offloaded(Slices::plain(3, 4)).deployment(), &mut scenario.source())
            .expect("it runs");
        let mut in_flight: Vec<(u64, i32)> = Vec::new();
        for step in run.steps.iter().filter(|step| step.replica == 0) {
            in_flight.push((step.start.as_nanos(), 1));
            in_flight.push((step.end.as_nanos(), -1));
        }
        in_flight.sort_unstable();
        let mut now = 0;
        for (_, change) in in_flight {
            now += change;
            most = most.max(now);
        }
    }
    assert_eq!(most, 3, "as many steps as batches are on their way at a time");
}

#[test]
fn requests_that_come_with_their_prompts_computed_are_shared_out_evenly() {
    for batches in [2, 3, 5] {
        let (inner, slices) = (Box::new(ConstantCost::new(9_000)), Slices::plain(batches, 4));
        let cost = SlicedCost { inner, slices };
        let planned: Vec<_> = (0..60).map(|place| Planned::alone(place, 0, 32, 50)).collect();
        let run = engine::simulate(decode_only(Box::new(cost)), &mut Script::new(&planned)).expect("it runs");
        let mut rows = vec![0_u64; batches];
        run.steps.iter().for_each(|step| rows[step.slot as usize] += u64::from(step.decode_requests));
        assert_eq!(rows, vec![60 * 50 / batches as u64; batches], "tokens by batch");
    }
}

/// One replica that decodes what others computed, with room for everything.
fn decode_only(cost: Box<dyn CostModel>) -> DeploymentSpec {
    let replica = ReplicaSpec {
        role: Role::Decode,
        scheduler: SchedulerSpec {
            policy: Policy::Orca,
            max_num_batched_tokens: 4096,
            max_num_seqs: 1024,
            order: sim::QueueOrder::Fcfs,
        },
        kv: KvSpec { block_size: 16, blocks: 10_000, prefix_caching: false },
        checkpoints: None,
        max_model_len: 4096,
        cost,
        sliding_window: None,
        devices: 2,
        idle_power_w: 1.0,
        engine: EngineSpec::default(),
    };
    DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 0, handover: None }
}

fn compare_offloaded(kind: PolicyKind, least: Shares) {
    compare_some(200, (kind, "offloaded"), |seed| Scenario::draw_offloaded(kind, seed), least);
}

#[test]
fn offloaded_chunked_prefill_is_exact() {
    compare_offloaded(PolicyKind::ChunkedPrefill, Shares { kept_blocks: 3, ..Shares::OFFLOADED });
}

#[test]
fn offloaded_sarathi_is_exact() {
    compare_offloaded(PolicyKind::Sarathi, Shares { kept_blocks: 3, ..Shares::OFFLOADED });
}

#[test]
fn offloaded_prefill_first_is_exact() {
    compare_offloaded(PolicyKind::PrefillFirst, Shares { kept_blocks: 3, ..Shares::OFFLOADED });
}

#[test]
fn offloaded_orca_is_exact() {
    compare_offloaded(PolicyKind::Orca, Shares::OFFLOADED);
}

#[test]
fn layered_prefill_before_offloaded_decoding_is_exact() {
    let rarer = Shares { hits_in_same_step: 0, left_to_other_batches: 15, ..Shares::OFFLOADED };
    compare_offloaded(PolicyKind::LayeredPrefill, rarer);
}
