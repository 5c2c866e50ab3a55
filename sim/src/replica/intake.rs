//! Handing requests over: what a prefill replica gives away, and what a decode replica lets in.
//!
//! A request that was handed over stays with its prefill replica, blocks and all, until its KV cache has arrived; then it
//! moves. Until then the decode replica knows an [`Offer`], and after accepting it that blocks are taken.

use std::collections::VecDeque;

use workloads::SimTime;

use super::{Live, LiveId, Phase, Replica};
use crate::kv::Hold;
use crate::network::Release;
use crate::record::HandoverRecord;
use crate::spec::{HandoverSpec, KvSpec, Role, TransferMode};

/// How a replica is connected to others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Piping {
    /// Layers that it pushes one by one.
    pub(crate) pushes_layers: Option<u32>,
    /// Share of its blocks, in thousandths, that fetched requests without a place may own; `None`: what it accepts has a
    /// place.
    max_unbatched_permille: Option<u32>,
    /// Whether its loop awaits what it fetches.
    awaited: bool,
    /// Whether it may have to compute prompts and to decode, whatever its role.
    pub(crate) mixes: bool,
    /// Whether requests that leave count in `max_num_seqs`: it has room for the states of so many.
    pub(crate) counts_leaving: bool,
}

impl Piping {
    /// Of a replica with this role.
    pub(crate) fn new(role: Role, handover: &HandoverSpec) -> Self {
        let mixes = handover.mixing.is_some();
        let counts_leaving = role == Role::Prefill && handover.state_bytes > 0;
        let piping = match (role, handover.mode) {
            (_, TransferMode::PushByLayer { layers }) if role == Role::Prefill || mixes => {
                Piping { pushes_layers: Some(layers), mixes, ..Piping::default() }
            }
            (Role::Decode, TransferMode::Pull { max_unbatched_permille, awaited }) => {
                Piping { max_unbatched_permille: Some(max_unbatched_permille), awaited, ..Piping::default() }
            }
            _ => Piping { mixes, ..Piping::default() },
        };
        Piping { counts_leaving, ..piping }
    }
}

/// Where a request's KV cache lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) replica: u32,
    pub(crate) live: LiveId,
}

/// A request that a decode replica may let in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) origin: Origin,
    /// Tokens whose KV is to be transferred.
    pub(crate) tokens: u32,
    /// Tokens whose KV is written by the time it ends.
    pub(crate) longest: u32,
    /// When its KV becomes available, if that is not done.
    pub(crate) release: Option<Release>,
}

/// What waits to get into a decode replica.
#[derive(Debug)]
pub(crate) struct Intake {
    piping: Piping,
    blocks: u32,
    /// Offered and not accepted, oldest first.
    offers: VecDeque<Offer>,
    /// Requests that came with their KV cache in place, oldest first.
    prefilled: VecDeque<LiveId>,
    /// Accepted requests whose KV cache is on its way.
    in_transit: u32,
    /// Those whose KV cache is there and that wait for a place, in the order in which it came.
    arrived: VecDeque<LiveId>,
    /// Blocks of the accepted requests without a place.
    unbatched_blocks: u32,
}

impl Intake {
    pub(super) fn new(piping: Piping, kv: &KvSpec) -> Self {
        Intake {
            piping,
            blocks: kv.blocks,
            offers: VecDeque::new(),
            prefilled: VecDeque::new(),
            in_transit: 0,
            arrived: VecDeque::new(),
            unbatched_blocks: 0,
        }
    }

    /// Requests that are not let in.
    pub(super) fn waiting(&self) -> u32 {
        self.offers.len() as u32 + self.prefilled.len() as u32 + self.in_transit + self.arrived.len() as u32
    }

    /// Requests in `max_num_seqs` beside those running, of so many that leave.
    pub(super) fn leaving_seats(&self, leaving: u32) -> u32 {
        if self.piping.counts_leaving { leaving } else { 0 }
    }

    /// Whether its loop awaits a copy.
    pub(super) fn stands_still(&self) -> bool {
        self.piping.awaited && self.in_transit > 0
    }

    fn has_blocks_to_spare(&self) -> bool {
        let unbatched = u64::from(self.unbatched_blocks) * 1000;
        self.piping.max_unbatched_permille.is_none_or(|most| unbatched < u64::from(self.blocks) * u64::from(most))
    }

    pub(super) fn assert_empty(&self) {
        assert_eq!((self.waiting(), self.unbatched_blocks), (0, 0), "somebody still waits to be let in: {self:?}");
    }
}

/// What a prefill replica gives away.
impl Replica {
    /// The prompt of a request is complete: it leaves the running list, and its KV cache waits for a decode replica.
    pub(super) fn hand_over(&mut self, id: LiveId) {
        self.lives.unlink(id);
        let live = self.lives.get_mut(id);
        live.phase = Phase::Handed;
        assert_eq!(live.computed + 1, live.total(), "request {:?} is handed over with tokens not computed", live.id);
        self.outstanding_tokens -= u64::from(live.prompt.tokens());
        self.held += 1;
        self.counts.handed_over += 1;
        self.handed.push(id);
    }

    /// The requests that the step which ended last completed the prompts of, in order. The list is to be given back.
    pub(crate) fn take_handed(&mut self) -> Vec<LiveId> {
        std::mem::take(&mut self.handed)
    }

