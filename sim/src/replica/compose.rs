//! Composing a step: the policy says what comes next, and it is done if memory and limits allow.

use super::{Grouped, Live, LiveId, Phase, Piece, PrefillPiece, Replica};
use crate::offline::Side;
use crate::scheduler::{Action, Admission, CohortView, Reserve, StepView};

/// A step while it is composed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft {
    pub(super) slot: usize,
    pub(super) budget: u32,
    pub(super) admitted: u32,
    pub(super) preempted: u32,
    pub(super) out_of_memory: bool,
    running_done: bool,
    /// Whether the request at the head or the tail of the queue was refused.
    refused: [bool; 2],
    continued: usize,
    /// Index in `prefilling` of the next one to be continued.
    continue_at: usize,
}

impl Replica {
    /// Composes a step in an idle slot.
    pub(super) fn compose(&mut self, slot: usize) -> Draft {
        let mut draft = Draft {
            slot,
            budget: self.limits.max_num_batched_tokens,
            admitted: 0,
            preempted: 0,
            out_of_memory: false,
            running_done: false,
            refused: [false; 2],
            continued: 0,
            continue_at: 0,
        };
        self.ordering.begin_step();
        self.begin_sides();
        loop {
            match self.scheduler.next(&self.view(&draft)) {
                Action::Decode => {
                    self.begin_running(&mut draft);
                    self.decode(&mut draft);
                }
                Action::Running { per_request } => {
                    self.begin_running(&mut draft);
                    self.run_running(&mut draft, per_request);
                }
                Action::Continue { tokens } => self.continue_prefill(&mut draft, tokens),
                Action::Admit(admission) => {
                    let end = admission.from as usize;
                    assert!(!draft.refused[end], "a policy asks again for what was refused");
                    draft.refused[end] = !self.admit(&mut draft, admission);
                }
                Action::Cohort { groups } => self.cohort.form(groups),
                Action::Pass { rest } => self.pass(&draft, rest),
                Action::Run => {
                    let passing = self.slots[slot].batch.layers.is_some();
                    assert!(passing || self.cohort.is_empty(), "a step leaves its cohort behind");
                    return draft;
                }
            }
        }
    }

    fn view(&self, draft: &Draft) -> StepView {
        let to_continue = if draft.admitted > 0 { 0 } else { self.prefilling.len() - draft.continue_at };
        StepView {
            budget: draft.budget,
            running_done: draft.running_done,
            prefilling: draft.continued + to_continue,
            continued: draft.continued,
            admitted: draft.admitted,
            out_of_memory: draft.out_of_memory,
            refused: draft.refused[0],
            sides: self.sides_view(draft.refused, self.prefilling.get(draft.continue_at).copied()),
            admissible: (self.limits.seats() - self.lives.running() - self.intake.leaving_seats(self.held))
                .min(self.waiting.len() as u32),
            decodes: if draft.running_done { self.slots[draft.slot].group.members() } else { 0 },
            cohort: match self.slots[draft.slot].batch.layers {
                Some(_) => CohortView::Passing,
                None => self.cohort.view(),
            },
        }
    }

    /// Loose requests join the slot's group before the running requests have their turn.
    fn begin_running(&mut self, draft: &mut Draft) {
        assert!(!draft.running_done, "a policy gives the running requests two turns in one step");
        draft.running_done = true;
        let joining = self.joining(draft.slot);
        let joining: Vec<LiveId> = self.loose.drain(..joining).collect();
        for id in joining {
            self.tickets += 1;
            self.slots[draft.slot].group.join(id, self.lives.get_mut(id), self.tickets);
            self.expect_answer(draft.slot, id);
        }
    }

    /// Loose requests that join the slot's group: all of them, but where attention is offloaded no more than make it one of
    /// equal batches, or one batch would take all that arrive with their prompts computed and the others stand empty.
    fn joining(&self, slot: usize) -> usize {
        if self.conveyor.is_none() {
            return self.loose.len();
        }
        let share = self.lives.running().div_ceil(self.slots.len() as u32);
        self.loose.len().min(share.saturating_sub(self.slots[slot].group.members()) as usize)
    }

    fn decode(&mut self, draft: &mut Draft) {
        if !self.decode_all(draft) {
            self.walk(draft, self.lives.first_running(), None);
        }
        self.slots[draft.slot].batch.decodes = self.slots[draft.slot].group.members() > 0;
    }

