//! Prefixes that live as long as the requests that begin with them: *`BatchLLM`*'s groups.
//!
//! What reaches the queue is gathered until the next step is planned, and then grouped. A group's prefix waits as a request of
//! its own, its members apart; when the prefix is computed they come to the front of the queue, and its blocks stay until
//! the last of them has ended.
//!
//! Blocks that stay can block the way: a request in need preempts others, but never a prefix. So a group or an ungrouped
//! request [begins](Replica::may_begin) only if the prefixes of all groups that have begun and the largest request of those
//! that have begun fit side by side. Then, whatever happens, the one at the head of either list can be completed.

use std::collections::BTreeMap;

use workloads::{Prompt, Request, Span};

use super::{Live, LiveId, Phase, Replica};
use crate::kv::Found;
use crate::offline::{FirstLevel, Sharing, Side};
use crate::spec::{GroupOrder, KvSpec, Policy};

/// What a request is to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouped {
    /// Its prefix: no request that anybody sent.
    Prefix {
        /// Number of the group.
        group: u32,
    },
    /// A member.
    Member {
        /// Number of the group.
        group: u32,
        /// Tokens of the prefix.
        tokens: u32,
        /// Whether the prefix counts as computed for this member: the first one.
        first: bool,
    },
}

#[derive(Debug)]
struct Group {
    prefix: LiveId,
    prefix_blocks: u32,
    /// Most blocks that a member needs beside the prefix.
    most_blocks: u32,
    /// Members whose prefix is not computed, in order.
    held_back: Vec<LiveId>,
    /// Members that have not ended.
    left: u32,
    begun: bool,
}

/// The groups of a replica.
#[derive(Debug)]
pub(super) struct Prefixes {
    /// `None`: that of densities.
    order: Option<GroupOrder>,
    first_level: FirstLevel,
    /// Blocks of the cache that requests may fill.
    blocks: u32,
    /// Requests that came since a step was planned.
    gathered: Vec<LiveId>,
    groups: Vec<Group>,
    /// Members whose prefix is not computed.
    held_back: u32,
    /// Blocks of the prefixes of groups that have begun.
    prefix_blocks: u32,
    /// Blocks that whoever has begun needs for itself, and how many need as many.
    needs: BTreeMap<u32, u32>,
}

/// What is let in together: a group, or a request alone.
pub(super) struct Unit {
    pub(super) members: Vec<LiveId>,
    /// 0 without a group.
    pub(super) prefix_tokens: u32,
    /// Tokens that it generates, and prompt tokens that it computes.
    work: (u64, u64),
}

impl Prefixes {
    /// The groups of a replica with this policy; `None` if it makes none.
    pub(super) fn new(policy: Policy, kv: &KvSpec) -> Option<Self> {
        let (order, first_level, watermark_permille) = match policy {
            Policy::BatchLlm { order, watermark_permille, first_level, .. } => {
                (Some(order), first_level, watermark_permille)
            }
            Policy::BlendServe { watermark_permille, group_prefixes: true, .. } => {
                (None, FirstLevel::Enlarged, watermark_permille)
            }
            _ => return None,
        };
        Some(Prefixes {
            order,
            first_level,
            blocks: kv.blocks - kv.share_of_blocks(watermark_permille).min(kv.blocks),
            gathered: Vec::new(),
            groups: Vec::new(),
            held_back: 0,
            prefix_blocks: 0,
            needs: BTreeMap::new(),
        })
    }

    pub(super) fn gather(&mut self, id: LiveId) {
        self.gathered.push(id);
    }

    /// Members that wait for their prefix.
    pub(super) fn held_back(&self) -> u32 {
        self.held_back
    }

    /// Whether prefixes of these blocks beside those there are leave room for a request of these, and for all others.
    fn have_room(&self, prefix_blocks: u32, own_blocks: u32) -> bool {
        let most = self.needs.last_key_value().map_or(0, |(&blocks, _)| blocks).max(own_blocks);
        u64::from(self.prefix_blocks) + u64::from(prefix_blocks) + u64::from(most) <= u64::from(self.blocks)
    }

    fn begin(&mut self, prefix_blocks: u32, own_blocks: u32) {
        self.prefix_blocks += prefix_blocks;
        *self.needs.entry(own_blocks).or_default() += 1;
    }

    fn end(&mut self, prefix_blocks: u32, own_blocks: u32) {
        self.prefix_blocks -= prefix_blocks;
        let count = self.needs.get_mut(&own_blocks).expect("who ends has begun");
        *count -= 1;
        if *count == 0 {
            self.needs.remove(&own_blocks);
        }
    }

