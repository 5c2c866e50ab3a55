//! What the policies have in common: giving tokens, letting in, preempting.

use sim::Policy;
use sim::offline::Side;
use workloads::RequestId;

use super::batchllm::Part;
use super::checkpoints::Hit;
use super::job::Phase;
use super::replica::Replica;

/// A step in the making.
pub(super) struct Plan {
    pub(super) slot: usize,
    /// Tokens that still fit.
    pub(super) budget: u32,
    pub(super) decode: Vec<RequestId>,
    pub(super) pieces: Vec<Piece>,
    /// Layers that the pieces pass, if not all.
    pub(super) layers: Option<Vec<u32>>,
    pub(super) admitted: u32,
    pub(super) preempted: u32,
    /// Whether somebody lacked a block and kept those it had.
    pub(super) kept_blocks: bool,
    /// Whether the waiting queue was sorted for it.
    pub(super) sorted: bool,
}

/// Some prompt tokens of one request.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) id: RequestId,
    pub(super) new_tokens: u32,
    pub(super) context_tokens: u32,
    /// Whether nothing is left to compute behind it, so that the step yields a token.
    pub(super) completes: bool,
    /// Whether it completes a prefix, which yields none.
    pub(super) opens: bool,
    /// Whether it passes where its prompt gets a checkpoint.
    pub(super) branches: bool,
}

/// The head of the waiting queue, which a slot of the running list is free for.
pub(super) struct Head {
    pub(super) id: RequestId,
    matched: Vec<usize>,
    /// What it found where there are checkpoints, and whether that was too much for it.
    hit: Hit,
    given_up: bool,
    pub(super) cached: u32,
    pub(super) total: u32,
    /// Tokens whose KV is written by the time it ends here.
    pub(super) longest: u32,
}

impl Head {
    /// Tokens to compute until it generates, or until its prompt is cut.
    pub(super) fn remaining(&self) -> u32 {
        match self.hit.branch {
            Some((at, true)) => at - self.cached,
            _ => self.total - self.cached,
        }
    }
}

impl Plan {
    pub(super) fn new(slot: usize, budget: u32) -> Self {
        Plan {
            slot,
            budget,
            decode: Vec::new(),
            pieces: Vec::new(),
            layers: None,
            admitted: 0,
            preempted: 0,
            kept_blocks: false,
            sorted: false,
        }
    }
}

impl Replica {
    /// Whether a request is decoding and belongs into a step of this slot.
    pub(super) fn decodes_in(&self, id: RequestId, slot: usize) -> bool {
        let job = &self.jobs[&id];
        // Batches have their share of the loose requests when they begin.
        let joins = self.conveyor.is_none();
        let here = |attached: Option<usize>| attached.map_or(joins, |at| at == slot);
        matches!(job.phase, Phase::Decoding(attached) if here(attached)) && !job.is_finishing()
    }

    /// Loose requests join the batch of a slot, first come first joined, until it has its share of the running ones.
    pub(super) fn share_out(&mut self, slot: usize) {
        if self.conveyor.is_none() {
            return;
        }
        let share = self.running.len().div_ceil(self.slots.len());
        let members = self.running.iter().filter(|id| self.jobs[id].phase == Phase::Decoding(Some(slot))).count();
        for id in self.loose.clone().into_iter().take(share.saturating_sub(members)) {
            self.set_phase(id, Phase::Decoding(Some(slot)));
        }
        self.coverage.left_to_other_batches += self.loose.len() as u64;
    }

    /// Gives one token to every decoding request of the slot and every loose one, in running order.
    pub(super) fn decode_part(&mut self, plan: &mut Plan) {
        self.share_out(plan.slot);
        for id in self.running.clone() {
            if self.decodes_in(id, plan.slot) {
                self.set_phase(id, Phase::Decoding(Some(plan.slot)));
            }
        }
        for id in self.running.clone() {
            if self.decodes_in(id, plan.slot) {
                self.give_token(plan, id);
            }
        }
    }

    /// One decoded token, if there is a block for it; whether there was.
    pub(super) fn give_token(&mut self, plan: &mut Plan, id: RequestId) -> bool {
        let tokens = self.jobs[&id].computed + 1;
        if !self.make_room(plan, id, tokens) {
            if plan.kept_blocks {
                self.set_phase(id, Phase::Decoding(None));
            }
            return false;
        }
        self.kv.extend(id, tokens);
        let slot = plan.slot;
        self.set_phase(id, Phase::Decoding(Some(slot)));
        self.job(id).computed = tokens;
        plan.budget -= 1;
        plan.decode.push(id);
        true
    }

