//! A radix tree that stores KV on its edges and checkpoints at the ends of some: in caches alone at the ends of all.
//!
//! Inside a replica, requests hold what they started from. The bytes that nothing can be done about while they run are
//! counted as they come and go.

use workloads::Span;
use workloads::radix::{Insertion, NodeId, RadixTree};

use super::CacheModel;

/// What is kept at a node, and who needs it.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    checkpoint: bool,
    /// Requests that started from this node or from one below.
    holders: u32,
    /// Those that started from this one.
    started: u32,
    /// Children with holders.
    held_children: u32,
}

/// The tree and what it weighs.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) tree: RadixTree,
    pub(super) model: CacheModel,
    /// Whether a node with one child can lose its checkpoint alone.
    merges: bool,
    /// By index of the node.
    entries: Vec<Entry>,
    checkpoints: u64,
    /// Tokens on all edges.
    tokens: u64,
    held_bytes: u64,
}

impl Store {
    /// An empty one. `merges`: see [`Eviction::MERGES`](super::radix_cache::Eviction::MERGES).
    pub(super) fn new(model: CacheModel, merges: bool) -> Self {
        let entries = vec![Entry::default()];
        Store { tree: RadixTree::new(), model, merges, entries, checkpoints: 0, tokens: 0, held_bytes: 0 }
    }

    /// The same, as if nobody held anything.
    pub(super) fn without_holders(&self) -> Self {
        let unheld = |entry: &Entry| Entry { checkpoint: entry.checkpoint, ..Entry::default() };
        let entries = self.entries.iter().map(unheld).collect();
        Store { tree: self.tree.clone(), entries, held_bytes: 0, ..*self }
    }

    /// Bytes of all KV and all checkpoints; the root holds nothing.
    pub(super) fn bytes(&self) -> u64 {
        self.checkpoints * self.model.checkpoint_bytes() + self.tokens * self.model.kv_bytes_per_token()
    }

    /// Bytes of what cannot be evicted while requests hold what they do.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Adds a sequence. New nodes have no checkpoint yet.
    pub(super) fn insert(&mut self, sequence: &[Span]) -> Insertion {
        let insertion = self.tree.insert(sequence);
        self.entries.resize(self.tree.slots(), Entry::default());
        if let (Some(branch), Some((lower, _))) = (insertion.branch, insertion.found.partial) {
            let holders = self.entry(lower).holders;
            self.entries[branch.index()] = Entry { holders, held_children: u32::from(holders > 0), ..Entry::default() };
        }
        if let Some(leaf) = insertion.leaf {
            self.entries[leaf.index()] = Entry::default();
            self.tokens += u64::from(self.tree.edge_tokens(leaf));
        }
        insertion
    }

    /// Puts a checkpoint at the end of a node that has none.
    pub(super) fn mark(&mut self, id: NodeId) {
        let before = self.held_of(id, self.entry(id));
        assert!(!std::mem::replace(&mut self.entries[id.index()].checkpoint, true), "a node has one checkpoint");
        self.checkpoints += 1;
        self.held_bytes += self.held_of(id, self.entry(id)) - before;
    }

    /// Whether there is a checkpoint at the end of a node.
    pub(super) fn has_checkpoint(&self, id: NodeId) -> bool {
        self.entry(id).checkpoint
    }

    /// The deepest of a node and those above it that has a checkpoint, or the root.
    pub(super) fn reusable(&self, id: NodeId) -> NodeId {
        let mut way = self.tree.ancestry(id);
        way.find(|&id| id == NodeId::ROOT || self.has_checkpoint(id)).expect("every way begins at the root")
    }

    /// Whether a leaf can be forgotten, or the checkpoint of a node with one child.
    pub(super) fn is_candidate(&self, id: NodeId) -> bool {
        let entry = self.entry(id);
        match self.tree.child_count(id) {
            0 => id != NodeId::ROOT && entry.holders == 0,
            1 => entry.checkpoint && entry.started == 0,
            _ => false,
        }
    }

    /// Whether a node is a leaf that nobody holds.
    pub(super) fn is_free_leaf(&self, id: NodeId) -> bool {
        id != NodeId::ROOT && self.tree.child_count(id) == 0 && self.is_unheld(id)
    }

    /// Whether nobody holds a node, nor any below it.
    fn is_unheld(&self, id: NodeId) -> bool {
        self.entry(id).holders == 0
    }

    /// Whether a node is of no use: without checkpoint, and with no two children that part there.
    pub(super) fn is_hollow(&self, id: NodeId) -> bool {
        let entry = self.entry(id);
        id != NodeId::ROOT && !entry.checkpoint && entry.started == 0 && self.tree.child_count(id) < 2
    }

