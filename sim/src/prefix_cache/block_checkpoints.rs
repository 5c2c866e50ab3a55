//! vLLM+ of the Marconi paper: blocks that each carry the KV of their tokens and a checkpoint at their end.
//!
//! The last block of a sequence is stored even if it is partial, and a later sequence that goes on from it fills it in
//! place. A prompt reuses full blocks, and after them the longest partial one that it has whole. The least recently used
//! block goes first, of those used at the same time the deepest. No sequence is refused: where the others are evicted and
//! it still does not fit, the cache exceeds its capacity until the next one.
//!
//! The artifact (`radix_cache_vllm.py`) asks for one block less than it stores; here it is the bytes that are stored.

use rustc_hash::FxHashMap;
use workloads::{ContentId, Span};

use super::recency::Recency;
use super::{BlockReuse, CacheModel, Held, Hit, PrefixCache};
use crate::kv::{Chain, Cursor, Run};

/// Place of a block in the arena; 0 is where chains begin.
type BlockId = u32;
const START: BlockId = 0;

#[derive(Debug, Default)]
struct Block {
    parent: BlockId,
    tokens: u32,
    /// Hash of the tokens of a full block.
    key: u64,
    runs: Vec<Run>,
    /// Partial blocks that follow, oldest first.
    partial: Vec<BlockId>,
    /// Whether a prompt has reused its KV, and gone on from its checkpoint.
    reused: (bool, bool),
}

/// Blocks with checkpoints.
#[derive(Debug)]
pub(super) struct BlockCheckpoints {
    model: CacheModel,
    capacity: u64,
    block_tokens: u32,
    blocks: Vec<Block>,
    unused: Vec<BlockId>,
    /// The full block with this hash that follows a block. Never iterated.
    full: FxHashMap<(BlockId, u64), BlockId>,
    recency: Recency,
    tokens: u64,
    peak: u64,
    reuse: BlockReuse,
}

fn chain(tokens: &[Span]) -> Chain<'_> {
    Chain { prompt: tokens, answer: ContentId(0), answer_tokens: 0 }
}

fn length(tokens: &[Span]) -> u64 {
    tokens.iter().map(|span| u64::from(span.tokens)).sum()
}

/// The next tokens of a chain.
fn collect(chain: &Chain<'_>, cursor: Cursor, tokens: u32) -> Vec<Run> {
    let mut runs = Vec::new();
    chain.collect(cursor, tokens, &mut runs);
    runs
}

/// The full blocks a chain has in the cache, and where they end.
struct Matched {
    path: Vec<BlockId>,
    cursor: Cursor,
    /// Tokens of the chain behind them.
    left: u64,
}

impl Matched {
    fn last(&self) -> BlockId {
        self.path.last().copied().unwrap_or(START)
    }
}

impl BlockCheckpoints {
    pub(super) fn new(model: CacheModel, capacity: u64, block_tokens: u32) -> Self {
        BlockCheckpoints {
            model,
            capacity,
            block_tokens,
            blocks: vec![Block::default()],
            unused: Vec::new(),
            full: FxHashMap::default(),
            recency: Recency::new(),
            tokens: 0,
            peak: 0,
            reuse: BlockReuse::default(),
        }
    }

    fn entries(&self) -> u64 {
        (self.blocks.len() - 1 - self.unused.len()) as u64
    }

    fn bytes(&self) -> u64 {
        self.entries() * self.model.checkpoint_bytes() + self.tokens * self.model.kv_bytes_per_token()
    }

    fn matched(&self, tokens: &[Span]) -> Matched {
        let chain = chain(tokens);
        let mut matched = Matched { path: Vec::new(), cursor: Cursor::START, left: length(tokens) };
        while matched.left >= u64::from(self.block_tokens) {
            let key = chain.key_at(matched.cursor, self.block_tokens).expect("a full block is left");
            let Some(&block) = self.full.get(&(matched.last(), key)) else { break };
            matched.path.push(block);
            chain.advance(&mut matched.cursor, self.block_tokens);
            matched.left -= u64::from(self.block_tokens);
        }
        matched
    }

    /// The longest partial block behind `matched` that the chain has whole.
    fn partial(&self, chain: &Chain<'_>, matched: &Matched) -> Option<BlockId> {
        let whole = |&id: &BlockId| {
            let block = &self.blocks[id as usize];
            u64::from(block.tokens) <= matched.left && collect(chain, matched.cursor, block.tokens) == block.runs
        };
        let candidates = self.blocks[matched.last() as usize].partial.iter().copied().filter(whole);
        candidates.max_by_key(|&id| self.blocks[id as usize].tokens)
    }

    /// Uses blocks, given from the first on, the deepest first.
    fn touch(&mut self, path: &[BlockId]) {
        for &block in path.iter().rev() {
            self.recency.touch(block as usize);
        }
    }

