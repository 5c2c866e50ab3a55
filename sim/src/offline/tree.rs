//! The tree of prompts with what the requests in each subtree demand.

use workloads::radix::{NodeId, RadixTree};

use super::demand::{Demand, Work};

/// Index of a node.
pub(super) type Node = u32;

/// The root.
pub(super) const ROOT: Node = 0;

/// Requests as leaves below what they share, and what each subtree comes to.
#[derive(Clone, Debug)]
pub struct ResourceTree {
    pub(super) nodes: Vec<ResourceNode>,
}

#[derive(Clone, Debug)]
pub(super) struct ResourceNode {
    /// Tokens from the root to its end.
    pub(super) depth: u32,
    /// Tokens from the root to its parent's end: what it may share.
    pub(super) above: u32,
    /// Its request, if it is a leaf.
    pub(super) request: Option<u32>,
    /// In order; requests that end where others go on come first.
    pub(super) children: Vec<Node>,
    pub(super) requests: u32,
    /// Σ over its requests, each as if it shared nothing.
    pub(super) work: Work,
    /// Prompt tokens that its requests need not compute if each segment that they share is computed once, the path to this node
    /// included.
    pub(super) saved_tokens: u64,
    /// Compute that this saves, in nanoseconds, attention among the saved tokens included.
    pub(super) saved_ns: f64,
    /// Σ prompt tokens of its requests.
    pub(super) prompt_tokens: u64,
    /// Σ of their expected answers, in tokens.
    pub(super) output_tokens: f64,
    /// Compute that is left ÷ memory.
    pub(super) density: f64,
}

impl ResourceTree {
    /// The tree of requests whose prompts end at `ends` of `tree` and whose answers are expected to be `outputs` long.
    pub fn new(tree: &RadixTree, ends: &[NodeId], outputs: &[f64], demand: &Demand) -> Self {
        let order: Vec<NodeId> = tree.pre_order(NodeId::ROOT).collect();
        // Requests by the node at which they end, in their order.
        let mut heads = vec![u32::MAX; tree.slots()];
        let mut next = vec![u32::MAX; ends.len()];
        for (request, end) in ends.iter().enumerate().rev() {
            next[request] = std::mem::replace(&mut heads[end.index()], request as u32);
        }
        let mut built = ResourceTree { nodes: Vec::with_capacity(order.len() + ends.len()) };
        // Where each node of `tree` went.
        let mut places = vec![ROOT; tree.slots()];
        for &id in &order {
            let depth = tree.depth_tokens(id);
            let first = heads[id.index()];
            let alone = first != u32::MAX && next[first as usize] == u32::MAX && tree.child_count(id) == 0;
            let leaf = |request: u32| {
                let (prompt_tokens, output) = (u64::from(depth), outputs[request as usize]);
                ResourceNode::leaf(depth, request, demand.work(depth, output), prompt_tokens, output)
            };
            let node = if alone { leaf(first) } else { ResourceNode::inner(depth) };
            let place = built.nodes.len() as Node;
            built.nodes.push(node);
            places[id.index()] = place;
            if let Some(parent) = tree.parent(id) {
                built.nodes[place as usize].above = tree.depth_tokens(parent);
                built.nodes[places[parent.index()] as usize].children.push(place);
            }
            let mut request = if alone { u32::MAX } else { first };
            while request != u32::MAX {
                let child = built.nodes.len() as Node;
                built.nodes.push(ResourceNode { above: depth, ..leaf(request) });
                built.nodes[place as usize].children.push(child);
                request = next[request as usize];
            }
        }
        built.sum_up(demand);
        built
    }

    /// Sums from the leaves up: children come after their parents.
    fn sum_up(&mut self, demand: &Demand) {
        for place in (0..self.nodes.len()).rev() {
            let mut node = std::mem::replace(&mut self.nodes[place], ResourceNode::inner(0));
            for &child in &node.children {
                let child = &self.nodes[child as usize];
                node.requests += child.requests;
                node.work.compute_ns += child.work.compute_ns;
                node.work.memory_ns += child.work.memory_ns;
                node.prompt_tokens += child.prompt_tokens;
                node.output_tokens += child.output_tokens;
                node.saved_tokens += child.saved_tokens;
                node.saved_ns += child.saved_ns;
            }
            // What children save assumes that each computes the path to here once; all do it once together.
            let paths = (node.children.len() as u64).saturating_sub(1);
            node.saved_tokens += paths * u64::from(node.depth);
            node.saved_ns += paths as f64 * demand.prompt_ns(node.depth);
            let left_ns = node.work.compute_ns - node.saved_ns;
            node.density = left_ns.max(0.0) / node.work.memory_ns;
            self.nodes[place] = node;
        }
    }

    /// Sorts the children of every node by density, the most compute-heavy first (*`BlendServe`*, algorithm 1).
    pub fn sort_layers(&mut self) {
        for place in 0..self.nodes.len() {
            let mut children = std::mem::take(&mut self.nodes[place].children);
            children.sort_by(|&a, &b| self.density(b).total_cmp(&self.density(a)));
            self.nodes[place].children = children;
        }
    }

    /// Density of everything: compute that is left if all that is shared is computed once ÷ memory.
    pub fn root_density(&self) -> f64 {
        self.density(ROOT)
    }

    /// Prompt tokens that depth-first order saves at best ÷ all prompt tokens.
    pub fn sharing(&self) -> f64 {
        let root = self.node(ROOT);
        root.saved_tokens as f64 / root.prompt_tokens as f64
    }

    /// Time that the requests demand: of compute what is left, and of memory.
    pub fn work_left(&self) -> Work {
        let root = self.node(ROOT);
        Work { compute_ns: root.work.compute_ns - root.saved_ns, memory_ns: root.work.memory_ns }
    }

    /// Compute that sharing saves at best, in nanoseconds.
    pub(super) fn saved_ns(&self) -> f64 {
        self.node(ROOT).saved_ns
    }

    pub(super) fn node(&self, node: Node) -> &ResourceNode {
        &self.nodes[node as usize]
    }

    pub(super) fn density(&self, node: Node) -> f64 {
        self.node(node).density
    }

    /// Calls `visit` with the leaves below `node`, in order.
    pub(super) fn each_leaf(&self, node: Node, mut visit: impl FnMut(Node)) {
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            if self.node(node).request.is_some() {
                visit(node);
            }
            stack.extend(self.node(node).children.iter().rev());
        }
    }
}

impl ResourceNode {
    fn inner(depth: u32) -> Self {
        ResourceNode {
            depth,
            above: 0,
            request: None,
            children: Vec::new(),
            requests: 0,
            work: Work::default(),
            saved_tokens: 0,
            saved_ns: 0.0,
            prompt_tokens: 0,
            output_tokens: 0.0,
            density: 0.0,
        }
    }

    fn leaf(depth: u32, request: u32, work: Work, prompt_tokens: u64, output_tokens: f64) -> Self {
        ResourceNode {
            request: Some(request),
            requests: 1,
            work,
            prompt_tokens,
            output_tokens,
            density: work.density(),
            ..ResourceNode::inner(depth)
        }
    }
}
