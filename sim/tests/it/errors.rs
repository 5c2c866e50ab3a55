//! What is wrong is said in words: which replica or request, which field, what it was and what it must be.

use std::collections::BTreeMap;

use profiles::cost::simple::{ConstantCost, DecodePolynomial, PolynomialCost, PolynomialOptions};
use profiles::{CostModel, CostTotals, StepCost, StepShape};
use sim::network::{NetworkSpec, Path};
use sim::prefix_cache::{Alpha, CacheModel, HybridShape, MarconiMode};
use sim::{
    BranchStates, CheckpointEviction, CheckpointSpec, DecodeChoice, DeploymentSpec, FirstLevel, GroupOrder,
    HandoverSpec, LayerGroups, MixingSpec, Policy, QueueOrder, ReplicaSpec, Role, RouterSpec, SimError, TransferMode,
};
use workloads::{ContentId, Prompt, Request, RequestId, SimDuration, SimTime, Source, Span, WorkloadError};

use crate::cost::ShapeCost;
use crate::deployment::{CHUNKED, FREE, alone, cache, replica, scheduler};
use crate::engine;
use crate::script::{Planned, Script};

fn good() -> ReplicaSpec {
    replica(scheduler(CHUNKED, 64, 4), cache(16, 100), ConstantCost::new(1000))
}

/// A source that announces requests and hands out whatever it likes.
struct Unruly {
    /// When each is announced, when it says it arrives, and its prompt and output tokens.
    requests: Vec<(u64, u64, u32, u32)>,
    taken: usize,
}

impl Source for Unruly {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        Ok(self.requests.get(self.taken).map(|&(announced, ..)| SimTime::from_nanos(announced)))
    }

    fn take(&mut self) -> Request {
        let (_, arrival, input, output_tokens) = self.requests[self.taken];
        let number = self.taken as u64;
        self.taken += 1;
        Request {
            id: RequestId(number),
            arrival: SimTime::from_nanos(arrival),
            prompt: Prompt::new(vec![Span { content: ContentId::unique(number), tokens: input }]),
            output_tokens,
            answer: ContentId::answer(number),
            session: None,
        }
    }

    fn ended(&mut self, _request: RequestId, _now: SimTime) {}
}

fn unruly(requests: &[(u64, u64, u32, u32)]) -> SimError {
    let mut source = Unruly { requests: requests.to_vec(), taken: 0 };
    engine::simulate(alone(good()), &mut source).expect_err("it is unruly")
}

/// The message for two replicas of which the second is wrong.
fn message(spoil: impl FnOnce(&mut ReplicaSpec)) -> String {
    let mut second = good();
    spoil(&mut second);
    let deployment =
        DeploymentSpec { replicas: vec![good(), second], router: RouterSpec::RoundRobin, seed: 0, handover: None };
    let mut source = Script::new(&[Planned::alone(0, 0, 1, 1)]);
    engine::simulate(deployment, &mut source).expect_err("a replica is wrong").to_string()
}

/// A cost model without stages.
struct NoStages;

impl CostModel for NoStages {
    fn stages(&self) -> usize {
        0
    }

    fn step(&mut self, _shape: &StepShape<'_>, _stage_ns: &mut [u64]) -> StepCost {
        unreachable!("nothing is simulated")
    }

    fn totals(&self) -> CostTotals {
        CostTotals::default()
    }

    fn explain(&self, _shape: &StepShape<'_>) -> CostTotals {
        CostTotals::default()
    }
}

