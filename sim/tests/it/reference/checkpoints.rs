//! Prefixes with checkpoints as nested lists of tokens, searched whole for everything.

mod tuning;

use std::collections::BTreeMap;

use sim::prefix_cache::{Alpha, MarconiMode};
use sim::{BranchStates, CheckpointEviction, CheckpointSpec};
use workloads::{ContentId, RequestId};

use tuning::Tuning;

use super::job::Content;

/// A token: its content and its position in it.
pub(super) type Token = (ContentId, u32);

#[derive(Clone, Default)]
struct Node {
    edge: Vec<Token>,
    checkpoint: bool,
    stamp: u64,
    children: Vec<Node>,
}

/// Indices of children from the root on.
type Path = Vec<usize>;

/// Nodes matched whole; the child matched in part and how far; tokens matched whole.
struct Found {
    path: Path,
    partial: Option<(usize, usize)>,
    whole: usize,
}

impl Found {
    fn common(&self) -> usize {
        self.whole + self.partial.map_or(0, |(_, tokens)| tokens)
    }

    /// Where its last token lies.
    fn end(&self) -> Path {
        self.path.iter().copied().chain(self.partial.map(|(child, _)| child)).collect()
    }
}

/// What a request would find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) tokens: u32,
    /// Where it gets a checkpoint, and whether a piece must end there.
    pub(super) branch: Option<(u32, bool)>,
}

pub(super) struct Tree {
    root: Node,
    spec: CheckpointSpec,
    /// What running requests started from: everything up to the checkpoint.
    starts: BTreeMap<RequestId, Vec<Token>>,
    now: u64,
    tuning: Tuning,
    /// Whether a request that has ended is being kept.
    keeping: bool,
    pub(super) evictions: u64,
    pub(super) branches: u64,
    /// Nodes without a checkpoint that came to be.
    pub(super) bare_branches: u64,
    pub(super) not_kept: u64,
}

/// Every token of some content.
pub(super) fn spelled(content: &Content) -> Vec<Token> {
    content.iter().flat_map(|&(id, tokens)| (0..tokens).map(move |position| (id, position))).collect()
}

