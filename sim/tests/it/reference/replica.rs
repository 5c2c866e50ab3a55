//! One replica: its lists, its slots, and what happens when a step starts and ends.

use std::collections::{BTreeMap, VecDeque};

use profiles::{DecodeBatch, LayerRange, PrefillPiece, StepShape};
use rand::rngs::Xoshiro256PlusPlus;
use sim::{DecodeMember, Policy, PrefillMember, Rejection, ReplicaOutcome, ReplicaSpec, Role, StepRecord};
use workloads::{Request, RequestId, SimDuration, SimTime, stream};

use super::batchllm::{Group, Part};
use super::conveyor::Conveyor;
use super::handover::Entrance;
use super::job::{Job, Phase};
use super::kv::Kv;
use super::layered_prefill::{self, Cohort};
use super::scheduling::{Piece, Plan};
use super::{Coverage, Members, Steps, batchllm, blendserve, chunked_prefill, orca, prefill_first, sarathi, splitwise};

/// A step on its way through the stages.
pub(super) struct InFlight {
    pub(super) dispatch: u64,
    pub(super) start: SimTime,
    /// Not known of a step on a conveyor.
    pub(super) end: Option<SimTime>,
    /// The last layer that its prompts pass, counted from 1, if it is not the model's last one.
    passes: Option<u32>,
    /// What is told of a step on a conveyor when it ends.
    told: Option<(StepRecord, Members)>,
    pub(super) decode: Vec<RequestId>,
    pub(super) pieces: Vec<Piece>,
    /// Whether its tokens are taken as done.
    pub(super) counted: bool,
}

#[derive(Default)]
pub(super) struct Books {
    pub(super) requests: u64,
    pub(super) preemptions: u64,
    steps: u64,
    prefill_tokens: u64,
    decode_tokens: u64,
    pub(super) prompt_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) handed_over: u64,
    pub(super) taken_over: u64,
    stage_busy_ns: Vec<u64>,
    dynamic_energy_j: f64,
}

pub(super) struct Replica {
    number: u32,
    pub(super) spec: ReplicaSpec,
    /// Whether it may have to compute prompts and to decode.
    mixes: bool,
    /// Blocks that it must leave to requests from other replicas.
    pub(super) promised: usize,
    pub(super) jobs: BTreeMap<RequestId, Job>,
    /// On their way to the queue, and when they get there.
    pub(super) sent: VecDeque<(SimTime, RequestId)>,
    pub(super) waiting: VecDeque<RequestId>,
    /// Those at its tail that have come since the replica was last pumped.
    pub(super) pool: Vec<RequestId>,
    pub(super) draws: Xoshiro256PlusPlus,
    pub(super) seed: u64,
    pub(super) batch: blendserve::Batch,
    /// Those that came since a step was planned, where they are grouped.
    pub(super) gathered: Vec<RequestId>,
    pub(super) groups: Vec<Group>,
    /// Those whose prompts the steps that have just ended completed.
    pub(super) handed: Vec<RequestId>,
    /// Whether those handed over need seats until they have moved, and how many have.
    pub(super) counts_leaving: bool,
    pub(super) moved_on: usize,
    /// Prompts that the steps which have just ended took up to a layer, counted from 1, with nothing but layers to go.
    pub(super) passed: Vec<(RequestId, u32)>,
    pub(super) entrance: Entrance,
    /// In the order in which they were let in.
    pub(super) running: Vec<RequestId>,
    pub(super) kv: Kv,
    /// Steps in flight: one place for each micro-batch, or two for asynchronous scheduling.
    pub(super) slots: Vec<Option<InFlight>>,
    /// Where its steps are if it offloads attention.
    pub(super) conveyor: Option<Conveyor>,
    /// Those that decode and are in no slot, in the order in which that came about.
    pub(super) loose: Vec<RequestId>,
    /// Prompts between two groups of layers.
    pub(super) cohort: Option<Cohort>,
    host_free: SimTime,
    stage_free: Vec<SimTime>,
    pub(super) books: Books,
    pub(super) coverage: Coverage,
}

