//! One engine: waiting and running requests, a KV cache, a policy, and steps in flight.
//!
//! The rules are those of `SEMANTICS.md`; what makes them cheap is in [`group`].

mod ahead;
mod blend;
mod cohort;
mod compose;
mod details;
mod dispatch;
mod group;
mod intake;
mod live;
mod load;
mod order;
mod output;
mod passing;
mod prefixes;
mod sharing;
mod walk;

use std::collections::VecDeque;

use profiles::{CostModel, LayerRange, PrefillPiece};
use workloads::{ContentId, Prompt, Request, SimDuration, SimTime};

use crate::conveyor::Conveyor;
use crate::kv::{Chain, Kv};
use crate::measures::Window;
use crate::outcome::ReplicaOutcome;
use crate::record::Rejection;
use crate::scheduler::{self, Scheduler};
use crate::spec::{EngineSpec, ReplicaSpec, Role, SchedulerSpec};
use blend::Blend;
use cohort::Cohort;
pub(crate) use cohort::LayersPassed;
pub(crate) use dispatch::Wants;
use group::Group;
use intake::Intake;
pub(crate) use intake::{Offer, Origin, Piping};
pub(crate) use live::{Live, LiveId};
use live::{Lives, Phase};
use load::Load;
use order::Ordering;
use passing::Passing;
use prefixes::{Grouped, Prefixes};

/// A micro-batch: its decoding requests, and the step in flight if there is one.
#[derive(Debug)]
struct Slot {
    group: Group,
    /// Whether the step composed last is in flight.
    busy: bool,
    batch: Batch,
    /// With asynchronous scheduling: whether a step is in flight that counts as done, and that step.
    counted_busy: bool,
    counted: Batch,
    /// When the step composed last starts.
    start: SimTime,
    /// Which number that step has among all of the deployment.
    order: u64,
    /// What is to be told of the step in flight when it ends, if it passes a conveyor: only then is it known when.
    passing: Option<Passing>,
}

/// What a step contains.
#[derive(Debug, Default)]
struct Batch {
    pieces: Vec<Piece>,
    /// The same pieces as the cost model sees them.
    shapes: Vec<PrefillPiece>,
    /// Layers that they pass, if not all.
    layers: Option<LayerRange>,
    /// Whether the slot's group takes part.
    decodes: bool,
    energy_per_token_nj: u64,
    /// Requests that have left the group since this step counted as done, and are owed their token of it.
    owed: Vec<LiveId>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    live: LiveId,
    tokens: u32,
    /// Whether no token of the request is missing after it, so that the step yields one.
    completes: bool,
    /// Whether a prefix is computed with it, which yields none.
    opens: bool,
    /// Whether it passes where its prompt gets a checkpoint.
    branches: bool,
}

/// A pipeline stage's books.
#[derive(Clone, Copy, Debug, Default)]
struct Stage {
    free_at: SimTime,
    busy: SimDuration,
    idle: SimDuration,
}

/// Plain counts for the outcome.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u64,
    steps: u64,
    preemptions: u64,
    prefill_tokens: u64,
    decode_tokens: u64,
    prompt_tokens: u64,
    cached_tokens: u64,
    handed_over: u64,
    taken_over: u64,
}

pub(crate) struct Replica {
    number: u32,
    role: Role,
    /// Whether it may have to compute prompts and to decode, whatever its role.
    mixes: bool,
    load: Load,
    limits: SchedulerSpec,
    max_model_len: u32,
    devices: u32,
    idle_power_w: f64,
    engine: EngineSpec,
    /// When the host has done its part for the step composed last.
    host_free_at: SimTime,
    scheduler: Box<dyn Scheduler>,
    decode_takes_blocks: bool,
    gathers_cohorts: bool,
    cost: Box<dyn CostModel>,

    lives: Lives,
    /// Requests on their way from the client to the queue, and the decode replica that was chosen for each.
    sent: VecDeque<(Request, Option<u32>)>,
    waiting: VecDeque<LiveId>,
    ordering: Ordering,
    /// Requests whose prompt was completed by the step that ended last, to be handed over.
    handed: Vec<LiveId>,
    /// Requests handed over whose KV cache is still here.
    held: u32,
    /// Layers that are pushed one by one, and the prompts whose last piece has been dispatched: when it starts and ends.
    pushes_layers: Option<u32>,
    pushing: Vec<(SimTime, SimTime, LiveId)>,
    /// Prompts of a cohort that a step took through more layers, to be complete after all: which they have passed.
    passed: Vec<(LiveId, LayersPassed)>,
    intake: Intake,
    /// Groups of requests by prefix, if the policy makes them.
    prefixes: Option<Prefixes>,
    /// Requests let in that miss tokens no step has been given yet, in order of admission.
    prefilling: Vec<LiveId>,
    /// Decoding requests in no group.
    loose: Vec<LiveId>,
    tickets: u64,
    kv: Kv,
    /// By end of the queue: the request there did not fit when the cache had this version and it asked for so many tokens.
    blocked: [Option<(u64, u32)>; 2],
    blend: Option<Blend>,
    slots: Vec<Slot>,
    cohort: Cohort,
    /// Slots whose steps have ended since the last pumping, in that order.
    just_ended: Vec<u32>,
    stages: Vec<Stage>,
    stage_ns: Vec<u64>,
    /// Where its batches travel between model workers and attention workers, if it offloads attention.
    conveyor: Option<Conveyor>,
    outstanding_tokens: u64,
    dynamic_energy_j: f64,
    counts: Counts,
    /// When requests arrive whose gaps are told; `None` for all.
    followed: Option<Window>,
}

