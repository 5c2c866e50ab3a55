//! Prefixes of models with recurrent layers.

use crate::prefix_cache::{Alpha, CacheModel, MarconiMode};

/// A prefix cache of tokens with checkpoints of recurrent states, in the memory that requests leave of a replica's blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckpointSpec {
    /// Bytes and FLOPs of what is kept. A block is `block_size` times the KV bytes of a token.
    pub model: CacheModel,
    /// What goes first.
    pub eviction: CheckpointEviction,
    /// How a prompt gets a checkpoint where it leaves what is kept.
    pub branches: BranchStates,
}

/// What goes first from a prefix cache with checkpoints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CheckpointEviction {
    /// The least recently used leaf: SGLang+ of the Marconi paper.
    LeafLru,
    /// The node with the least of recency and saved FLOPs per byte, of those with at most one child: Marconi.
    FlopAware {
        /// Whether saved FLOPs are reckoned as in the paper or as in its artifact; the bytes that are freed are counted either
        /// way.
        mode: MarconiMode,
        /// Weight of saved FLOPs against recency (finite, ≥ 0), or how it is found: not beforehand. It is tuned by
        /// requests that have ended, replayed through caches alone of the size of what running requests leave at that moment.
        alpha: Alpha,
    },
}

/// Where a prompt that leaves what is kept gets the checkpoint from which others like it can start.
///
/// Kernels leave a sequence's states at the end of the piece that they compute, and may write them in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchStates {
    /// Its piece is cut there, and the rest follows in a later step: two passes, as the Marconi paper has it.
    Cut,
    /// At the last multiple of so many tokens (≥ 1) before it, whose states the kernel writes in passing.
    Every(u32),
}