    /// Gives every member of the slot's group its token, if budget and blocks are there for all.
    fn decode_all(&mut self, draft: &mut Draft) -> bool {
        let group = &self.slots[draft.slot].group;
        let blocks = if self.decode_takes_blocks { group.blocks_needed() } else { 0 };
        let members = group.members();
        let cost = if self.gathers_cohorts { 0 } else { members };
        if cost > draft.budget || blocks > self.kv.free() {
            return false;
        }
        self.kv.take_unassigned(blocks);
        draft.budget -= cost;
        true
    }

    fn run_running(&mut self, draft: &mut Draft, per_request: u32) {
        let in_order = self.everything_fits(draft, per_request) || self.prefilling_come_last();
        if in_order && self.decode_all(draft) {
            self.run_prefilling(draft, per_request);
        } else {
            self.walk(draft, self.lives.first_running(), Some(per_request));
        }
        self.slots[draft.slot].batch.decodes = self.slots[draft.slot].group.members() > 0;
    }

    /// Whether budget and blocks are there for all running requests, so that their order does not matter. A piece that
    /// computes blocks which lie known in the free queue takes those out of it too, so as many must be to spare.
    fn everything_fits(&self, draft: &Draft, per_request: u32) -> bool {
        let group = &self.slots[draft.slot].group;
        let (mut tokens, mut blocks) = (u64::from(group.members()), group.blocks_needed());
        for &id in &self.prefilling {
            let live = self.lives.get(id);
            let computed = live.computed + self.next_piece(live).min(per_request);
            tokens += u64::from(computed - live.computed);
            blocks += self.kv.blocks_for(computed).saturating_sub(live.hold.table());
            blocks += self.kv.most_pinned(live.computed, computed);
        }
        tokens <= u64::from(draft.budget) && blocks <= self.kv.free()
    }

    /// Whether the prefilling requests are the last ones of the running list, so that all decodes come before them.
    fn prefilling_come_last(&self) -> bool {
        let mut left = self.prefilling.len();
        let mut at = self.lives.last_running();
        while left > 0 {
            let Some(id) = at else { return false };
            let live = self.lives.get(id);
            match live.phase {
                Phase::Prefilling => left -= usize::from(live.missing() > 0),
                Phase::Finishing => {}
                _ => return false,
            }
            at = self.lives.previous_running(id);
        }
        true
    }

    /// Gives the prefilling requests their pieces, in order; from the first that lacks blocks on, one by one.
    fn run_prefilling(&mut self, draft: &mut Draft, per_request: u32) {
        let mut at = 0;
        while draft.budget > 0 && at < self.prefilling.len() {
            let id = self.prefilling[at];
            let live = self.lives.get(id);
            let tokens = self.next_piece(live).min(per_request).min(draft.budget);
            if tokens == 0 {
                at += 1;
                continue;
            }
            let blocks = self.kv.blocks_for(live.computed + tokens).saturating_sub(live.hold.table());
            if blocks > self.kv.free() {
                return self.walk(draft, Some(id), Some(per_request));
            }
            at += usize::from(!self.add_piece(draft, id, tokens, blocks));
        }
    }

    /// Tokens of a prefilling request that a step may compute. Pieces of one prompt follow each other through pipeline stages,
    /// but batches overtake each other where attention is offloaded, so that there one piece must have ended before the next.
    pub(super) fn next_piece(&self, live: &Live) -> u32 {
        if self.conveyor.is_some() && live.in_flight > 0 { 0 } else { live.next_piece() }
    }

    fn continue_prefill(&mut self, draft: &mut Draft, tokens: u32) {
        let id = self.prefilling[draft.continue_at];
        let live = self.lives.get(id);
        let waits = live.in_flight > 0 && !self.engine.async_scheduling;
        let tokens = if waits { 0 } else { live.next_piece().min(tokens).min(draft.budget) };
        draft.continued += 1;
        if tokens == 0 || !self.add_piece(draft, id, tokens, 0) {
            draft.continue_at += 1;
        }
    }