impl Replica {
    pub(super) fn new(number: u32, spec: ReplicaSpec, seed: u64, mixes: bool) -> Self {
        let stages = spec.cost.stages();
        let batches = spec.cost.offloaded_batches();
        let slots = if spec.engine.async_scheduling { 2 } else { batches.unwrap_or(stages) };
        Replica {
            number,
            mixes,
            promised: 0,
            jobs: BTreeMap::new(),
            sent: VecDeque::new(),
            waiting: VecDeque::new(),
            pool: Vec::new(),
            seed,
            batch: blendserve::Batch::default(),
            draws: stream(seed, "queue-order", u64::from(number)),
            gathered: Vec::new(),
            groups: Vec::new(),
            handed: Vec::new(),
            counts_leaving: false,
            moved_on: 0,
            passed: Vec::new(),
            entrance: Entrance::default(),
            running: Vec::new(),
            kv: Kv::new(spec.kv, spec.checkpoints),
            slots: (0..slots).map(|_| None).collect(),
            conveyor: batches.map(Conveyor::new),
            loose: Vec::new(),
            cohort: None,
            host_free: SimTime::ZERO,
            stage_free: vec![SimTime::ZERO; stages],
            books: Books { stage_busy_ns: vec![0; stages], ..Books::default() },
            coverage: Coverage::default(),
            spec,
        }
    }

    pub(super) fn rejection(&self, request: &Request) -> Option<Rejection> {
        let whole = request.prompt.tokens() + request.output_tokens;
        let written = if self.spec.role == Role::Prefill && !self.mixes { request.prompt.tokens() } else { whole - 1 };
        let scheduler = self.spec.scheduler;
        let recomputes = !matches!(scheduler.policy, Policy::Orca | Policy::Splitwise);
        let largest = if recomputes { written } else { request.prompt.tokens() };
        let splits = !matches!(scheduler.policy, Policy::PrefillFirst { .. } | Policy::Orca);
        if whole > self.spec.max_model_len {
            Some(Rejection::ExceedsModelLength)
        } else if self.kv.blocks_for(written) + self.watermark() > self.kv.all() {
            Some(Rejection::ExceedsKvCache)
        } else if !splits && largest > scheduler.max_num_batched_tokens {
            Some(Rejection::ExceedsBatch)
        } else {
            None
        }
    }

    /// Blocks that stay free when a prompt is let in.
    pub(super) fn watermark(&self) -> usize {
        match self.spec.scheduler.policy {
            Policy::PrefillFirst { watermark_permille }
            | Policy::BatchLlm { watermark_permille, .. }
            | Policy::BlendServe { watermark_permille, .. } => self.kv.all() * watermark_permille as usize / 1000,
            _ => 0,
        }
    }

    /// A request was routed here; it gets to the queue later.
    pub(super) fn send(&mut self, job: Job, now: SimTime) {
        self.sent.push_back((now + self.spec.engine.client_to_engine, job.request.id));
        self.jobs.insert(job.request.id, job);
    }

    /// Puts those into the queue that get there now; whether there were any.
    pub(super) fn enqueue(&mut self, now: SimTime) -> bool {
        let mut any = false;
        while self.sent.front().is_some_and(|(at, _)| *at == now) {
            let (_, id) = self.sent.pop_front().expect("it was there a line ago");
            any = true;
            if self.spec.role == Role::Decode && !self.mixes {
                self.jobs.get_mut(&id).expect("it was sent").cached = Some(0);
                self.entrance.prefilled.push(id);
            } else if self.spec.scheduler.policy.groups_prefixes() {
                self.gathered.push(id);
            } else {
                self.waiting.push_back(id);
                self.pool.push(id);
            }
        }
        any
    }

