//! Asynchronous scheduling: a step is composed when the step before it starts, whose tokens count as done.
//!
//! At most two steps are in flight, one after the other. The second is composed when the first starts; at that moment the
//! first [counts as done](Replica::count_step), so that everything from blocks to sums of contexts stands as it will when it
//! has ended, but for the requests that it ends: they keep their blocks and their place until it has.

use workloads::{RequestId, SimTime};

use super::dispatch::{Dispatched, Wants};
use super::{Phase, Replica};
use crate::record::Observer;

impl Replica {
    /// Composes and dispatches as many steps as may be by now; `sent` receives them.
    pub(super) fn pump_ahead(
        &mut self,
        now: SimTime,
        observer: &mut impl Observer,
        wants: Wants,
        sent: &mut impl FnMut(Dispatched) -> u64,
    ) {
        loop {
            let preempted = self.counts.preemptions;
            while self.may_compose(now) {
                if self.slots[0].busy {
                    self.count_step();
                }
                if !self.try_slot(0, now, observer, wants, sent) {
                    break;
                }
            }
            // A lone request that preempted itself (its private copies left no room) must not wait for an event.
            let slot = &self.slots[0];
            if self.counts.preemptions == preempted || slot.busy || slot.counted_busy {
                break;
            }
        }
    }

    /// Whether nothing is in flight, or a step that has started and beside which none was composed yet.
    fn may_compose(&self, now: SimTime) -> bool {
        let slot = &self.slots[0];
        !slot.counted_busy && (!slot.busy || slot.start <= now)
    }

    /// The step composed last counts as done from now on.
    fn count_step(&mut self) {
        self.slots[0].busy = false;
        self.keep_branches(0);
        let decodes = self.slots[0].batch.decodes;
        if decodes {
            self.count_group_step(0);
        }
        for index in 0..self.slots[0].batch.pieces.len() {
            let piece = self.slots[0].batch.pieces[index];
            if piece.opens {
                self.open_group(piece.live);
            } else if piece.completes {
                self.count_token_of_prefill(piece.live);
            }
        }
        let slot = &mut self.slots[0];
        std::mem::swap(&mut slot.batch, &mut slot.counted);
        slot.counted_busy = true;
        while decodes && let Some(id) = self.pop_ended(0) {
            self.detach(id);
            self.lives.get_mut(id).phase = Phase::Finishing;
        }
    }

    /// The step that counts as done has ended at `now`; `left` receives the requests that end with it.
    pub(super) fn end_counted_step(
        &mut self,
        slot: usize,
        now: SimTime,
        observer: &mut impl Observer,
        mut left: impl FnMut(RequestId),
    ) {
        let counted = &mut self.slots[slot].counted;
        let decodes = std::mem::take(&mut counted.decodes);
        let mut owed = std::mem::take(&mut counted.owed);
        let mut pieces = std::mem::take(&mut counted.pieces);
        counted.shapes.clear();
        let layers = counted.layers.take();
        assert!(std::mem::take(&mut self.slots[slot].counted_busy), "a step counts as done before it ends");
        if decodes {
            self.put_group_out(slot, now, observer);
        }
        for &id in &owed {
            self.put_token_out(id, now, observer);
            let live = self.lives.get_mut(id);
            live.owed = false;
            if live.generated == live.output_tokens {
                left(self.finish(id, observer));
            }
        }
        for piece in &pieces {
            let live = self.lives.get_mut(piece.live);
            live.in_flight -= 1;
            let last = live.generated == live.output_tokens;
            if piece.completes {
                self.book_prompt(self.lives.get(piece.live).prompt.tokens());
                self.put_token_out(piece.live, now, observer);
                if last {
                    left(self.finish(piece.live, observer));
                } else if self.leaves(self.lives.get(piece.live)) {
                    self.hand_over(piece.live);
                }
            }
        }
        self.note_passed(&pieces, layers);
        owed.clear();
        pieces.clear();
        let counted = &mut self.slots[slot].counted;
        (counted.owed, counted.pieces) = (owed, pieces);
    }
}
