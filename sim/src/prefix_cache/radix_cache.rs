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
#[derive(Debug)]
pub(super) struct RadixCache<E> {
    store: Store,
    pub(super) eviction: E,
    capacity: u64,
    /// Whether every common token is reused, as KV alone allows, or only those up to a checkpoint.
    any_token: bool,
    now: u64,
    peak: u64,
    pub(super) has_evicted: bool,
}

impl<E: Eviction> RadixCache<E> {
    pub(super) fn new(model: CacheModel, capacity: u64, any_token: bool, eviction: E) -> Self {
        let store = Store::new(model, E::MERGES);
        RadixCache { store, eviction, capacity, any_token, now: 0, peak: 0, has_evicted: false }
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
        self.has_evicted = true;
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
        let tokens = if self.any_token { found.common_tokens() } else { found.tokens };
        Hit { tokens, ..Hit::default() }
    }

    /// Room is made for a checkpoint at the end, one where the sequence leaves an edge halfway, and the KV of new tokens.
    /// The sequence is stored whatever room there is: one that is larger than the cache leaves it too full until the next.
    fn insert(&mut self, sequence: &[Span]) {
        self.now += 1;
        let found = self.find(sequence);
        let tokens: u64 = sequence.iter().map(|span| u64::from(span.tokens)).sum();
        let new_tokens = tokens - u64::from(found.common_tokens());
        let checkpoints = if found.partial.is_some() { 2 } else { 1 };
        let model = &self.store.model;
        let need = checkpoints * model.checkpoint_bytes() + new_tokens * model.kv_bytes_per_token();
        let wanted = self.store.bytes() + need;
        if wanted > self.capacity {
            self.evict(wanted - self.capacity);
        }
        let insertion = self.store.insert(sequence);
        insertion.branch.into_iter().chain(insertion.leaf).for_each(|new| self.store.mark(new));
        self.eviction.inserted(&self.store, &insertion, self.now);
        self.peak = self.peak.max(self.store.bytes());
    }

    fn held(&self) -> Held {
        Held { entries: self.store.tree.len() as u64 - 1, bytes: self.store.bytes(), peak_bytes: self.peak }
    }
}