    /// Whether a prompt goes on only when its piece in flight has ended: batches overtake each other.
    pub(super) fn waits_for_its_piece(&self, id: RequestId) -> bool {
        self.conveyor.is_some() && self.jobs[&id].in_flight > 0
    }

    /// `n` prompt tokens of a running request, if there are blocks for them; whether there were.
    pub(super) fn give_piece(&mut self, plan: &mut Plan, id: RequestId, n: u32) -> bool {
        let context_tokens = self.jobs[&id].computed;
        let tokens = context_tokens + n;
        if !self.make_room(plan, id, tokens) {
            return false;
        }
        self.kv.extend(id, tokens);
        self.job(id).computed = tokens;
        self.kv.learn(id, &self.jobs[&id].content(), tokens);
        plan.budget = plan.budget.saturating_sub(n);
        let complete = tokens == self.jobs[&id].total();
        let opens = complete && matches!(self.jobs[&id].part, Some(Part::Prefix(_)));
        let branches = self.jobs[&id].passes_branch(context_tokens);
        plan.pieces.push(Piece { id, new_tokens: n, context_tokens, completes: complete && !opens, opens, branches });
        true
    }

    /// Preempts until there are free blocks for `tokens` tokens of a request; `false` if there will not be.
    fn make_room(&mut self, plan: &mut Plan, id: RequestId, tokens: u32) -> bool {
        while self.kv.missing(id, tokens) > self.kv.free() {
            let Some(victim) = self.victim(id) else {
                self.coverage.without_victim += 1;
                return false;
            };
            if victim == id && self.conveyor.is_some() && self.flying().count() > 0 {
                self.coverage.kept_blocks += 1;
                plan.kept_blocks = true;
                return false;
            }
            self.preempt(victim);
            plan.preempted += 1;
            if victim == id {
                self.coverage.self_preemptions += 1;
                return false;
            }
        }
        true
    }

    /// The last running request that is neither in flight (unless that protects nobody) nor ahead of the one in need; with
    /// layered prefill only among those that decode.
    fn victim(&self, in_need: RequestId) -> Option<RequestId> {
        for &id in self.running.iter().rev() {
            let phase = self.jobs[&id].phase;
            if phase == Phase::Leaving || self.spares_prefilling() && phase == Phase::Prefilling {
                continue;
            }
            if self.jobs[&id].in_flight == 0 || self.spec.engine.async_scheduling {
                return Some(id);
            }
            if id == in_need {
                break;
            }
        }
        None
    }

    fn spares_prefilling(&self) -> bool {
        matches!(self.spec.scheduler.policy, Policy::LayeredPrefill { .. })
    }

    fn preempt(&mut self, id: RequestId) {
        self.coverage.preemptions_beside_cohorts += u64::from(self.cohort.is_some());
        let (content, computed) = (self.jobs[&id].content(), self.jobs[&id].computed);
        let writing = self.flying().filter(|step| step.decode.contains(&id)).count() as u32;
        self.kv.release(id, &content, computed - writing);
        self.coverage.victims_in_flight += u64::from(self.jobs[&id].in_flight > 0);
        self.coverage.finishing_victims += u64::from(self.jobs[&id].is_finishing());
        self.set_phase(id, Phase::Waiting);
        self.job(id).computed = 0;
        self.job(id).preemptions += 1;
        self.running.retain(|running| *running != id);
        if self.job(id).side.take() == Some(Side::Right) {
            self.waiting.push_back(id);
        } else {
            self.waiting.push_front(id);
        }
        self.books.preemptions += 1;
    }

    /// The head of the waiting queue, if the running list has room.
    pub(super) fn head(&mut self, plan: &mut Plan) -> Option<Head> {
        let more = match self.spec.scheduler.policy {
            Policy::BatchLlm { token_batching_degree, .. } => token_batching_degree,
            _ => 0,
        };
        if self.running.len() + self.leaving() >= (self.spec.scheduler.max_num_seqs + more) as usize {
            return None;
        }
        if plan.budget > 0 && !plan.sorted {
            plan.sorted = true;
            self.sort_by_match();
        }
        self.end(Side::Left)
    }

