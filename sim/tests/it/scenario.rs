//! Random deployments and workloads, small enough for the naive simulator and tight enough for everything to happen.

mod blended;
mod checkpoints;

use std::collections::BTreeMap;
use std::fmt;

use profiles::cost::simple::{ConstantCost, DecodePolynomial, PolynomialCost, PolynomialOptions};
use profiles::{CostModel, CostTotals};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use sim::network::{FlowLink, NetworkSpec, Path};
use sim::{
    CheckpointSpec, DecodeChoice, DeploymentSpec, EngineSpec, FirstLevel, GroupOrder, HandoverSpec, KvSpec,
    LayerGroups, MixingSpec, Policy, QueueOrder, ReplicaSpec, Role, RouterSpec, SchedulerSpec, TransferMode,
};
use workloads::SimDuration;

use crate::cost::ShapeCost;
use crate::script::{Planned, Script};
use crate::slices::{SlicedCost, Slices};
use crate::traffic::{Lengths, batches, traffic};

/// The policies whose scenarios are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyKind {
    ChunkedPrefill,
    Sarathi,
    PrefillFirst,
    Orca,
    Splitwise,
    LayeredPrefill,
    BatchLlm,
    BlendServe,
}

/// When steps are composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// When the step before has ended.
    Synchronous,
    /// When the step before starts.
    Asynchronous,
}

/// How steps are priced.
#[derive(Clone, Debug)]
enum Price {
    Shape(Box<ShapeCost>),
    Constant(u64),
    Polynomial(PolynomialOptions),
}

#[derive(Clone, Debug)]
struct ReplicaPlan {
    role: Role,
    scheduler: SchedulerSpec,
    kv: KvSpec,
    checkpoints: Option<CheckpointSpec>,
    max_model_len: u32,
    price: Price,
    /// How its steps are cut, if it offloads attention.
    slices: Option<Slices>,
    sliding_window: Option<u32>,
    idle_power_w: f64,
    engine: EngineSpec,
}

/// A deployment and its requests.
#[derive(Clone)]
pub(crate) struct Scenario {
    seed: u64,
    replicas: Vec<ReplicaPlan>,
    router: RouterSpec,
    handover: Option<HandoverSpec>,
    pub(crate) requests: Vec<Planned>,
}

impl Scenario {
    /// The scenario of a seed.
    pub(crate) fn draw(kind: PolicyKind, timing: Timing, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let quantum_ns = pick(&mut rng, &[1, 1, 1000]);
        let block_size = if rng.random_bool(0.5) { pick(&mut rng, &[1, 2, 4, 16]) } else { rng.random_range(1..=32) };
        let mut lengths = Lengths::draw(&mut rng, block_size);
        if kind == PolicyKind::LayeredPrefill {
            // Up to where the tables of groups end.
            lengths = lengths.stretched(pick(&mut rng, &[1, 1, 1, 60]));
        }
        let step_ns = pick(&mut rng, &[1_000, 1_000, 5_000]);
        let requests = if kind == PolicyKind::BatchLlm {
            batches(&mut rng, lengths, step_ns, quantum_ns)
        } else {
            traffic(&mut rng, lengths, step_ns, quantum_ns)
        };
        let n = pick(&mut rng, &[1, 1, 1, 2, 3, 4]);
        let replica = |rng: &mut Xoshiro256PlusPlus| replica(rng, kind, timing, lengths, step_ns, quantum_ns);
        let first = replica(&mut rng);
        let mut replicas = vec![first; n];
        if rng.random_bool(0.3) {
            replicas.fill_with(|| replica(&mut rng));
        }
        let router = router(&mut rng);
        Scenario { seed, replicas, router, handover: None, requests }
    }