    /// Bytes that go with a leaf: its checkpoint and the KV of its edge.
    pub(super) fn leaf_bytes(&self, id: NodeId) -> u64 {
        self.model.checkpoint_bytes() + self.model.kv_bytes(self.tree.edge_tokens(id))
    }

    /// Forgets a leaf; its parent.
    pub(super) fn remove_leaf(&mut self, id: NodeId) -> NodeId {
        assert!(self.is_unheld(id), "what a request holds is not forgotten");
        self.checkpoints -= u64::from(self.has_checkpoint(id));
        self.tokens -= u64::from(self.tree.edge_tokens(id));
        self.tree.remove_leaf(id)
    }

    /// Forgets the checkpoint of a node with one child, if it has one, and gives its KV to that; the child.
    pub(super) fn merge(&mut self, id: NodeId) -> NodeId {
        let entry = self.entry(id);
        assert_eq!(entry.started, 0, "the checkpoint that a request started from is not forgotten");
        self.checkpoints -= u64::from(entry.checkpoint);
        let above = self.held_of(id, entry);
        let child = self.tree.children(id).next().expect("it has a child");
        let below = self.held_of(child, self.entry(child));
        let child = self.tree.merge_into_only_child(id);
        self.held_bytes -= above + below - self.held_of(child, self.entry(child));
        child
    }

    /// A request starts from `start`: what leads there stays.
    pub(super) fn hold(&mut self, start: NodeId) {
        let (mut at, mut newly_held) = (start, false);
        while at != NodeId::ROOT {
            let before = self.entry(at);
            let after = before.held_once_more(at == start, newly_held);
            self.held_bytes += self.held_of(at, after) - self.held_of(at, before);
            self.entries[at.index()] = after;
            newly_held = before.holders == 0;
            at = self.above(at);
        }
    }

    /// What [`Store::held_bytes`] would be after [`Store::hold`].
    pub(super) fn held_bytes_with(&self, start: NodeId) -> u64 {
        let (mut at, mut newly_held, mut bytes) = (start, false, self.held_bytes);
        while at != NodeId::ROOT {
            let before = self.entry(at);
            let after = before.held_once_more(at == start, newly_held);
            bytes += self.held_of(at, after) - self.held_of(at, before);
            newly_held = before.holders == 0;
            at = self.above(at);
        }
        bytes
    }

    /// A request that started from `start` needs it no longer.
    pub(super) fn give_up(&mut self, start: NodeId) {
        let (mut at, mut given_up) = (start, false);
        while at != NodeId::ROOT {
            let before = self.held_of(at, self.entry(at));
            let entry = &mut self.entries[at.index()];
            entry.started -= u32::from(at == start);
            entry.held_children -= u32::from(given_up);
            entry.holders -= 1;
            given_up = entry.holders == 0;
            self.held_bytes -= before - self.held_of(at, self.entry(at));
            at = self.above(at);
        }
    }

    /// What [`Store::held_bytes`] would be if one request held `start` and nobody anything else.
    pub(super) fn held_bytes_alone(&self, start: NodeId) -> u64 {
        let checkpoints = match (start, self.merges) {
            (NodeId::ROOT, _) => 0,
            (_, true) => 1,
            (_, false) => self.tree.ancestry(start).filter(|&id| self.has_checkpoint(id)).count() as u64,
        };
        checkpoints * self.model.checkpoint_bytes() + self.model.kv_bytes(self.tree.depth_tokens(start))
    }

    /// Bytes of a node with this entry that stay whatever else is evicted: KV of whatever leads to what is held, and
    /// checkpoints that requests started from, that lie where held prompts part, or that nothing but whole leaves can lose.
    fn held_of(&self, id: NodeId, entry: Entry) -> u64 {
        if entry.holders == 0 {
            return 0;
        }
        let stays = entry.checkpoint && (!self.merges || entry.started > 0 || entry.held_children > 1);
        self.model.kv_bytes(self.tree.edge_tokens(id)) + if stays { self.model.checkpoint_bytes() } else { 0 }
    }

    fn entry(&self, id: NodeId) -> Entry {
        self.entries[id.index()]
    }

    fn above(&self, id: NodeId) -> NodeId {
        self.tree.parent(id).expect("only the root has nothing above it")
    }
}

impl Entry {
    /// With one more request that started here or below, perhaps as the first below one of the children.
    fn held_once_more(self, here: bool, first_of_child: bool) -> Self {
        Entry {
            holders: self.holders + 1,
            started: self.started + u32::from(here),
            held_children: self.held_children + u32::from(first_of_child),
            ..self
        }
    }
}