    /// Steps in flight.
    pub(super) fn flying(&self) -> impl Iterator<Item = &InFlight> {
        self.slots.iter().flatten()
    }

    /// When which step ends next: its number, and its slot. All that are in flight, but of a conveyor the next one alone.
    pub(super) fn ends(&self) -> Vec<(SimTime, u64, usize)> {
        let of = |slot: usize| self.slots[slot].as_ref().expect("it is on its way");
        if let Some(conveyor) = &self.conveyor {
            let next = conveyor.next_end().map(|(ns, slot)| (SimTime::from_nanos(ns), of(slot).dispatch, slot));
            return next.into_iter().collect();
        }
        let flying = (0..self.slots.len()).filter(|&slot| self.slots[slot].is_some());
        flying.map(|slot| (of(slot).end.expect("it is known"), of(slot).dispatch, slot)).collect()
    }

    /// When a step starts for which nobody has looked ahead yet.
    pub(super) fn next_start(&self) -> Option<SimTime> {
        let ahead = self.spec.engine.async_scheduling;
        self.flying().filter(|step| ahead && !step.counted).map(|step| step.start).min()
    }

    /// Σ prompt tokens of the requests that have not ended, or been handed over, or are to come.
    pub(super) fn outstanding_tokens(&self) -> u64 {
        let here = self.jobs.values().filter(|job| !(job.phase == Phase::Leaving && job.in_flight == 0));
        let here = here.filter(|job| !matches!(job.part, Some(Part::Prefix(_))));
        let here: u64 = here.map(|job| u64::from(job.request.prompt.tokens())).sum();
        here + self.entrance.expected.values().map(|tokens| u64::from(*tokens)).sum::<u64>()
    }

    /// Tokens of a prompt that it would find in its cache if it were let in now.
    pub(super) fn cached_prefix(&self, request: &Request) -> u32 {
        let job = Job::new(request.clone());
        let (content, limit) = (job.content(), job.total() - 1);
        self.kv.tokens_in(&self.kv.longest_match(&content, limit)) + self.kv.hit_tokens(&content, limit)
    }

    /// Fills the idle slots, first those in `ended`.
    pub(super) fn pump(&mut self, now: SimTime, ended: Vec<usize>, steps: &mut Steps) {
        self.order_pool();
        if self.spec.engine.async_scheduling {
            return self.pump_ahead(now, steps);
        }
        let mut order = ended;
        let others: Vec<usize> = (0..self.slots.len()).filter(|slot| !order.contains(slot)).collect();
        order.extend(others);
        loop {
            let mut preempted = 0;
            for &slot in &order {
                if self.slots[slot].is_some() {
                    continue;
                }
                let joined = self.join();
                let mut plan = self.plan(slot);
                plan.admitted += joined;
                preempted += plan.preempted;
                if !plan.decode.is_empty() || !plan.pieces.is_empty() {
                    self.dispatch(now, plan, slot, steps);
                }
            }
            let nothing_in_flight = self.slots.iter().all(Option::is_none);
            if preempted == 0 || !nothing_in_flight {
                break;
            }
            self.coverage.pumped_again += 1;
        }
    }

    /// Keeps one step in flight and one ahead of it.
    fn pump_ahead(&mut self, now: SimTime, steps: &mut Steps) {
        loop {
            let mut preempted = 0;
            loop {
                let flying: Vec<usize> = (0..2).filter(|&place| self.slots[place].is_some()).collect();
                match flying[..] {
                    [] => {}
                    [place] if self.slots[place].as_ref().is_some_and(|step| step.start <= now && !step.counted) => {
                        self.count_as_done(place);
                    }
                    _ => break,
                }
                let joined = self.join();
                let mut plan = self.plan(0);
                plan.admitted += joined;
                preempted += plan.preempted;
                if plan.decode.is_empty() && plan.pieces.is_empty() {
                    break;
                }
                let place = self.slots.iter().position(Option::is_none).expect("at most one step is in flight");
                self.dispatch(now, plan, place, steps);
            }
            if preempted == 0 || self.flying().count() > 0 {
                break;
            }
            self.coverage.pumped_again += 1;
        }
    }

