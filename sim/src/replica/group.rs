//! The decoding requests of one slot in closed form.
//!
//! Between two changes of its members a group only grows older: one token per member and step. So a member is described
//! by the step at which it joined, sums stand for all members, and nothing is written per member and step:
//!
//! | about a member | how it is known |
//! |---|---|
//! | tokens computed and generated | those at joining + steps run − step joined |
//! | when it ends | a heap keyed by the step of its last token |
//! | whether it needs a block in this step | a count of members per (tokens computed − steps run) modulo block size |
//! | its longest gap | a monotonic stack of the group's gaps |
//! | its energy | a running sum per token, less the sum when it joined |
//!
//! A step counts as done ([`Group::count_step`]) when the next one may be composed, and its tokens come out
//! ([`Group::put_out`]) when it ends. With asynchronous scheduling the former comes first, by one step at most, and members
//! come and go in between; otherwise they are one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use profiles::DecodeBatch;
use workloads::SimTime;

use super::live::{Live, LiveId, Phase};
use super::prefixes::Grouped;
use super::sharing::Sharing;

/// Something that will happen at a step to the member with this admission number, id and ticket; stale once the member
/// has left.
type Due = Reverse<(u64, u64, LiveId, u64)>;

#[derive(Debug)]
pub(crate) struct Group {
    slot: u32,
    window: Option<u32>,
    /// Decode steps that count as done.
    step: u64,
    /// Decode steps whose tokens are out.
    out: u64,
    members: u32,
    /// Those whose gaps are told.
    followed: u32,
    /// Σ over members of the tokens they attend to in the next step.
    context: u64,
    /// Σ over members of min(those, window).
    windowed: u64,
    /// Members whose windowed context still grows.
    growing: u32,
    /// What members share.
    sharing: Sharing,
    /// Members by (tokens computed − step) modulo block size.
    by_phase: Vec<u32>,
    ends: BinaryHeap<Due>,
    window_fills: BinaryHeap<Due>,
    /// Members without a token out from this group, and the step at which they joined; in that order.
    fresh: Vec<(u64, LiveId)>,
    /// Those of them whose gaps are told.
    fresh_followed: u32,
    last_token: SimTime,
    gaps: GapStack,
    /// Σ over steps of the energy per token.
    energy_nj: u64,
}

impl Group {
    pub(crate) fn new(slot: u32, block_size: u32, window: Option<u32>) -> Self {
        Group {
            slot,
            window,
            step: 0,
            out: 0,
            members: 0,
            followed: 0,
            context: 0,
            windowed: 0,
            growing: 0,
            sharing: Sharing::default(),
            by_phase: vec![0; block_size as usize],
            ends: BinaryHeap::new(),
            window_fills: BinaryHeap::new(),
            fresh: Vec::new(),
            fresh_followed: 0,
            last_token: SimTime::ZERO,
            gaps: GapStack::default(),
            energy_nj: 0,
        }
    }

    pub(crate) fn members(&self) -> u32 {
        self.members
    }

    /// Decode steps that count as done.
    pub(crate) fn steps(&self) -> u64 {
        self.step
    }

    /// The next decode step of all members.
    pub(crate) fn batch(&self) -> DecodeBatch {
        DecodeBatch {
            requests: self.members,
            context_tokens: self.context,
            windowed_context_tokens: if self.window.is_some() { self.windowed } else { self.context },
            shared: self.sharing.sums(),
        }
    }

    /// Members that have been in no step of this group yet.
    pub(crate) fn newcomers(&self) -> impl Iterator<Item = LiveId> {
        let first = self.fresh.partition_point(|&(joined, _)| joined < self.step);
        self.fresh[first..].iter().map(|&(_, id)| id)
    }

    /// Blocks that the next step needs: one for each member whose computed tokens fill its blocks.
    pub(crate) fn blocks_needed(&self) -> u32 {
        let block_size = self.by_phase.len() as u64;
        self.by_phase[((block_size - self.step % block_size) % block_size) as usize]
    }

    fn phase_of(&self, computed_at_join: u32, joined: u64) -> usize {
        let block_size = self.by_phase.len() as u64;
        ((u64::from(computed_at_join) % block_size + block_size - joined % block_size) % block_size) as usize
    }

    /// Tokens a member has computed by now.
    pub(crate) fn computed(&self, live: &Live) -> u32 {
        live.computed + (self.step - live.joined) as u32
    }

    pub(crate) fn join(&mut self, id: LiveId, live: &mut Live, ticket: u64) {
        debug_assert_eq!(live.phase, Phase::Loose);
        live.phase = Phase::Decoding { slot: self.slot };
        live.joined = self.step;
        live.ticket = ticket;
        live.energy_mark_nj = self.energy_nj;
        self.members += 1;
        self.followed += u32::from(live.followed);
        self.fresh.push((self.step, id));
        self.fresh_followed += u32::from(live.followed);
        let attended = live.computed + 1;
        self.context += u64::from(attended);
        if let Some(Grouped::Member { group, tokens, .. }) = live.grouped {
            self.sharing.join(group, tokens);
        }
        let phase = self.phase_of(live.computed, live.joined);
        self.by_phase[phase] += 1;
        let last = self.step + u64::from(live.output_tokens - live.generated);
        self.ends.push(Reverse((last, live.admission, id, ticket)));
        if let Some(window) = self.window {
            self.windowed += u64::from(attended.min(window));
            if attended < window {
                self.growing += 1;
                let full = self.step + u64::from(window - attended);
                self.window_fills.push(Reverse((full, live.admission, id, ticket)));
            }
        }
    }

