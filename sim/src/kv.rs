//! The paged KV cache of a replica: who owns blocks, which are free, and what the free ones still hold.
//!
//! Work here is per request or per run of blocks, never per block and step: a run of blocks is one entry of the free
//! queue and one node of the prefix tree.

mod chain;
mod checkpoints;
mod queue;
mod tree;

pub(crate) use chain::{Chain, Cursor, Run};
pub(crate) use checkpoints::Branch;
use checkpoints::Checkpoints;
use queue::{Entry, FreeQueue};
use tree::{NodeId, Tree};

use crate::prefix_cache::Way;
use crate::spec::{CheckpointSpec, KvSpec};

/// Blocks that a request owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Deepest node of the prefix tree on the request's path.
    tail: NodeId,
    /// Known blocks on that path.
    known: u32,
    /// Blocks found in the cache when the request was let in.
    matched: u32,
    /// Blocks taken from the free queue by this request.
    taken: u32,
    /// Those of them that became known through it; the others are private.
    given: u32,
    /// Index of the node whose checkpoint it started from, where there are checkpoints; 0 is none.
    start: u32,
}

impl Hold {
    /// Blocks of its tokens: those found in the cache and those taken since.
    pub(crate) fn table(&self) -> u32 {
        self.matched + self.taken
    }
}

/// A cached prefix, as found for a request that wants to be let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    node: NodeId,
    partial: Option<(NodeId, u32)>,
    blocks: u32,
    tokens: u32,
    in_queue: u32,
    /// Where there are checkpoints: how far the prompt follows what is kept.
    way: Option<Way>,
}

impl Found {
    /// So many blocks of so many tokens that somebody else owns, and keeps as long as this request lasts.
    pub(crate) fn kept(blocks: u32, tokens: u32) -> Self {
        Found { blocks, tokens, ..Found::default() }
    }

    /// Tokens of the prefix. With checkpoints, those behind its last full block are copied into a block of the request's own.
    pub(crate) fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Full blocks of the prefix.
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Blocks that are not free any more once the request owns the prefix: those of it that lie in the free queue, or what is
    /// held for it.
    pub(crate) fn in_queue(&self) -> u32 {
        self.in_queue
    }
}

/// Blocks, free and owned.
#[derive(Debug)]
pub(crate) struct Kv {
    block_size: u32,
    blocks: u32,
    free: u32,
    lowest_free: u32,
    /// Grows whenever blocks are freed or become known: whoever did not fit before may fit now.
    version: u64,
    cache: Option<Cache>,
    checkpoints: Option<Checkpoints>,
}

#[derive(Debug)]
struct Cache {
    tree: Tree,
    queue: FreeQueue,
}

impl Kv {
    pub(crate) fn new(spec: &KvSpec, checkpoints: Option<&CheckpointSpec>) -> Self {
        let cache =
            spec.prefix_caching.then(|| Cache { tree: Tree::new(spec.block_size), queue: FreeQueue::new(spec.blocks) });
        Kv {
            block_size: spec.block_size,
            blocks: spec.blocks,
            free: spec.blocks,
            lowest_free: spec.blocks,
            version: 0,
            cache,
            checkpoints: checkpoints.map(|checkpoints| Checkpoints::new(checkpoints, spec)),
        }
    }

    pub(crate) fn block_size(&self) -> u32 {
        self.block_size
    }