#[test]
fn a_wrong_replica_is_named_with_field_value_and_what_it_must_be() {
    assert_eq!(
        message(|replica| replica.kv.block_size = 0),
        "replica 1: block_size = 0: a block holds at least one token"
    );
    assert_eq!(message(|replica| replica.kv.blocks = 0), "replica 1: blocks = 0: the KV cache has at least one block");
    assert_eq!(
        message(|replica| replica.scheduler.max_num_seqs = 0),
        "replica 1: max_num_seqs = 0: at least one request must be able to run"
    );
    assert_eq!(
        message(|replica| replica.scheduler.max_num_seqs = 65),
        "replica 1: max_num_batched_tokens = 64: at least max_num_seqs = 65, so that every running request can decode"
    );
    assert_eq!(
        message(|replica| replica.sliding_window = Some(0)),
        "replica 1: sliding_window = 0: a window holds at least one token"
    );
    assert_eq!(
        message(|replica| replica.cost = Box::new(NoStages)),
        "replica 1: cost = 0 stages: at least one pipeline stage"
    );
    let overhead = |nanos, change: fn(&mut sim::EngineSpec, SimDuration)| {
        message(|replica| change(&mut replica.engine, SimDuration::from_nanos(nanos)))
    };
    assert_eq!(
        overhead(60_000_000_001, |engine, time| engine.host_per_step = time),
        "replica 1: host_per_step = 60.000000001 s: at most a minute"
    );
    assert_eq!(
        overhead(61_000_000_000, |engine, time| engine.engine_to_client = time),
        "replica 1: engine_to_client = 61.000000000 s: at most a minute"
    );
    assert_eq!(
        overhead(16_000_000_000, |engine, time| engine.host_per_request = time),
        "replica 1: host_per_request = 16.000000000 s: at most a minute for max_num_seqs = 4 together"
    );
    for (power_w, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-0.5, "-0.5")] {
        assert_eq!(
            message(|replica| replica.idle_power_w = power_w),
            format!("replica 1: idle_power_w = {shown}: a finite power, not negative")
        );
    }
}

#[test]
fn a_deployment_needs_a_replica() {
    let deployment = DeploymentSpec { replicas: Vec::new(), router: RouterSpec::RoundRobin, seed: 0, handover: None };
    let error = engine::simulate(deployment, &mut Script::new(&[])).expect_err("there is no replica");
    assert_eq!(error.to_string(), "the deployment has no replicas");
}

#[test]
fn a_workload_needs_a_request() {
    let error = engine::simulate(alone(good()), &mut Script::new(&[])).expect_err("there is no request");
    assert_eq!(error.to_string(), "the workload has no requests");
}

#[test]
fn a_request_asks_and_answers_something() {
    let empty_prompt = "request 1 has 0 prompt and 7 output tokens; it needs at least 1 of each";
    assert_eq!(unruly(&[(0, 0, 5, 1), (9, 9, 0, 7)]).to_string(), empty_prompt);
    let empty_answer = "request 0 has 5 prompt and 0 output tokens; it needs at least 1 of each";
    assert_eq!(unruly(&[(0, 0, 5, 0)]).to_string(), empty_answer);
}

#[test]
fn a_request_arrives_when_its_source_announced_it() {
    let says = |arrival: &str| {
        format!(
            "request 1 says it arrives at {arrival} s; simulated time is 0.000001500 s, for which its source announced it"
        )
    };
    assert_eq!(unruly(&[(0, 0, 5, 1), (1500, 500, 5, 1)]).to_string(), says("0.000000500"));
    assert_eq!(unruly(&[(0, 0, 5, 1), (1500, 2500, 5, 1)]).to_string(), says("0.000002500"));
    // Announced in the past: simulated time stays that of the request before.
    assert_eq!(unruly(&[(1500, 1500, 5, 1), (500, 500, 5, 1)]).to_string(), says("0.000000500"));
}

#[test]
fn a_model_length_has_room_for_a_question_and_an_answer() {
    assert_eq!(
        message(|replica| replica.max_model_len = 1),
        "replica 1: max_model_len = 1: at least 2: a prompt token and an output token"
    );
}

#[test]
fn a_run_of_more_than_a_hundred_years_is_an_error_rather_than_an_endless_loop() {
    // Steps of 60 years: the second one begins in time and ends too late.
    let years = 60 * 365 * 86_400 * 1_000_000_000;
    let slow = replica(scheduler(CHUNKED, 64, 4), cache(16, 100), ConstantCost::new(years));
    let mut source = Script::new(&[Planned::alone(0, 0, 5, 2)]);
    let error = engine::simulate(alone(slow), &mut source).expect_err("it takes 120 years");
    assert_eq!(
        error.to_string(),
        "simulated time has reached 3784320000.000000000 s, more than a hundred years: does a rate or a bandwidth lack its \
         unit prefix?"
    );
}

