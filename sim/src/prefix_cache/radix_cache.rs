//! What radix caches have in common: a checkpoint at most where prompts branch and where sequences end.

use std::fmt::Debug;

use workloads::Span;
use workloads::radix::{Insertion, Match, NodeId};

use super::store::Store;
use super::{CacheModel, Held, Hit, PrefixCache};

/// What a radix cache forgets, and what it notes to decide that.
pub(super) trait Eviction: Debug {
    /// Whether it can forget the checkpoint of a node with one child, which then has its KV.
    const MERGES: bool;

    /// A prompt or sequence was matched at time `now`.
    fn matched(&mut self, store: &Store, found: &Match, now: u64);

    /// A sequence was inserted, perhaps with a new branch and leaf.
    fn inserted(&mut self, store: &Store, insertion: &Insertion, now: u64);

    /// A node that was there got a checkpoint at time `now`.
    fn marked(&mut self, store: &Store, id: NodeId, now: u64);

    /// A request holds a node, or does no longer.
    fn held_otherwise(&mut self, store: &Store, id: NodeId);

    /// Does away with a node that is of no use: one with a child becomes one with that.
    fn tidy(&mut self, store: &mut Store, id: NodeId);

    /// Forgets one node; the bytes it counts as freed. `None` if there is nothing to forget.
    fn evict(&mut self, store: &mut Store, now: u64) -> Option<u64>;
}

/// A radix cache of a hybrid model. The clock counts lookups, matches, insertions and evictions.
#[derive(Clone, Debug)]
pub(super) struct RadixCache<E> {
    store: Store,
    pub(super) eviction: E,
    pub(super) capacity: u64,
    /// Whether every common token is reused, as KV alone allows, or only those up to a checkpoint.
    any_token: bool,
    now: u64,
    peak: u64,
}

impl<E: Eviction> RadixCache<E> {
    pub(super) fn new(model: CacheModel, capacity: u64, any_token: bool, eviction: E) -> Self {
        let store = Store::new(model, E::MERGES);
        RadixCache { store, eviction, capacity, any_token, now: 0, peak: 0 }
    }

    /// One of any capacity that goes on from what another keeps, whose clock says `now`.
    pub(super) fn resumed(store: Store, eviction: E, now: u64) -> Self {
        let peak = store.bytes();
        RadixCache { store, eviction, capacity: u64::MAX, any_token: false, now, peak }
    }

    pub(super) fn model(&self) -> &CacheModel {
        &self.store.model
    }

    /// Whether a sequence can be stored before anything is forgotten.
    pub(super) fn has_room_for(&self, sequence: &[Span]) -> bool {
        self.bytes_with(sequence, &self.store.tree.find(sequence)) <= self.capacity
    }

    /// Bytes with a sequence that is matched so far, and the checkpoints that it may bring: at its end, and where it leaves an
    /// edge halfway.
    fn bytes_with(&self, sequence: &[Span], found: &Match) -> u64 {
        let tokens: u64 = sequence.iter().map(|span| u64::from(span.tokens)).sum();
        let new_tokens = tokens - u64::from(found.common_tokens());
        let checkpoints = if found.partial.is_some() { 2 } else { 1 };
        let model = self.model();
        self.store.bytes() + checkpoints * model.checkpoint_bytes() + new_tokens * model.kv_bytes_per_token()
    }

    fn find(&mut self, tokens: &[Span]) -> Match {
        self.now += 1;
        let found = self.store.tree.find(tokens);
        self.eviction.matched(&self.store, &found, self.now);
        found
    }

    /// Forgets nodes until so many bytes are counted as freed, or nothing is left.
    fn evict(&mut self, bytes: u64) {
        self.now += 1;
        let mut freed = 0;
        while freed < bytes {
            let Some(counted) = self.eviction.evict(&mut self.store, self.now) else { break };
            freed += counted;
        }
    }
}

impl<E: Eviction> PrefixCache for RadixCache<E> {
    fn lookup(&mut self, input: &[Span]) -> Hit {
        let found = self.find(input);
        let tokens = if self.any_token {
            found.common_tokens()
        } else {
            self.store.tree.depth_tokens(self.store.reusable(found.node))
        };
        Hit { tokens, ..Hit::default() }
    }

    /// Room is made for a checkpoint at the end, one where the sequence leaves an edge halfway, and the KV of new tokens.
    /// The sequence is stored whatever room there is: one that is larger than the cache leaves it too full until the next.
    fn insert(&mut self, sequence: &[Span]) {
        self.now += 1;
        let found = self.find(sequence);
        let wanted = self.bytes_with(sequence, &found);
        if wanted > self.capacity {
            self.evict(wanted - self.capacity);
        }
        let insertion = self.store.insert(sequence);
        insertion.branch.into_iter().chain(insertion.leaf).for_each(|new| self.store.mark(new));
        self.eviction.inserted(&self.store, &insertion, self.now);
        if insertion.end != NodeId::ROOT && !self.store.has_checkpoint(insertion.end) {
            // A replica kept what leads there, but no states.
            self.store.mark(insertion.end);
            self.eviction.marked(&self.store, insertion.end, self.now);
        }
        self.peak = self.peak.max(self.store.bytes());
    }

    fn held(&self) -> Held {
        Held { entries: self.store.tree.len() as u64 - 1, bytes: self.store.bytes(), peak_bytes: self.peak }
    }
}
