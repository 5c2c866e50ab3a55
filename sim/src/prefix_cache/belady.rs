//! The bound: a cache that knows all requests to come.
//!
//! It keeps KV token by token, always those that are needed soonest (Belady, "A Study of Replacement Algorithms for a
//! Virtual-Storage Computer", 1966), and every token has a checkpoint that weighs nothing. All tokens weigh the same, and
//! whoever needs a token needs those before it, so no cache that stays within these bytes reuses more. For transformers
//! that is the optimum; for hybrids, whose checkpoints do weigh, no cache may reach it.

use std::collections::BinaryHeap;

use workloads::Span;
use workloads::radix::{NodeId, RadixTree};

use super::replay::Turn;
use super::{CacheModel, Held, Hit, PrefixCache};

/// When there is no next use.
const NEVER: u32 = u32::MAX;

/// A node of the tree of everything that is to come.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Its tokens that are cached, from the first of its edge on.
    cached: u32,
    /// Requests whose prompts go through it, the next one last.
    uses: Vec<u32>,
}

impl Node {
    fn next_use(&self) -> u32 {
        self.uses.last().copied().unwrap_or(NEVER)
    }
}

/// Tokens by when they are needed next.
#[derive(Debug)]
pub(super) struct Belady {
    tree: RadixTree,
    nodes: Vec<Node>,
    /// By next use, and of the same by depth; entries of nodes whose next use has changed since are passed over.
    latest: BinaryHeap<(u32, u32, NodeId)>,
    capacity_tokens: u64,
    kv_bytes_per_token: u64,
    cached: u64,
    peak: u64,
}

impl Belady {
    pub(super) fn new(model: &CacheModel, capacity: u64, turns: &[Turn]) -> Self {
        let mut tree = RadixTree::new();
        for turn in turns {
            tree.insert(turn.input());
            tree.insert(turn.sequence());
        }
        let mut nodes = vec![Node::default(); tree.slots()];
        for (index, turn) in turns.iter().enumerate().rev() {
            tree.find_each(turn.input(), |id| nodes[id.index()].uses.push(index as u32));
        }
        let kv_bytes_per_token = model.kv_bytes_per_token();
        // Without attention layers nothing weighs anything.
        let capacity_tokens = capacity.checked_div(kv_bytes_per_token).unwrap_or(u64::MAX);
        Belady { tree, nodes, latest: BinaryHeap::new(), capacity_tokens, kv_bytes_per_token, cached: 0, peak: 0 }
    }

    /// Forgets tokens, those needed last first, until the rest fits.
    fn evict(&mut self) {
        while self.cached > self.capacity_tokens {
            let &(next_use, _, id) = self.latest.peek().expect("every cached node has an entry");
            let node = &mut self.nodes[id.index()];
            if node.next_use() == next_use {
                let cut = u64::from(node.cached).min(self.cached - self.capacity_tokens);
                node.cached -= cut as u32;
                self.cached -= cut;
                if node.cached > 0 {
                    return;
                }
            }
            self.latest.pop();
        }
    }
}

impl PrefixCache for Belady {
    fn lookup(&mut self, input: &[Span]) -> Hit {
        let Belady { tree, nodes, .. } = self;
        let (mut tokens, mut whole) = (0, true);
        tree.find_each(input, |id| {
            let node = &mut nodes[id.index()];
            node.uses.pop();
            if whole {
                tokens += node.cached;
                whole = node.cached == tree.edge_tokens(id);
            }
        });
        Hit { tokens, ..Hit::default() }
    }

    fn insert(&mut self, sequence: &[Span]) {
        let Belady { tree, nodes, latest, cached, .. } = self;
        tree.find_each(sequence, |id| {
            let node = &mut nodes[id.index()];
            let edge = tree.edge_tokens(id);
            *cached += u64::from(edge - node.cached);
            node.cached = edge;
            latest.push((node.next_use(), tree.depth_tokens(id), id));
        });
        self.evict();
        self.peak = self.peak.max(self.cached);
    }

    /// Nodes with any token cached.
    fn held(&self) -> Held {
        Held {
            entries: self.nodes.iter().filter(|node| node.cached > 0).count() as u64,
            bytes: self.cached * self.kv_bytes_per_token,
            peak_bytes: self.peak * self.kv_bytes_per_token,
        }
    }
}