fn common(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl Tree {
    pub(super) fn new(spec: CheckpointSpec) -> Self {
        Tree {
            root: Node::default(),
            spec,
            starts: BTreeMap::new(),
            now: 0,
            tuning: Tuning::default(),
            keeping: false,
            evictions: 0,
            branches: 0,
            bare_branches: 0,
            not_kept: 0,
        }
    }

    fn at(&self, path: &[usize]) -> &Node {
        path.iter().fold(&self.root, |node, &child| &node.children[child])
    }

    fn at_mut(&mut self, path: &[usize]) -> &mut Node {
        path.iter().fold(&mut self.root, |node, &child| &mut node.children[child])
    }

    /// Everything from the first token to the end of a node.
    fn prefix(&self, path: &[usize]) -> Vec<Token> {
        (1..=path.len()).flat_map(|end| self.at(&path[..end]).edge.clone()).collect()
    }

    /// Every node but the root in pre-order.
    fn nodes(&self) -> Vec<Path> {
        fn visit(node: &Node, path: &mut Path, out: &mut Vec<Path>) {
            for (index, child) in node.children.iter().enumerate() {
                path.push(index);
                out.push(path.clone());
                visit(child, path, out);
                path.pop();
            }
        }
        let mut out = Vec::new();
        visit(&self.root, &mut Vec::new(), &mut out);
        out
    }

    fn find(&self, tokens: &[Token]) -> Found {
        let mut found = Found { path: Vec::new(), partial: None, whole: 0 };
        loop {
            let node = self.at(&found.path);
            let rest = &tokens[found.whole..];
            let Some(child) = node.children.iter().position(|child| common(&child.edge, rest) > 0) else {
                return found;
            };
            let length = common(&node.children[child].edge, rest);
            if length < node.children[child].edge.len() {
                found.partial = Some((child, length));
                return found;
            }
            found.path.push(child);
            found.whole += length;
        }
    }

    /// The nodes on a way down to the deepest that has a checkpoint.
    fn reusable(&self, path: &[usize]) -> Path {
        let ends = (1..=path.len()).rev();
        ends.map(|end| path[..end].to_vec()).find(|path| self.at(path).checkpoint).unwrap_or_default()
    }

    pub(super) fn hit(&self, tokens: &[Token]) -> Hit {
        let found = self.find(tokens);
        let start = self.prefix(&self.reusable(&found.path)).len() as u32;
        let common = found.common() as u32;
        let (at, cut) = match self.spec.branches {
            BranchStates::Cut => (common, true),
            BranchStates::Every(tokens) => (common - common % tokens, false),
        };
        Hit { tokens: start, branch: (at > start).then_some((at, cut)) }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.nodes().iter().map(|path| self.bytes_of(path, self.at(path).checkpoint)).sum()
    }

    fn bytes_of(&self, path: &[usize], with_checkpoint: bool) -> u64 {
        let model = &self.spec.model;
        model.kv_bytes_per_token() * self.at(path).edge.len() as u64
            + if with_checkpoint { model.checkpoint_bytes() } else { 0 }
    }

    /// Bytes that cannot be evicted if requests started from these prefixes.
    fn held_by(&self, starts: &[&[Token]]) -> u64 {
        let is_held = |path: &Path| {
            let prefix = self.prefix(path);
            starts.iter().any(|start| start.starts_with(&prefix))
        };
        let bytes = |path: &Path| {
            let node = self.at(path);
            let prefix = self.prefix(path);
            let children = (0..node.children.len()).map(|child| path.iter().copied().chain([child]).collect());
            let parts = children.filter(|child: &Path| is_held(child)).count() > 1;
            let started = starts.iter().any(|start| **start == prefix[..]);
            let only_leaves_go = self.spec.eviction == CheckpointEviction::LeafLru;
            self.bytes_of(path, node.checkpoint && (only_leaves_go || started || parts))
        };
        self.nodes().iter().filter(|path| is_held(path)).map(bytes).sum()
    }

    /// The same for the requests that run, and perhaps one that starts from this prefix.
    pub(super) fn held(&self, more: Option<&[Token]>) -> u64 {
        let starts: Vec<&[Token]> = self.starts.values().map(Vec::as_slice).chain(more).collect();
        self.held_by(&starts)
    }

    pub(super) fn held_alone(&self, start: &[Token]) -> u64 {
        self.held_by(&[start])
    }

    fn use_nodes(&mut self, found: &Found) {
        let now = self.now;
        match self.spec.eviction {
            CheckpointEviction::LeafLru => {
                let end = found.end();
                (1..=end.len()).for_each(|end_of| self.at_mut(&end[..end_of]).stamp = now);
            }
            CheckpointEviction::FlopAware { .. } => {
                let path = self.reusable(&found.path);
                self.at_mut(&path).stamp = now;
            }
        }
    }

    /// A request with these tokens is let in, having found `cached` of them.
    pub(super) fn begin(&mut self, id: RequestId, tokens: &[Token], cached: u32) {
        self.now += 1;
        self.use_nodes(&self.find(tokens));
        if cached > 0 {
            self.starts.insert(id, tokens[..cached as usize].to_vec());
        }
    }

    pub(super) fn give_up(&mut self, id: RequestId) {
        self.starts.remove(&id);
    }

    /// Evicts until no more than `room` bytes are kept, and nothing that these starts need.
    fn shrink_beside(&mut self, room: u64, starts: &[&[Token]]) {
        if self.bytes() > room {
            self.now += 1;
            self.note_eviction();
        }
        while self.bytes() > room {
            self.evict_one(starts).expect("what is not held can be evicted");
            self.evictions += 1;
        }
    }

    pub(super) fn shrink(&mut self, room: u64) {
        let starts: Vec<Vec<Token>> = self.starts.values().cloned().collect();
        self.shrink_beside(room, &starts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    pub(super) fn keep_branch(&mut self, tokens: &[Token], room: u64) {
        self.now += 1;
        let found = self.find(tokens);
        if found.common() == tokens.len() {
            self.keep_found(tokens, room);
        }
    }

    /// The weight of saved FLOPs now.
    fn alpha(&self, alpha: Alpha) -> f64 {
        match alpha {
            Alpha::Fixed(alpha) => alpha,
            Alpha::TunedOnce(_) => self.tuning.found.unwrap_or(0.0),
            Alpha::Oracle => panic!("no oracle serves"),
        }
    }

    pub(super) fn keep(&mut self, tokens: &[Token], room: u64) {
        self.now += 1;
        self.use_nodes(&self.find(tokens));
        self.keeping = true;
        self.keep_found(tokens, room);
        self.keeping = false;
    }

    fn keep_found(&mut self, tokens: &[Token], room: u64) {
        let found = self.find(tokens);
        let new = tokens.len() - found.common();
        if new == 0 && found.partial.is_none() && self.at(&found.path).checkpoint {
            return;
        }
        let model = self.spec.model;
        let need = model.checkpoint_bytes() + model.kv_bytes_per_token() * new as u64;
        let end = self.prefix(&found.end());
        let mut starts: Vec<Vec<Token>> = self.starts.values().cloned().collect();
        if !end.is_empty() {
            starts.push(end.clone());
        }
        let starts: Vec<&[Token]> = starts.iter().map(Vec::as_slice).collect();
        if self.held_by(&starts) + need > room {
            self.not_kept += 1;
            return;
        }
        self.shrink_beside(room - need, &starts);
        self.insert(tokens);
        let place = self.nodes().into_iter().find(|path| self.prefix(path) == end);
        if let Some(path) = place {
            self.tidy(&path);
        }
    }

    /// Puts these tokens into the tree, with a checkpoint at their end.
    fn insert(&mut self, tokens: &[Token]) {
        let now = self.now;
        let found = self.find(tokens);
        if self.spec.eviction == CheckpointEviction::LeafLru {
            self.use_nodes(&found);
        }
        let rest = &tokens[found.common()..];
        self.bare_branches += u64::from(found.partial.is_some() && !rest.is_empty());
        self.branches += u64::from(rest.is_empty());
        let mut node = self.at_mut(&found.path);
        if let Some((child, at)) = found.partial {
            let lower = &mut node.children[child];
            let upper = Node { edge: lower.edge[..at].to_vec(), stamp: now, ..Node::default() };
            lower.edge.drain(..at);
            let lower = std::mem::replace(lower, upper);
            node = &mut node.children[child];
            node.children.push(lower);
        }
        if rest.is_empty() {
            (node.checkpoint, node.stamp) = (true, now);
        } else {
            let leaf = Node { edge: rest.to_vec(), checkpoint: true, stamp: now, children: Vec::new() };
            node.children.push(leaf);
        }
    }

    /// Forgets one node; the bytes that caches alone count as freed.
    fn evict_one(&mut self, starts: &[&[Token]]) -> Option<u64> {
        let is_held = |path: &[usize]| {
            let prefix = self.prefix(path);
            starts.iter().any(|start| start.starts_with(&prefix))
        };
        let leaves = self.nodes().into_iter().filter(|path| self.at(path).children.is_empty() && !is_held(path));
        let (victim, counted) = match self.spec.eviction {
            CheckpointEviction::LeafLru => (leaves.min_by_key(|path| self.at(path).stamp)?, 0),
            CheckpointEviction::FlopAware { mode, alpha } => {
                let may_go = |path: &Path| match self.at(path).children.len() {
                    0 => !is_held(path),
                    1 => {
                        let prefix = self.prefix(path);
                        self.at(path).checkpoint && !starts.iter().any(|start| **start == prefix[..])
                    }
                    _ => false,
                };
                let candidates: Vec<Path> = self.nodes().into_iter().filter(may_go).collect();
                let last = candidates.last()?.clone();
                let slips = mode == MarconiMode::Artifact;
                let victim = self.lowest(candidates, slips, self.alpha(alpha))?;
                let counted = match self.at(&victim).children.len() {
                    0 => self.bytes_of(if slips { &last } else { &victim }, true),
                    _ => self.spec.model.checkpoint_bytes(),
                };
                (victim, counted)
            }
        };
        self.forget(&victim, starts);
        Some(counted)
    }

    /// The candidate with the lowest score, the first of equals.
    fn lowest(&self, candidates: Vec<Path>, slips: bool, alpha: f64) -> Option<Path> {
        let efficiency = scaled(candidates.iter().map(|path| self.efficiency(path, slips)).collect());
        let recency = |path: &Path| 1.0 / (self.now - self.at(path).stamp) as f64;
        let recency = scaled(candidates.iter().map(recency).collect());
        let scores: Vec<f64> = efficiency.iter().zip(recency).map(|(e, r)| alpha * e + r).collect();
        let least = scores.iter().copied().reduce(f64::min)?;
        let place = scores.iter().position(|score| score.total_cmp(&least).is_eq())?;
        candidates.into_iter().nth(place)
    }

    fn efficiency(&self, path: &[usize], slips: bool) -> f64 {
        let model = &self.spec.model;
        let total = self.prefix(path).len() as u32;
        let above = total - self.at(path).edge.len() as u32;
        let bytes = model.checkpoint_bytes() + model.kv_bytes_per_token() * u64::from(total);
        model.edge_flops(above, total, slips) / bytes as f64
    }

    /// Forgets a leaf, or the checkpoint of a node with one child. A node that is left without checkpoint and with one child
    /// becomes one with it.
    fn forget(&mut self, path: &[usize], starts: &[&[Token]]) {
        let (&last, above) = path.split_last().expect("the root stays");
        if !self.at(path).children.is_empty() {
            let stamp = self.at(path).stamp;
            let child = self.join(path);
            child.stamp = child.stamp.max(stamp);
            return;
        }
        self.at_mut(above).children.remove(last);
        let prefix = self.prefix(above);
        if !starts.iter().any(|start| **start == prefix[..]) {
            self.tidy(above);
        }
    }

    /// Does away with a node without checkpoint at which nothing parts.
    fn tidy(&mut self, path: &[usize]) {
        let node = self.at(path);
        match (path.split_last(), node.children.len()) {
            (Some((&last, above)), 0) if !node.checkpoint => {
                self.at_mut(above).children.remove(last);
                self.tidy(above);
            }
            (Some(_), 1) if !node.checkpoint => {
                self.join(path);
            }
            _ => {}
        }
    }

    /// Makes a node one with its only child.
    fn join(&mut self, path: &[usize]) -> &mut Node {
        let node = self.at_mut(path);
        let child = node.children.pop().expect("it has a child");
        node.edge.extend(child.edge);
        (node.checkpoint, node.stamp, node.children) = (child.checkpoint, child.stamp, child.children);
        node
    }

    /// Whether anybody still holds anything.
    pub(super) fn is_held(&self) -> bool {
        !self.starts.is_empty()
    }
}

fn scaled(values: Vec<f64>) -> Vec<f64> {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scale = |value: f64| if greatest > least { (value - least) / (greatest - least) } else { 1.0 };
    values.into_iter().map(scale).collect()
}
