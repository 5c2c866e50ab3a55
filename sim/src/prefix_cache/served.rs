//! A radix cache with checkpoints inside a replica: in the memory that requests leave, and with states at those positions
//! alone where some step computed one.
//!
//! It differs from the caches alone in three ways. Requests *hold* what they started from. A node at which prompts part
//! has a checkpoint only if a prompt was computed up to there and not on in one piece. And what does not fit beside what is
//! held is not kept.

use workloads::Span;
use workloads::radix::{Match, NodeId};

use super::flop_aware::FlopAware;
use super::leaf_lru::LeafLru;
use super::marconi::Bootstrap;
use super::radix_cache::{Eviction, RadixCache};
use super::replay::Turn;
use super::store::Store;
use super::{Alpha, AlphaTuning, CacheModel};
use crate::spec::CheckpointEviction;

/// How far tokens follow what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    found: Match,
    start: NodeId,
    tokens: u32,
}

impl Way {
    /// The node whose checkpoint is the last on the way; the root if there is none.
    pub(crate) fn start(&self) -> NodeId {
        self.start
    }

    /// Tokens up to that checkpoint.
    pub(crate) fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Tokens in common with what is kept, checkpoint or not.
    pub(crate) fn common_tokens(&self) -> u32 {
        self.found.common_tokens()
    }
}

/// What goes first.
#[derive(Debug)]
enum Rule {
    LeafLru(LeafLru),
    FlopAware(FlopAware),
}

/// What alpha is tuned by.
#[derive(Debug)]
struct Tuner {
    tuning: AlphaTuning,
    /// Requests that have ended.
    ended: u64,
    /// From the first eviction on, when so many had ended, and at least one.
    bootstrap: Option<(u64, Bootstrap)>,
}

/// The tree. Its clock counts requests let in, sequences kept, and rounds of eviction.
#[derive(Debug)]
pub(crate) struct CheckpointTree {
    store: Store,
    rule: Rule,
    /// As long as alpha is to be found.
    tuner: Option<Tuner>,
    now: u64,
}

impl CheckpointTree {
    pub(crate) fn new(model: CacheModel, eviction: CheckpointEviction) -> Self {
        let (rule, merges, tuner) = match eviction {
            CheckpointEviction::LeafLru => (Rule::LeafLru(LeafLru::new(true)), LeafLru::MERGES, None),
            CheckpointEviction::FlopAware { mode, alpha } => {
                let (alpha, tuner) = match alpha {
                    Alpha::Fixed(alpha) => (alpha, None),
                    Alpha::TunedOnce(tuning) => (0.0, Some(Tuner { tuning, ended: 0, bootstrap: None })),
                    Alpha::Oracle => unreachable!("no replica knows its requests beforehand"),
                };
                (Rule::FlopAware(FlopAware::new(alpha, mode)), FlopAware::MERGES, tuner)
            }
        };
        CheckpointTree { store: Store::new(model, merges), rule, tuner, now: 0 }
    }

