//! Prefixes with checkpoints in the memory that requests leave.
//!
//! Requests own blocks; what the tree keeps is counted in bytes, and takes as many blocks as these fill together.

use workloads::Span;
use workloads::radix::NodeId;

use super::{Found, Hold};
use crate::prefix_cache::{CheckpointTree, Way};
use crate::spec::{BranchStates, CheckpointSpec, KvSpec};

/// Where a prompt leaves what is kept: it gets a checkpoint there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    /// Tokens before it.
    pub(crate) at: u32,
    /// Whether a piece of the prompt has to end there.
    pub(crate) cut: bool,
}

#[derive(Debug)]
pub(super) struct Checkpoints {
    tree: CheckpointTree,
    branches: BranchStates,
    block_size: u32,
    block_bytes: u64,
    blocks: u32,
    /// Blocks that requests own.
    owned: u32,
}

impl Checkpoints {
    pub(super) fn new(spec: &CheckpointSpec, kv: &KvSpec) -> Self {
        Checkpoints {
            tree: CheckpointTree::new(spec.model, spec.eviction),
            branches: spec.branches,
            block_size: kv.block_size,
            block_bytes: u64::from(kv.block_size) * spec.model.kv_bytes_per_token(),
            blocks: kv.blocks,
            owned: 0,
        }
    }

    fn blocks_of(&self, bytes: u64) -> u32 {
        bytes.div_ceil(self.block_bytes) as u32
    }

    /// Bytes that requests leave.
    fn room(&self) -> u64 {
        u64::from(self.blocks - self.owned) * self.block_bytes
    }

    /// Blocks that requests can have: what is not held is evicted for them.
    pub(super) fn free(&self) -> u32 {
        assert!(self.tree.bytes() <= self.room(), "{} bytes are kept in {}", self.tree.bytes(), self.room());
        self.blocks - self.owned - self.blocks_of(self.tree.held_bytes())
    }

    pub(super) fn find(&self, tokens: &[Span]) -> Found {
        let way = self.tree.find(tokens);
        let held = self.blocks_of(self.tree.held_bytes());
        Found {
            blocks: way.tokens() / self.block_size,
            tokens: way.tokens(),
            in_queue: self.blocks_of(self.tree.held_bytes_with(way.start())) - held,
            way: Some(way),
            ..Found::default()
        }
    }

    /// Whether a request that needs so many blocks has them when it is alone with what was found.
    pub(super) fn suffice_alone(&self, way: &Way, found_blocks: u32, blocks: u32) -> bool {
        let held = self.blocks_of(self.tree.held_bytes_alone(way.start()));
        blocks - found_blocks + held <= self.blocks
    }

    /// Where a prompt that follows this way leaves it, if it can get a checkpoint there that it did not start from.
    pub(super) fn branch(&self, way: &Way) -> Option<Branch> {
        let (at, cut) = match self.branches {
            BranchStates::Cut => (way.common_tokens(), true),
            BranchStates::Every(tokens) => (way.common_tokens() / tokens * tokens, false),
        };
        (at > way.tokens()).then_some(Branch { at, cut })
    }

    /// A request is let in; what it started from.
    pub(super) fn begin(&mut self, way: &Way) -> NodeId {
        self.tree.begin(way);
        way.start()
    }

    /// Gives a request so many blocks, one after the other; whether anything had to be evicted.
    pub(super) fn take(&mut self, mut blocks: u32) -> bool {
        let mut evicted = false;
        while blocks > 0 {
            // As many as nothing is evicted for, or one.
            let spare = (self.blocks - self.owned).saturating_sub(self.blocks_of(self.tree.bytes()));
            let taken = spare.clamp(1, blocks);
            self.owned += taken;
            blocks -= taken;
            evicted |= self.tree.shrink(self.room());
        }
        evicted
    }

    pub(super) fn release(&mut self, hold: Hold) {
        self.owned -= hold.taken;
        self.tree.give_up(NodeId::from_index(hold.start as usize));
    }

    /// Takes back the blocks of a request, and keeps these tokens of it, of which so many spans are its prompt.
    pub(super) fn keep(&mut self, hold: &mut Hold, tokens: &[Span], prompt_spans: usize) {
        self.owned -= std::mem::take(&mut hold.taken);
        self.tree.keep(tokens, prompt_spans, self.room());
    }

    pub(super) fn keep_branch(&mut self, tokens: &[Span]) {
        self.tree.keep_branch(tokens, self.room());
    }

    /// Checks that nobody owns or holds anything.
    pub(super) fn assert_all_free(&self) {
        assert_eq!((self.owned, self.tree.held_bytes()), (0, 0), "a request that has left still holds something");
    }
}