    /// The disaggregated scenario of a seed: prompts are computed under `kind`, answers generated under any policy.
    pub(crate) fn draw_disaggregated(kind: PolicyKind, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let quantum_ns = pick(&mut rng, &[1, 1, 1000]);
        let block_size = pick(&mut rng, &[1, 2, 4, 16, 7]);
        let lengths = Lengths::draw(&mut rng, block_size);
        let step_ns = pick(&mut rng, &[1_000, 1_000, 5_000]);
        let requests = traffic(&mut rng, lengths, step_ns, quantum_ns);
        let to_client = SimDuration::from_nanos(pick(&mut rng, &[0, 0, step_ns]));
        let prefilled_elsewhere = rng.random_bool(0.15);
        let awaited = rng.random_bool(0.5);
        let pull = rng.random_bool(0.4);
        let mut replicas = Vec::new();
        let prefilling = if prefilled_elsewhere { 0 } else { pick(&mut rng, &[1, 1, 2, 3]) };
        let decoding = pick(&mut rng, &[1, 1, 2, 3]);
        for number in 0..prefilling + decoding {
            let role = if number < prefilling { Role::Prefill } else { Role::Decode };
            let any = [
                PolicyKind::ChunkedPrefill,
                PolicyKind::Sarathi,
                PolicyKind::PrefillFirst,
                PolicyKind::Orca,
                PolicyKind::Splitwise,
            ];
            let layered = kind == PolicyKind::LayeredPrefill && rng.random_bool(0.4);
            let kind = if role == Role::Prefill || layered { kind } else { pick(&mut rng, &any) };
            let asynchronous = rng.random_bool(0.5) && !(role == Role::Decode && awaited && pull);
            let timing = if asynchronous { Timing::Asynchronous } else { Timing::Synchronous };
            let mut plan = replica(&mut rng, kind, timing, lengths, step_ns, quantum_ns);
            (plan.role, plan.engine.engine_to_client) = (role, to_client);
            replicas.push(plan);
        }
        if rng.random_bool(0.3) {
            replicas.rotate_left(1);
        }
        let router = router(&mut rng);
        let handover = (!prefilled_elsewhere).then(|| {
            let mode = if pull {
                TransferMode::Pull { max_unbatched_permille: pick(&mut rng, &[1, 50, 300, 1000]), awaited }
            } else if rng.random_bool(0.5) {
                TransferMode::AfterPrefill
            } else {
                TransferMode::PushByLayer { layers: pick(&mut rng, &[1, 2, 5, 32]) }
            };
            handover(&mut rng, mode, &replicas, step_ns, false)
        });
        Scenario { seed, replicas, router, handover, requests }
    }

    /// A scenario in which most replicas that do not only prefill offload attention; with pools in half of all cases, or in all
    /// where `kind` cannot do without.
    pub(crate) fn draw_offloaded(kind: PolicyKind, seed: u64) -> Self {
        let mut scenario = if seed.is_multiple_of(2) && kind != PolicyKind::LayeredPrefill {
            Self::draw(kind, Timing::Synchronous, seed)
        } else {
            Self::draw_disaggregated(kind, seed)
        };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
        let quantum_ns = pick(&mut rng, &[1, 1, 100]);
        for replica in &mut scenario.replicas {
            let layered = matches!(replica.scheduler.policy, Policy::LayeredPrefill { .. });
            if replica.role != Role::Prefill && !layered && rng.random_bool(0.85) {
                replica.offload(Slices::draw(&mut rng, quantum_ns));
            }
        }
        scenario
    }

