//! The physical base of prefill attention: tiles of queries that walk over blocks of keys.
//!
//! Query heads that share a KV head are packed into one tile (FlashAttention 2 and 3 do so for grouped queries), so a
//! piece of `q` tokens has `⌈q·r / M⌉` tiles per KV head, `r` query heads each. A tile walks over the keys that its last
//! query sees in blocks of 128. All tiles share the streaming multiprocessors; the longest is a chain of its own.

use super::{HeadShape, KEY_BLOCK, Peaks};

/// Share of the tensor peak that the products of a block reach.
const COMPUTE: f64 = 0.93;
/// Softmax of a key, in elements of a head whose products take as long.
const SOFTMAX_DIM: f64 = 48.0;
/// Part of the total of blocks that counts: tiles overlap at their ends.
const OVERLAP: f64 = 0.95;
/// Part of the longest tile that nothing overlaps.
const CHAIN: f64 = 0.4;
/// Traffic of queries and outputs relative to datasheet bandwidth.
const ROW_TRAFFIC: f64 = 0.9;
/// Scheduling of one request and KV head on a multiprocessor, in nanoseconds.
const SCHEDULING_NS: f64 = 1_300.0;

/// Time of pieces that are all alike, as a function of their shape, for fixed heads. Coefficients: rounded means of
/// non-negative least squares over the head sizes of the vLLM 0.24 tables of H100 and H200 (aiconfigurator); median
/// error 9 %. A correction from measured neighbours always comes on top.
#[derive(Clone, Debug)]
pub(super) struct Tiles {
    floor_ns: f64,
    tile_tokens: f64,
    visible: f64,
    ns_per_block: f64,
    chain_ns_per_block: f64,
    ns_per_token: f64,
    ns_per_request: f64,
    kv_heads: f64,
    flops_per_pair: f64,
    bytes_per_token: f64,
    bytes_per_key: f64,
    peaks: Peaks,
}

impl Tiles {
    /// `floor_ns` is the time of an empty kernel.
    pub(super) fn new(heads: HeadShape, floor_ns: f64, peaks: Peaks) -> Self {
        // FlashAttention 3 takes 192 rows for heads of up to 64 elements, 128 for longer ones.
        let rows = if heads.head_dim <= 64 { 192.0 } else { 128.0 };
        let flops = 4.0 * KEY_BLOCK * rows * (heads.dim() + SOFTMAX_DIM);
        let block_ns = flops * peaks.ns_per_flop * peaks.sms / COMPUTE;
        let bytes_per_token = 4.0 * heads.queries() * heads.dim();
        Self {
            floor_ns,
            tile_tokens: rows / heads.group(),
            visible: heads.visible(),
            ns_per_block: OVERLAP * block_ns / peaks.sms,
            chain_ns_per_block: CHAIN * block_ns,
            ns_per_token: ROW_TRAFFIC * bytes_per_token * peaks.ns_per_byte,
            ns_per_request: SCHEDULING_NS * heads.keys() / peaks.sms,
            kv_heads: heads.keys(),
            flops_per_pair: heads.flops_per_pair(),
            bytes_per_token,
            bytes_per_key: heads.cache_bytes(),
            peaks,
        }
    }

    pub(super) fn peaks(&self) -> Peaks {
        self.peaks
    }

    /// Blocks of keys that the tiles of one KV head and piece walk over.
    #[inline]
    pub(super) fn blocks(&self, new_tokens: f64, context: f64) -> f64 {
        let tiles = (new_tokens / self.tile_tokens).ceil();
        let most = self.visible + self.tile_tokens;
        // The first tiles see all keys before them, later ones the window's.
        let growing = ((most - context) / self.tile_tokens).floor().clamp(0.0, tiles - 1.0);
        let last = (context + new_tokens).min(most);
        let rising = growing * context + self.tile_tokens * growing * (growing + 1.0) / 2.0;
        let keys = rising + (tiles - 1.0 - growing) * most.min(context + new_tokens) + last;
        // Half a block on average is not full.
        keys / KEY_BLOCK + tiles / 2.0
    }

    /// Nanoseconds for `requests` pieces (≥ 1, not necessarily whole).
    #[inline]
    pub(super) fn ns(&self, requests: f64, new_tokens: f64, context: f64) -> f64 {
        let blocks = requests * self.kv_heads * self.blocks(new_tokens, context);
        let chain = ((context + new_tokens).min(self.visible + self.tile_tokens) / KEY_BLOCK).max(1.0);
        self.floor_ns
            + blocks * self.ns_per_block
            + chain * self.chain_ns_per_block
            + requests * (new_tokens * self.ns_per_token + self.ns_per_request)
    }

    /// The least time by the datasheet: visible pairs at the tensor peak, operands once through memory.
    #[inline]
    pub(super) fn roofline_ns(&self, requests: f64, new_tokens: f64, context: f64) -> f64 {
        let growing = (self.visible - context).clamp(0.0, new_tokens);
        let limited = if self.visible.is_finite() { (new_tokens - growing) * self.visible } else { 0.0 };
        let pairs = growing * context + growing * (growing + 1.0) / 2.0 + limited;
        let keys = context.min(self.visible) + new_tokens;
        let bytes = new_tokens * self.bytes_per_token + keys * self.bytes_per_key;
        self.peaks.roofline_ns(requests * pairs * self.flops_per_pair, requests * bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceSpec;
    use crate::parallel::DType;

    fn tiles(query_heads: u32, kv_heads: u32, window: u32) -> Tiles {
        let (activations, kv_cache) = (DType::Bf16, DType::Bf16);
        let heads = HeadShape { query_heads, kv_heads, head_dim: 128, window, activations, kv_cache };
        Tiles::new(heads, 1000.0, Peaks::of(&DeviceSpec::shipped("H100").unwrap(), DType::Bf16))
    }

    /// Counts what the closed form sums.
    fn counted(tiles: &Tiles, new_tokens: f64, context: f64) -> f64 {
        let count = (new_tokens / tiles.tile_tokens).ceil() as u32;
        let most = tiles.visible + tiles.tile_tokens;
        let keys: f64 =
            (1..=count).map(|i| (context + (f64::from(i) * tiles.tile_tokens).min(new_tokens)).min(most)).sum();
        keys / KEY_BLOCK + f64::from(count) / 2.0
    }

    #[test]
    fn blocks_are_those_that_a_walk_over_the_tiles_counts() {
        for (query_heads, kv_heads, window) in [(8, 8, 0), (32, 4, 0), (64, 8, 128), (8, 1, 1024)] {
            let tiles = tiles(query_heads, kv_heads, window);
            for (new_tokens, context) in [(1.0, 0.0), (100.0, 0.0), (128.0, 4096.0), (1000.0, 300.0), (5000.0, 0.0)] {
                let (closed, walked) = (tiles.blocks(new_tokens, context), counted(&tiles, new_tokens, context));
                assert!((closed / walked - 1.0).abs() < 1e-9, "{new_tokens} after {context}: {closed} vs {walked}");
            }
        }
    }

    #[test]
    fn long_prompts_run_near_the_tensor_peak_and_never_above() {
        let tiles = tiles(32, 8, 0);
        for tokens in [1.0, 64.0, 1024.0, 16_384.0] {
            assert!(tiles.ns(4.0, tokens, 0.0) > tiles.roofline_ns(4.0, tokens, 0.0), "{tokens}");
        }
        assert!(tiles.ns(4.0, 16_384.0, 0.0) < 2.0 * tiles.roofline_ns(4.0, 16_384.0, 0.0));
    }
}