    /// Adds a piece of a prefilling request, taking `blocks` for it; `true` if none of its tokens is missing any more,
    /// so that it has left `prefilling`. A cohort gathers the piece for later steps, and what it computes becomes known when
    /// it has passed all layers.
    pub(super) fn add_piece(&mut self, draft: &mut Draft, id: LiveId, tokens: u32, blocks: u32) -> bool {
        let live = self.lives.get_mut(id);
        let context_tokens = live.computed;
        live.computed += tokens;
        live.in_flight += u32::from(!self.gathers_cohorts);
        let completes = live.missing() == 0;
        let opens = completes && matches!(live.grouped, Some(Grouped::Prefix { .. }));
        let mut hold = live.hold;
        self.kv.take(&mut hold, blocks);
        assert!(
            hold.table() >= self.kv.blocks_for(live.computed),
            "{tokens} tokens are computed without blocks for them"
        );
        draft.budget = draft.budget.saturating_sub(tokens);
        if let (Some(blend), Some((side, _))) = (&mut self.blend, live.side) {
            blend.sides.compute(side, tokens);
        }
        let branches = live.passes_branch(context_tokens);
        let piece = Piece { live: id, tokens, completes: completes && !opens, opens, branches };
        let shape = PrefillPiece { new_tokens: tokens, context_tokens };
        if self.gathers_cohorts {
            self.cohort.gather(piece, shape);
        } else {
            self.kv.learn(&mut hold, &live.chain(), live.computed);
            let batch = &mut self.slots[draft.slot].batch;
            batch.pieces.push(piece);
            batch.shapes.push(shape);
        }
        live.hold = hold;
        if completes && let Some(at) = self.prefilling.iter().position(|&other| other == id) {
            self.prefilling.remove(at);
        }
        completes
    }

    /// Lets the head of the waiting queue in; `false` if it must wait.
    fn admit(&mut self, draft: &mut Draft, admission: Admission) -> bool {
        self.sort_by_match();
        let end = admission.from as usize;
        if self.blocked[end].is_some_and(|(version, tokens)| version == self.kv.version() && admission.tokens >= tokens)
        {
            return false;
        }
        let waiting = match admission.from {
            Side::Left => self.waiting.front(),
            Side::Right => self.waiting.back(),
        };
        let id = *waiting.expect("somebody waits");
        let live = self.lives.get(id);
        let total = live.total();
        if !self.may_begin(live) {
            return false;
        }
        let found = self.find_prefix(live);
        let cached = found.tokens();
        let branch = self.kv.branch(&found);
        let in_one_piece = branch.filter(|branch| branch.cut).map_or(total, |branch| branch.at) - cached;
        let tokens = in_one_piece.min(admission.tokens);
        if admission.whole && tokens < total - cached {
            return false;
        }
        let table = match admission.reserve {
            Reserve::Chunk => self.kv.blocks_for(cached + tokens),
            Reserve::Prompt => self.kv.blocks_for(total),
            Reserve::Answer if self.leaves(live) => self.kv.blocks_for(total),
            Reserve::Answer => self.kv.blocks_for(live.prompt.tokens() + live.output_tokens - 1),
        };
        let keep_free = admission.keep_free + self.load.promised_blocks();
        let required = if admission.require_prompt { table.max(self.kv.blocks_for(total)) } else { table };
        if required - found.blocks() + found.in_queue() + keep_free > self.kv.free() {
            self.blocked[end] = Some((self.kv.version(), admission.tokens));
            return false;
        }

        self.blocked = [None; 2];
        self.begin(id);
        match admission.from {
            Side::Left => self.waiting.pop_front(),
            Side::Right => self.waiting.pop_back(),
        };
        self.lives.link(id);
        self.join_side(id, admission.from, total - cached);
        draft.admitted += 1;
        let hold = self.kv.pin(found);
        let live = self.lives.get_mut(id);
        live.hold = hold;
        live.branch = branch;
        live.phase = Phase::Prefilling;
        live.computed = cached;
        if live.cached_tokens.is_none() && !matches!(live.grouped, Some(Grouped::Prefix { .. })) {
            // A group's prefix is computed for its first member.
            let first = matches!(live.grouped, Some(Grouped::Member { first: true, .. }));
            let spared = if first { 0 } else { cached };
            live.cached_tokens = Some(spared);
            self.counts.prompt_tokens += u64::from(live.prompt.tokens());
            self.counts.cached_tokens += u64::from(spared);
        }
        if !self.add_piece(draft, id, tokens, table - found.blocks()) {
            self.prefilling.push(id);
        }
        true
    }
}