    /// A scenario of any kind, with memories in a third of all cases that hardly hold the longest request.
    pub(crate) fn draw_any(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed.rotate_left(32));
        let kind = pick(
            &mut rng,
            &[
                PolicyKind::ChunkedPrefill,
                PolicyKind::Sarathi,
                PolicyKind::PrefillFirst,
                PolicyKind::Orca,
                PolicyKind::Splitwise,
                PolicyKind::LayeredPrefill,
                PolicyKind::BatchLlm,
            ],
        );
        // Prefix groups have no pools.
        let mut scenario = match rng.random_range(0..if kind == PolicyKind::BatchLlm { 2 } else { 6 }) {
            0 => Self::draw(kind, Timing::Synchronous, seed),
            1 => Self::draw(kind, Timing::Asynchronous, seed),
            2 | 3 => Self::draw_disaggregated(kind, seed),
            4 => Self::draw_ordered(kind, seed),
            5 if matches!(kind, PolicyKind::Orca | PolicyKind::Splitwise) => Self::draw_mixed(kind, seed),
            _ => Self::draw_offloaded(kind, seed),
        };
        if rng.random_bool(0.35) {
            for replica in &mut scenario.replicas {
                let longest = replica.max_model_len.div_ceil(replica.kv.block_size);
                replica.kv.blocks = longest + rng.random_range(0..=1);
            }
        }
        scenario
    }

    /// The same with attention offloaded on all replicas but those that only prefill.
    pub(crate) fn offloaded(&self, slices: Slices) -> Self {
        let mut scenario = self.clone();
        let replicas = scenario.replicas.iter_mut().filter(|replica| replica.role != Role::Prefill);
        replicas.for_each(|replica| replica.offload(slices));
        scenario
    }

    /// The scenario of a seed whose prefill and decode replicas, all under `kind`, leave their pools for a mixed one.
    pub(crate) fn draw_mixed(kind: PolicyKind, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let quantum_ns = pick(&mut rng, &[1, 1, 1000]);
        let block_size = pick(&mut rng, &[1, 2, 4, 16, 7]);
        let lengths = Lengths::draw(&mut rng, block_size);
        let step_ns = pick(&mut rng, &[1_000, 1_000, 5_000]);
        let requests = traffic(&mut rng, lengths, step_ns, quantum_ns);
        let to_client = SimDuration::from_nanos(pick(&mut rng, &[0, 0, step_ns]));
        let (prefilling, decoding) = (pick(&mut rng, &[1, 1, 2, 3]), pick(&mut rng, &[1, 1, 2, 3]));
        let mut replicas = Vec::new();
        for number in 0..prefilling + decoding {
            let timing = if rng.random_bool(0.3) { Timing::Asynchronous } else { Timing::Synchronous };
            let mut plan = replica(&mut rng, kind, timing, lengths, step_ns, quantum_ns);
            plan.role = if number < prefilling { Role::Prefill } else { Role::Decode };
            (plan.kv.prefix_caching, plan.engine.engine_to_client) = (false, to_client);
            replicas.push(plan);
        }
        if rng.random_bool(0.3) {
            replicas.rotate_left(1);
        }
        let layers = pick(&mut rng, &[0, 1, 2, 5, 32]);
        let mode = if layers == 0 { TransferMode::AfterPrefill } else { TransferMode::PushByLayer { layers } };
        let longest = u64::from(lengths.longest());
        let max_pending_tokens = pick(&mut rng, &[0, longest, 4 * longest, 1_000_000]);
        let handover = HandoverSpec {
            choice: DecodeChoice::AtArrival,
            mixing: Some(MixingSpec { max_pending_tokens }),
            ..handover(&mut rng, mode, &replicas, step_ns, true)
        };
        Scenario { seed, replicas, router: RouterSpec::RoundRobin, handover: Some(handover), requests }
    }

    /// The same with the first `n` requests only.
    pub(crate) fn truncated(&self, n: usize) -> Self {
        Scenario { requests: self.requests[..n].to_vec(), ..self.clone() }
    }

    pub(crate) fn deployment(&self) -> DeploymentSpec {
        let replicas = self.replicas.iter().map(ReplicaPlan::build).collect();
        DeploymentSpec { replicas, router: self.router, seed: self.seed, handover: self.handover.clone() }
    }

    pub(crate) fn source(&self) -> Script {
        Script::new(&self.requests)
    }

    pub(crate) fn replicas(&self) -> usize {
        self.replicas.len()
    }

    /// Pipeline stages of the first replica.
    pub(crate) fn stages(&self) -> usize {
        self.deployment().replicas[0].cost.stages()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "router {:?}, handover {:?}", self.router, self.handover)?;
        for replica in &self.replicas {
            writeln!(f, "{replica:?}")?;
        }
        for (place, request) in self.requests.iter().enumerate() {
            let spans: Vec<_> = request
                .spans
                .iter()
                .map(|span| (span.content.0 >> 62, span.content.0 << 2 >> 2, span.tokens))
                .collect();
            writeln!(f, "{place}: {:?}, spans {spans:?}, {} out", request.release, request.output_tokens)?;
        }
        Ok(())
    }
}