    /// Bytes of all that is kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// Bytes of what cannot be evicted while requests hold what they do.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.store.held_bytes()
    }

    /// The same if one more request held `start`.
    pub(crate) fn held_bytes_with(&self, start: NodeId) -> u64 {
        self.store.held_bytes_with(start)
    }

    /// The same if one request held `start`, and nobody anything else.
    pub(crate) fn held_bytes_alone(&self, start: NodeId) -> u64 {
        self.store.held_bytes_alone(start)
    }

    /// How far these tokens follow what is kept.
    pub(crate) fn find(&self, tokens: &[Span]) -> Way {
        let found = self.store.tree.find(tokens);
        let start = self.store.reusable(found.node);
        Way { found, start, tokens: self.store.tree.depth_tokens(start) }
    }

    /// A request is let in that starts from what was found. The tree must not have changed in between.
    pub(crate) fn begin(&mut self, way: &Way) {
        self.now += 1;
        self.note_match(&way.found);
        self.hold(way.start);
    }

    /// A request that started from `start` ends or is preempted.
    pub(crate) fn give_up(&mut self, start: NodeId) {
        self.store.give_up(start);
        self.note_held_otherwise(start);
    }

    /// Evicts until no more than `room` bytes are kept; whether anything had to go.
    ///
    /// # Panics
    /// If more is held.
    pub(crate) fn shrink(&mut self, room: u64) -> bool {
        if self.bytes() <= room {
            return false;
        }
        self.now += 1;
        if let (Some(tuner), Rule::FlopAware(rule)) = (&mut self.tuner, &self.rule)
            && tuner.bootstrap.is_none()
        {
            let store = self.store.without_holders();
            let rule = rule.relisted(&store);
            let cache = RadixCache::resumed(store, rule, self.now);
            tuner.bootstrap = Some((tuner.ended.max(1), Bootstrap::new(cache, None)));
        }
        while self.bytes() > room {
            let evicted = match &mut self.rule {
                Rule::LeafLru(rule) => rule.evict(&mut self.store, self.now),
                Rule::FlopAware(rule) => rule.evict(&mut self.store, self.now),
            };
            assert!(evicted.is_some(), "{} bytes are held, and {room} are left", self.held_bytes());
        }
        true
    }

    /// Puts a checkpoint at the end of these tokens, if they are all kept and it fits into `room` bytes beside what is held.
    pub(crate) fn keep_branch(&mut self, tokens: &[Span], room: u64) {
        self.now += 1;
        let found = self.store.tree.find(tokens);
        if u64::from(found.common_tokens()) == length(tokens) {
            self.keep_found(tokens, &found, room);
        }
    }

    /// Keeps the KV of these tokens, of a prompt of so many spans and its answer, and a checkpoint at their end, if both fit
    /// into `room` bytes beside what is held.
    pub(crate) fn keep(&mut self, tokens: &[Span], prompt_spans: usize, room: u64) {
        let turn = || Turn::new(tokens.to_vec(), prompt_spans);
        let has_evicted = self.tune(turn, room);
        self.now += 1;
        let found = self.store.tree.find(tokens);
        self.note_match(&found);
        self.keep_found(tokens, &found, room);
        if let Some(Tuner { bootstrap: Some((_, bootstrap)), .. }) = &mut self.tuner
            && !has_evicted
        {
            bootstrap.cause = Some(turn());
        }
    }

    /// A request has ended: alpha may be found by it and those before. Whether something was evicted before.
    fn tune(&mut self, turn: impl Fn() -> Turn, room: u64) -> bool {
        let Some(tuner) = &mut self.tuner else { return true };
        tuner.ended += 1;
        let Some((first, bootstrap)) = &mut tuner.bootstrap else { return false };
        bootstrap.since.push(turn());
        if tuner.ended >= *first * u64::from(tuner.tuning.multiplier) {
            let alpha = bootstrap.best_alpha(tuner.tuning.objective, room);
            if let Rule::FlopAware(rule) = &mut self.rule {
                rule.alpha = alpha;
            }
            self.tuner = None;
        }
        true
    }

    fn keep_found(&mut self, tokens: &[Span], found: &Match, room: u64) {
        let new_tokens = length(tokens) - u64::from(found.common_tokens());
        if new_tokens == 0 && found.partial.is_none() && self.store.has_checkpoint(found.node) {
            return;
        }
        let model = &self.store.model;
        let need = model.checkpoint_bytes() + new_tokens * model.kv_bytes_per_token();
        // Nothing on the way is evicted for it.
        let end = found.partial.map_or(found.node, |(child, _)| child);
        self.hold(end);
        let fits = self.held_bytes() + need <= room;
        if fits {
            self.shrink(room - need);
        }
        self.give_up(end);
        if !fits {
            return;
        }
        let insertion = self.store.insert(tokens);
        self.store.mark(insertion.end);
        let (store, now) = (&self.store, self.now);
        let grew = insertion.branch.is_some() || insertion.leaf.is_some();
        match &mut self.rule {
            Rule::LeafLru(rule) if grew => rule.inserted(store, &insertion, now),
            Rule::LeafLru(rule) => rule.marked(store, insertion.end, now),
            Rule::FlopAware(rule) if grew => rule.inserted(store, &insertion, now),
            Rule::FlopAware(rule) => rule.marked(store, insertion.end, now),
        }
        // What parted where the way ended may be gone.
        match &mut self.rule {
            Rule::LeafLru(rule) => rule.tidy(&mut self.store, end),
            Rule::FlopAware(rule) => rule.tidy(&mut self.store, end),
        }
    }

    fn hold(&mut self, start: NodeId) {
        self.store.hold(start);
        self.note_held_otherwise(start);
    }

    fn note_match(&mut self, found: &Match) {
        match &mut self.rule {
            Rule::LeafLru(rule) => rule.matched(&self.store, found, self.now),
            Rule::FlopAware(rule) => rule.matched(&self.store, found, self.now),
        }
    }

    fn note_held_otherwise(&mut self, id: NodeId) {
        match &mut self.rule {
            Rule::LeafLru(rule) => rule.held_otherwise(&self.store, id),
            Rule::FlopAware(rule) => rule.held_otherwise(&self.store, id),
        }
    }
}

fn length(tokens: &[Span]) -> u64 {
    tokens.iter().map(|span| u64::from(span.tokens)).sum()
}