impl Replica {
    pub(crate) fn new(number: u32, spec: ReplicaSpec, piping: Piping, seed: u64) -> Self {
        let stages = spec.cost.stages();
        let batches = spec.cost.offloaded_batches();
        let slots = (0..batches.unwrap_or(stages) as u32)
            .map(|slot| Slot {
                group: Group::new(slot, spec.kv.block_size, spec.sliding_window),
                busy: false,
                batch: Batch::default(),
                counted_busy: false,
                counted: Batch::default(),
                start: SimTime::ZERO,
                order: 0,
                passing: None,
            })
            .collect();
        let layers = spec.cost.layers().unwrap_or(1);
        let scheduler = scheduler::new(&spec.scheduler, &spec.kv, layers);
        let blend = Blend::new(&spec, seed);
        Replica {
            number,
            role: spec.role,
            mixes: piping.mixes,
            load: Load::default(),
            limits: spec.scheduler,
            max_model_len: spec.max_model_len,
            devices: spec.devices,
            idle_power_w: spec.idle_power_w,
            engine: spec.engine,
            host_free_at: SimTime::ZERO,
            decode_takes_blocks: scheduler.decode_takes_blocks(),
            gathers_cohorts: scheduler.gathers_cohorts(),
            scheduler,
            cost: spec.cost,
            lives: Lives::default(),
            sent: VecDeque::new(),
            waiting: VecDeque::new(),
            ordering: Ordering::new(spec.scheduler.order, seed, number),
            handed: Vec::new(),
            held: 0,
            pushes_layers: piping.pushes_layers,
            pushing: Vec::new(),
            passed: Vec::new(),
            intake: Intake::new(piping, &spec.kv),
            prefixes: Prefixes::new(spec.scheduler.policy, &spec.kv),
            prefilling: Vec::new(),
            loose: Vec::new(),
            tickets: 0,
            kv: Kv::new(&spec.kv, spec.checkpoints.as_ref()),
            blocked: [None; 2],
            blend,
            slots,
            cohort: Cohort::new(layers),
            just_ended: Vec::new(),
            stages: vec![Stage::default(); stages],
            stage_ns: vec![0; stages],
            conveyor: batches.map(Conveyor::new),
            outstanding_tokens: 0,
            dynamic_energy_j: 0.0,
            counts: Counts::default(),
            followed: None,
        }
    }