    pub(crate) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// While it stays the same, a request that did not fit does not fit.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn free(&self) -> u32 {
        self.free
    }

    /// The most blocks that were owned at a time.
    pub(crate) fn peak(&self) -> u32 {
        self.blocks - self.lowest_free
    }

    /// Blocks that hold `tokens` tokens.
    pub(crate) fn blocks_for(&self, tokens: u32) -> u32 {
        tokens.div_ceil(self.block_size)
    }

    /// Most blocks that can leave the free queue when the tokens from `computed` to `then` become known.
    pub(crate) fn most_pinned(&self, computed: u32, then: u32) -> u32 {
        if self.cache.is_some() { then / self.block_size - computed / self.block_size } else { 0 }
    }

    /// The longest known prefix of at most `limit` tokens.
    pub(crate) fn find(&self, chain: &Chain<'_>, limit: u32) -> Found {
        if let Some(checkpoints) = &self.checkpoints {
            return checkpoints.find(&chain.spans(limit));
        }
        let Some(cache) = &self.cache else { return Found::default() };
        let mut found = Found::default();
        let mut cursor = Cursor::START;
        let mut left = limit / self.block_size;
        while left > 0 {
            let Some((child, common)) = cache.tree.step(found.node, chain, cursor, left) else { break };
            let node = cache.tree.node(child);
            found.blocks += common;
            if node.refs == 0 {
                found.in_queue += common;
            }
            if common < node.blocks {
                found.partial = Some((child, common));
                break;
            }
            found.node = child;
            left -= common;
            chain.advance(&mut cursor, common * self.block_size);
        }
        found.tokens = found.blocks * self.block_size;
        found
    }

    /// What was found, unless a request that needs so many blocks could not have them even alone: what is held for it can
    /// take more than it spares.
    pub(crate) fn if_it_fits_alone(&self, found: Found, blocks: u32) -> Found {
        match (&self.checkpoints, &found.way) {
            (Some(checkpoints), Some(way)) if !checkpoints.suffice_alone(way, found.blocks, blocks) => Found::default(),
            _ => found,
        }
    }

    /// Where a prompt gets a checkpoint on its way, for others that leave what is kept where it did.
    pub(crate) fn branch(&self, found: &Found) -> Option<Branch> {
        self.checkpoints.as_ref().zip(found.way.as_ref()).and_then(|(checkpoints, way)| checkpoints.branch(way))
    }

    /// Makes a request the owner of what was found. The cache must not have changed in between.
    pub(crate) fn pin(&mut self, found: Found) -> Hold {
        if let (Some(checkpoints), Some(way)) = (&mut self.checkpoints, &found.way) {
            let start = checkpoints.begin(way).index() as u32;
            self.recount();
            return Hold { matched: found.blocks, start, ..Hold::default() };
        }
        let Some(cache) = &mut self.cache else { return Hold { matched: found.blocks, ..Hold::default() } };
        let tail = match found.partial {
            Some((child, common)) => cache.split(child, common),
            None => found.node,
        };
        self.free -= cache.pin_path(tail);
        self.lowest_free = self.lowest_free.min(self.free);
        Hold { tail, known: found.blocks, matched: found.blocks, ..Hold::default() }
    }

    /// Takes free blocks for a request.
    pub(crate) fn take(&mut self, hold: &mut Hold, blocks: u32) {
        self.take_unassigned(blocks);
        hold.taken += blocks;
    }

    /// Takes free blocks that [`Kv::assign`] will give to their owners later: decoding requests are not touched in
    /// every step.
    pub(crate) fn take_unassigned(&mut self, blocks: u32) {
        if blocks == 0 {
            return;
        }
        assert!(blocks <= self.free, "{blocks} blocks taken of {} free ones", self.free);
        self.free -= blocks;
        self.lowest_free = self.lowest_free.min(self.free);
        if let Some(cache) = &mut self.cache {
            cache.evict(blocks);
        }
        if let Some(checkpoints) = &mut self.checkpoints {
            // Whoever found less, or nothing, may fit now.
            self.version += u64::from(checkpoints.take(blocks));
        }
    }

    /// Counts what is free anew after what is held has changed.
    fn recount(&mut self) {
        if let Some(checkpoints) = &self.checkpoints {
            self.free = checkpoints.free();
            self.lowest_free = self.lowest_free.min(self.free);
        }
    }

    /// Writes blocks taken before to their owner's account.
    pub(crate) fn assign(hold: &mut Hold, blocks: u32) {
        hold.taken += blocks;
    }

    /// Makes the full blocks among the first `computed` tokens of `chain` known.
    pub(crate) fn learn(&mut self, hold: &mut Hold, chain: &Chain<'_>, computed: u32) {
        let Some(cache) = &mut self.cache else { return };
        let full = computed / self.block_size;
        if full <= hold.known {
            return;
        }
        self.version += 1;
        let mut cursor = Cursor::START;
        chain.advance(&mut cursor, hold.known * self.block_size);
        while hold.known < full {
            let left = full - hold.known;
            let Some((child, common)) = cache.tree.step(hold.tail, chain, cursor, left) else {
                hold.tail = cache.tree.append(hold.tail, chain, cursor, left);
                hold.known += left;
                hold.given += left;
                return;
            };
            let child = if common < cache.tree.node(child).blocks { cache.split(child, common) } else { child };
            self.free -= cache.pin(child);
            self.lowest_free = self.lowest_free.min(self.free);
            hold.tail = child;
            hold.known += common;
            chain.advance(&mut cursor, common * self.block_size);
        }
    }

    /// A step has computed the first `tokens` tokens of `chain` and left their states: they are a checkpoint, if there is room.
    pub(crate) fn keep_branch(&mut self, chain: &Chain<'_>, tokens: u32) {
        if let Some(checkpoints) = &mut self.checkpoints {
            self.version += 1;
            checkpoints.keep_branch(&chain.spans(tokens));
            self.recount();
        }
    }

    /// A request has ended whose first `computed` tokens are computed, with their states: they are kept where there are
    /// checkpoints, if there is room. It gives back its own blocks first.
    pub(crate) fn keep(&mut self, hold: &mut Hold, chain: &Chain<'_>, computed: u32) {
        if let Some(checkpoints) = &mut self.checkpoints {
            self.version += 1;
            checkpoints.keep(hold, &chain.spans(computed), chain.prompt.len());
            self.recount();
        }
    }

    /// Gives all blocks back: private ones first, then the known ones from the end of the chain.
    pub(crate) fn release(&mut self, hold: Hold) {
        self.version += 1;
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.release(hold);
            return self.recount();
        }
        let Some(cache) = &mut self.cache else {
            self.free += hold.taken;
            return;
        };
        let private = hold.taken - hold.given;
        cache.queue.push_unknown(private);
        self.free += private + cache.unpin_path(hold.tail);
    }

    /// Blocks that can be found, free or owned.
    pub(crate) fn known_blocks(&self) -> u32 {
        self.cache.as_ref().map_or(0, |cache| cache.tree.known_blocks())
    }

    /// Checks that every block is free and that the books of the cache agree; called when a run has ended.
    pub(crate) fn assert_all_free(&self) {
        assert_eq!(self.free, self.blocks, "blocks are owned by nobody after the last request has left");
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.assert_all_free();
        }
        if let Some(cache) = &self.cache {
            let known = cache.tree.known_blocks();
            let queued = cache.queue.blocks(|node| cache.tree.node(node).blocks);
            assert_eq!(queued, self.blocks, "the free queue does not hold every free block");
            assert!(known <= queued, "{known} known blocks, {queued} in the queue");
        }
    }
}