#[test]
fn what_is_wrong_with_a_workload_is_passed_on() {
    /// Fails after its first request.
    struct Torn(Unruly);

    impl Source for Torn {
        fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
            if self.0.taken == 0 {
                return self.0.next_arrival();
            }
            Err(WorkloadError::ZeroTokens { origin: "trace.csv".to_owned(), line: 3, field: "input" })
        }

        fn take(&mut self) -> Request {
            self.0.take()
        }

        fn ended(&mut self, request: RequestId, now: SimTime) {
            self.0.ended(request, now);
        }
    }

    let mut source = Torn(Unruly { requests: vec![(0, 0, 5, 1)], taken: 0 });
    let error = engine::simulate(alone(good()), &mut source).expect_err("the trace is torn");
    let expected = "trace.csv, line 3: input tokens are 0, and a request has at least 1; leave such rows out";
    assert_eq!(error.to_string(), expected);
}

/// What is wrong with replicas of these roles, and this hand-over.
fn refused(roles: &[Role], handover: Option<HandoverSpec>) -> String {
    let replicas = roles.iter().map(|&role| ReplicaSpec { role, ..good() }).collect();
    let deployment = DeploymentSpec { replicas, router: RouterSpec::RoundRobin, seed: 0, handover };
    engine::simulate(deployment, &mut Script::new(&[])).expect_err("the roles do not go together").to_string()
}

/// From replica 0 to replica 1 over nothing.
fn handover(mode: TransferMode, choice: DecodeChoice) -> HandoverSpec {
    let mut network = NetworkSpec::new(Vec::new());
    let route = network.add_route(vec![Path { links: Vec::new(), parts: 1 }]);
    let routes = BTreeMap::from([((0, 1), route)]);
    HandoverSpec {
        mode,
        router: RouterSpec::RoundRobin,
        choice,
        kv_bytes_per_token: 1,
        state_bytes: 0,
        network,
        routes,
        mixing: None,
    }
}

#[test]
fn roles_that_do_not_go_together_are_refused() {
    use Role::{Decode, Prefill, Serve};
    let given = || Some(handover(TransferMode::AfterPrefill, DecodeChoice::AfterPrefill));
    for (roles, handover, expected) in [
        (&[Serve, Decode][..], None, "serve whole requests cannot stand beside"),
        (&[Prefill][..], given(), "no decode replica to hand requests over to"),
        (&[Prefill, Decode][..], None, "`handover` does not say how"),
        (&[Serve][..], given(), "and there are none"),
        (&[Prefill, Decode, Decode][..], given(), "no route from prefill replica 0 to decode replica 2"),
    ] {
        let error = refused(roles, handover);
        assert!(error.contains(expected), "{roles:?}: {error}");
    }
}

#[test]
fn transfers_that_cannot_be_are_refused() {
    let roles = [Role::Prefill, Role::Decode];
    let pull = |max_unbatched_permille| TransferMode::Pull { max_unbatched_permille, awaited: false };
    for (mode, choice, expected) in [
        (pull(0), DecodeChoice::AfterPrefill, "nothing could ever be fetched"),
        (TransferMode::PushByLayer { layers: 0 }, DecodeChoice::AtArrival, "a model has at least 1"),
        (TransferMode::PushByLayer { layers: 2 }, DecodeChoice::AfterPrefill, "must be chosen at arrival"),
    ] {
        let error = refused(&roles, Some(handover(mode, choice)));
        assert!(error.contains(expected), "{mode:?}: {error}");
    }
}

/// The message for `BlendServe` on this replica, beside another one.
fn blended(group_prefixes: bool, spoil: impl FnOnce(&mut ReplicaSpec)) -> String {
    let policy = Policy::BlendServe {
        sample_permille: 10,
        known_from_tokens: 100,
        kept_sharing_permille: 990,
        watermark_permille: 0,
        group_prefixes,
    };
    let cost = PolynomialCost::new(PolynomialOptions {
        per_prompt_token_ns: 1.0,
        decode: DecodePolynomial { base_ns: 0.0, per_context_token_ns: 1.0, per_request_ns: 0.0 },
        ..FREE
    });
    message(|second| {
        *second = replica(scheduler(policy, 64, 4), cache(16, 100), cost);
        second.scheduler.order = QueueOrder::Density;
        spoil(second);
    })
}

#[test]
fn groups_in_blendserves_order_ask_for_that_order_and_no_other_prefix_cache() {
    assert_eq!(
        blended(true, |replica| replica.kv.prefix_caching = true),
        "replica 1: prefix_caching = true: false: prefixes are shared by groups that are known beforehand"
    );
    assert_eq!(
        blended(true, |replica| replica.scheduler.order = QueueOrder::DepthFirst),
        "replica 1: order = another: density: groups of requests are taken from both ends"
    );
}

