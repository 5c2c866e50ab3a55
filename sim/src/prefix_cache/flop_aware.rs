//! Marconi's eviction: the node with the least of recency and saved FLOPs per byte goes first.
//!
//! Pan et al., "Marconi: Prefix Caching for the Era of Hybrid LLMs", section 4.2, with the details of its artifact
//! (`radix_cache_hybrid.py`). Candidates are nodes with at most one child; evicting one that has a child frees its
//! checkpoint only, and its KV goes to the child. Recency is 1 / age in ticks of the cache's clock. Both terms are scaled
//! to 0..1 over the candidates of the moment.

use std::collections::BTreeSet;

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
    /// Whether it is a candidate.
    listed: bool,
}

/// Nodes by recency and saved FLOPs per byte.
#[derive(Clone, Debug)]
pub(super) struct FlopAware {
    /// Weight of saved FLOPs against recency (≥ 0).
    pub(super) alpha: f64,
    mode: MarconiMode,
    worth: Vec<Worth>,
    /// Candidates, by efficiency in the order of [`f64::total_cmp`].
    by_efficiency: BTreeSet<(i64, NodeId)>,
    /// Candidates by last access.
    by_access: BTreeSet<(u64, NodeId)>,
}

impl FlopAware {
    pub(super) fn new(alpha: f64, mode: MarconiMode) -> Self {
        let worth = vec![Worth::default()];
        FlopAware { alpha, mode, worth, by_efficiency: BTreeSet::new(), by_access: BTreeSet::new() }
    }

    /// The same rule for the same nodes, whoever holds them.
    pub(super) fn relisted(&self, store: &Store) -> Self {
        let mut rule = self.clone();
        store.tree.pre_order(NodeId::ROOT).for_each(|id| rule.held_otherwise(store, id));
        rule
    }

    fn efficiency(&self, store: &Store, id: NodeId) -> f64 {
        let total = store.tree.depth_tokens(id);
        let above = total - store.tree.edge_tokens(id);
        let flops = store.model.edge_flops(above, total, self.mode == MarconiMode::Artifact);
        let bytes = store.model.checkpoint_bytes() + store.model.kv_bytes(total);
        flops / bytes as f64
    }

    /// Takes a node out of the candidates, if it is one, before anything of it changes.
    fn unlist(&mut self, id: NodeId) {
        let worth = &mut self.worth[id.index()];
        if std::mem::take(&mut worth.listed) {
            self.by_efficiency.remove(&(total_order(worth.efficiency), id));
            self.by_access.remove(&(worth.last_access, id));
        }
    }

    /// Makes a node a candidate if it may go.
    fn list(&mut self, store: &Store, id: NodeId) {
        if store.is_candidate(id) {
            let worth = &mut self.worth[id.index()];
            worth.listed = true;
            self.by_efficiency.insert((total_order(worth.efficiency), id));
            self.by_access.insert((worth.last_access, id));
        }
    }

    /// Looks anew at a node whose edge or number of children has changed.
    fn appraise(&mut self, store: &Store, id: NodeId) {
        self.unlist(id);
        self.worth[id.index()].efficiency = self.efficiency(store, id);
        self.list(store, id);
    }

    fn forget_leaf(&mut self, store: &mut Store, id: NodeId) {
        self.unlist(id);
        let parent = store.remove_leaf(id);
        // It has a child less.
        self.unlist(parent);
        self.list(store, parent);
        self.tidy(store, parent);
    }

    fn add(&mut self, store: &Store, id: NodeId, now: u64) {
        if self.worth.len() <= id.index() {
            self.worth.resize(id.index() + 1, Worth::default());
        }
        self.worth[id.index()] = Worth { last_access: now, ..Worth::default() };
        self.appraise(store, id);
    }

