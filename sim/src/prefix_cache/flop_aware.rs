//! Marconi's eviction: the node with the least of recency and saved FLOPs per byte goes first.
//!
//! Pan et al., "Marconi: Prefix Caching for the Era of Hybrid LLMs", section 4.2, with the details of its artifact
//! (`radix_cache_hybrid.py`). Candidates are nodes with at most one child; evicting one that has a child frees its
//! checkpoint only, and its KV goes to the child. Recency is 1 / age in ticks of the cache's clock. Both terms are scaled
//! to 0..1 over the candidates of the moment.

use workloads::radix::{Insertion, Match, NodeId, RadixTree};

use super::radix_cache::Eviction;
use super::store::Store;

/// How faithfully slips of the published artifact are followed. Results of the two must not be compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarconiMode {
    /// What the paper says.
    Paper,
    /// What its artifact does: in a node's saved FLOPs, attention FLOPs are taken off those of the feed-forward layers;
    /// and evicting a leaf counts as freed the bytes of the last candidate instead of its own, so that the cache can
    /// stay above its capacity or far below.
    Artifact,
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, Default)]
struct Worth {
    last_access: u64,
    /// FLOPs that its edge saves, per byte of its whole prefix and one checkpoint.
    efficiency: f64,
}

/// Nodes by recency and saved FLOPs per byte.
#[derive(Debug)]
pub(super) struct FlopAware {
    /// Weight of saved FLOPs against recency (≥ 0).
    pub(super) alpha: f64,
    mode: MarconiMode,
    worth: Vec<Worth>,
    /// Kept between evictions for its memory alone.
    candidates: Vec<NodeId>,
}

impl FlopAware {
    pub(super) fn new(alpha: f64, mode: MarconiMode) -> Self {
        FlopAware { alpha, mode, worth: vec![Worth::default()], candidates: Vec::new() }
    }

    /// Works out the efficiency of a node whose edge is new.
    fn appraise(&mut self, store: &Store, id: NodeId) {
        let total = store.tree.depth_tokens(id);
        let above = total - store.tree.edge_tokens(id);
        let flops = store.model.edge_flops(above, total, self.mode == MarconiMode::Artifact);
        let bytes = store.model.checkpoint_bytes() + store.model.kv_bytes(total);
        self.worth[id.index()].efficiency = flops / bytes as f64;
    }

    fn add(&mut self, store: &Store, id: NodeId, now: u64) {
        if self.worth.len() <= id.index() {
            self.worth.resize(id.index() + 1, Worth::default());
        }
        self.worth[id.index()].last_access = now;
        self.appraise(store, id);
    }

    /// The candidate with the lowest score, the first in pre-order of equals.
    fn victim(&self, now: u64) -> Option<NodeId> {
        let recency = |id: NodeId| 1.0 / (now - self.worth[id.index()].last_access) as f64;
        let efficiency = |id: NodeId| self.worth[id.index()].efficiency;
        let (mut recencies, mut efficiencies) = (Range::EMPTY, Range::EMPTY);
        for &id in &self.candidates {
            recencies.widen(recency(id));
            efficiencies.widen(efficiency(id));
        }
        let mut lowest: Option<(f64, NodeId)> = None;
        for &id in &self.candidates {
            let score = self.alpha * efficiencies.scale(efficiency(id)) + recencies.scale(recency(id));
            if lowest.is_none_or(|(least, _)| score < least) {
                lowest = Some((score, id));
            }
        }
        lowest.map(|(_, id)| id)
    }
}

impl Eviction for FlopAware {
    /// Only the deepest node matched whole is used; those above it are not.
    fn matched(&mut self, _: &RadixTree, found: &Match, now: u64) {
        self.worth[found.node.index()].last_access = now;
    }

    fn inserted(&mut self, store: &Store, insertion: &Insertion, now: u64) {
        if let Some(branch) = insertion.branch {
            self.add(store, branch, now);
            let (lower, _) = insertion.found.partial.expect("a branch is where an edge was matched in part");
            self.appraise(store, lower);
        }
        if let Some(leaf) = insertion.leaf {
            self.add(store, leaf, now);
        }
    }

    fn evict(&mut self, store: &mut Store, now: u64) -> Option<u64> {
        self.candidates.clear();
        let nodes = store.tree.pre_order(NodeId::ROOT).skip(1);
        self.candidates.extend(nodes.filter(|&id| store.tree.child_count(id) <= 1));
        let victim = self.victim(now)?;
        if store.tree.child_count(victim) == 1 {
            let child = store.merge(victim);
            let (above, below) = (self.worth[victim.index()].last_access, self.worth[child.index()].last_access);
            self.worth[child.index()].last_access = above.max(below);
            self.appraise(store, child);
            return Some(store.model.checkpoint_bytes());
        }
        let counted = match self.mode {
            MarconiMode::Paper => victim,
            MarconiMode::Artifact => *self.candidates.last().expect("the victim is one of them"),
        };
        let bytes = store.leaf_bytes(counted);
        store.remove_leaf(victim);
        Some(bytes)
    }
}

/// The least and the greatest of some numbers.
#[derive(Clone, Copy, Debug)]
struct Range {
    least: f64,
    greatest: f64,
}

impl Range {
    const EMPTY: Range = Range { least: f64::INFINITY, greatest: f64::NEG_INFINITY };

    fn widen(&mut self, value: f64) {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }

    /// 0 for the least, 1 for the greatest; 1 if all are the same.
    fn scale(&self, value: f64) -> f64 {
        if self.greatest > self.least { (value - self.least) / (self.greatest - self.least) } else { 1.0 }
    }
}