    pub(super) fn assert_none_left(&self) {
        let left = self.groups.iter().filter(|group| group.left > 0).count();
        assert_eq!((left, self.prefix_blocks, self.needs.len()), (0, 0, 0), "a group of requests was left behind");
    }
}

impl Replica {
    /// Groups what has come since a step was planned last, and queues it.
    pub(super) fn group_gathered(&mut self) {
        let Some(prefixes) = self.prefixes.as_mut().filter(|prefixes| !prefixes.gathered.is_empty()) else { return };
        let (order, first_level) = (prefixes.order, prefixes.first_level);
        let gathered = std::mem::take(&mut prefixes.gathered);
        let prompts = gathered.iter().map(|&id| &self.lives.get(id).prompt);
        let sharing = Sharing::of(prompts, first_level);
        let mut units = Vec::with_capacity(sharing.groups.len());
        for group in sharing.groups {
            let members: Vec<LiveId> = group.members.iter().map(|&place| gathered[place as usize]).collect();
            let tokens = self.whole_blocks(&members, group.prefix_tokens);
            if members.len() > 1 && tokens > 0 {
                units.push(self.unit(members, tokens));
            } else {
                units.extend(members.into_iter().map(|id| self.unit(vec![id], 0)));
            }
        }
        match order {
            Some(order) => units.sort_by(|left, right| order.compare([left.work, right.work])),
            None => self.prepare_groups(&gathered, &mut units),
        }
        let queued: Vec<LiveId> = units.into_iter().map(|unit| self.queued(unit)).collect();
        // At the tail, or, where requests are let in from there too, behind those at the head that have begun: whoever has begun
        // must not wait behind others.
        let tail = self.waiting.len();
        let begun = |id: &&LiveId| self.has_begun(self.lives.get(**id));
        let place = if order.is_some() { tail } else { self.waiting.iter().take_while(begun).count() };
        let behind = self.waiting.split_off(place);
        self.waiting.extend(queued);
        self.waiting.extend(behind);
        if order.is_none() {
            self.blocked = [None; 2];
        }
    }

    /// The part of a prefix that fills blocks, and leaves each member a token to compute.
    fn whole_blocks(&self, members: &[LiveId], prefix_tokens: u32) -> u32 {
        let shortest = members.iter().map(|&id| self.lives.get(id).prompt.tokens()).min().unwrap_or(0);
        let block_size = self.kv.block_size();
        prefix_tokens.min(shortest.saturating_sub(1)) / block_size * block_size
    }

    fn unit(&self, members: Vec<LiveId>, prefix_tokens: u32) -> Unit {
        let (mut generated, mut computed) = (0, u64::from(prefix_tokens));
        for &id in &members {
            let live = self.lives.get(id);
            generated += u64::from(live.output_tokens);
            computed += u64::from(live.prompt.tokens() - prefix_tokens);
        }
        Unit { members, prefix_tokens, work: (generated, computed) }
    }

    /// What is queued for a unit: its only request, or the prefix of a group, whose members are held back.
    fn queued(&mut self, unit: Unit) -> LiveId {
        let Unit { members, prefix_tokens: tokens, .. } = unit;
        if tokens == 0 {
            return members[0];
        }
        let first = self.lives.get(members[0]);
        let request = Request {
            id: first.id,
            arrival: first.arrival,
            prompt: beginning(&first.prompt, tokens),
            output_tokens: 1,
            answer: first.answer,
            session: None,
        };
        let prefix_blocks = self.kv.blocks_for(tokens);
        let own_blocks = |id: &LiveId| self.all_blocks(self.lives.get(*id)) - prefix_blocks;
        let most_blocks = members.iter().map(own_blocks).max().expect("a group has members");
        let prefixes = self.prefixes.as_mut().expect("groups are made where there are prefixes");
        let group = prefixes.groups.len() as u32;
        let scan_unit = first.unit;
        let mut live = Live::new(request);
        (live.grouped, live.unit) = (Some(Grouped::Prefix { group }), scan_unit);
        let prefix = self.lives.insert(live);
        for (place, &id) in members.iter().enumerate() {
            self.lives.get_mut(id).grouped = Some(Grouped::Member { group, tokens, first: place == 0 });
        }
        let left = members.len() as u32;
        prefixes.held_back += left;
        prefixes.groups.push(Group { prefix, prefix_blocks, most_blocks, held_back: members, left, begun: false });
        prefix
    }

    /// Blocks that a request has when its last token is out.
    fn all_blocks(&self, live: &Live) -> u32 {
        self.kv.blocks_for(live.prompt.tokens() + live.output_tokens - 1)
    }

