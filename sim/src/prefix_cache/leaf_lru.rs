//! SGLang's eviction: the least recently used leaf goes first, whole.
//!
//! For transformers that is SGLang's radix cache; with checkpoints where prompts branch and where sequences end, it is the
//! SGLang+ of the Marconi paper. Every node on the way of a match is used; of a child matched in part SGLang uses the
//! matched part, which it splits off, and SGLang+ all of it.

use std::collections::BTreeSet;

use workloads::radix::{Insertion, Match, NodeId};

use super::radix_cache::Eviction;
use super::store::Store;

/// Leaves by their last use.
///
/// Only leaves that nobody holds are listed, so that the first one listed goes, however many are held.
#[derive(Clone, Debug)]
pub(super) struct LeafLru {
    uses: Vec<Use>,
    leaves: BTreeSet<(u64, NodeId)>,
    /// Uses so far.
    clock: u64,
    /// Whether a match in part uses the whole child.
    uses_partial: bool,
}

/// The last use of a node, and whether it is a leaf that can go.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    last: u64,
    listed: bool,
}

impl LeafLru {
    pub(super) fn new(uses_partial: bool) -> Self {
        LeafLru { uses: vec![Use::default()], leaves: BTreeSet::new(), clock: 0, uses_partial }
    }

    fn unlist(&mut self, id: NodeId) {
        let used = &mut self.uses[id.index()];
        if std::mem::take(&mut used.listed) {
            self.leaves.remove(&(used.last, id));
        }
    }

    fn list(&mut self, store: &Store, id: NodeId) {
        if store.is_free_leaf(id) {
            let used = &mut self.uses[id.index()];
            used.listed = true;
            self.leaves.insert((used.last, id));
        }
    }

    /// Looks anew at a node whose children or holders have changed.
    fn relist(&mut self, store: &Store, id: NodeId) {
        self.unlist(id);
        self.list(store, id);
    }

    fn forget_leaf(&mut self, store: &mut Store, id: NodeId) {
        self.unlist(id);
        let parent = store.remove_leaf(id);
        self.list(store, parent);
        self.tidy(store, parent);
    }

    /// Uses a node and all above it. Only the lowest of them can be a leaf, so that no two leaves were last used at once.
    fn touch_path(&mut self, store: &Store, end: NodeId) {
        self.clock += 1;
        self.unlist(end);
        for id in store.tree.ancestry(end) {
            self.uses[id.index()].last = self.clock;
        }
        self.list(store, end);
    }
}

impl Eviction for LeafLru {
    const MERGES: bool = false;

    fn matched(&mut self, store: &Store, found: &Match, _: u64) {
        let partial = found.partial.filter(|_| self.uses_partial);
        self.touch_path(store, partial.map_or(found.node, |(child, _)| child));
    }

    fn inserted(&mut self, store: &Store, insertion: &Insertion, _: u64) {
        self.uses.resize(store.tree.slots(), Use::default());
        if let (Some(_), Some((lower, _))) = (insertion.branch, insertion.found.partial)
            && self.uses_partial
        {
            self.touch_path(store, lower);
        }
        if let Some(leaf) = insertion.leaf {
            self.unlist(store.tree.parent(leaf).expect("a leaf lies below something"));
        }
        self.touch_path(store, insertion.end);
    }

    fn marked(&mut self, store: &Store, id: NodeId, _: u64) {
        self.touch_path(store, id);
    }

    fn held_otherwise(&mut self, store: &Store, id: NodeId) {
        self.relist(store, id);
    }

    fn tidy(&mut self, store: &mut Store, id: NodeId) {
        if !store.is_hollow(id) {
            return;
        }
        if store.tree.child_count(id) == 0 {
            self.forget_leaf(store, id);
        } else {
            store.merge(id);
        }
    }

    fn evict(&mut self, store: &mut Store, _: u64) -> Option<u64> {
        let &(_, id) = self.leaves.first()?;
        let bytes = store.leaf_bytes(id);
        self.forget_leaf(store, id);
        Some(bytes)
    }
}