impl Cache {
    /// Owns a node once more; returns how many blocks left the queue.
    fn pin(&mut self, id: NodeId) -> u32 {
        let node = self.tree.node_mut(id);
        node.refs += 1;
        if node.refs > 1 {
            return 0;
        }
        let (blocks, entry) = (node.blocks, node.entry.take());
        if let Some(entry) = entry {
            self.queue.remove(entry);
            blocks
        } else {
            0
        }
    }

    fn pin_path(&mut self, tail: NodeId) -> u32 {
        let mut left_queue = 0;
        let mut id = tail;
        while !id.is_root() {
            left_queue += self.pin(id);
            id = self.tree.node(id).parent;
        }
        left_queue
    }

    /// Gives up one ownership of each node from `tail` to the root; returns how many blocks joined the queue.
    fn unpin_path(&mut self, tail: NodeId) -> u32 {
        let mut joined = 0;
        let mut id = tail;
        while !id.is_root() {
            let node = self.tree.node_mut(id);
            node.refs -= 1;
            if node.refs == 0 {
                joined += node.blocks;
                node.entry = Some(self.queue.push_known(id));
            }
            id = node.parent;
        }
        joined
    }

    /// Cuts a node after `blocks` blocks and returns the upper part; the lower one keeps its id and its owners.
    fn split(&mut self, id: NodeId, blocks: u32) -> NodeId {
        let upper = self.tree.split(id, blocks);
        if let Some(entry) = self.tree.node(id).entry {
            self.tree.node_mut(upper).entry = Some(self.queue.insert_after(entry, upper));
        }
        upper
    }

    /// Takes blocks from the front of the queue; known ones are forgotten, the end of a chain first.
    fn evict(&mut self, mut blocks: u32) {
        while blocks > 0 {
            match self.queue.front() {
                Entry::Unknown(count) => {
                    let taken = count.min(blocks);
                    self.queue.shrink_front(taken);
                    blocks -= taken;
                }
                Entry::Known(id) => {
                    let taken = self.tree.node(id).blocks.min(blocks);
                    if self.tree.forget_tail(id, taken) {
                        self.queue.pop_front();
                    }
                    blocks -= taken;
                }
            }
        }
    }
}