impl ReplicaPlan {
    /// Cuts its steps, which then have one stage and are composed when the one before has ended.
    fn offload(&mut self, slices: Slices) {
        self.engine.async_scheduling = false;
        self.slices = Some(slices);
        match &mut self.price {
            Price::Shape(cost) => cost.stages = 1,
            Price::Polynomial(options) => options.stages = 1,
            Price::Constant(_) => {}
        }
    }

    fn build(&self) -> ReplicaSpec {
        let whole: Box<dyn CostModel> = match self.price.clone() {
            Price::Shape(cost) => cost,
            Price::Constant(ns) => Box::new(ConstantCost::new(ns)),
            Price::Polynomial(options) => Box::new(PolynomialCost::new(options)),
        };
        ReplicaSpec {
            role: self.role,
            scheduler: self.scheduler,
            kv: self.kv,
            checkpoints: self.checkpoints,
            max_model_len: self.max_model_len,
            cost: match self.slices {
                Some(slices) => Box::new(SlicedCost { inner: whole, slices }),
                None => whole,
            },
            sliding_window: self.sliding_window,
            devices: 1,
            idle_power_w: self.idle_power_w,
            engine: self.engine,
        }
    }
}

/// One of these.
pub(crate) fn pick<T: Copy>(rng: &mut Xoshiro256PlusPlus, of: &[T]) -> T {
    of[rng.random_range(0..of.len())]
}

fn router(rng: &mut Xoshiro256PlusPlus) -> RouterSpec {
    match rng.random_range(0..4) {
        0 => RouterSpec::RoundRobin,
        1 => RouterSpec::LeastOutstandingTokens,
        2 => RouterSpec::PowerOfTwoChoices,
        _ => RouterSpec::PrefixAffinity { max_imbalance_tokens: pick(rng, &[0, 20, 100, 1_000_000]) },
    }
}

/// Links of every prefill and decode replica, or of each pair, or both for parts of each message, or none at all.
fn handover(
    rng: &mut Xoshiro256PlusPlus,
    mode: TransferMode,
    replicas: &[ReplicaPlan],
    step_ns: u64,
    mixes: bool,
) -> HandoverSpec {
    let bytes_per_s = pick(rng, &[1_000_000_000, 1_000_000_000, 10_000_000_000, 333_333_333]);
    let latency = SimDuration::from_nanos(pick(rng, &[0, 1, step_ns / 3, step_ns * 4]));
    let link = |name: String| FlowLink { name, bytes_per_s, latency };
    let of = |role| (0..replicas.len() as u32).filter(move |&number| mixes || replicas[number as usize].role == role);
    let kind = rng.random_range(0..4);
    let mut network = NetworkSpec::new((0..replicas.len()).map(|number| link(format!("nic {number}"))).collect());
    let mut routes = BTreeMap::new();
    for from in of(Role::Prefill) {
        for to in of(Role::Decode).filter(|&to| to != from) {
            let (shared, none) = (Path { links: vec![from, to], parts: 2 }, Path { links: Vec::new(), parts: 1 });
            let mut own = || {
                network.links.push(link(format!("{from} to {to}")));
                Path { links: vec![network.links.len() as u32 - 1], parts: 1 }
            };
            let paths = match kind {
                0 => vec![shared],
                1 => vec![own()],
                2 => vec![own(), shared],
                _ => vec![none],
            };
            routes.insert((from, to), network.add_route(paths));
        }
    }
    let pushes = matches!(mode, TransferMode::PushByLayer { .. });
    let at_arrival = pushes || rng.random_bool(0.5);
    HandoverSpec {
        mode,
        router: router(rng),
        choice: if at_arrival { DecodeChoice::AtArrival } else { DecodeChoice::AfterPrefill },
        kv_bytes_per_token: pick(rng, &[0, 10, 100, 1000]),
        state_bytes: 0,
        network,
        routes,
        mixing: None,
    }
}

