//! What prompts have in common, as a compact radix tree.
//!
//! An edge is a run of tokens, a node the end of one. A token is its content and its position in it, so two prompts
//! share exactly as far as their spans agree, whatever the blocks of an engine. The tree holds structure only: its users
//! keep what they know of a node in a `Vec` by [`NodeId::index`].
//!
//! Children have the order in which they were added, and no order depends on a hash, so that everything computed by
//! walking a tree is the same in every run.

mod edge;
mod edit;
#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use crate::request::{ContentId, Span};
pub use edge::Run;
use edge::{Cursor, common};
pub use edit::Insertion;

/// Name of a node. Names of removed nodes are given to new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The root, which is always there and has no edge.
    pub const ROOT: NodeId = NodeId(0);
    /// Stands for no node in links.
    const NONE: NodeId = NodeId(u32::MAX);

    /// Where users keep what they know of this node: below [`RadixTree::slots`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The node kept at this place; it must be in the tree.
    pub fn from_index(index: usize) -> Self {
        NodeId(u32::try_from(index).expect("a tree has fewer than 2^32 nodes"))
    }

    fn some(self) -> Option<NodeId> {
        (self != NodeId::NONE).then_some(self)
    }
}

#[derive(Clone, Debug)]
struct Node {
    parent: NodeId,
    first_child: NodeId,
    last_child: NodeId,
    previous: NodeId,
    next: NodeId,
    children: u32,
    /// Tokens from the root to the end of this node's edge.
    depth: u32,
    /// Its edge; empty for the root alone.
    edge: Box<[Run]>,
}

/// How far a prompt follows a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The deepest node whose whole edge the prompt follows.
    pub node: NodeId,
    /// Tokens from the root to the end of `node`.
    pub tokens: u32,
    /// The child of `node` the prompt follows part of the edge of, and how many tokens of it (≥ 1, fewer than all).
    pub partial: Option<(NodeId, u32)>,
}

impl Match {
    /// Tokens the prompt has in common with the tree, those within an edge included.
    pub fn common_tokens(&self) -> u32 {
        self.tokens + self.partial.map_or(0, |(_, tokens)| tokens)
    }
}

/// A compact radix tree over the tokens of prompts: the first tokens of no two children of a node are the same.
///
/// Finding and inserting take time in proportion to the spans of the prompt and the nodes on its path.
#[derive(Clone, Debug)]
pub struct RadixTree {
    nodes: Vec<Node>,
    unused: Vec<NodeId>,
    /// The child of a node that begins with a token, for nodes of more than [`SCANNED`] children. Never iterated.
    index: FxHashMap<(NodeId, ContentId, u32), NodeId>,
}

/// Up to so many children are looked through one by one, which is faster than the index and needs no memory.
const SCANNED: u32 = 4;

impl Default for RadixTree {
    fn default() -> Self {
        RadixTree::new()
    }
}

impl RadixTree {
    /// A tree of the root alone.
    pub fn new() -> Self {
        let root = Node {
            parent: NodeId::NONE,
            first_child: NodeId::NONE,
            last_child: NodeId::NONE,
            previous: NodeId::NONE,
            next: NodeId::NONE,
            children: 0,
            depth: 0,
            edge: Box::default(),
        };
        RadixTree { nodes: vec![root], unused: Vec::new(), index: FxHashMap::default() }
    }

    /// Nodes in the tree, the root included.
    pub fn len(&self) -> usize {
        self.nodes.len() - self.unused.len()
    }

    /// Whether the root is alone.
    pub fn is_empty(&self) -> bool {
        self.len() == 1
    }

    /// One more than the highest [`NodeId::index`] so far.
    pub fn slots(&self) -> usize {
        self.nodes.len()
    }

    /// The node above; `None` for the root.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).parent.some()
    }

    /// How many children a node has.
    pub fn child_count(&self, id: NodeId) -> u32 {
        self.node(id).children
    }

    /// Its children, the first added first. A split or merge leaves what takes a child's place where the child was.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.node(id).first_child.some(), |&child| self.node(child).next.some())
    }

    /// Tokens of its edge (≥ 1 but for the root).
    pub fn edge_tokens(&self, id: NodeId) -> u32 {
        let above = self.parent(id).map_or(0, |parent| self.node(parent).depth);
        self.node(id).depth - above
    }

    /// Tokens from the root to its end.
    pub fn depth_tokens(&self, id: NodeId) -> u32 {
        self.node(id).depth
    }

    /// The tokens of its edge; no run continues the one before it.
    pub fn edge(&self, id: NodeId) -> &[Run] {
        &self.node(id).edge
    }

    /// The nodes from `id` up to the root, both included.
    pub fn ancestry(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(id), |&id| self.parent(id))
    }

    /// The subtree of `from`, each node before its children, children in order.
    pub fn pre_order(&self, from: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(from), move |&id| {
            let node = self.node(id);
            node.first_child.some().or_else(|| {
                let mut with_next = self.ancestry(id).take_while(|&id| id != from);
                with_next.find_map(|id| self.node(id).next.some())
            })
        })
    }

    /// The last node in pre-order, always without children: the last child of the last child of …
    pub fn last_in_pre_order(&self) -> NodeId {
        let last = std::iter::successors(Some(NodeId::ROOT), |&id| self.node(id).last_child.some()).last();
        last.expect("the root is there")
    }

    /// All tokens from the root to the end of `id`.
    pub fn runs(&self, id: NodeId) -> Vec<Run> {
        let mut path: Vec<NodeId> = self.ancestry(id).collect();
        path.reverse();
        let mut runs = Vec::new();
        for run in path.into_iter().flat_map(|id| self.edge(id)) {
            edge::push_run(&mut runs, *run);
        }
        runs
    }

    /// How far `prompt` follows the tree.
    pub fn find(&self, prompt: &[Span]) -> Match {
        self.walk(prompt).0
    }

    /// [`RadixTree::find`], telling `visit` each node whose whole edge is followed, the root left out.
    pub fn find_each(&self, prompt: &[Span], visit: impl FnMut(NodeId)) -> Match {
        self.walk_each(prompt, visit).0
    }

    /// How far `prompt` follows the tree, and where it stops.
    fn walk(&self, prompt: &[Span]) -> (Match, Cursor) {
        self.walk_each(prompt, |_| ())
    }

    fn walk_each(&self, prompt: &[Span], mut visit: impl FnMut(NodeId)) -> (Match, Cursor) {
        let mut cursor = Cursor::start(prompt);
        let mut found = Match { node: NodeId::ROOT, tokens: 0, partial: None };
        while let Some(run) = cursor.run(prompt)
            && let Some(child) = self.child_with(found.node, run.content, run.offset)
        {
            let tokens = common(&self.node(child).edge, prompt, &mut cursor);
            let depth = self.node(child).depth;
            if found.tokens + tokens < depth {
                found.partial = Some((child, tokens));
                break;
            }
            visit(child);
            found = Match { node: child, tokens: depth, partial: None };
        }
        (found, cursor)
    }

    /// The child of `id` that begins with this token.
    fn child_with(&self, id: NodeId, content: ContentId, offset: u32) -> Option<NodeId> {
        if self.node(id).children > SCANNED {
            return self.index.get(&(id, content, offset)).copied();
        }
        self.children(id).find(|&child| {
            let first = self.node(child).edge[0];
            first.content == content && first.offset == offset
        })
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }
}
