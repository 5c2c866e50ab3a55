//! Replicas that offload attention: with one batch and no network they are plain replicas, to the nanosecond; with several
//! they lose nothing.

use profiles::cost::OffloadedStep;
use profiles::cost::simple::ConstantCost;
use profiles::{CostModel, CostTotals, Passage, StepCost, StepShape};
use sim::{DeploymentSpec, EngineSpec, KvSpec, Policy, ReplicaOutcome, ReplicaSpec, Role, RouterSpec, SchedulerSpec};

use super::conservation;
use crate::engine;
use crate::reference::{Members, Run};
use crate::scenario::{PolicyKind, Scenario, Timing};
use crate::script::{Planned, Script};

/// The times of another cost model, cut into slices and attention.
struct Offloaded {
    inner: Box<dyn CostModel>,
    batches: usize,
    layers: u32,
    wire_ns: u64,
}

impl CostModel for Offloaded {
    fn stages(&self) -> usize {
        self.batches.max(2)
    }

    fn step(&mut self, _: &StepShape<'_>, _: &mut [u64]) -> StepCost {
        panic!("steps pass layer by layer")
    }

    fn offloaded_batches(&self) -> Option<usize> {
        Some(self.batches)
    }

    fn pass(&mut self, shape: &StepShape<'_>) -> OffloadedStep {
        let mut whole_ns = [0];
        let cost = self.inner.step(shape, &mut whole_ns);
        let whole_ns = whole_ns[0].max(1);
        let layers = u64::from(self.layers);
        let attention_ns = whole_ns / 3 / layers;
        let inner_slice_ns = whole_ns / 2 / layers;
        let first_slice_ns = inner_slice_ns / 3;
        let rest = whole_ns - layers * attention_ns - (layers - 1) * inner_slice_ns - first_slice_ns;
        let passage = Passage {
            layers: self.layers,
            first_slice_ns,
            inner_slice_ns,
            last_slice_ns: rest,
            attention_ns,
            query_wire_ns: self.wire_ns,
            keys_wire_ns: self.wire_ns / 2,
            output_wire_ns: self.wire_ns,
            latency_ns: self.wire_ns * 3,
            ..Passage::default()
        };
        OffloadedStep { passage, dynamic_energy_j: cost.dynamic_energy_j }
    }

    fn totals(&self) -> CostTotals {
        self.inner.totals()
    }

    fn explain(&self, shape: &StepShape<'_>) -> CostTotals {
        self.inner.explain(shape)
    }
}

/// The deployment of a scenario with attention offloaded on all replicas but those that only prefill.
fn offload(scenario: &Scenario, batches: usize, layers: u32, wire_ns: u64) -> DeploymentSpec {
    let mut deployment = scenario.deployment();
    for replica in &mut deployment.replicas {
        if replica.role != Role::Prefill {
            replica.engine.async_scheduling = false;
            let inner = std::mem::replace(&mut replica.cost, Box::new(ConstantCost::new(1)));
            replica.cost = Box::new(Offloaded { inner, batches, layers, wire_ns });
        }
    }
    deployment
}

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
        let deployment = offload(&scenario, 1, layers, 0);
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
fn several_batches_lose_no_request_no_token_and_no_block() {
    for seed in 0..400 {
        let scenario = if seed % 2 == 0 {
            Scenario::draw(PolicyKind::ChunkedPrefill, Timing::Synchronous, seed)
        } else {
            Scenario::draw_disaggregated(PolicyKind::ChunkedPrefill, seed)
        };
        if !single_stage(&scenario) {
            continue;
        }
        let batches = 1 + seed as usize % 5;
        let deployment = || offload(&scenario, batches, 1 + seed as u32 % 7, seed * 7 % 50);
        let run = engine::simulate(deployment(), &mut scenario.source()).expect("it runs");
        let in_flight = |books: &ReplicaOutcome| if books.role == Role::Prefill { 1 } else { batches };
        conservation::check_sharing(&scenario, &run, in_flight)
            .unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        let again = engine::simulate(deployment(), &mut scenario.source()).expect("it runs");
        assert_eq!(run.records, again.records, "seed {seed}");
    }
}

#[test]
fn batches_share_out_the_requests_and_keep_both_sides_busy() {
    let mut most = 0;
    for seed in 0..200 {
        let scenario = Scenario::draw(PolicyKind::Orca, Timing::Synchronous, seed);
        if !single_stage(&scenario) {
            continue;
        }
        let run = engine::simulate(offload(&scenario, 3, 4, 0), &mut scenario.source()).expect("it runs");
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
        let cost = Offloaded { inner: Box::new(ConstantCost::new(9_000)), batches, layers: 4, wire_ns: 0 };
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
        max_model_len: 4096,
        cost,
        sliding_window: None,
        devices: 2,
        idle_power_w: 1.0,
        engine: EngineSpec::default(),
    };
    DeploymentSpec { replicas: vec![replica], router: RouterSpec::RoundRobin, seed: 0, handover: None }
}