    /// The tokens of a step are taken as done, whenever they come out.
    fn count_as_done(&mut self, place: usize) {
        let step = self.slots[place].as_mut().expect("a step is in flight");
        step.counted = true;
        for piece in step.pieces.iter().filter(|piece| piece.branches) {
            let job = &self.jobs[&piece.id];
            self.kv.keep_branch(&job.content(), job.branch.expect("its piece passed it").0);
        }
        let opening: Vec<RequestId> = step.pieces.iter().filter(|piece| piece.opens).map(|piece| piece.id).collect();
        let completed = step.pieces.iter().filter(|piece| piece.completes).map(|piece| piece.id);
        let ids: Vec<RequestId> = step.decode.iter().copied().chain(completed).collect();
        for id in ids {
            let next = if self.leaves(id) { Phase::Leaving } else { Phase::Decoding(None) };
            let job = self.jobs.get_mut(&id).expect("requests in flight stay");
            job.coming += 1;
            if job.phase == Phase::Prefilling {
                self.set_phase(id, next);
            }
        }
        for prefix in opening {
            self.open_group(prefix);
        }
    }

    /// Whether a request decodes elsewhere.
    pub(super) fn leaves(&self, id: RequestId) -> bool {
        let elsewhere = self.jobs[&id].decode_replica.is_some_and(|to| to != self.number as usize);
        if self.mixes { elsewhere } else { self.spec.role == Role::Prefill }
    }

    fn plan(&mut self, slot: usize) -> Plan {
        self.kv.learned.clear();
        self.group_gathered();
        let mut plan = Plan::new(slot, self.spec.scheduler.max_num_batched_tokens);
        match self.spec.scheduler.policy {
            Policy::ChunkedPrefill { long_prefill_token_threshold, scheduler_reserve_full_isl } => {
                chunked_prefill::plan(self, &mut plan, long_prefill_token_threshold, scheduler_reserve_full_isl);
            }
            Policy::Sarathi => sarathi::plan(self, &mut plan),
            Policy::PrefillFirst { .. } => prefill_first::plan(self, &mut plan),
            Policy::Orca => orca::plan(self, &mut plan),
            Policy::BatchLlm { .. } => batchllm::plan(self, &mut plan),
            Policy::Splitwise => splitwise::plan(self, &mut plan),
            Policy::BlendServe { .. } => blendserve::plan(self, &mut plan),
            Policy::LayeredPrefill { groups, collapse_without_decodes } => {
                layered_prefill::plan(self, &mut plan, groups, collapse_without_decodes);
            }
            Policy::Own(own) => unreachable!("nobody wrote `{}` down once more", own.name),
        }
        plan
    }

