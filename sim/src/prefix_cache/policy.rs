//! The policies by name.

use super::belady::Belady;
use super::block_checkpoints::BlockCheckpoints;
use super::hash_lru::HashLru;
use super::leaf_lru::LeafLru;
use super::marconi::{Alpha, TunedMarconi, with_alpha};
use super::none::NoCache;
use super::radix_cache::RadixCache;
use super::replay::{Turn, best_alpha};
use super::{CacheModel, MarconiMode, PrefixCache};

/// What is kept, and what goes first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CachePolicy {
    /// Nothing is kept.
    None,
    /// Full blocks of KV by the hash of their chain, least recently used first out (vLLM). Transformers only.
    HashLru {
        /// Tokens per block (≥ 1; vLLM's default is 16).
        block_tokens: u32,
    },
    /// A radix tree of KV, its least recently used leaf first out (SGLang). Transformers only.
    RadixLru,
    /// Blocks that each carry a checkpoint, the last one even if partial: vLLM+ of the Marconi paper.
    VllmPlus {
        /// Tokens per block (≥ 1; the paper's is 32).
        block_tokens: u32,
    },
    /// A radix tree with checkpoints where prompts branch and where sequences end, its least recently used leaf first
    /// out: SGLang+ of the Marconi paper.
    SglangPlus,
    /// The same checkpoints; the node with the least of recency and saved FLOPs per byte first out.
    Marconi {
        /// Whose rules.
        mode: MarconiMode,
        /// Weight of saved FLOPs.
        alpha: Alpha,
    },
    /// The most tokens any cache of this size could reuse, if every token had a checkpoint that weighs nothing.
    Belady,
}

/// Why there is no such cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A policy that keeps KV alone, for a model with recurrent layers.
    #[error("{policy} keeps KV alone and cannot serve a model with recurrent layers; {instead} does")]
    NeedsCheckpoints {
        /// The policy.
        policy: &'static str,
        /// The one for hybrids.
        instead: &'static str,
    },
    /// A cache of blocks for a model without attention layers, which has no KV to put into them.
    #[error("{policy} keeps KV, and the model has no attention layers")]
    NoKv {
        /// The policy.
        policy: &'static str,
    },
    /// Not even one entry fits.
    #[error("a cache of {capacity} bytes does not hold one block of {block} bytes")]
    TooSmall {
        /// Bytes there are.
        capacity: u64,
        /// Bytes of a block.
        block: u64,
    },
}

impl CachePolicy {
    /// Its name, as users write it.
    pub fn name(&self) -> &'static str {
        match self {
            CachePolicy::None => "none",
            CachePolicy::HashLru { .. } => "hash-lru",
            CachePolicy::RadixLru => "radix-lru",
            CachePolicy::VllmPlus { .. } => "vllm-plus",
            CachePolicy::SglangPlus => "sglang-plus",
            CachePolicy::Marconi { mode: MarconiMode::Paper, .. } => "marconi",
            CachePolicy::Marconi { mode: MarconiMode::Artifact, .. } => "marconi-artifact",
            CachePolicy::Belady => "belady",
        }
    }

    /// An empty cache of `capacity` bytes. `turns` are the requests it will see, in order: oracles look at them.
    ///
    /// # Errors
    /// A policy that cannot keep what the model needs.
    pub fn build(&self, model: &CacheModel, capacity: u64, turns: &[Turn]) -> Result<Box<dyn PrefixCache>, CacheError> {
        let name = self.name();
        let kv_alone = |instead| match (model.checkpoint_bytes(), model.kv_bytes_per_token()) {
            (0, 0) => Err(CacheError::NoKv { policy: name }),
            (0, _) => Ok(()),
            _ => Err(CacheError::NeedsCheckpoints { policy: name, instead }),
        };
        Ok(match *self {
            CachePolicy::None => Box::new(NoCache),
            CachePolicy::HashLru { block_tokens } => {
                kv_alone("vllm-plus")?;
                let block = model.kv_bytes(block_tokens);
                if capacity < block {
                    return Err(CacheError::TooSmall { capacity, block });
                }
                Box::new(HashLru::new(model, capacity, block_tokens))
            }
            CachePolicy::RadixLru => {
                kv_alone("sglang-plus")?;
                Box::new(RadixCache::new(*model, capacity, true, LeafLru::new(false)))
            }
            CachePolicy::VllmPlus { block_tokens } => Box::new(BlockCheckpoints::new(*model, capacity, block_tokens)),
            CachePolicy::SglangPlus => Box::new(RadixCache::new(*model, capacity, false, LeafLru::new(true))),
            CachePolicy::Marconi { mode, alpha } => match alpha {
                Alpha::Fixed(alpha) => Box::new(with_alpha(*model, capacity, mode, alpha)),
                Alpha::TunedOnce(tuning) => Box::new(TunedMarconi::new(*model, capacity, mode, tuning)),
                Alpha::Oracle => Box::new(with_alpha(*model, capacity, mode, best_alpha(model, capacity, mode, turns))),
            },
            CachePolicy::Belady => Box::new(Belady::new(model, capacity, turns)),
        })
    }
}