fn replica(
    rng: &mut Xoshiro256PlusPlus,
    kind: PolicyKind,
    timing: Timing,
    lengths: Lengths,
    step_ns: u64,
    quantum_ns: u64,
) -> ReplicaPlan {
    let longest = lengths.longest();
    let block_size = lengths.block_size;
    let needed = longest.div_ceil(block_size).max(1);
    let blocks = match rng.random_range(0..if kind == PolicyKind::BatchLlm { 7 } else { 10 }) {
        0 => (needed * 2 / 3).max(1),
        1..=5 => needed + rng.random_range(0..=needed),
        6..=7 => needed * 3,
        _ => needed * 20,
    };
    let layers = if kind == PolicyKind::LayeredPrefill { rng.random_range(1..=30) } else { 1 };
    ReplicaPlan {
        role: Role::Serve,
        scheduler: scheduler(rng, kind, longest, layers),
        kv: KvSpec { block_size, blocks, prefix_caching: rng.random_bool(0.75) && kind != PolicyKind::BatchLlm },
        checkpoints: None,
        max_model_len: if rng.random_bool(0.1) { longest * 3 / 4 } else { longest + 1 },
        price: price(rng, (kind, timing), layers, step_ns, quantum_ns),
        slices: None,
        sliding_window: rng.random_bool(0.3).then(|| rng.random_range(1..=longest)),
        idle_power_w: pick(rng, &[0.0, 64.0, 512.0]),
        engine: engine(rng, timing, step_ns, quantum_ns),
    }
}

/// Overheads of an engine, most of them nothing in half of all cases.
fn engine(rng: &mut Xoshiro256PlusPlus, timing: Timing, step_ns: u64, quantum_ns: u64) -> EngineSpec {
    let mut time = |of: &[u64]| {
        let nanos = if rng.random_bool(0.5) { 0 } else { pick(rng, of) };
        SimDuration::from_nanos(nanos.next_multiple_of(quantum_ns))
    };
    EngineSpec {
        async_scheduling: timing == Timing::Asynchronous,
        host_per_step: time(&[1, step_ns / 4, step_ns, step_ns * 3]),
        host_per_request: time(&[1, step_ns / 10]),
        client_to_engine: time(&[1, step_ns / 2, step_ns * 5]),
        engine_to_client: time(&[1, step_ns / 2, step_ns * 5]),
    }
}

fn scheduler(rng: &mut Xoshiro256PlusPlus, kind: PolicyKind, longest: u32, layers: u32) -> SchedulerSpec {
    let max_num_seqs = if rng.random_bool(0.3) { rng.random_range(1..=4) } else { rng.random_range(2..=24) };
    let splits = !matches!(kind, PolicyKind::PrefillFirst | PolicyKind::Orca);
    // Prefixes are preempted only where it takes several steps to compute one.
    let spare = match rng.random_range(0..if kind == PolicyKind::BatchLlm { 3 } else { 4 }) {
        0 if splits => 0,
        1 if splits => rng.random_range(0..=16),
        // Orca computes prompts without their answers again, so a budget must be tighter to be too small for one.
        2 if matches!(kind, PolicyKind::Orca | PolicyKind::Splitwise) => longest * 2 / 5,
        2 => longest * 4 / 5,
        _ => rng.random_range(longest..=longest * 3),
    };
    let max_num_batched_tokens = (max_num_seqs + spare).max(1);
    let threshold = match rng.random_range(0..5) {
        0 | 1 => rng.random_range(1..=24),
        2 => max_num_batched_tokens.saturating_sub(rng.random_range(1..=3)),
        _ => 0,
    };
    let policy = match kind {
        PolicyKind::ChunkedPrefill => Policy::ChunkedPrefill {
            long_prefill_token_threshold: threshold,
            scheduler_reserve_full_isl: rng.random_bool(0.3),
        },
        PolicyKind::Sarathi => Policy::Sarathi,
        PolicyKind::PrefillFirst => Policy::PrefillFirst { watermark_permille: pick(rng, &[0, 10, 100, 250]) },
        PolicyKind::Orca => Policy::Orca,
        PolicyKind::BlendServe => Policy::BlendServe {
            sample_permille: pick(rng, &[10, 200, 1000]),
            known_from_tokens: pick(rng, &[10, 1000]),
            kept_sharing_permille: pick(rng, &[0, 900, 990]),
            watermark_permille: pick(rng, &[0, 10, 100]),
            group_prefixes: false,
        },
        PolicyKind::BatchLlm => Policy::BatchLlm {
            order: pick(rng, &[GroupOrder::Submission, GroupOrder::DecodeShare]),
            token_batching_degree: rng.random_range(0..=spare.min(8)),
            watermark_permille: pick(rng, &[0, 0, 10, 100]),
            first_level: pick(rng, &[FirstLevel::Enlarged, FirstLevel::EnlargedTogether, FirstLevel::AsIs]),
        },
        PolicyKind::Splitwise => Policy::Splitwise,
        PolicyKind::LayeredPrefill => {
            let groups = layer_groups(rng, longest, layers);
            // Decodes cost none of it.
            let max_num_batched_tokens = (spare + 1).max(longest / 50);
            let policy = Policy::LayeredPrefill { groups, collapse_without_decodes: rng.random_bool(0.3) };
            return SchedulerSpec { policy, max_num_batched_tokens, max_num_seqs, order: QueueOrder::Fcfs };
        }
    };
    SchedulerSpec { policy, max_num_batched_tokens, max_num_seqs, order: QueueOrder::Fcfs }
}

