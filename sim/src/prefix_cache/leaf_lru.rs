//! SGLang's eviction: the least recently used leaf goes first, whole.
//!
//! For transformers that is SGLang's radix cache; with checkpoints where prompts branch and where sequences end, it is the
//! SGLang+ of the Marconi paper. Every node on the way of a match is used; of a child matched in part SGLang uses the
//! matched part, which it splits off, and SGLang+ all of it.

use workloads::radix::{Insertion, Match, NodeId, RadixTree};

use super::radix_cache::Eviction;
use super::recency::Recency;
use super::store::Store;

/// Leaves by their last use.
///
/// Whoever uses a node uses all above it, and here the deepest are written first: so the oldest node is always a leaf.
#[derive(Debug)]
pub(super) struct LeafLru {
    recency: Recency,
    /// Whether a match in part uses the whole child.
    uses_partial: bool,
}

impl LeafLru {
    pub(super) fn new(uses_partial: bool) -> Self {
        LeafLru { recency: Recency::new(), uses_partial }
    }

    fn forget_leaf(&mut self, store: &mut Store, id: NodeId) {
        self.recency.remove(id.index());
        let parent = store.remove_leaf(id);
        self.tidy(store, parent);
    }

    /// Uses a node and all above it.
    fn touch_path(&mut self, tree: &RadixTree, end: NodeId) {
        for id in tree.ancestry(end).take_while(|&id| id != NodeId::ROOT) {
            self.recency.touch(id.index());
        }
    }
}

impl Eviction for LeafLru {
    const MERGES: bool = false;

    fn matched(&mut self, store: &Store, found: &Match, _: u64) {
        let partial = found.partial.filter(|_| self.uses_partial);
        self.touch_path(&store.tree, partial.map_or(found.node, |(child, _)| child));
    }

    fn inserted(&mut self, store: &Store, insertion: &Insertion, _: u64) {
        if let (Some(branch), Some((lower, _))) = (insertion.branch, insertion.found.partial) {
            self.recency.insert_after(lower.index(), branch.index());
            if self.uses_partial {
                self.recency.touch(lower.index());
            }
        }
        if let Some(leaf) = insertion.leaf {
            self.recency.push(leaf.index());
        }
        self.touch_path(&store.tree, insertion.end);
    }

    fn marked(&mut self, store: &Store, id: NodeId, _: u64) {
        self.touch_path(&store.tree, id);
    }

    fn held_otherwise(&mut self, _: &Store, _: NodeId) {}

    fn tidy(&mut self, store: &mut Store, id: NodeId) {
        if !store.is_hollow(id) {
            return;
        }
        if store.tree.child_count(id) == 0 {
            self.forget_leaf(store, id);
        } else {
            self.recency.remove(id.index());
            store.merge(id);
        }
    }

    /// What lies below a node is older than the node, and held only with it: so the oldest that nobody holds is a leaf.
    fn evict(&mut self, store: &mut Store, _: u64) -> Option<u64> {
        let id = self.recency.oldest_first().map(NodeId::from_index).find(|&id| store.is_unheld(id))?;
        let bytes = store.leaf_bytes(id);
        self.forget_leaf(store, id);
        Some(bytes)
    }
}
