//! A paged KV cache in which every block is an object.

use std::collections::{BTreeMap, VecDeque};

use sim::KvSpec;
use workloads::RequestId;

use super::job::{Content, cut};

/// Index of a block.
type BlockId = usize;

#[derive(Default)]
struct Block {
    /// All tokens from the first one of the prompt to the last one of this block, if the block is known.
    chain: Option<Content>,
    owners: Vec<RequestId>,
}

/// The blocks of one request.
#[derive(Default)]
struct Table {
    /// Known blocks, those of its first tokens, in order.
    known: Vec<BlockId>,
    /// Blocks behind them that only it knows: of the tokens decoded, the partial last one, reserved ones.
    private: Vec<BlockId>,
    /// Blocks it computed although their chain was known.
    copies: Vec<BlockId>,
}

pub(super) struct Kv {
    block_size: u32,
    prefix_caching: bool,
    blocks: Vec<Block>,
    /// Free blocks, next to be taken first.
    queue: VecDeque<BlockId>,
    known: BTreeMap<Content, BlockId>,
    tables: BTreeMap<RequestId, Table>,
    pub(super) peak: usize,
    pub(super) evictions: u64,
    pub(super) duplicates: u64,
    /// Blocks that became known in the step now planned.
    pub(super) learned: Vec<BlockId>,
}

impl Kv {
    pub(super) fn new(spec: KvSpec) -> Self {
        Kv {
            block_size: spec.block_size,
            prefix_caching: spec.prefix_caching,
            blocks: (0..spec.blocks).map(|_| Block::default()).collect(),
            queue: (0..spec.blocks as usize).collect(),
            known: BTreeMap::new(),
            tables: BTreeMap::new(),
            peak: 0,
            evictions: 0,
            duplicates: 0,
            learned: Vec::new(),
        }
    }

    pub(super) fn free(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn all(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn blocks_for(&self, tokens: u32) -> usize {
        tokens.div_ceil(self.block_size) as usize
    }

    pub(super) fn tokens_in(&self, blocks: &[BlockId]) -> u32 {
        blocks.len() as u32 * self.block_size
    }

    /// Known blocks of the longest known prefix of `content` that is at most `limit` tokens long.
    pub(super) fn longest_match(&self, content: &Content, limit: u32) -> Vec<BlockId> {
        let mut matched = Vec::new();
        while self.tokens_in(&matched) + self.block_size <= limit {
            let chain = cut(content, self.tokens_in(&matched) + self.block_size);
            let Some(block) = self.known.get(&chain) else { break };
            matched.push(*block);
        }
        matched
    }

    /// Whether a request that owns `matched` can have `blocks` blocks in all while `spare` blocks stay free.
    pub(super) fn available(&self, matched: &[BlockId], blocks: usize, spare: usize) -> bool {
        let new = blocks - matched.len();
        let in_queue = matched.iter().filter(|block| self.queue.contains(block)).count();
        new + in_queue + spare <= self.free()
    }

    /// Gives a request its matched blocks, and new ones until it has `blocks` in all.
    pub(super) fn let_in(&mut self, id: RequestId, matched: Vec<BlockId>, blocks: usize) {
        let new = blocks - matched.len();
        for block in &matched {
            self.own(id, *block);
        }
        let private = (0..new).map(|_| self.take(id)).collect();
        let old = self.tables.insert(id, Table { known: matched, private, copies: Vec::new() });
        assert!(old.is_none(), "a request is let in while it has blocks");
    }

    /// The blocks of a request that shares none of them knowingly.
    pub(super) fn blocks_of(&self, id: RequestId) -> Vec<BlockId> {
        self.tables[&id].private.clone()
    }

    /// Blocks that a request lacks to hold `tokens` tokens.
    pub(super) fn missing(&self, id: RequestId, tokens: u32) -> usize {
        let table = &self.tables[&id];
        self.blocks_for(tokens).saturating_sub(table.known.len() + table.private.len())
    }

    /// Takes the blocks that a request lacks to hold `tokens` tokens.
    pub(super) fn extend(&mut self, id: RequestId, tokens: u32) {
        for _ in 0..self.missing(id, tokens) {
            let block = self.take(id);
            self.table(id).private.push(block);
        }
    }

    /// Makes the full blocks among the first `computed` tokens of a request known.
    pub(super) fn learn(&mut self, id: RequestId, content: &Content, computed: u32) {
        if !self.prefix_caching {
            return;
        }
        while self.tokens_in(&self.tables[&id].known) + self.block_size <= computed {
            let chain = cut(content, self.tokens_in(&self.tables[&id].known) + self.block_size);
            let mine = self.table(id).private.remove(0);
            if let Some(&block) = self.known.get(&chain) {
                self.own(id, block);
                self.table(id).known.push(block);
                self.table(id).copies.push(mine);
                self.duplicates += 1;
            } else {
                self.blocks[mine].chain = Some(chain.clone());
                self.known.insert(chain, mine);
                self.table(id).known.push(mine);
                self.learned.push(mine);
            }
        }
    }

    /// Takes back all blocks of a request that has computed `computed` tokens.
    pub(super) fn release(&mut self, id: RequestId, content: &Content, computed: u32) {
        self.learn(id, content, computed);
        let table = self.tables.remove(&id).expect("it has blocks");
        for block in table.private.into_iter().chain(table.copies) {
            self.disown(id, block);
            assert!(self.blocks[block].owners.is_empty() && self.blocks[block].chain.is_none());
            self.queue.push_back(block);
        }
        for block in table.known.into_iter().rev() {
            self.disown(id, block);
            if self.blocks[block].owners.is_empty() {
                self.queue.push_back(block);
            }
        }
    }

    fn table(&mut self, id: RequestId) -> &mut Table {
        self.tables.get_mut(&id).expect("a request that was let in has a block table")
    }

    fn own(&mut self, id: RequestId, block: BlockId) {
        self.queue.retain(|free| *free != block);
        self.blocks[block].owners.push(id);
        self.note_peak();
    }

    fn disown(&mut self, id: RequestId, block: BlockId) {
        let owners = &mut self.blocks[block].owners;
        let place = owners.iter().position(|owner| *owner == id).expect("it owns the block");
        owners.remove(place);
    }

    /// Takes the block at the front of the queue and forgets what it held.
    fn take(&mut self, id: RequestId) -> BlockId {
        let block = self.queue.pop_front().expect("blocks are taken only where there are some");
        if let Some(chain) = self.blocks[block].chain.take() {
            self.known.remove(&chain);
            self.evictions += 1;
        }
        self.blocks[block].owners.push(id);
        self.note_peak();
        block
    }

    fn note_peak(&mut self) {
        self.peak = self.peak.max(self.blocks.len() - self.queue.len());
    }
}
