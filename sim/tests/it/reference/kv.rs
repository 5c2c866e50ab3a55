//! A paged KV cache in which every block is an object.

use std::collections::{BTreeMap, VecDeque};

use sim::{CheckpointSpec, KvSpec};
use workloads::RequestId;

use super::checkpoints::{Hit, Tree, spelled};
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
    /// Full blocks of what it found where there are checkpoints, in place of known ones.
    shared: usize,
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
    /// Prefixes with checkpoints, in the memory that requests leave.
    pub(super) checkpoints: Option<Tree>,
    block_bytes: u64,
}

impl Kv {
    pub(super) fn new(spec: KvSpec, checkpoints: Option<CheckpointSpec>) -> Self {
        let token_bytes = checkpoints.map_or(1, |spec| spec.model.kv_bytes_per_token());
        Kv {
            checkpoints: checkpoints.map(Tree::new),
            block_bytes: token_bytes * u64::from(spec.block_size),
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

    /// Blocks that can be had: what is kept and not held makes way.
    pub(super) fn free(&self) -> usize {
        self.queue.len() - self.checkpoints.as_ref().map_or(0, |tree| self.filled_by(tree.held(None)))
    }

    fn filled_by(&self, bytes: u64) -> usize {
        bytes.div_ceil(self.block_bytes) as usize
    }

    /// Bytes that requests leave.
    fn room(&self) -> u64 {
        self.queue.len() as u64 * self.block_bytes
    }

    /// What a request that needs `blocks` blocks in all, and has these tokens but for one, finds where there are checkpoints:
    /// nothing if it could not have them even alone with it. The second is whether it was that.
    pub(super) fn hit(&self, content: &Content, limit: u32, blocks: usize) -> (Hit, bool) {
        let Some(tree) = &self.checkpoints else { return (Hit::default(), false) };
        let tokens = spelled(&cut(content, limit));
        let hit = tree.hit(&tokens);
        let held = self.filled_by(tree.held_alone(&tokens[..hit.tokens as usize]));
        let spared = (hit.tokens / self.block_size) as usize;
        if blocks - spared + held > self.all() { (Hit::default(), true) } else { (hit, false) }
    }

    /// Tokens that it would find if it was not for that.
    pub(super) fn hit_tokens(&self, content: &Content, limit: u32) -> u32 {
        self.checkpoints.as_ref().map_or(0, |tree| tree.hit(&spelled(&cut(content, limit))).tokens)
    }

    /// Whether a request that starts from `hit` can have `blocks` blocks in all while `spare` blocks stay free.
    pub(super) fn available_with(&self, content: &Content, hit: &Hit, blocks: usize, spare: usize) -> bool {
        let tree = self.checkpoints.as_ref().expect("hits are of checkpoints");
        let start = spelled(&cut(content, hit.tokens));
        let more = (hit.tokens > 0).then_some(start.as_slice());
        let held = self.filled_by(tree.held(more)) - self.filled_by(tree.held(None));
        blocks - (hit.tokens / self.block_size) as usize + held + spare <= self.free()
    }

    /// Lets a request in that starts from `hit`, which it `uses` unless that would not fit.
    pub(super) fn begin(&mut self, id: RequestId, content: &Content, limit: u32, hit: &Hit, uses: bool, blocks: usize) {
        let shared = (hit.tokens / self.block_size) as usize;
        if uses {
            let tokens = spelled(&cut(content, limit));
            self.checkpoints.as_mut().expect("hits are of checkpoints").begin(id, &tokens, hit.tokens);
            self.note_peak();
        }
        self.let_in(id, Vec::new(), blocks - shared);
        self.table(id).shared = shared;
    }

    /// A step has computed the first `at` tokens of some content.
    pub(super) fn keep_branch(&mut self, content: &Content, at: u32) {
        let (tokens, room) = (spelled(&cut(content, at)), self.room());
        self.checkpoints.as_mut().expect("branches are of checkpoints").keep_branch(&tokens, room);
        self.note_peak();
    }

    /// A request ends with `computed` tokens computed: it gives back its own blocks, and these are kept.
    pub(super) fn keep(&mut self, id: RequestId, content: &Content, computed: u32, prompt_runs: usize) {
        if self.checkpoints.is_none() {
            return;
        }
        for block in std::mem::take(&mut self.table(id).private) {
            self.disown(id, block);
            self.queue.push_back(block);
        }
        let (content, room) = (cut(content, computed), self.room());
        let tree = self.checkpoints.as_mut().expect("it was there a line ago");
        tree.note_ended(&content, prompt_runs, room);
        tree.keep(&spelled(&content), room);
        self.note_peak();
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
        let old = self.tables.insert(id, Table { known: matched, private, ..Table::default() });
        assert!(old.is_none(), "a request is let in while it has blocks");
    }

    /// The blocks of a request that shares none of them knowingly.
    pub(super) fn blocks_of(&self, id: RequestId) -> Vec<BlockId> {
        self.tables[&id].private.clone()
    }

    /// Blocks that a request lacks to hold `tokens` tokens.
    pub(super) fn missing(&self, id: RequestId, tokens: u32) -> usize {
        let table = &self.tables[&id];
        self.blocks_for(tokens).saturating_sub(table.shared + table.known.len() + table.private.len())
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
        if let Some(tree) = &mut self.checkpoints {
            tree.give_up(id);
        }
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
        let room = self.room();
        if let Some(tree) = &mut self.checkpoints {
            tree.shrink(room);
        }
        self.note_peak();
        block
    }

    fn note_peak(&mut self) {
        self.peak = self.peak.max(self.blocks.len() - self.free());
    }
}