    /// Requests handed over that are still here, if their states need the room of running ones.
    fn leaving(&self) -> usize {
        if self.counts_leaving { self.books.handed_over as usize - self.moved_on } else { 0 }
    }

    /// The head or the tail of the waiting queue, if the running list has room.
    pub(super) fn end(&self, side: Side) -> Option<Head> {
        if self.running.len() + self.leaving() >= self.spec.scheduler.seats() as usize {
            return None;
        }
        let id = if side == Side::Left { self.waiting.front()? } else { self.waiting.back()? };
        let job = &self.jobs[id];
        let matched = match job.part {
            Some(Part::Member(group)) => self.prefix_blocks(group),
            _ => self.kv.longest_match(&job.content(), job.total() - 1),
        };
        let whole = self.kv.blocks_for(job.longest()) + self.watermark();
        let (hit, given_up) = self.kv.hit(&job.content(), job.total() - 1, whole);
        let cached = self.kv.tokens_in(&matched) + hit.tokens;
        let longest = if self.leaves(job.request.id) { job.total() } else { job.longest() };
        Some(Head { id: job.request.id, matched, hit, given_up, cached, total: job.total(), longest })
    }

    /// Whether there is memory for the first `tokens` tokens of the head, beside `spare` blocks.
    pub(super) fn fits(&self, head: &Head, tokens: u32, spare: usize) -> bool {
        if self.kv.checkpoints.is_some() {
            let content = self.jobs[&head.id].content();
            return self.kv.available_with(&content, &head.hit, self.kv.blocks_for(tokens), spare);
        }
        self.kv.available(&head.matched, self.kv.blocks_for(tokens), spare + self.promised)
    }

    /// Lets in the head with `n` tokens, and blocks for its first `reserve` tokens.
    pub(super) fn let_in(&mut self, plan: &mut Plan, head: Head, n: u32, reserve: u32) {
        let id = head.id;
        self.start_prefill(plan, head, reserve);
        let given = self.give_piece(plan, id, n);
        assert!(given, "the blocks of an admitted piece were reserved");
    }

    /// Moves the head to the running list, with blocks for its first `reserve` tokens.
    pub(super) fn start_prefill(&mut self, plan: &mut Plan, head: Head, reserve: u32) {
        let pays = self.pays_for_prefix(&head);
        let Head { id, matched, cached, hit, given_up, .. } = head;
        self.coverage.hits_in_same_step += u64::from(matched.iter().any(|block| self.kv.learned.contains(block)));
        self.coverage.hits_after_preemption += u64::from(cached > 0 && self.jobs[&id].cached.is_some());
        self.coverage.given_up_hits += u64::from(given_up);
        let blocks = self.kv.blocks_for(reserve);
        if self.kv.checkpoints.is_some() {
            let (content, limit) = (self.jobs[&id].content(), self.jobs[&id].total() - 1);
            self.kv.begin(id, &content, limit, &hit, !given_up, blocks);
        } else {
            self.kv.let_in(id, matched, blocks);
        }
        self.job(id).branch = hit.branch;
        if self.jobs[&id].side == Some(Side::Right) {
            self.waiting.pop_back();
        } else {
            self.waiting.pop_front();
        }
        self.running.push(id);
        self.set_phase(id, Phase::Prefilling);
        self.job(id).computed = cached;
        let prefix = matches!(self.jobs[&id].part, Some(Part::Prefix(_)));
        if self.jobs[&id].cached.is_none() && !prefix {
            let cached = if pays { 0 } else { cached };
            self.job(id).cached = Some(cached);
            self.books.prompt_tokens += u64::from(self.jobs[&id].request.prompt.tokens());
            self.books.cached_tokens += u64::from(cached);
        }
        plan.admitted += 1;
    }

    /// Makes the full blocks among the first `computed` tokens of a request known.
    pub(super) fn learn_prompt(&mut self, id: RequestId, computed: u32) {
        self.kv.learn(id, &self.jobs[&id].content(), computed);
    }

    pub(super) fn set_phase(&mut self, id: RequestId, phase: Phase) {
        let was_loose = std::mem::replace(&mut self.job(id).phase, phase) == Phase::Decoding(None);
        if phase != Phase::Decoding(None) {
            self.loose.retain(|loose| *loose != id);
        } else if !was_loose {
            self.loose.push(id);
        }
    }

    fn job(&mut self, id: RequestId) -> &mut super::job::Job {
        self.jobs.get_mut(&id).expect("requests in the lists exist")
    }
}
