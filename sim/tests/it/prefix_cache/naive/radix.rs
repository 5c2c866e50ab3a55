//! A radix tree as nested lists.

use sim::prefix_cache::HybridShape;

use super::{Naive, Token, checkpoint_bytes, common, token_bytes};

/// What goes first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// The least recently used leaf. Whether a child matched in part is used whole.
    LeafLru { uses_partial: bool },
    /// The lowest of `alpha` × saved FLOPs per byte + recency, with or without the artifact's slips.
    FlopAware { alpha: f64, slips: bool },
}

#[derive(Debug, Default)]
struct Node {
    edge: Vec<Token>,
    stamp: u64,
    children: Vec<Node>,
}

/// A radix cache.
#[derive(Debug)]
pub(crate) struct NaiveRadix {
    root: Node,
    shape: HybridShape,
    capacity: u64,
    rule: Rule,
    any_token: bool,
    now: u64,
    has_evicted: bool,
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
}

impl NaiveRadix {
    pub(crate) fn new(shape: HybridShape, capacity: u64, rule: Rule, any_token: bool) -> Self {
        NaiveRadix { root: Node::default(), shape, capacity, rule, any_token, now: 0, has_evicted: false }
    }

    /// Forgets by another rule from now on.
    pub(crate) fn set_rule(&mut self, rule: Rule) {
        self.rule = rule;
    }

    /// Whether there was ever too little room.
    pub(crate) fn has_evicted(&self) -> bool {
        self.has_evicted
    }

    fn at(&self, path: &[usize]) -> &Node {
        path.iter().fold(&self.root, |node, &child| &node.children[child])
    }

