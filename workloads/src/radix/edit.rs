//! Changes of a tree.

use super::edge::{Cursor, cut, joined};
use super::{Match, Node, NodeId, RadixTree, SCANNED};
use crate::request::Span;

/// What inserting a prompt did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insertion {
    /// How far the prompt followed the tree before.
    pub found: Match,
    /// Where the prompt ends now; the root for an empty one.
    pub end: NodeId,
    /// The new node above what is left of the edge that the prompt left halfway; the lower part, its first child, keeps
    /// its name and all below it.
    pub branch: Option<NodeId>,
    /// The new leaf, if the prompt went on where the tree did not.
    pub leaf: Option<NodeId>,
}

impl RadixTree {
    /// Adds a prompt, so that a node ends where it ends. At most one edge is split and one leaf added; a prompt that
    /// was there changes nothing.
    ///
    /// # Panics
    /// If the prompt has 2^32 tokens or more, or the tree 2^32 - 1 nodes.
    pub fn insert(&mut self, prompt: &[Span]) -> Insertion {
        let (found, cursor) = self.walk(prompt);
        let branch = found.partial.map(|(child, tokens)| self.split(child, tokens));
        let at = branch.unwrap_or(found.node);
        let leaf = cursor.run(prompt).map(|_| self.add_leaf(at, prompt, cursor));
        Insertion { found, end: leaf.unwrap_or(at), branch, leaf }
    }

    fn add_leaf(&mut self, parent: NodeId, prompt: &[Span], cursor: Cursor) -> NodeId {
        let edge = cursor.rest(prompt);
        let tokens: u64 = edge.iter().map(|run| u64::from(run.tokens)).sum();
        let depth = u64::from(self.depth_tokens(parent)) + tokens;
        let depth = u32::try_from(depth).expect("a prompt has at most 2^32 - 1 tokens");
        let previous = self.node(parent).last_child;
        let leaf = self.add(Node {
            parent,
            first_child: NodeId::NONE,
            last_child: NodeId::NONE,
            previous,
            next: NodeId::NONE,
            children: 0,
            depth,
            edge,
        });
        match previous.some() {
            Some(previous) => self.node_mut(previous).next = leaf,
            None => self.node_mut(parent).first_child = leaf,
        }
        self.node_mut(parent).last_child = leaf;
        self.node_mut(parent).children += 1;
        match self.node(parent).children {
            count if count == SCANNED + 1 => self.index_children(parent),
            count if count > SCANNED => self.index_child(leaf),
            _ => {}
        }
        leaf
    }

    fn add(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.unused.pop() {
            *self.node_mut(id) = node;
            return id;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).expect("a tree has fewer than 2^32 nodes"));
        assert!(id != NodeId::NONE, "a tree has fewer than 2^32 - 1 nodes");
        self.nodes.push(node);
        id
    }

    /// Cuts the edge of `id` after `tokens` of it. The new node for the upper part takes its place among its siblings
    /// and is returned; the lower part keeps its name and all below it.
    ///
    /// # Panics
    /// If the edge does not have more than `tokens` tokens, or `tokens` is 0.
    pub fn split(&mut self, id: NodeId, tokens: u32) -> NodeId {
        assert!(0 < tokens && tokens < self.edge_tokens(id), "an edge is split where both parts have tokens");
        let (upper_edge, lower_edge) = cut(&self.node(id).edge, tokens);
        let &Node { parent, previous, next, .. } = self.node(id);
        let depth = self.depth_tokens(parent) + tokens;
        let upper = self.add(Node {
            parent,
            first_child: id,
            last_child: id,
            previous,
            next,
            children: 1,
            depth,
            edge: upper_edge,
        });
        self.replace_child(parent, previous, next, upper);
        if self.node(parent).children > SCANNED {
            self.index_child(upper);
        }
        let lower = self.node_mut(id);
        lower.edge = lower_edge;
        (lower.parent, lower.previous, lower.next) = (upper, NodeId::NONE, NodeId::NONE);
        upper
    }

    /// Makes `child` what the neighbours of its place link to.
    fn replace_child(&mut self, parent: NodeId, previous: NodeId, next: NodeId, child: NodeId) {
        match previous.some() {
            Some(previous) => self.node_mut(previous).next = child,
            None => self.node_mut(parent).first_child = child,
        }
        match next.some() {
            Some(next) => self.node_mut(next).previous = child,
            None => self.node_mut(parent).last_child = child,
        }
    }

    /// Removes a node without children; its parent.
    ///
    /// # Panics
    /// If it has children or is the root.
    pub fn remove_leaf(&mut self, id: NodeId) -> NodeId {
        let &Node { parent, previous, next, children, .. } = self.node(id);
        assert!(id != NodeId::ROOT && children == 0, "only a leaf is removed");
        match self.node(parent).children {
            count if count == SCANNED + 1 => self.forget_children(parent),
            count if count > SCANNED => self.forget_child(id),
            _ => {}
        }
        match previous.some() {
            Some(previous) => self.node_mut(previous).next = next,
            None => self.node_mut(parent).first_child = next,
        }
        match next.some() {
            Some(next) => self.node_mut(next).previous = previous,
            None => self.node_mut(parent).last_child = previous,
        }
        self.node_mut(parent).children -= 1;
        self.release(id);
        parent
    }

    /// Removes a node with one child, which takes its place and its tokens; the child.
    ///
    /// # Panics
    /// If it has no child or more than one, or is the root.
    pub fn merge_into_only_child(&mut self, id: NodeId) -> NodeId {
        let &Node { parent, previous, next, children, first_child: child, .. } = self.node(id);
        assert!(id != NodeId::ROOT && children == 1, "only a node with one child is merged into it");
        let edge = joined(&self.node(id).edge, &self.node(child).edge);
        let lower = self.node_mut(child);
        lower.edge = edge;
        (lower.parent, lower.previous, lower.next) = (parent, previous, next);
        self.replace_child(parent, previous, next, child);
        if self.node(parent).children > SCANNED {
            self.index_child(child);
        }
        self.release(id);
        child
    }

    fn release(&mut self, id: NodeId) {
        self.node_mut(id).edge = Box::default();
        self.unused.push(id);
    }

    fn index_children(&mut self, parent: NodeId) {
        let mut child = self.node(parent).first_child;
        while let Some(id) = child.some() {
            self.index_child(id);
            child = self.node(id).next;
        }
    }

    /// Makes a child findable by its first token, in place of what was found by it before.
    fn index_child(&mut self, id: NodeId) {
        let node = self.node(id);
        let key = (node.parent, node.edge[0].content, node.edge[0].offset);
        self.index.insert(key, id);
    }

    fn forget_children(&mut self, parent: NodeId) {
        let mut child = self.node(parent).first_child;
        while let Some(id) = child.some() {
            self.forget_child(id);
            child = self.node(id).next;
        }
    }

    fn forget_child(&mut self, id: NodeId) {
        let node = self.node(id);
        self.index.remove(&(node.parent, node.edge[0].content, node.edge[0].offset));
    }
}