#[test]
fn batches_are_cut_for_blendserve_alone_and_not_between_pools() {
    let mut deployment = alone(replica(scheduler(CHUNKED, 64, 4), cache(16, 100), ConstantCost::new(1)));
    deployment.router = RouterSpec::DensityCut;
    let error = sim::simulate(deployment, &mut Script::new(&[Planned::alone(0, 0, 1, 1)]), &mut ())
        .expect_err("chunked prefill has no tree");
    let expected = "replica 0: policy = another: blendserve: the router density-cut cuts batches by its tree";
    assert_eq!(error.to_string(), expected);
    let mut cut = handover(TransferMode::AfterPrefill, DecodeChoice::AfterPrefill);
    cut.router = RouterSpec::DensityCut;
    let error = refused(&[Role::Prefill, Role::Decode], Some(cut));
    assert!(error.contains("density-cut is no router for them"), "{error}");
}

/// The message for layered prefill on a model of 12 layers with this many pipeline stages.
fn layered(groups: LayerGroups, stages: usize, spoil: impl FnOnce(&mut ReplicaSpec)) -> String {
    let cost = ShapeCost {
        stages,
        base_ns: 1,
        quantum_ns: 1,
        layers: Some(12),
        handover_base_ns: 0,
        handover_row_ns: 0,
        totals: CostTotals::default(),
    };
    let policy = Policy::LayeredPrefill { groups, collapse_without_decodes: false };
    message(|second| {
        *second = replica(scheduler(policy, 64, 4), cache(16, 100), cost);
        spoil(second);
    })
}

#[test]
fn layered_prefill_asks_for_groups_that_the_model_has_layers_for() {
    let of_groups = |groups| layered(groups, 1, |_| {});
    let at_most = "at most 12, the model's layers: a group has at least one";
    assert_eq!(of_groups(LayerGroups::Fixed(13)), format!("replica 1: groups = 13: {at_most}"));
    assert_eq!(of_groups(LayerGroups::Table { num_stages: 16 }), format!("replica 1: groups = 16: {at_most}"));
    assert_eq!(of_groups(LayerGroups::Fixed(0)), "replica 1: groups = 0: at least one group");
    assert_eq!(
        of_groups(LayerGroups::Table { num_stages: 8 }),
        "replica 1: groups = 8: 4, 12, 16 or 24: the public code has tables for these alone"
    );
    assert_eq!(
        of_groups(LayerGroups::PerTokens { reference_chunk: 0 }),
        "replica 1: groups = 0: a reference chunk of at least one token"
    );
}

#[test]
fn layered_prefill_asks_for_one_stage_and_a_price_of_layers() {
    let two_groups = LayerGroups::Fixed(2);
    assert_eq!(
        layered(two_groups, 2, |_| {}),
        "replica 1: stages = 2: one pipeline stage: a cohort passes one group of layers while nothing else is in flight, so the \
         other stages would stand still"
    );
    assert_eq!(
        layered(two_groups, 1, |replica| replica.cost = Box::new(ConstantCost::new(1))),
        "replica 1: cost = a price of whole steps: one that prices layers: this one knows whole passes alone, and layered \
         prefill makes none"
    );
    // Decodes cost none of it, so it may be smaller than the number of requests that run.
    let few = layered(two_groups, 1, |replica| replica.scheduler.max_num_batched_tokens = 0);
    assert_eq!(few, "replica 1: max_num_batched_tokens = 0: a cohort has at least one token");
}

/// The message for prefix groups on this replica.
fn grouped(spoil: impl FnOnce(&mut ReplicaSpec)) -> String {
    let policy = Policy::BatchLlm {
        order: GroupOrder::Submission,
        token_batching_degree: 60,
        watermark_permille: 10,
        first_level: FirstLevel::Enlarged,
    };
    message(|second| {
        *second = replica(scheduler(policy, 64, 4), cache(16, 100), ConstantCost::new(1));
        spoil(second);
    })
}