    /// Starts the clock of its books; gaps are told of requests that arrive in `followed`, or of all.
    pub(crate) fn start(&mut self, first_arrival: SimTime, followed: Option<Window>) {
        self.followed = followed;
        for stage in &mut self.stages {
            stage.free_at = first_arrival;
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Σ prompt tokens of requests that were sent here and have not ended.
    pub(crate) fn outstanding_tokens(&self) -> u64 {
        self.outstanding_tokens
    }

    /// Tokens of a prompt that the prefix cache holds now.
    pub(crate) fn cached_tokens(&self, prompt: &Prompt) -> u32 {
        let chain = Chain { prompt: prompt.spans(), answer: ContentId(0), answer_tokens: 0 };
        let limit = prompt.tokens().saturating_sub(1);
        self.kv.find(&chain, limit).tokens()
    }

    /// Why a request can never be served here, if so.
    pub(crate) fn refusal(&self, request: &Request) -> Option<Rejection> {
        let total = u64::from(request.prompt.tokens()) + u64::from(request.output_tokens);
        if total > u64::from(self.max_model_len) {
            return Some(Rejection::ExceedsModelLength);
        }
        let prompts_only = self.role == Role::Prefill && !self.mixes;
        let written = if prompts_only { request.prompt.tokens() } else { (total - 1) as u32 };
        if self.kv.blocks_for(written) + self.scheduler.watermark_blocks() > self.kv.blocks() {
            return Some(Rejection::ExceedsKvCache);
        }
        // Whoever may be preempted computes its answer again, as part of a whole prompt.
        let largest = if self.decode_takes_blocks { written } else { request.prompt.tokens() };
        if self.limits.policy.bounds_prompts() && largest > self.limits.max_num_batched_tokens {
            return Some(Rejection::ExceedsBatch);
        }
        None
    }

    /// Counts a request that was sent here, whether or not it can be served.
    pub(crate) fn count_request(&mut self) {
        self.counts.requests += 1;
    }

    /// Time that a request takes from the client to the queue.
    pub(crate) fn client_to_engine(&self) -> SimDuration {
        self.engine.client_to_engine
    }

    /// Time that a token takes from the end of its step to the client.
    pub(crate) fn engine_to_client(&self) -> SimDuration {
        self.engine.engine_to_client
    }

    /// Sends a request on its way to the queue.
    pub(crate) fn send(&mut self, request: Request, decode_replica: Option<u32>) {
        self.expect(&request.prompt);
        self.sent.push_back((request, decode_replica));
    }

    /// Counts the prompt tokens of a request that is or will be here.
    pub(crate) fn expect(&mut self, prompt: &Prompt) {
        self.outstanding_tokens += u64::from(prompt.tokens());
    }

    /// Queues the request that was sent first.
    pub(crate) fn enqueue_next(&mut self) {
        let (request, decode_replica) = self.sent.pop_front().expect("a request was sent");
        let mut live = Live::new(request);
        live.followed = self.followed.is_none_or(|window| window.contains(live.arrival));
        live.decode_replica = decode_replica;
        if self.role == Role::Decode && !self.mixes {
            self.queue_prefilled(live);
        } else {
            let id = self.lives.insert(live);
            if let Some(prefixes) = &mut self.prefixes {
                prefixes.gather(id);
            } else {
                self.waiting.push_back(id);
                self.ordering.joined();
            }
        }
    }

    /// Whether a request is in flight in some slot, and so cannot be preempted. With asynchronous scheduling what is in
    /// flight counts as done, and protects nobody.
    fn in_flight(&self, live: &Live) -> bool {
        if self.engine.async_scheduling {
            return false;
        }
        match live.phase {
            Phase::Prefilling => live.in_flight > 0,
            Phase::Decoding { slot } => {
                let slot = &self.slots[slot as usize];
                slot.busy && slot.batch.decodes
            }
            Phase::Loose | Phase::Finishing | Phase::Waiting | Phase::Handed | Phase::Arrived | Phase::Kept => false,
        }
    }

    /// Closes the books at the end of the run.
    pub(crate) fn close(mut self, first_arrival: SimTime, end: SimTime) -> ReplicaOutcome {
        let nobody = self.sent.is_empty() && self.waiting.is_empty() && self.lives.running() == 0;
        assert!(nobody, "a request never left replica {}", self.number);
        assert_eq!(self.held, 0, "replica {} still holds the KV cache of a request handed over", self.number);
        self.intake.assert_empty();
        self.load.assert_nothing();
        if let Some(blend) = &self.blend {
            blend.sides.assert_empty();
        }
        assert_eq!(self.outstanding_tokens, 0, "tokens are outstanding after the last request has left");
        if let Some(prefixes) = &self.prefixes {
            prefixes.assert_none_left();
        }
        self.kv.assert_all_free();
        let elapsed = end - first_arrival;
        self.close_conveyor(end);
        for stage in &mut self.stages {
            stage.idle += end - stage.free_at;
            assert_eq!(stage.busy + stage.idle, elapsed, "busy and idle time do not add up to the elapsed time");
        }
        let cost = self.cost.totals();
        let drawn_j = cost.sum().dynamic_energy_j;
        // A cost model that does not tell operators apart says nothing of them.
        assert!(
            drawn_j <= 0.0 || (drawn_j - self.dynamic_energy_j).abs() <= 1e-6 * self.dynamic_energy_j,
            "operators drew {drawn_j} J, and steps {} J",
            self.dynamic_energy_j
        );
        ReplicaOutcome {
            role: self.role,
            requests: self.counts.requests,
            steps: self.counts.steps,
            preemptions: self.counts.preemptions,
            prefill_tokens: self.counts.prefill_tokens,
            decode_tokens: self.counts.decode_tokens,
            prompt_tokens: self.counts.prompt_tokens,
            cached_tokens: self.counts.cached_tokens,
            handed_over: self.counts.handed_over,
            taken_over: self.counts.taken_over,
            stage_busy: self.stages.iter().map(|stage| stage.busy).collect(),
            stage_idle: self.stages.iter().map(|stage| stage.idle).collect(),
            attention_busy: self.conveyor.as_ref().map(|conveyor| conveyor.books().pool),
            optimum_ns: self.optimum_ns(),
            kv_blocks: self.kv.blocks(),
            kv_blocks_peak: self.kv.peak(),
            devices: self.devices,
            idle_energy_j: self.idle_power_w * elapsed.as_secs_f64(),
            dynamic_energy_j: self.dynamic_energy_j,
            cost,
        }
    }
}
