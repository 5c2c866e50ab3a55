//! vLLM's prefix cache of a transformer: full blocks named by the hash of their chain, least recently used first out.
//!
//! The cache is the one that replicas serve with; a request takes its blocks and gives them back at once.

use workloads::{ContentId, Span};

use super::{CacheModel, Held, Hit, PrefixCache};
use crate::kv::{Chain, Found, Hold, Kv};
use crate::spec::KvSpec;

/// Blocks of KV.
#[derive(Debug)]
pub(super) struct HashLru {
    kv: Kv,
    block_bytes: u64,
}

/// Tokens without an answer.
fn chain(tokens: &[Span]) -> Chain<'_> {
    Chain { prompt: tokens, answer: ContentId(0), answer_tokens: 0 }
}

impl HashLru {
    /// `capacity` bytes in whole blocks, at least one.
    pub(super) fn new(model: &CacheModel, capacity: u64, block_tokens: u32) -> Self {
        let block_bytes = model.kv_bytes(block_tokens);
        let blocks = u32::try_from(capacity / block_bytes).unwrap_or(u32::MAX).max(1);
        let kv = Kv::new(&KvSpec { block_size: block_tokens, blocks, prefix_caching: true }, None);
        HashLru { kv, block_bytes }
    }

    /// Owns what there is of `tokens`, at most as much as the cache can hold.
    fn pin(&mut self, tokens: &[Span]) -> (Found, Hold) {
        let limit = self.kv.blocks().saturating_mul(self.kv.block_size());
        let found = self.kv.find(&chain(tokens), limit);
        (found, self.kv.pin(found))
    }
}

impl PrefixCache for HashLru {
    fn lookup(&mut self, input: &[Span]) -> Hit {
        let (found, hold) = self.pin(input);
        self.kv.release(hold);
        Hit { tokens: found.blocks() * self.kv.block_size(), ..Hit::default() }
    }

    /// Stores the full blocks; of a sequence larger than the cache, the first ones.
    fn insert(&mut self, sequence: &[Span]) {
        let (found, mut hold) = self.pin(sequence);
        let tokens: u64 = sequence.iter().map(|span| u64::from(span.tokens)).sum();
        let full = tokens / u64::from(self.kv.block_size());
        let blocks = full.min(u64::from(self.kv.blocks())) as u32;
        self.kv.take(&mut hold, blocks - found.blocks());
        self.kv.learn(&mut hold, &chain(sequence), blocks * self.kv.block_size());
        self.kv.release(hold);
    }

    /// Known blocks never become fewer, so what is held now is the most that was.
    fn held(&self) -> Held {
        let entries = u64::from(self.kv.known_blocks());
        let bytes = entries * self.block_bytes;
        Held { entries, bytes, peak_bytes: bytes }
    }
}