    /// Gives back the list, emptied.
    pub(crate) fn return_handed(&mut self, list: Vec<LiveId>) {
        self.handed = list;
        self.handed.clear();
    }

    /// A request that waits to be transferred, or will.
    pub(crate) fn leaving(&mut self, id: LiveId) -> &mut Live {
        self.lives.get_mut(id)
    }

    /// Notes the prompts that a step which was just dispatched completes, for their layers to be pushed.
    pub(super) fn begin_pushing(&mut self, slot: usize, start: SimTime, end: SimTime) {
        for piece in &self.slots[slot].batch.pieces {
            let live = self.lives.get(piece.live);
            if piece.completes && live.output_tokens > 1 && self.leaves(live) {
                self.pushing.push((start, end, piece.live));
            }
        }
    }

    /// Prompts that began to be pushed since the last call: when their last step starts and ends.
    pub(crate) fn drain_pushing(&mut self) -> impl Iterator<Item = (SimTime, SimTime, LiveId)> {
        self.pushing.drain(..)
    }

    /// The KV cache of a request has arrived elsewhere: it leaves, and its blocks are free.
    pub(crate) fn give_away(&mut self, id: LiveId) -> Live {
        assert_eq!(self.lives.get(id).phase, Phase::Handed, "only what was handed over is given away");
        let live = self.lives.get(id);
        let mut hold = live.hold;
        self.kv.keep(&mut hold, &live.chain(), live.computed);
        self.lives.get_mut(id).hold = hold;
        self.release(id);
        self.held -= 1;
        let live = self.lives.remove(id);
        self.book_given(live.prompt.tokens());
        live
    }
}

/// What a decode replica lets in.
impl Replica {
    /// A request wants in.
    pub(crate) fn offer(&mut self, offer: Offer) {
        self.intake.offers.push_back(offer);
    }

    /// Takes blocks for the oldest offer, if it may come now.
    pub(crate) fn accept(&mut self) -> Option<(Offer, Hold)> {
        let offer = *self.intake.offers.front()?;
        if self.intake.piping.awaited && (self.intake.in_transit > 0 || self.slots.iter().all(|slot| slot.busy)) {
            return None;
        }
        let blocks = self.room(offer.tokens, offer.longest).filter(|_| self.intake.has_blocks_to_spare())?;
        self.intake.offers.pop_front();
        self.intake.in_transit += 1;
        self.intake.unbatched_blocks += blocks;
        let mut hold = Hold::default();
        self.kv.take(&mut hold, blocks);
        if self.mixes {
            self.load.keep_promise(blocks);
        }
        Some((offer, hold))
    }

    /// Blocks for a request of which so many tokens are computed, if there are enough of them and, unless fetched requests
    /// may wait for it, a place. Preempted requests come first; with a mixed pool there are none, and what waits are prompts.
    fn room(&self, tokens: u32, longest: u32) -> Option<u32> {
        let intake = &self.intake;
        let taken = self.lives.running() + intake.in_transit + intake.arrived.len() as u32;
        let has_place = intake.piping.max_unbatched_permille.is_some() || taken < self.limits.max_num_seqs;
        let blocks = self.kv.blocks_for(if self.decode_takes_blocks { tokens } else { longest });
        let fits = blocks + self.scheduler.watermark_blocks() <= self.kv.free();
        let goes_first = self.mixes || self.waiting.is_empty();
        (goes_first && has_place && fits).then_some(blocks)
    }

    /// The KV cache of an accepted request is there.
    pub(crate) fn take_over(&mut self, mut live: Live, hold: Hold, handover: HandoverRecord) {
        self.intake.in_transit -= 1;
        self.counts.taken_over += 1;
        live.hold = hold;
        live.phase = Phase::Arrived;
        live.handover = Some(handover);
        let id = self.lives.insert(live);
        self.intake.arrived.push_back(id);
    }

    /// Queues a request whose prompt was computed elsewhere, and whose KV cache is there as soon as there are blocks for it.
    /// Its last prompt token is the first row that it decodes.
    pub(super) fn queue_prefilled(&mut self, mut live: Live) {
        live.cached_tokens = Some(0);
        let id = self.lives.insert(live);
        self.intake.prefilled.push_back(id);
    }

    /// Lets in those whose KV cache is here, as far as there are places; returns how many.
    pub(super) fn let_arrived_in(&mut self) -> u32 {
        if self.role != Role::Decode && !self.mixes {
            return 0;
        }
        let before = self.lives.running();
        while self.lives.running() < self.limits.max_num_seqs
            && let Some(id) = self.intake.arrived.pop_front()
        {
            self.intake.unbatched_blocks -= self.lives.get(id).hold.table();
            self.let_decode(id);
        }
        while let Some(&id) = self.intake.prefilled.front() {
            let live = self.lives.get(id);
            let (computed, longest) = (live.total() - 1, live.prompt.tokens() + live.output_tokens - 1);
            let Some(blocks) = self.room(computed, longest) else { break };
            self.intake.prefilled.pop_front();
            let live = self.lives.get_mut(id);
            live.computed = computed;
            self.kv.take(&mut live.hold, blocks);
            self.let_decode(id);
        }
        self.lives.running() - before
    }

    fn let_decode(&mut self, id: LiveId) {
        self.lives.link(id);
        self.lives.get_mut(id).phase = Phase::Loose;
        self.loose.push(id);
    }
}