    /// Counts the blocks that a prompt is the first to reuse.
    fn note_reused(&mut self, path: &[BlockId]) {
        for (place, &id) in path.iter().enumerate() {
            let (kv, checkpoint) = &mut self.blocks[id as usize].reused;
            self.reuse.kv_reused += u64::from(!std::mem::replace(kv, true));
            if place + 1 == path.len() {
                self.reuse.checkpoints_reused += u64::from(!std::mem::replace(checkpoint, true));
            }
        }
    }

    /// Evicts until `need` more bytes fit, or nothing is left but `kept`.
    fn make_room(&mut self, need: u64, kept: &[BlockId]) {
        while self.bytes() + need > self.capacity {
            // What is kept was used last, its deepest block first.
            let kept_from = kept.last().map(|&block| block as usize);
            let Some(oldest) = self.recency.oldest().filter(|&block| Some(block) != kept_from) else { break };
            self.remove(oldest as BlockId);
        }
    }

    fn remove(&mut self, id: BlockId) {
        self.recency.remove(id as usize);
        let Block { parent, tokens, key, .. } = std::mem::take(&mut self.blocks[id as usize]);
        self.tokens -= u64::from(tokens);
        if tokens == self.block_tokens {
            self.full.remove(&(parent, key));
        } else {
            self.blocks[parent as usize].partial.retain(|&partial| partial != id);
        }
        self.unused.push(id);
    }

    /// Puts the next `tokens` tokens of a chain into a block behind `parent`: into `filled`, a partial one that they
    /// begin with, or into a new one.
    fn store(
        &mut self,
        parent: BlockId,
        chain: &Chain<'_>,
        cursor: Cursor,
        tokens: u32,
        filled: Option<BlockId>,
    ) -> BlockId {
        let id = filled.unwrap_or_else(|| self.new_block());
        if let Some(filled) = filled {
            self.blocks[parent as usize].partial.retain(|&partial| partial != filled);
        }
        self.tokens += u64::from(tokens - self.blocks[id as usize].tokens);
        let key = if tokens == self.block_tokens {
            let key = chain.key_at(cursor, tokens).expect("the tokens are there");
            self.full.insert((parent, key), id);
            key
        } else {
            self.blocks[parent as usize].partial.push(id);
            0
        };
        let reused = self.blocks[id as usize].reused;
        self.blocks[id as usize] =
            Block { parent, tokens, key, runs: collect(chain, cursor, tokens), partial: Vec::new(), reused };
        id
    }

    fn new_block(&mut self) -> BlockId {
        let id = self.unused.pop().unwrap_or_else(|| {
            self.blocks.push(Block::default());
            (self.blocks.len() - 1) as BlockId
        });
        self.recency.push(id as usize);
        self.reuse.stored += 1;
        id
    }
}

impl PrefixCache for BlockCheckpoints {
    fn lookup(&mut self, input: &[Span]) -> Hit {
        let mut matched = self.matched(input);
        let partial = self.partial(&chain(input), &matched);
        matched.path.extend(partial);
        self.touch(&matched.path);
        self.note_reused(&matched.path);
        let tokens: u32 = matched.path.iter().map(|&id| self.blocks[id as usize].tokens).sum();
        Hit { tokens, ..Hit::default() }
    }

    fn insert(&mut self, sequence: &[Span]) {
        let chain = chain(sequence);
        let Matched { mut path, mut cursor, mut left } = self.matched(sequence);
        let parent = path.last().copied().unwrap_or(START);
        let partial = self.partial(&chain, &Matched { path: path.clone(), cursor, left });
        path.extend(partial);
        self.touch(&path);
        let stored = partial.map_or(0, |id| self.blocks[id as usize].tokens);
        // A tail that is stored already needs nothing.
        let new_tokens = left - u64::from(stored);
        if new_tokens > 0 {
            let new_blocks = left.div_ceil(u64::from(self.block_tokens)) - u64::from(partial.is_some());
            let checkpoints = new_blocks * self.model.checkpoint_bytes();
            self.make_room(checkpoints + new_tokens * self.model.kv_bytes_per_token(), &path);
            let (mut parent, mut filled) = (parent, partial);
            path.truncate(path.len() - usize::from(partial.is_some()));
            while left > 0 {
                let tokens = left.min(u64::from(self.block_tokens)) as u32;
                parent = self.store(parent, &chain, cursor, tokens, filled.take());
                path.push(parent);
                chain.advance(&mut cursor, tokens);
                left -= u64::from(tokens);
            }
            self.touch(&path);
        }
        self.peak = self.peak.max(self.bytes());
    }

    fn block_reuse(&self) -> Option<BlockReuse> {
        Some(self.reuse)
    }

    fn held(&self) -> Held {
        Held { entries: self.entries(), bytes: self.bytes(), peak_bytes: self.peak }
    }
}
