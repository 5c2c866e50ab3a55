//! Attention of generating requests over prefixes that several of them begin with.

use serde::{Deserialize, Serialize};

use super::layer::Context;
use super::load::Basis;
use super::small::Elementwise;
use crate::step::DecodeBatch;

/// Bytes of a partial result: 32 bits.
const PARTIAL_BYTES: f64 = 4.0;
/// Bytes of activations: 16 bits.
const ACTIVATION_BYTES: f64 = 2.0;

/// How attention reads prefixes that lie in the cache once and belong to several generating requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrefixAttention {
    /// Every request reads its whole context: paged attention over block tables that share blocks.
    #[default]
    PerRequest,
    /// A launch for each prefix, in which all its requests attend to it; one for what follows the prefixes; one that merges
    /// the two (cascade attention).
    Cascade,
    /// Prefixes and what follows them in one launch, then one that merges (*`BatchLLM`*, horizontally fused attention).
    Fused,
}

/// The same for one kind of layer. Layers with a sliding window read every context as far as the window reaches.
///
/// Prompt pieces behind a shared prefix gain nothing: hundreds of queries attend to every key that is read, so that computing takes
/// several times as long as reading, and reading once is no faster.
///
/// The form is derived, not fitted: a prefix is read once at the rate at which decode attention reads its cache, or, where
/// so many requests attend to it that this takes longer, computed with at the rate of prefill attention, for its queries
/// form one wide block. FLOPs stay those of all requests.
#[derive(Clone, Debug)]
pub(super) struct SharedPrefixCost {
    /// Whether each prefix has a launch of its own.
    launch_each: bool,
    read_ns_per_key: f64,
    compute_ns_per_pair: f64,
    /// Tails and launch of a kernel.
    launch_ns: f64,
    /// Of the partial results of a request.
    merge: Elementwise,
}

impl SharedPrefixCost {
    /// For queries of `query_width` elements; times per key read, per query and key computed, and per launch in nanoseconds.
    /// `None` where every request reads its own context.
    pub(super) fn new(
        context: &Context<'_>,
        (query_heads, query_width): (f64, f64),
        [read_ns_per_key, compute_ns_per_pair, launch_ns]: [f64; 3],
    ) -> Option<Self> {
        let launch_each = match context.options.prefix_attention {
            PrefixAttention::PerRequest => return None,
            PrefixAttention::Cascade => true,
            PrefixAttention::Fused => false,
        };
        // Two partial results with their log-sum-exp come in, one result goes out.
        let bytes = 2.0 * (query_width + query_heads) * PARTIAL_BYTES + query_width * ACTIVATION_BYTES;
        let merge = Elementwise::new(true, bytes, &context.laws.elementwise, context.options.device);
        Some(Self { launch_each, read_ns_per_key, compute_ns_per_pair, launch_ns, merge })
    }

    /// The batch as plain attention that takes the same time would see it, and what comes on top of that in nanoseconds.
    pub(super) fn apart(&self, batch: DecodeBatch) -> (DecodeBatch, f64) {
        let shared = batch.shared;
        let read_ns = shared.tokens as f64 * self.read_ns_per_key;
        let prefix_ns = read_ns.max(shared.member_tokens as f64 * self.compute_ns_per_pair);
        let (merge, _): (_, Basis) = self.merge.load(batch.requests);
        let mut plain = DecodeBatch { context_tokens: batch.context_tokens - shared.member_tokens, ..batch };
        if self.launch_each {
            let launches_ns = f64::from(shared.prefixes) * self.launch_ns;
            return (plain, launches_ns + prefix_ns + merge.time_ns);
        }
        plain.context_tokens += shared.tokens;
        (plain, prefix_ns - read_ns + merge.time_ns)
    }

    /// Bytes of partial results of a request.
    pub(super) fn merge_bytes(&self, requests: u32) -> f64 {
        self.merge.load(requests).0.memory_bytes
    }
}