/// A rule of each kind that the layers allow.
fn layer_groups(rng: &mut Xoshiro256PlusPlus, longest: u32, layers: u32) -> LayerGroups {
    let tables: Vec<u32> = LayerGroups::NUM_STAGES.into_iter().filter(|groups| *groups <= layers).collect();
    match rng.random_range(0..3) {
        0 => LayerGroups::PerTokens { reference_chunk: rng.random_range(1..=longest.div_ceil(4)) },
        1 if !tables.is_empty() => LayerGroups::Table { num_stages: pick(rng, &tables) },
        _ => LayerGroups::Fixed(rng.random_range(1..=layers)),
    }
}

fn price(
    rng: &mut Xoshiro256PlusPlus,
    (kind, timing): (PolicyKind, Timing),
    layers: u32,
    step_ns: u64,
    quantum_ns: u64,
) -> Price {
    let layered = kind == PolicyKind::LayeredPrefill;
    let blended = kind == PolicyKind::BlendServe;
    let one_stage = layered || blended || timing == Timing::Asynchronous;
    let stages: &[usize] = if one_stage { &[1] } else { &[1, 1, 1, 2, 3, 4] };
    // Constants and polynomials know no layers.
    match rng.random_range(if layered { 2 } else { u32::from(blended) }..10) {
        0 => Price::Constant(step_ns),
        2..=4 if blended => Price::Polynomial(polynomial(1, step_ns as f64)),
        1 => Price::Polynomial(polynomial(pick(rng, stages).min(2) as u32, step_ns as f64)),
        _ => Price::Shape(Box::new(ShapeCost {
            stages: pick(rng, stages),
            base_ns: pick(rng, &[0, step_ns]),
            quantum_ns: if rng.random_bool(0.05) { 0 } else { quantum_ns },
            layers: Some(layers),
            handover_base_ns: pick(rng, &[0, quantum_ns, 300 * quantum_ns]),
            handover_row_ns: pick(rng, &[0, quantum_ns]),
            totals: CostTotals::default(),
        })),
    }
}

fn polynomial(stages: u32, step_ns: f64) -> PolynomialOptions {
    let decode = DecodePolynomial { base_ns: step_ns, per_context_token_ns: 1.5, per_request_ns: 20.0 };
    PolynomialOptions {
        prefill_base_ns: step_ns * 0.75,
        per_prompt_token_ns: 10.0,
        per_prompt_token_squared_ns: 0.03,
        decode,
        decode_large: DecodePolynomial { base_ns: step_ns * 0.5, per_request_ns: 90.0, ..decode },
        large_batch_requests: 8,
        stages,
        per_stage_prefill_ns: 50.0,
        per_step_ns: 100.0,
        per_step_token_ns: 1.0,
    }
}
