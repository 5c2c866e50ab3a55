//! A radix tree that stores KV on its edges and a checkpoint at the end of each.

use workloads::radix::{NodeId, RadixTree};

use super::CacheModel;

/// The tree and what it weighs.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) tree: RadixTree,
    pub(super) model: CacheModel,
    /// Tokens on all edges.
    tokens: u64,
}

impl Store {
    pub(super) fn new(model: CacheModel) -> Self {
        Store { tree: RadixTree::new(), model, tokens: 0 }
    }

    /// Bytes of all KV and all checkpoints; the root holds nothing.
    pub(super) fn bytes(&self) -> u64 {
        let checkpoints = (self.tree.len() - 1) as u64;
        checkpoints * self.model.checkpoint_bytes() + self.tokens * self.model.kv_bytes_per_token()
    }

    /// Counts the tokens of a leaf just inserted; a split moves tokens and adds none.
    pub(super) fn count_leaf(&mut self, leaf: NodeId) {
        self.tokens += u64::from(self.tree.edge_tokens(leaf));
    }

    /// Bytes that go with a leaf: its checkpoint and the KV of its edge.
    pub(super) fn leaf_bytes(&self, id: NodeId) -> u64 {
        self.model.checkpoint_bytes() + self.model.kv_bytes(self.tree.edge_tokens(id))
    }

    /// Forgets a leaf; its parent.
    pub(super) fn remove_leaf(&mut self, id: NodeId) -> NodeId {
        self.tokens -= u64::from(self.tree.edge_tokens(id));
        self.tree.remove_leaf(id)
    }

    /// Forgets the checkpoint of a node with one child, which takes its KV; the child.
    pub(super) fn merge(&mut self, id: NodeId) -> NodeId {
        self.tree.merge_into_only_child(id)
    }
}
