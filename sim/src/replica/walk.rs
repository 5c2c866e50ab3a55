//! The slow path: running requests one by one, where blocks or budget do not suffice for all.

use super::compose::Draft;
use super::{Kv, LiveId, Phase, Replica};
use crate::offline::Side;

impl Replica {
    /// Gives each running request from `from` on its next tokens, in order of admission: one to the members of the slot's
    /// group, at most `per_request` to prefilling ones if that is given. Where blocks run out, victims are preempted.
    pub(super) fn walk(&mut self, draft: &mut Draft, from: Option<LiveId>, per_request: Option<u32>) {
        let mut at = from;
        while let Some(id) = at {
            let fits = match (self.lives.get(id).phase, per_request) {
                (Phase::Decoding { slot }, _) if slot as usize == draft.slot => self.walk_decode(draft, id),
                (Phase::Prefilling, Some(per_request)) => self.walk_prefill(draft, id, per_request),
                _ => true,
            };
            if !fits {
                // It preempted itself or found no victim: whatever comes after it is in flight.
                return;
            }
            at = self.lives.next_running(id);
        }
    }

    fn walk_decode(&mut self, draft: &mut Draft, id: LiveId) -> bool {
        let cost = u32::from(!self.gathers_cohorts);
        if draft.budget < cost {
            self.detach(id);
            self.loose.push(id);
            return true;
        }
        let computed = self.slots[draft.slot].group.computed(self.lives.get(id));
        let blocks = u32::from(self.decode_takes_blocks && computed.is_multiple_of(self.kv.block_size()));
        if !self.make_room(draft, id, blocks) {
            if self.lives.get(id).phase != Phase::Waiting {
                self.detach(id);
                self.loose.push(id);
            }
            return false;
        }
        self.kv.take_unassigned(blocks);
        draft.budget -= cost;
        true
    }

    fn walk_prefill(&mut self, draft: &mut Draft, id: LiveId, per_request: u32) -> bool {
        let live = self.lives.get(id);
        let tokens = self.next_piece(live).min(per_request).min(draft.budget);
        if tokens == 0 {
            return true;
        }
        let blocks = self.kv.blocks_for(live.computed + tokens).saturating_sub(live.hold.table());
        if !self.make_room(draft, id, blocks) {
            return false;
        }
        self.add_piece(draft, id, tokens, blocks);
        true
    }

    /// Preempts victims until `blocks` are free; `false` if `id` was one of them or none was left.
    ///
    /// Where attention is offloaded nobody preempts itself while a batch is on its way: requests of two batches that lack
    /// blocks would otherwise give theirs up in turn, each while the other is in flight, and none would ever get ahead.
    fn make_room(&mut self, draft: &mut Draft, id: LiveId, blocks: u32) -> bool {
        while self.kv.free() < blocks {
            draft.out_of_memory = true;
            let Some(victim) = self.victim(id) else { return false };
            if victim == id && self.conveyor.is_some() && self.slots.iter().any(|slot| slot.busy) {
                return false;
            }
            self.preempt(victim);
            draft.preempted += 1;
            if victim == id {
                return false;
            }
        }
        true
    }

    /// The last running request that is neither in flight nor ahead of `id`, nor prefilling in cohorts.
    fn victim(&self, id: LiveId) -> Option<LiveId> {
        let mut at = self.lives.last_running();
        while let Some(candidate) = at {
            let live = self.lives.get(candidate);
            // What is about to be handed over keeps its KV cache, as do the prompts of a cohort.
            let spared = match live.phase {
                Phase::Finishing => self.leaves(live),
                Phase::Prefilling => self.gathers_cohorts,
                _ => false,
            };
            if !spared && !self.in_flight(live) {
                return Some(candidate);
            }
            if candidate == id {
                return None;
            }
            at = self.lives.previous_running(candidate);
        }
        None
    }

    /// Takes a decoding request out of its group, with all that it did there on its own account, and what it is owed.
    pub(super) fn detach(&mut self, id: LiveId) {
        let live = self.lives.get_mut(id);
        let Phase::Decoding { slot } = live.phase else { return };
        let before = self.kv.blocks_for(live.computed);
        let slot = &mut self.slots[slot as usize];
        slot.group.leave(id, live);
        if live.owed {
            debug_assert!(slot.counted_busy, "only a step that counts as done owes tokens");
            slot.counted.owed.push(id);
        }
        if self.decode_takes_blocks {
            Kv::assign(&mut live.hold, self.kv.blocks_for(live.computed) - before);
        }
    }

    /// Takes all blocks from a request, keeping what is computed findable. A block that a decode step in flight fills is
    /// not: vLLM makes it known when the step after it is composed.
    pub(super) fn release(&mut self, id: LiveId) {
        let live = self.lives.get_mut(id);
        let mut hold = std::mem::take(&mut live.hold);
        self.kv.learn(&mut hold, &live.chain(), live.computed - u32::from(live.owed));
        self.kv.release(hold);
        self.leave_side(id);
    }

    fn preempt(&mut self, id: LiveId) {
        let side = self.lives.get(id).side.map_or(Side::Left, |(side, _)| side);
        self.detach(id);
        self.loose.retain(|&other| other != id);
        self.prefilling.retain(|&other| other != id);
        self.release(id);
        self.lives.unlink(id);
        let live = self.lives.get_mut(id);
        live.phase = Phase::Waiting;
        live.computed = 0;
        live.preemptions += 1;
        self.counts.preemptions += 1;
        match side {
            Side::Left => self.waiting.push_front(id),
            Side::Right => self.waiting.push_back(id),
        }
    }
}