    /// What a request that is let in finds in the cache.
    pub(super) fn find_prefix(&self, live: &Live) -> Found {
        if let (Some(Grouped::Member { group, tokens, .. }), Some(prefixes)) = (live.grouped, &self.prefixes) {
            return Found::kept(prefixes.groups[group as usize].prefix_blocks, tokens);
        }
        let found = self.kv.find(&live.chain(), live.total() - 1);
        self.kv.if_it_fits_alone(found, self.all_blocks(live) + self.scheduler.watermark_blocks())
    }

    /// Whether a request, or the group that it belongs to, has been let in before.
    fn has_begun(&self, live: &Live) -> bool {
        match (live.grouped, &self.prefixes) {
            (Some(Grouped::Prefix { group }), Some(prefixes)) => prefixes.groups[group as usize].begun,
            (Some(Grouped::Member { .. }), _) => true,
            _ => live.cached_tokens.is_some(),
        }
    }

    /// Whether a request may be let in beside the prefixes that stay.
    pub(super) fn may_begin(&self, live: &Live) -> bool {
        let Some(prefixes) = &self.prefixes else { return true };
        if self.has_begun(live) {
            return true;
        }
        match live.grouped {
            Some(Grouped::Prefix { group }) => {
                let group = &prefixes.groups[group as usize];
                prefixes.have_room(group.prefix_blocks, group.most_blocks)
            }
            _ => prefixes.have_room(0, self.all_blocks(live)),
        }
    }

    /// A request is let in for the first time, or again.
    pub(super) fn begin(&mut self, id: LiveId) {
        let live = self.lives.get(id);
        let own_blocks = self.all_blocks(live);
        let Some(prefixes) = &mut self.prefixes else { return };
        match live.grouped {
            Some(Grouped::Prefix { group }) => {
                let group = &mut prefixes.groups[group as usize];
                if !std::mem::replace(&mut group.begun, true) {
                    let (prefix_blocks, most_blocks) = (group.prefix_blocks, group.most_blocks);
                    prefixes.begin(prefix_blocks, most_blocks);
                }
            }
            None if live.cached_tokens.is_none() => prefixes.begin(0, own_blocks),
            _ => {}
        }
    }

    /// A prefix is computed: it stays, and its members come to the end of the queue that it was let in from, in their order. What it took counts as
    /// taken by the first of them.
    pub(super) fn open_group(&mut self, prefix: LiveId) {
        self.lives.unlink(prefix);
        let live = self.lives.get_mut(prefix);
        live.phase = Phase::Kept;
        let from = live.side.map_or(Side::Left, |(side, _)| side);
        let (energy_nj, preemptions, first_scheduled) = (live.energy_nj, live.preemptions, live.first_scheduled);
        let Some(Grouped::Prefix { group }) = live.grouped else { unreachable!("only prefixes open groups") };
        let prefixes = self.prefixes.as_mut().expect("groups are made where there are prefixes");
        let members = std::mem::take(&mut prefixes.groups[group as usize].held_back);
        prefixes.held_back -= members.len() as u32;
        let first = self.lives.get_mut(members[0]);
        first.energy_nj += energy_nj;
        first.preemptions += preemptions;
        first.first_scheduled = first_scheduled;
        for id in members.into_iter().rev() {
            match from {
                Side::Left => self.waiting.push_front(id),
                Side::Right => self.waiting.push_back(id),
            }
        }
        // Whoever did not fit is not at that end any more.
        self.blocked[from as usize] = None;
    }

    /// A request has ended: with the last one of a group its prefix goes.
    pub(super) fn leave_group(&mut self, live: &Live) {
        let own_blocks = self.all_blocks(live);
        let Some(prefixes) = &mut self.prefixes else { return };
        let Some(Grouped::Member { group, .. }) = live.grouped else { return prefixes.end(0, own_blocks) };
        let group = &mut prefixes.groups[group as usize];
        group.left -= 1;
        if group.left == 0 {
            let (prefix, prefix_blocks, most_blocks) = (group.prefix, group.prefix_blocks, group.most_blocks);
            prefixes.end(prefix_blocks, most_blocks);
            self.release(prefix);
            self.lives.remove(prefix);
        }
    }
}

/// The first tokens of a prompt.
fn beginning(prompt: &Prompt, mut tokens: u32) -> Prompt {
    let cut = |span: &Span| {
        let part = Span { tokens: span.tokens.min(tokens), ..*span };
        tokens -= part.tokens;
        part
    };
    Prompt::new(prompt.spans().iter().map(cut).collect())
}