    fn at_mut(&mut self, path: &[usize]) -> &mut Node {
        path.iter().fold(&mut self.root, |node, &child| &mut node.children[child])
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

    fn match_at_next_tick(&mut self, tokens: &[Token]) -> Found {
        self.now += 1;
        let found = self.find(tokens);
        self.use_nodes(&found);
        found
    }

    fn use_nodes(&mut self, found: &Found) {
        let now = self.now;
        match self.rule {
            Rule::LeafLru { uses_partial } => {
                for end in 1..=found.path.len() {
                    self.at_mut(&found.path[..end]).stamp = now;
                }
                if let Some((child, _)) = found.partial.filter(|_| uses_partial) {
                    self.at_mut(&found.path).children[child].stamp = now;
                }
            }
            Rule::FlopAware { .. } => self.at_mut(&found.path).stamp = now,
        }
    }

    /// Every node but the root in pre-order: its path and its length from the root.
    fn nodes(&self) -> Vec<(Path, usize)> {
        fn visit(node: &Node, path: &mut Path, depth: usize, out: &mut Vec<(Path, usize)>) {
            for (index, child) in node.children.iter().enumerate() {
                path.push(index);
                out.push((path.clone(), depth + child.edge.len()));
                visit(child, path, depth + child.edge.len(), out);
                path.pop();
            }
        }
        let mut out = Vec::new();
        visit(&self.root, &mut Vec::new(), 0, &mut out);
        out
    }

    fn leaf_bytes(&self, path: &[usize]) -> u64 {
        checkpoint_bytes(&self.shape) + token_bytes(&self.shape) * self.at(path).edge.len() as u64
    }

    fn remove_leaf(&mut self, path: &[usize]) {
        let (&last, above) = path.split_last().unwrap();
        self.at_mut(above).children.remove(last);
    }

    /// Forgets one node; bytes counted as freed.
    fn evict_one(&mut self) -> Option<u64> {
        let nodes = self.nodes();
        match self.rule {
            Rule::LeafLru { .. } => {
                let leaves = nodes.iter().filter(|(path, _)| self.at(path).children.is_empty());
                let (path, _) = leaves.min_by_key(|(path, _)| self.at(path).stamp)?;
                let freed = self.leaf_bytes(path);
                self.remove_leaf(path);
                Some(freed)
            }
            Rule::FlopAware { alpha, slips } => {
                let candidates: Vec<_> =
                    nodes.into_iter().filter(|(path, _)| self.at(path).children.len() <= 1).collect();
                let efficiency: Vec<f64> =
                    candidates.iter().map(|(path, total)| self.efficiency(path, *total, slips)).collect();
                let recency: Vec<f64> =
                    candidates.iter().map(|(path, _)| 1.0 / (self.now - self.at(path).stamp) as f64).collect();
                let (efficiency, recency) = (scaled(&efficiency), scaled(&recency));
                let scores: Vec<f64> = efficiency.iter().zip(recency).map(|(e, r)| alpha * e + r).collect();
                let least = scores.iter().copied().reduce(f64::min)?;
                let victim = scores.iter().position(|score| score.total_cmp(&least).is_eq()).unwrap();
                let path = &candidates[victim].0;
                if self.at(path).children.len() == 1 {
                    let node = self.at_mut(path);
                    let child = node.children.pop().unwrap();
                    node.edge.extend(child.edge);
                    node.stamp = node.stamp.max(child.stamp);
                    node.children = child.children;
                    return Some(checkpoint_bytes(&self.shape));
                }
                let counted = if slips { &candidates.last().unwrap().0 } else { path };
                let freed = self.leaf_bytes(counted);
                self.remove_leaf(path);
                Some(freed)
            }
        }
    }

    /// FLOPs saved by the node's edge per byte of its whole prefix.
    fn efficiency(&self, path: &[usize], total: usize, slips: bool) -> f64 {
        let shape = &self.shape;
        let (d, n) = (i128::from(shape.width), i128::from(shape.state));
        let attention = |l: i128| 8 * l * d * d + 4 * l * l * d;
        let mlp = |l: i128| 16 * l * d * d;
        let ssm = |l: i128| 12 * l * d * d + 16 * l * d * n + 10 * l * d;
        let (total, edge) = (total as i128, self.at(path).edge.len() as i128);
        let above = total - edge;
        let off_mlp = if slips { attention(above) } else { mlp(above) };
        let saved = i128::from(shape.ssm_layers) * ssm(edge)
            + i128::from(shape.attention_layers) * (attention(total) - attention(above))
            + i128::from(shape.mlp_layers) * (mlp(total) - off_mlp);
        saved as f64 / (checkpoint_bytes(shape) + token_bytes(shape) * total as u64) as f64
    }
}

fn scaled(values: &[f64]) -> Vec<f64> {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scale = |&value: &f64| if greatest > least { (value - least) / (greatest - least) } else { 1.0 };
    values.iter().map(scale).collect()
}

impl Naive for NaiveRadix {
    fn lookup(&mut self, input: &[Token]) -> usize {
        let found = self.match_at_next_tick(input);
        if self.any_token { found.common() } else { found.whole }
    }

    fn insert(&mut self, sequence: &[Token]) {
        self.now += 1;
        let found = self.match_at_next_tick(sequence);
        let checkpoints = if found.partial.is_some() { 2 } else { 1 };
        let need = checkpoints * checkpoint_bytes(&self.shape)
            + token_bytes(&self.shape) * (sequence.len() - found.common()) as u64;
        let wanted = self.bytes() + need;
        if wanted > self.capacity {
            self.now += 1;
            self.has_evicted = true;
            let mut freed = 0;
            while freed < wanted - self.capacity {
                let Some(counted) = self.evict_one() else { break };
                freed += counted;
            }
        }
        let found = self.find(sequence);
        if let Rule::LeafLru { .. } = self.rule {
            self.use_nodes(&found);
        }
        let (now, rest) = (self.now, &sequence[found.common()..]);
        let mut node = self.at_mut(&found.path);
        if let Some((child, at)) = found.partial {
            let lower = &mut node.children[child];
            let upper = Node { edge: lower.edge[..at].to_vec(), stamp: now, children: Vec::new() };
            lower.edge.drain(..at);
            let lower = std::mem::replace(lower, upper);
            node = &mut node.children[child];
            node.children.push(lower);
        }
        if !rest.is_empty() {
            node.children.push(Node { edge: rest.to_vec(), stamp: now, children: Vec::new() });
        }
    }

    fn bytes(&self) -> u64 {
        self.nodes().iter().map(|(path, _)| self.leaf_bytes(path)).sum()
    }

    fn entries(&self) -> usize {
        self.nodes().len()
    }
}