    fn dispatch(&mut self, now: SimTime, plan: Plan, place: usize, steps: &mut Steps) {
        steps.dispatched += 1;
        let dispatch = steps.dispatched;
        let decode = self.decode_batch(&plan);
        let pieces: Vec<PrefillPiece> = plan
            .pieces
            .iter()
            .map(|piece| PrefillPiece { new_tokens: piece.new_tokens, context_tokens: piece.context_tokens })
            .collect();
        let completing = plan.pieces.iter().filter(|piece| piece.completes).count() as u32;
        let sampled = decode.requests + completing;
        let prefill_tokens: u32 = pieces.iter().map(|piece| piece.new_tokens).sum();
        let rows = prefill_tokens + decode.requests;
        let mut stage_ns = vec![0; self.stage_free.len()];
        let (layers, weight) = self.layers_of(&plan);
        let shape = StepShape { prefill: &pieces, decode, sampled, prefill_layers: layers };
        let ready = self.pass_host(now, pieces.len() as u64 + u64::from(decode.requests));
        let stage_was_free = self.stage_free[0] <= ready;
        let (start, end, dynamic_energy_j) = if let Some(conveyor) = &mut self.conveyor {
            let step = self.spec.cost.pass(&shape);
            conveyor.start(plan.slot, now.as_nanos(), ready.as_nanos(), step.passage);
            (ready, None, step.dynamic_energy_j)
        } else {
            let cost = self.spec.cost.step(&shape, &mut stage_ns);
            let (start, end) = self.pass_stages(ready, &stage_ns, rows);
            (start, Some(end), cost.dynamic_energy_j)
        };
        self.coverage.waited_for_host += u64::from(stage_was_free && ready > now && dispatch > 1);
        for id in plan.decode.iter().chain(plan.pieces.iter().map(|piece| &piece.id)) {
            let job = self.jobs.get_mut(id).expect("scheduled requests exist");
            self.coverage.chained_chunks += u64::from(job.in_flight > 0 && stage_ns.len() > 1);
            job.in_flight += 1;
            job.first_scheduled.get_or_insert(start);
        }
        if let Some(end) = end {
            self.share_energy(&plan.decode, &plan.pieces, weight, end - start, dynamic_energy_j);
        }
        self.books.steps += 1;
        if layers.is_none_or(|part| Some(part.end) == self.spec.cost.layers()) {
            self.books.prefill_tokens += u64::from(prefill_tokens);
        }
        self.books.decode_tokens += u64::from(decode.requests);
        self.books.dynamic_energy_j += dynamic_energy_j;
        let partly = |id: &&RequestId| {
            self.jobs[*id].phase == Phase::Prefilling
                && self.jobs[*id].computed > 0
                && self.jobs[*id].computed < self.jobs[*id].total()
        };
        self.coverage.overlapping_prefills += u64::from(self.running.iter().filter(partly).count() > 1);
        let held_back: usize = self.groups.iter().map(|group| group.held_back.len()).sum();
        let record = StepRecord {
            replica: self.number,
            slot: plan.slot as u32,
            scheduled: now,
            start,
            end: end.unwrap_or(start),
            prefill_tokens,
            prefill_requests: pieces.len() as u32,
            decode_requests: decode.requests,
            decode_context_tokens: decode.context_tokens,
            admitted: plan.admitted,
            preempted: plan.preempted,
            waiting: (self.waiting.len() + self.entrance.outside() + held_back) as u32,
            running: self.running.len() as u32,
            free_blocks: self.kv.free() as u32,
            prefill_layers: layers.map(|part| (part.start, part.end)),
            dynamic_energy_j,
            work: None,
        };
        let members = Members {
            prefill: plan
                .pieces
                .iter()
                .zip(&pieces)
                .map(|(at, &piece)| PrefillMember { request: self.for_whom(at.id), piece, completes: at.completes })
                .collect(),
            decode: plan
                .decode
                .iter()
                .map(|&request| DecodeMember { request, context_tokens: self.jobs[&request].computed })
                .collect(),
            sampled,
            stage_ns,
        };
        let told = if end.is_some() {
            steps.told.push((record, members));
            None
        } else {
            Some((record, members))
        };
        let passes = layers.map(|part| part.end).filter(|end| Some(*end) != self.spec.cost.layers());
        let (decode, pieces) = (plan.decode, plan.pieces);
        self.slots[place] = Some(InFlight { dispatch, start, end, passes, told, decode, pieces, counted: false });
    }

