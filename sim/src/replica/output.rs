//! What happens when a step ends: tokens come out, and requests leave.

use workloads::{RequestId, SimDuration, SimTime};

use super::{LiveId, Phase, Replica};
use crate::record::{Ending, Observer, RequestRecord};

impl Replica {
    /// The step in `slot` that was dispatched first has ended at `now`; `left` receives the requests that end with it.
    pub(crate) fn end_step(
        &mut self,
        slot: u32,
        now: SimTime,
        observer: &mut impl Observer,
        mut left: impl FnMut(RequestId),
    ) {
        self.just_ended.push(slot);
        let slot = slot as usize;
        if self.engine.async_scheduling {
            return self.end_counted_step(slot, now, observer, left);
        }
        self.leave_conveyor(slot, now, observer);
        self.slots[slot].busy = false;
        self.keep_branches(slot);
        if std::mem::take(&mut self.slots[slot].batch.decodes) {
            self.count_group_step(slot);
            self.put_group_out(slot, now, observer);
            while let Some(id) = self.pop_ended(slot) {
                self.detach(id);
                left(self.finish(id, observer));
            }
        }
        let mut pieces = std::mem::take(&mut self.slots[slot].batch.pieces);
        for piece in &pieces {
            self.lives.get_mut(piece.live).in_flight -= 1;
            if piece.opens {
                self.open_group(piece.live);
            } else if piece.completes {
                let last = self.count_token_of_prefill(piece.live);
                self.book_prompt(self.lives.get(piece.live).prompt.tokens());
                self.put_token_out(piece.live, now, observer);
                if last {
                    left(self.finish(piece.live, observer));
                } else if self.leaves(self.lives.get(piece.live)) {
                    self.hand_over(piece.live);
                }
            }
        }
        self.note_passed(&pieces, self.slots[slot].batch.layers);
        pieces.clear();
        let batch = &mut self.slots[slot].batch;
        batch.pieces = pieces;
        batch.shapes.clear();
        batch.layers = None;
    }

    /// Prompts that the step in flight in `slot` took past where they get a checkpoint get it.
    pub(super) fn keep_branches(&mut self, slot: usize) {
        for piece in self.slots[slot].batch.pieces.iter().filter(|piece| piece.branches) {
            let live = self.lives.get(piece.live);
            let branch = live.branch.expect("its piece passed it");
            self.kv.keep_branch(&live.chain(), branch.at);
        }
    }

    /// The decode rows of the step in flight in `slot` count as done.
    #[inline]
    pub(super) fn count_group_step(&mut self, slot: usize) {
        let lives = &self.lives;
        let slot = &mut self.slots[slot];
        slot.group.count_step(slot.batch.energy_per_token_nj);
        slot.group.advance_windows(|id, ticket| lives.holds(id, ticket));
    }

    /// The next member of the slot's group, in order of admission, that has no more to generate.
    #[inline]
    pub(super) fn pop_ended(&mut self, slot: usize) -> Option<LiveId> {
        let lives = &self.lives;
        self.slots[slot].group.pop_ended(|id, ticket| lives.holds(id, ticket))
    }

    /// The tokens of the slot's group are out.
    #[inline]
    pub(super) fn put_group_out(&mut self, slot: usize, now: SimTime, observer: &mut impl Observer) {
        let lives = &mut self.lives;
        let at_client = now + self.engine.engine_to_client;
        self.slots[slot].group.put_out(
            now,
            |id| {
                let live = lives.get_mut(id);
                if live.first_token.is_none() {
                    live.first_token = Some(now);
                    return (live.followed, None);
                }
                let gap_ns = now.since(live.last_token).as_nanos();
                live.max_gap_ns = live.max_gap_ns.max(gap_ns);
                (live.followed, Some(gap_ns))
            },
            |gap_ns, members| observer.gaps(at_client, SimDuration::from_nanos(gap_ns), u64::from(members)),
        );
    }

    /// A request whose last missing token was computed by a prompt piece generates one with it: it decodes from now on, here
    /// or elsewhere, unless that was its last one (`true`).
    pub(super) fn count_token_of_prefill(&mut self, id: LiveId) -> bool {
        let leaves = self.leaves(self.lives.get(id));
        let live = self.lives.get_mut(id);
        live.generated += 1;
        let last = live.generated == live.output_tokens;
        if last || leaves {
            live.phase = Phase::Finishing;
            return last;
        }
        live.phase = Phase::Loose;
        self.loose.push(id);
        false
    }

    /// A token that does not come out with those of a group is out at `now`.
    pub(super) fn put_token_out(&mut self, id: LiveId, now: SimTime, observer: &mut impl Observer) {
        let live = self.lives.get_mut(id);
        if live.first_token.is_none() {
            live.first_token = Some(now);
        } else {
            let gap = now - live.last_token;
            live.max_gap_ns = live.max_gap_ns.max(gap.as_nanos());
            if live.followed {
                observer.gaps(now + self.engine.engine_to_client, gap, 1);
            }
        }
        live.last_token = now;
    }

    /// The last token of a request is out.
    pub(super) fn finish(&mut self, id: LiveId, observer: &mut impl Observer) -> RequestId {
        self.leave(id);
        let live = self.lives.remove(id);
        self.leave_group(&live);
        assert_eq!(live.generated, live.output_tokens, "request {:?} ends with other than all its tokens", live.id);
        self.outstanding_tokens -= u64::from(live.prompt.tokens());
        self.book_ended(&live);
        let to_client = self.engine.engine_to_client;
        observer.request(&RequestRecord {
            id: live.id,
            session: live.session,
            ending: Ending::Completed,
            replica: live.handover.map_or(self.number, |handover| handover.from),
            arrival: live.arrival,
            first_scheduled: live.first_scheduled.expect("it was scheduled"),
            first_token: live.first_token.expect("its first token is out") + to_client,
            last_token: live.last_token + to_client,
            input_tokens: live.prompt.tokens(),
            cached_tokens: live.cached_tokens.expect("it was let in"),
            output_tokens: live.output_tokens,
            preemptions: live.preemptions,
            max_gap: SimDuration::from_nanos(live.max_gap_ns),
            energy_nj: live.energy_nj,
            handover: live.handover,
        });
        live.id
    }

    /// Takes a request that ends out of the lists. One that was preempted while its last token was in flight waits in the
    /// queue, and has given up its blocks.
    fn leave(&mut self, id: LiveId) {
        let live = self.lives.get(id);
        if live.phase == Phase::Waiting {
            self.waiting.retain(|&other| other != id);
            return;
        }
        assert_eq!(live.computed + 1, live.total(), "request {:?} ends with tokens not computed", live.id);
        let live = self.lives.get_mut(id);
        let mut hold = live.hold;
        self.kv.keep(&mut hold, &live.chain(), live.computed);
        live.hold = hold;
        self.release(id);
        self.lives.unlink(id);
    }
}
