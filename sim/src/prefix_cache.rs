//! Prefix caches alone: requests one after the other, each looked up and then stored, with no time between.
//!
//! This is how studies of prefix caches replay traces: no request is served while another is, nothing is pinned, and only
//! the order of the requests matters. A hybrid model keeps, beside the KV cache of its attention layers, one fixed-size
//! state per recurrent layer, which stands for one prefix and cannot be cut: tokens are reused only up to a position for
//! which there is a *checkpoint* of all states, and the KV of all tokens before it.
//!
//! Each policy is one file. `model` prices what is kept, `replay` runs requests through a cache, and `served` is what
//! replicas serve with.

mod belady;
mod block_checkpoints;
mod flop_aware;
mod hash_lru;
mod host;
mod leaf_lru;
mod marconi;
mod model;
mod none;
mod policy;
mod radix_cache;
mod recency;
mod replay;
mod served;
mod store;

use std::fmt::Debug;

use workloads::Span;

pub use flop_aware::MarconiMode;
pub use host::HostTier;
pub use marconi::{Alpha, AlphaTuning, TuningObjective};
pub use model::{CacheModel, HybridShape};
pub use policy::{CacheError, CachePolicy};
pub use replay::{CacheReport, Turn, best_alpha, replay};
pub(crate) use served::{CheckpointTree, Way};

/// What a cache had of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hit {
    /// Prompt tokens that need no computation, from the first one on.
    pub tokens: u32,
    /// Those of them that had to be fetched from the second tier.
    pub fetched_tokens: u32,
    /// What was fetched from the second tier, bytes.
    pub fetched_bytes: u64,
}

/// What a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Nodes of a tree but for its root, which holds nothing; blocks of a block cache.
    pub entries: u64,
    /// Bytes now.
    pub bytes: u64,
    /// Bytes when it held most, between two requests.
    pub peak_bytes: u64,
}

/// Which blocks with checkpoints were ever of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockReuse {
    /// Blocks that were stored, those evicted since included.
    pub stored: u64,
    /// Those whose KV some prompt reused.
    pub kv_reused: u64,
    /// Those whose checkpoint some prompt went on from: the last block that it reused.
    pub checkpoints_reused: u64,
}

/// The alpha a cache found for itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// The weight of saved FLOPs against recency that it has used since.
    pub alpha: f64,
    /// Requests looked up when the first eviction happened.
    pub first_eviction: u64,
    /// Requests looked up when the alpha was found.
    pub after: u64,
}

/// A prefix cache and its policy.
pub trait PrefixCache: Debug {
    /// What there is of a prompt; the policy remembers that it was asked.
    fn lookup(&mut self, input: &[Span]) -> Hit;

    /// Stores a prompt with its answer, evicting what has to go. `sequence` begins with the prompt last looked up.
    fn insert(&mut self, sequence: &[Span]);

    /// What it holds.
    fn held(&self) -> Held;

    /// Which of its blocks were of use, if each has a checkpoint.
    fn block_reuse(&self) -> Option<BlockReuse> {
        None
    }

    /// The alpha it found, once it has.
    fn tuned(&self) -> Option<Tuned> {
        None
    }
}