#[test]
fn batchllm_asks_for_room_for_its_seats_and_no_other_prefix_cache() {
    assert_eq!(
        grouped(|replica| replica.scheduler.max_num_seqs = 5),
        "replica 1: max_num_batched_tokens = 64: at least max_num_seqs + token_batching_degree = 65, so that every running \
         request can decode"
    );
    assert_eq!(
        grouped(|replica| replica.kv.prefix_caching = true),
        "replica 1: prefix_caching = true: false: prefixes are shared by groups that are known beforehand"
    );
    assert_eq!(
        grouped(|replica| replica.scheduler.order = QueueOrder::Random),
        "replica 1: order = another: first come, first served: BatchLLM orders groups"
    );
}

/// The message for prefixes with checkpoints on this replica.
fn with_checkpoints(spoil: impl FnOnce(&mut ReplicaSpec, &mut CheckpointSpec)) -> String {
    message(|second| {
        let eviction = CheckpointEviction::LeafLru;
        let model = CacheModel::of_shape(&HybridShape::MARCONI_7B);
        let mut checkpoints = CheckpointSpec { model, eviction, branches: BranchStates::Cut };
        spoil(second, &mut checkpoints);
        second.checkpoints = Some(checkpoints);
    })
}

#[test]
fn checkpoints_are_refused_where_they_cannot_be() {
    let beside_blocks = with_checkpoints(|replica, _| replica.kv.prefix_caching = true);
    let expected = "replica 1: prefix_caching = true: false beside checkpoints, which have a cache of their own";
    assert_eq!(beside_blocks, expected);
    let model = CacheModel::of_shape(&HybridShape::MARCONI_7B);
    let checkpoints = CheckpointSpec { model, eviction: CheckpointEviction::LeafLru, branches: BranchStates::Cut };
    let decoding = ReplicaSpec { role: Role::Decode, checkpoints: Some(checkpoints), ..good() };
    let decoding = engine::simulate(alone(decoding), &mut Script::new(&[])).expect_err("nothing is looked up there");
    let expected = "a replica that computes prompts: what is decoded elsewhere goes on from what was handed over";
    assert_eq!(decoding.to_string(), format!("replica 0: role = decode: {expected}"));
    let whole = with_checkpoints(|replica, _| replica.scheduler.policy = Policy::Orca);
    let expected =
        "replica 1: branches = cut: an interval at which kernels write states: this policy never cuts a prompt";
    assert_eq!(whole, expected);
    let transformer = HybridShape { ssm_layers: 0, ..HybridShape::MARCONI_7B };
    let transformer = with_checkpoints(|_, checkpoints| checkpoints.model = CacheModel::of_shape(&transformer));
    assert_eq!(transformer, "replica 1: checkpoint_bytes = 0: a model with attention and recurrent layers");
    let never = with_checkpoints(|_, checkpoints| checkpoints.branches = BranchStates::Every(0));
    assert_eq!(never, "replica 1: checkpoint_interval = 0: at least one token");
    let endless = CheckpointEviction::FlopAware { mode: MarconiMode::Paper, alpha: Alpha::Fixed(f64::INFINITY) };
    let endless = with_checkpoints(|_, checkpoints| checkpoints.eviction = endless);
    assert_eq!(endless, "replica 1: alpha = inf: a finite number, not negative");
    let oracle = CheckpointEviction::FlopAware { mode: MarconiMode::Paper, alpha: Alpha::Oracle };
    let oracle = with_checkpoints(|_, checkpoints| checkpoints.eviction = oracle);
    let expected = "replica 1: alpha = oracle: a number, or one that is tuned: requests are not known beforehand";
    assert_eq!(oracle, expected);
}

#[test]
fn states_are_handed_over_only_where_they_are_counted() {
    let with_states = |mode, mixing| {
        let handover = HandoverSpec { state_bytes: 1, mixing, ..handover(mode, DecodeChoice::AtArrival) };
        refused(&[Role::Prefill, Role::Decode], Some(handover))
    };
    let pulled = with_states(TransferMode::Pull { max_unbatched_permille: 50, awaited: false }, None);
    assert!(pulled.contains("what is fetched waits beside the max_num_seqs requests that have states"), "{pulled}");
    let mixed = with_states(TransferMode::AfterPrefill, Some(MixingSpec { max_pending_tokens: 1 }));
    assert!(mixed.contains("no replica has seats for the states of requests that leave"), "{mixed}");
}