    /// The candidate with the lowest score, the first in pre-order of equals.
    ///
    /// Candidates are looked at in the order of either term, until the next terms of both together are above the lowest
    /// score, and so is whatever comes after them (Fagin's threshold algorithm).
    fn victim(&self, tree: &RadixTree, now: u64) -> Option<NodeId> {
        let recency = |id: NodeId| 1.0 / (now - self.worth[id.index()].last_access) as f64;
        let efficiency = |id: NodeId| self.worth[id.index()].efficiency;
        let recencies =
            Range { least: recency(self.by_access.first()?.1), greatest: recency(self.by_access.last()?.1) };
        let efficiencies = Range {
            least: efficiency(self.by_efficiency.first()?.1),
            greatest: efficiency(self.by_efficiency.last()?.1),
        };
        let efficiency_term = |id| self.alpha * efficiencies.scale(efficiency(id));
        let recency_term = |id| recencies.scale(recency(id));
        let mut lowest: Option<(f64, NodeId)> = None;
        for (&(_, efficient), &(_, recent)) in self.by_efficiency.iter().zip(&self.by_access) {
            let bound = efficiency_term(efficient) + recency_term(recent);
            if lowest.is_some_and(|(least, _)| bound > least) {
                break;
            }
            for id in [efficient, recent] {
                let score = efficiency_term(id) + recency_term(id);
                let stays = lowest
                    .is_some_and(|(least, first)| score > least || (score >= least && !is_before(tree, id, first)));
                if !stays {
                    lowest = Some((score, id));
                }
            }
        }
        lowest.map(|(_, id)| id)
    }
}

/// Whether `a` comes before `b` in pre-order.
fn is_before(tree: &RadixTree, a: NodeId, b: NodeId) -> bool {
    if a == b {
        return false;
    }
    let path = |id| {
        let mut path: Vec<NodeId> = tree.ancestry(id).collect();
        path.reverse();
        path
    };
    let (to_a, to_b) = (path(a), path(b));
    let shared = to_a.iter().zip(&to_b).take_while(|(a, b)| a == b).count();
    match (to_a.get(shared), to_b.get(shared)) {
        (None, _) => true,
        (_, None) => false,
        (Some(&a), Some(&b)) => tree.children(to_a[shared - 1]).find(|&child| child == a || child == b) == Some(a),
    }
}

/// A number that orders as [`f64::total_cmp`] does.
fn total_order(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

impl Eviction for FlopAware {
    const MERGES: bool = true;

    /// Only the deepest node matched whole that has a checkpoint is used; those above it are not.
    fn matched(&mut self, store: &Store, found: &Match, now: u64) {
        let used = store.reusable(found.node);
        self.unlist(used);
        self.worth[used.index()].last_access = now;
        self.list(store, used);
    }

    fn marked(&mut self, store: &Store, id: NodeId, now: u64) {
        self.unlist(id);
        self.worth[id.index()].last_access = now;
        self.list(store, id);
    }

    fn held_otherwise(&mut self, store: &Store, id: NodeId) {
        self.unlist(id);
        self.list(store, id);
    }

    fn inserted(&mut self, store: &Store, insertion: &Insertion, now: u64) {
        if let Some(branch) = insertion.branch {
            self.add(store, branch, now);
            let (lower, _) = insertion.found.partial.expect("a branch is where an edge was matched in part");
            self.appraise(store, lower);
        }
        if let Some(leaf) = insertion.leaf {
            self.add(store, leaf, now);
            // It has a child more.
            let parent = store.tree.parent(leaf).expect("a leaf lies below something");
            self.unlist(parent);
            self.list(store, parent);
        }
    }

    fn tidy(&mut self, store: &mut Store, id: NodeId) {
        if !store.is_hollow(id) {
            return;
        }
        if store.tree.child_count(id) == 0 {
            self.forget_leaf(store, id);
        } else {
            self.unlist(id);
            let child = store.merge(id);
            self.appraise(store, child);
        }
    }

    fn evict(&mut self, store: &mut Store, now: u64) -> Option<u64> {
        let victim = self.victim(&store.tree, now)?;
        self.unlist(victim);
        if store.tree.child_count(victim) == 1 {
            let child = store.merge(victim);
            self.unlist(child);
            let (above, below) = (self.worth[victim.index()].last_access, self.worth[child.index()].last_access);
            self.worth[child.index()].last_access = above.max(below);
            self.appraise(store, child);
            return Some(store.model.checkpoint_bytes());
        }
        let counted = match self.mode {
            MarconiMode::Paper => victim,
            MarconiMode::Artifact => store.tree.last_in_pre_order(),
        };
        let bytes = store.leaf_bytes(counted);
        self.forget_leaf(store, victim);
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
    /// 0 for the least, 1 for the greatest; 1 if all are the same.
    fn scale(&self, value: f64) -> f64 {
        if self.greatest > self.least { (value - self.least) / (self.greatest - self.least) } else { 1.0 }
    }
}
