//! The known blocks as a compact prefix tree: each node is a run of blocks with the same owners.
//!
//! Along every path the owners of a node own all nodes above it. So a node in the free queue lies behind everything
//! below it, and a node that reaches the front of the queue has nothing below it.

use rustc_hash::FxHashMap;

use super::chain::{Chain, Cursor, Run, key_of, push_run};
use super::queue::EntryId;

/// Name of a node; the default is the root, which holds no blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct NodeId(u32);

impl NodeId {
    pub(super) fn is_root(self) -> bool {
        self.0 == 0
    }
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) parent: NodeId,
    /// Blocks on this edge (≥ 1 but for the root).
    pub(super) blocks: u32,
    /// Requests that own these blocks.
    pub(super) refs: u32,
    /// Where it lies in the free queue, if nobody owns it.
    pub(super) entry: Option<EntryId>,
    children: u32,
    /// Hash of its first block.
    key: u64,
    runs: Vec<Run>,
}

#[derive(Debug)]
pub(super) struct Tree {
    block_size: u32,
    nodes: Vec<Node>,
    unused: Vec<u32>,
    /// From a node and the hash of the next block to the child that begins with it. Never iterated.
    children: FxHashMap<(NodeId, u64), NodeId>,
}

impl Tree {
    pub(super) fn new(block_size: u32) -> Self {
        Tree { block_size, nodes: vec![Node::default()], unused: Vec::new(), children: FxHashMap::default() }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// The child of `id` that continues the chain at `cursor`, and how many of its blocks agree (at least one, at most
    /// `limit`).
    pub(super) fn step(&self, id: NodeId, chain: &Chain<'_>, cursor: Cursor, limit: u32) -> Option<(NodeId, u32)> {
        if self.children.is_empty() {
            return None;
        }
        let key = chain.key_at(cursor, self.block_size)?;
        let child = *self.children.get(&(id, key))?;
        let common = self.common_blocks(child, chain, cursor, limit);
        assert!(common > 0, "two different blocks have the same 64-bit hash");
        Some((child, common))
    }

    fn common_blocks(&self, id: NodeId, chain: &Chain<'_>, mut cursor: Cursor, limit: u32) -> u32 {
        let mut tokens = 0;
        let limit_tokens = limit * self.block_size;
        'runs: for run in &self.node(id).runs {
            let mut done = 0;
            while done < run.tokens {
                if tokens >= limit_tokens {
                    break 'runs;
                }
                let Some(other) = chain.run_at(cursor) else { break 'runs };
                if other.content != run.content || other.offset != run.offset + done {
                    break 'runs;
                }
                let common = other.tokens.min(run.tokens - done);
                done += common;
                tokens += common;
                chain.advance(&mut cursor, common);
            }
        }
        tokens.min(limit_tokens) / self.block_size
    }

    /// Adds the next `blocks` blocks of the chain below `id` and returns the node they lie in: `id` itself if only the
    /// caller owns it and nothing else follows it, else a new child owned by the caller alone.
    pub(super) fn append(&mut self, id: NodeId, chain: &Chain<'_>, cursor: Cursor, blocks: u32) -> NodeId {
        let tokens = blocks * self.block_size;
        let tail = self.node_mut(id);
        if !id.is_root() && tail.refs == 1 && tail.children == 0 {
            tail.blocks += blocks;
            chain.collect(cursor, tokens, &mut tail.runs);
            return id;
        }
        tail.children += 1;
        let mut runs = Vec::with_capacity(1);
        chain.collect(cursor, tokens, &mut runs);
        let key = key_of(&runs, self.block_size);
        let node = self.insert(Node { parent: id, blocks, refs: 1, entry: None, children: 0, key, runs });
        self.children.insert((id, key), node);
        node
    }

    fn insert(&mut self, node: Node) -> NodeId {
        if let Some(index) = self.unused.pop() {
            self.nodes[index as usize] = node;
            return NodeId(index);
        }
        self.nodes.push(node);
        NodeId((self.nodes.len() - 1) as u32)
    }

    /// Cuts a node after `blocks` blocks. The lower part keeps its id, children and place in the queue; the upper part
    /// is new, has the same number of owners, and is returned.
    pub(super) fn split(&mut self, id: NodeId, blocks: u32) -> NodeId {
        let at = blocks * self.block_size;
        let lower = self.node_mut(id);
        let (mut upper_runs, mut lower_runs) = (Vec::new(), Vec::new());
        let mut before = 0;
        for run in std::mem::take(&mut lower.runs) {
            let cut = at.saturating_sub(before).min(run.tokens);
            before += run.tokens;
            if cut > 0 {
                push_run(&mut upper_runs, Run { tokens: cut, ..run });
            }
            if cut < run.tokens {
                push_run(&mut lower_runs, Run { offset: run.offset + cut, tokens: run.tokens - cut, ..run });
            }
        }
        let (parent, upper_key, refs) = (lower.parent, lower.key, lower.refs);
        lower.runs = lower_runs;
        lower.blocks -= blocks;
        let lower_key = key_of(&self.node(id).runs, self.block_size);
        let upper =
            self.insert(Node { parent, blocks, refs, entry: None, children: 1, key: upper_key, runs: upper_runs });
        let lower = self.node_mut(id);
        lower.key = lower_key;
        lower.parent = upper;
        self.children.insert((parent, upper_key), upper);
        self.children.insert((upper, lower_key), id);
        upper
    }

    /// Forgets the last `blocks` blocks of a node; `true` if nothing of it is left.
    pub(super) fn forget_tail(&mut self, id: NodeId, blocks: u32) -> bool {
        let block_size = self.block_size;
        let node = self.node_mut(id);
        assert!(node.refs == 0 && node.children == 0, "a block is evicted before the blocks that follow it");
        node.blocks -= blocks;
        if node.blocks > 0 {
            let mut tokens = blocks * block_size;
            while tokens > 0 {
                let last = node.runs.last_mut().expect("a node has as many tokens as its blocks");
                let cut = last.tokens.min(tokens);
                last.tokens -= cut;
                tokens -= cut;
                if last.tokens == 0 {
                    node.runs.pop();
                }
            }
            return false;
        }
        let (parent, key) = (node.parent, node.key);
        node.runs = Vec::new();
        self.node_mut(parent).children -= 1;
        self.children.remove(&(parent, key));
        self.unused.push(id.0);
        true
    }

    /// Blocks in all nodes.
    pub(super) fn known_blocks(&self) -> u32 {
        let mut unused = self.unused.clone();
        unused.sort_unstable();
        (1..self.nodes.len() as u32)
            .filter(|index| unused.binary_search(index).is_err())
            .map(|index| self.nodes[index as usize].blocks)
            .sum()
    }
}