    /// Tells the requests of a step what it took, idle power included.
    fn share_energy(&mut self, decode: &[RequestId], pieces: &[Piece], weight: f64, took: SimDuration, dynamic_j: f64) {
        let sharing = if self.conveyor.is_some() { self.slots.len() } else { self.stage_free.len() };
        let idle_j = self.spec.idle_power_w * took.as_secs_f64() / sharing as f64;
        let prefill_tokens: u32 = pieces.iter().map(|piece| piece.new_tokens).sum();
        let whole_rows = f64::from(prefill_tokens) * weight + decode.len() as f64;
        let all_nj = (idle_j + dynamic_j) * 1e9;
        let decode_nj = (all_nj / whole_rows).round() as u64;
        let prompt_nj = (all_nj * weight / whole_rows).round() as u64;
        let shares = decode.iter().map(|id| (*id, decode_nj));
        let of_pieces = pieces.iter().map(|piece| (piece.id, prompt_nj * u64::from(piece.new_tokens)));
        for (id, nanojoules) in shares.chain(of_pieces) {
            self.jobs.get_mut(&id).expect("scheduled requests exist").energy_nj += nanojoules;
        }
    }

    /// The layers that the prompts of a step pass, and what share of all layers they are.
    fn layers_of(&self, plan: &Plan) -> (Option<LayerRange>, f64) {
        let Some(layers) = &plan.layers else { return (None, 1.0) };
        let all = self.spec.cost.layers().expect("groups are of layers");
        let part = LayerRange { start: layers[0], end: layers[layers.len() - 1] + 1 };
        (Some(part), layers.len() as f64 / f64::from(all))
    }

    /// What the decoding requests of a step attend to; their new token is already among the computed ones.
    fn decode_batch(&self, plan: &Plan) -> DecodeBatch {
        let window = self.spec.sliding_window.unwrap_or(u32::MAX);
        let contexts: Vec<u32> = plan.decode.iter().map(|id| self.jobs[id].computed).collect();
        DecodeBatch {
            requests: contexts.len() as u32,
            context_tokens: contexts.iter().map(|context| u64::from(*context)).sum(),
            windowed_context_tokens: contexts.iter().map(|context| u64::from(*context.min(&window))).sum(),
            shared: self.shared_prefixes(&plan.decode),
        }
    }

    /// When the host has done its part for a step of so many requests.
    fn pass_host(&mut self, now: SimTime, requests: u64) -> SimTime {
        let engine = self.spec.engine;
        let ns = engine.host_per_step.as_nanos() + engine.host_per_request.as_nanos() * requests;
        self.host_free = self.host_free.max(now) + SimDuration::from_nanos(ns);
        self.host_free
    }

    /// Leads a step through the stages: start of the first, end of the last.
    fn pass_stages(&mut self, now: SimTime, stage_ns: &[u64], rows: u32) -> (SimTime, SimTime) {
        let (mut start_of_first, mut ready) = (now, now);
        for (stage, ns) in stage_ns.iter().enumerate() {
            let busy_ns = (*ns).max(1);
            let start = ready.max(self.stage_free[stage]);
            let end = start + SimDuration::from_nanos(busy_ns);
            self.stage_free[stage] = end;
            self.books.stage_busy_ns[stage] += busy_ns;
            if stage == 0 {
                start_of_first = start;
            }
            ready = end;
            if stage + 1 < stage_ns.len() {
                ready += SimDuration::from_nanos(self.spec.cost.handover_ns(stage + 1, rows));
            }
        }
        (start_of_first, ready)
    }