    /// Takes a member out and writes to it what it has done here; it becomes loose. Whoever is owed a token of a step that
    /// counts as done and is not out takes that on itself.
    pub(crate) fn leave(&mut self, id: LiveId, live: &mut Live) {
        debug_assert_eq!(live.phase, Phase::Decoding { slot: self.slot });
        let steps = self.step - live.joined;
        let phase = self.phase_of(live.computed, live.joined);
        self.by_phase[phase] -= 1;
        if let Some(Grouped::Member { group, tokens, .. }) = live.grouped {
            self.sharing.leave(group, tokens);
        }
        live.computed += steps as u32;
        live.generated += steps as u32;
        live.energy_nj += self.energy_nj - live.energy_mark_nj;
        live.owed = live.joined < self.step && self.out < self.step;
        if self.out <= live.joined {
            self.fresh.retain(|&(_, other)| other != id);
            self.fresh_followed -= u32::from(live.followed);
        } else {
            live.last_token = self.last_token;
            live.max_gap_ns = live.max_gap_ns.max(self.gaps.longest_since(live.joined + 2));
        }
        live.phase = Phase::Loose;
        live.ticket = 0;
        self.members -= 1;
        self.followed -= u32::from(live.followed);
        let attended = live.computed + 1;
        self.context -= u64::from(attended);
        if let Some(window) = self.window {
            self.windowed -= u64::from(attended.min(window));
            if attended < window {
                self.growing -= 1;
            }
        }
        if self.members == 0 {
            self.gaps.clear();
            self.ends.clear();
            self.window_fills.clear();
        }
    }

    /// A decode step of all members counts as done.
    pub(crate) fn count_step(&mut self, energy_per_token_nj: u64) {
        self.step += 1;
        self.context += u64::from(self.members);
        self.energy_nj += energy_per_token_nj;
    }

    /// The tokens of the first step that counts as done and is not out are out at `now`. Calls `gap(ns, members)` for the
    /// gaps it made that are told, and `fresh_gap` for the members whose previous token came from elsewhere, which returns whether
    /// gaps of theirs are told, and this one; `None` if there was no previous token.
    pub(crate) fn put_out(
        &mut self,
        now: SimTime,
        mut fresh_gap: impl FnMut(LiveId) -> (bool, Option<u64>),
        mut gap: impl FnMut(u64, u32),
    ) {
        self.out += 1;
        debug_assert!(self.out <= self.step, "tokens come out of steps that count as done");
        let old = self.members - self.fresh.len() as u32;
        if old > 0 {
            let nanos = now.since(self.last_token).as_nanos();
            self.gaps.push(self.out, nanos);
            let told = self.followed - self.fresh_followed;
            if told > 0 {
                gap(nanos, told);
            }
        }
        if !self.fresh.is_empty() {
            let with_token = self.fresh.partition_point(|&(joined, _)| joined < self.out);
            for (_, id) in self.fresh.drain(..with_token) {
                let (told, nanos) = fresh_gap(id);
                self.fresh_followed -= u32::from(told);
                if let Some(nanos) = nanos.filter(|_| told) {
                    gap(nanos, 1);
                }
            }
        }
        self.last_token = now;
    }

    /// Keeps the windowed sum: members whose context has filled the window stop growing.
    pub(crate) fn advance_windows(&mut self, is_current: impl Fn(LiveId, u64) -> bool) {
        if self.window.is_none() {
            return;
        }
        self.windowed += u64::from(self.growing);
        while let Some(&Reverse((step, _, id, ticket))) = self.window_fills.peek() {
            if step > self.step {
                break;
            }
            self.window_fills.pop();
            if is_current(id, ticket) {
                self.growing -= 1;
            }
        }
    }

    /// The next member, in order of admission, whose last token is out.
    pub(crate) fn pop_ended(&mut self, is_current: impl Fn(LiveId, u64) -> bool) -> Option<LiveId> {
        while let Some(&Reverse((step, _, id, ticket))) = self.ends.peek() {
            if step > self.step {
                return None;
            }
            self.ends.pop();
            if is_current(id, ticket) {
                return Some(id);
            }
        }
        None
    }
}

/// The gaps of a group's steps, longest first, each later than the ones before it: enough to know the longest gap
/// since any step.
#[derive(Debug, Default)]
struct GapStack {
    entries: Vec<(u64, u64)>,
}

impl GapStack {
    fn push(&mut self, step: u64, nanos: u64) {
        while self.entries.last().is_some_and(|&(_, longest)| longest <= nanos) {
            self.entries.pop();
        }
        self.entries.push((step, nanos));
    }

    /// The longest gap of the steps from `step` on; 0 if there were none.
    fn longest_since(&self, step: u64) -> u64 {
        let first = self.entries.partition_point(|&(at, _)| at < step);
        self.entries.get(first).map_or(0, |&(_, nanos)| nanos)
    }

    fn clear(&mut self) {
        self.entries.clear();
    }
}
