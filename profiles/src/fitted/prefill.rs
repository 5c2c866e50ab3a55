//! Attention of prompt pieces.

use super::fast;
use super::feature::{Feature, Point};
use super::surface::{Sheet, Surface};
use crate::device::DeviceSpec;

const NS_PER_S: f64 = 1e9;
/// Bytes of activations: 16 bits.
const ACTIVATION_BYTES: f64 = 2.0;
/// Rows of queries that one thread block works on.
const BLOCK_ROWS: f64 = 128.0;
/// How often new keys and values pass through memory in 16 bits around the kernel: the tables' kernels with many KV heads
/// take longer by about so much.
const NEW_KEY_PASSES: f64 = 3.0;

/// The heads of one layer on one GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// Query heads.
    pub query: f64,
    /// KV heads.
    pub kv: f64,
    /// Elements of a head.
    pub dim: f64,
    /// Bytes of an element of the KV cache.
    pub kv_bytes: f64,
}

/// What prompt pieces add up to in one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PromptWork {
    /// New tokens.
    pub tokens: f64,
    /// Keys read, each once per piece.
    pub keys: f64,
    /// Pairs of a query and a key that it sees.
    pub pairs: f64,
    /// Blocks of 128 query rows, all heads: a block of each head, or of each KV head with the rows of its query heads side
    /// by side, whichever is less.
    pub blocks: f64,
    /// Pairs that these blocks work on, rows without a query included.
    pub block_pairs: f64,
}

impl PromptWork {
    /// Adds a piece.
    #[inline]
    pub fn add(&mut self, tokens: f64, keys: f64, pairs: f64, heads: &Heads) {
        self.add_in_blocks(tokens, keys, pairs, heads.blocks(tokens, heads.group()));
    }

    #[inline]
    fn add_in_blocks(&mut self, tokens: f64, keys: f64, pairs: f64, blocks: f64) {
        self.tokens += tokens;
        self.keys += keys;
        self.pairs += pairs;
        self.blocks += blocks;
        // The last rows of a block see up to one block of keys more than its first ones.
        self.block_pairs += blocks * BLOCK_ROWS * (pairs / tokens + (BLOCK_ROWS - 1.0) / 2.0);
    }
}

impl Heads {
    /// The features that a surface of prefill attention may have.
    pub const PREFILL_FEATURES: [Feature; 5] =
        [Feature::PromptTokens, Feature::Blocks, Feature::HeadDim, Feature::Group, Feature::KvHeads];

    /// Query heads per KV head.
    pub fn group(&self) -> f64 {
        self.query / self.kv
    }

    /// Blocks of 128 query rows for a piece of so many tokens, where each KV head has `group` query heads.
    #[inline]
    fn blocks(&self, tokens: f64, group: f64) -> f64 {
        // Whole numbers, as rounding up a float is a call of a function on many machines.
        let blocks = |rows: f64| f64::from((rows as u32).div_ceil(BLOCK_ROWS as u32));
        (self.query * blocks(tokens)).min(self.kv * blocks(tokens * group))
    }

    /// Bytes that prefill attention reads and writes.
    pub fn prefill_bytes(&self, work: &PromptWork) -> f64 {
        let kv_elements = 2.0 * self.kv * self.dim;
        work.keys * kv_elements * self.kv_bytes + work.tokens * 2.0 * self.query * self.dim * ACTIVATION_BYTES
    }

    /// What the correction of prefill attention is applied to, in nanoseconds: the floor, the products at the peak in
    /// whole blocks, and all bytes at the peak bandwidth.
    pub fn prefill_base_ns(&self, work: &PromptWork, floor_ns: f64, device: &DeviceSpec) -> f64 {
        let compute = work.block_pairs * 4.0 * self.dim / device.bf16_flops;
        let new_keys = NEW_KEY_PASSES * work.tokens * 2.0 * self.kv * self.dim * ACTIVATION_BYTES;
        floor_ns + (compute + (self.prefill_bytes(work) + new_keys) / device.memory_bandwidth) * NS_PER_S
    }

    /// What the correction of prefill attention depends on.
    pub fn prefill_point(&self, work: &PromptWork, device: &DeviceSpec) -> Point {
        Point::default()
            .with(Feature::PromptTokens, equivalent_tokens(work))
            .with(Feature::Blocks, work.blocks / f64::from(device.sms))
            .with(Feature::HeadDim, self.dim)
            .with(Feature::Group, self.group())
            .with(Feature::KvHeads, self.kv)
    }
}

/// Tokens of a prompt that is as long as its tokens' mean number of keys says.
#[inline]
fn equivalent_tokens(work: &PromptWork) -> f64 {
    (2.0 * work.pairs / work.tokens - 1.0).max(1.0)
}

/// Prefill attention compiled for the heads of a layer.
#[derive(Clone, Debug)]
pub(crate) struct CompiledPrefill {
    heads: Heads,
    group: f64,
    floor_ns: f64,
    ns_per_block_pair: f64,
    ns_per_key: f64,
    ns_per_token: f64,
    sms_log2: f64,
    surface: Sheet,
}

impl CompiledPrefill {
    pub(crate) fn new(heads: Heads, floor_ns: f64, surface: &Surface, device: &DeviceSpec) -> Self {
        let fixed = surface.fix(&heads.fixed_point(), &[Feature::PromptTokens, Feature::Blocks]);
        let of = |work: PromptWork| heads.prefill_base_ns(&work, 0.0, device);
        Self {
            heads,
            group: heads.group(),
            floor_ns,
            ns_per_block_pair: of(PromptWork { block_pairs: 1.0, ..PromptWork::default() }),
            ns_per_key: of(PromptWork { keys: 1.0, ..PromptWork::default() }),
            ns_per_token: of(PromptWork { tokens: 1.0, ..PromptWork::default() }),
            sms_log2: f64::from(device.sms).log2(),
            surface: fixed.sheet(Feature::PromptTokens, Feature::Blocks),
        }
    }

    /// Adds a piece to what it works on.
    #[inline]
    pub(crate) fn add(&self, work: &mut PromptWork, tokens: f64, keys: f64, pairs: f64) {
        work.add_in_blocks(tokens, keys, pairs, self.heads.blocks(tokens, self.group));
    }

    #[inline]
    pub(crate) fn time_ns(&self, work: &PromptWork) -> f64 {
        let base = self.floor_ns
            + work.block_pairs * self.ns_per_block_pair
            + work.keys * self.ns_per_key
            + work.tokens * self.ns_per_token;
        let correction = self.surface.at(fast::log2(equivalent_tokens(work)), fast::log2(work.blocks) - self.sms_log2);
        base * fast::exp(correction)
    }
}

impl Heads {
    /// The features that the heads alone decide.
    pub(super) fn fixed_point(&self) -> Point {
        Point::default()
            .with(Feature::HeadDim, self.dim)
            .with(Feature::Group, self.group())
            .with(Feature::KvHeads, self.kv)
    }
}