    /// Ends the step of a slot; returns the requests that have all their tokens, in the order in which they end.
    pub(super) fn finish(&mut self, slot: usize, now: SimTime, steps: &mut Steps) -> Vec<Job> {
        if !self.slots[slot].as_ref().expect("a step ends where one is in flight").counted {
            assert!(!self.spec.engine.async_scheduling, "a step is looked beyond before it ends");
            self.count_as_done(slot);
        }
        let step = self.slots[slot].take().expect("it was there a line ago");
        if let Some((mut record, members)) = step.told {
            self.conveyor.as_mut().expect("it offloads attention").end();
            record.end = now;
            self.share_energy(&step.decode, &step.pieces, 1.0, now - step.start, record.dynamic_energy_j);
            steps.told.push((record, members));
        }
        for id in step.decode.iter().chain(step.pieces.iter().map(|piece| &piece.id)) {
            self.jobs.get_mut(id).expect("requests in flight stay").in_flight -= 1;
        }
        if let Some(layer) = step.passes {
            let ids = step.pieces.iter().map(|piece| piece.id);
            let whole: Vec<RequestId> = ids.filter(|id| self.jobs[id].computed == self.jobs[id].total()).collect();
            let leaving = whole.into_iter().filter(|id| self.leaves(*id) && self.jobs[id].request.output_tokens > 1);
            self.passed.extend(leaving.map(|id| (id, layer)).collect::<Vec<_>>());
        }
        let mut ended = Vec::new();
        let completing = step.pieces.iter().filter(|piece| piece.completes).map(|piece| piece.id);
        for id in step.decode.iter().copied().chain(completing) {
            let leaves = self.leaves(id);
            let job = self.jobs.get_mut(&id).expect("requests in flight stay");
            job.coming -= 1;
            job.tokens_at.push(now);
            if job.has_all_tokens() {
                let job = self.jobs.remove(&id).expect("it was there a line ago");
                self.loose.retain(|loose| *loose != id);
                if job.phase == Phase::Waiting {
                    self.waiting.retain(|waiting| *waiting != id);
                } else {
                    self.running.retain(|running| *running != id);
                    let prompt_runs = job.request.prompt.spans().len();
                    self.kv.keep(id, &job.content(), job.computed, prompt_runs);
                    self.kv.release(id, &job.content(), job.computed);
                }
                self.leave_group(&job);
                ended.push(job);
            } else if leaves {
                self.running.retain(|running| *running != id);
                self.handed.push(id);
                self.books.handed_over += 1;
            }
        }
        ended
    }

    pub(super) fn into_outcome(self, elapsed: SimDuration, coverage: &mut Coverage) -> ReplicaOutcome {
        assert_eq!(self.kv.free(), self.kv.all(), "all blocks are free when all requests have left");
        coverage.add(&self.coverage);
        coverage.evictions += self.kv.evictions;
        if let Some(tree) = &self.kv.checkpoints {
            assert!(!tree.is_held(), "a request that has left still holds something");
            coverage.evictions += tree.evictions;
            coverage.branches += tree.branches;
            coverage.bare_branches += tree.bare_branches;
            coverage.not_kept += tree.not_kept;
        }
        coverage.duplicates += self.kv.duplicates;
        let mut books = self.books;
        if let Some(conveyor) = &self.conveyor {
            books.stage_busy_ns = conveyor.busy();
        }
        let pool_ns = self.conveyor.and_then(|conveyor| conveyor.busy().pop());
        let idle = |busy: &u64| SimDuration::from_nanos(elapsed.as_nanos() - busy);
        assert_eq!(self.entrance.outside(), 0, "somebody still waits to be let in");
        ReplicaOutcome {
            role: self.spec.role,
            requests: books.requests,
            steps: books.steps,
            preemptions: books.preemptions,
            prefill_tokens: books.prefill_tokens,
            decode_tokens: books.decode_tokens,
            prompt_tokens: books.prompt_tokens,
            cached_tokens: books.cached_tokens,
            handed_over: books.handed_over,
            taken_over: books.taken_over,
            stage_idle: books.stage_busy_ns.iter().map(idle).collect(),
            attention_busy: pool_ns.map(SimDuration::from_nanos),
            stage_busy: books.stage_busy_ns.into_iter().map(SimDuration::from_nanos).collect(),
            optimum_ns: self.batch.optimum_ns(),
            kv_blocks: self.kv.all() as u32,
            kv_blocks_peak: self.kv.peak as u32,
            devices: self.spec.devices,
            idle_energy_j: self.spec.idle_power_w * elapsed.as_secs_f64(),
            dynamic_energy_j: books.dynamic_energy_j,
            cost: self.spec.cost.totals(),
        }
    }
}
