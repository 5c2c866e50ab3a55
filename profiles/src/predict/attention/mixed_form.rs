//! The form of attention over prompt pieces and generating requests in one launch.
//!
//! The kernel treats a generating request as a piece of one token. In FlashAttention 2 that loses what makes decode
//! attention fast: query heads of a group no longer share a tile, so each walks over the keys by itself, and contexts are
//! not split over multiprocessors. Three resources bound the launch: the tiles of both kinds together, the longest chain
//! of keys that one tile walks, and the traffic of the cache. The cache is read once per *group* where the query heads of
//! a group run at the same time or the keys of one KV head fit into L2, else once per query head: that is the jump by
//! the group's size that measured tables show at long contexts.

use super::prefill::PrefillTimes;
use super::{HeadShape, Peaks};
use crate::cost::Evidence;
use crate::device::DeviceSpec;
use crate::step::PrefillPiece;

/// Rows of queries in a tile.
const TILE_ROWS: f64 = 64.0;
/// Cost of a tile of a piece, of a tile of a generating request, of an empty tile, and of the start of a chain, in keys
/// that a tile walks over in the same time.
const PIECE_TILE_KEYS: f64 = 367.6;
const REQUEST_TILE_KEYS: f64 = 186.6;
const EMPTY_TILE_KEYS: f64 = 198.9;
const CHAIN_START_KEYS: f64 = 229.3;
/// Weight of keys that tiles of pieces and of generating requests walk over, and of those of the longest chain.
const PIECE_KEYS: f64 = 0.966;
const REQUEST_KEYS: f64 = 0.971;
const CHAIN_KEYS: f64 = 0.847;
/// Time of cache traffic relative to datasheet bandwidth.
const TRAFFIC: f64 = 0.908;
/// How sharply the largest of the three bounds rules.
const SHARPNESS: f64 = 1.872;
/// Keys and values of a KV head, relative to L2, from which its query heads no longer find them there, and how sharp the
/// change is.
const L2_FIT: f64 = 1.227;
const L2_SHARPNESS: f64 = 6.0;
/// Tiles per multiprocessor and query head from which the query heads of a group no longer run together.
const APART: f64 = 0.449;
const APART_SHARPNESS: f64 = 4.87;
/// What unequal contexts add to the walk of generating requests, per unit of longest over mean less one. Read off the
/// unequal batches of the same source.
const UNEQUAL: f64 = 0.03;

/// Pieces, as new tokens and context, whose time is almost all walking over keys; the first measured one gives the pace.
const LONG_PROMPTS: [(u32, u32); 5] = [(2048, 8192), (16_384, 0), (8192, 0), (4096, 0), (2048, 0)];

/// How an attention kernel lays out generating requests that share a launch with prompt pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileKernel {
    /// A tile per query head, as FlashAttention 2 does.
    PerQueryHead,
    /// A tile per KV head with its whole group of query heads, as FlashAttention 3 does. No public table shows this case:
    /// the form is carried over with a group of one.
    PerGroup,
}

/// Time of a launch over prompt pieces and generating requests, as a function of what is in it.
///
/// Fitted to 122,208 measured batches of seven models and splits (vLLM 0.19 on RTX 4090 and RTX PRO 6000,
/// LLMServingSim). At the pace of their prefill attention it misses them by 6-8 % in the median and 19-27 % at the 95th
/// percentile per table, where prefill plus decode misses by 24-43 % and 72-83 %. Fitted on one of the GPUs and tested on
/// the other: 6-11 % and 30-41 %.
#[derive(Clone, Debug, PartialEq)]
pub struct MixedForm {
    key_ns: f64,
    /// Tiles on a multiprocessor for each token of a generating request, and for each run of rows of a piece.
    tiles_per_row: f64,
    tile_tokens: f64,
    group: f64,
    visible: f64,
    ns_per_cached_token: f64,
    head_bytes_over_l2: f64,
    sms: f64,
}

impl MixedForm {
    /// The form for the heads of a layer where a tile takes `key_ns` nanoseconds per key.
    pub fn new(heads: HeadShape, device: &DeviceSpec, kernel: TileKernel, key_ns: f64) -> Self {
        let peaks = Peaks::of(device, heads.activations);
        let (tiles, group, tile_tokens) = match kernel {
            TileKernel::PerQueryHead => (heads.queries(), heads.group(), TILE_ROWS),
            TileKernel::PerGroup => (heads.keys(), 1.0, TILE_ROWS / heads.group()),
        };
        Self {
            key_ns,
            tiles_per_row: tiles / peaks.sms,
            tile_tokens,
            group,
            visible: heads.visible(),
            ns_per_cached_token: heads.cache_bytes() * peaks.ns_per_byte * TRAFFIC,
            head_bytes_over_l2: heads.cache_bytes() / heads.keys() / peaks.l2_bytes,
            sms: peaks.sms,
        }
    }

    /// The form where no mixed batch was measured: the pace of a tile is that of a long prompt.
    pub fn from_prefill(heads: HeadShape, device: &DeviceSpec, kernel: TileKernel, prefill: &PrefillTimes) -> Self {
        let unit = Self::new(heads, device, kernel, 1.0);
        let prompt = |&(new_tokens, context_tokens): &(u32, u32)| PrefillPiece { new_tokens, context_tokens };
        let prompts: Vec<PrefillPiece> = LONG_PROMPTS.iter().map(prompt).collect();
        let measured = |prompt: &&PrefillPiece| prefill.alike(1.0, **prompt).evidence == Evidence::Measured;
        let prompt = *prompts.iter().find(measured).unwrap_or(&prompts[0]);
        // The little cache that a prompt reads does not bound it.
        let [walk, chain, _] = unit.bounds(&[prompt], 0.0, 0.0, 0.0);
        Self { key_ns: prefill.alike(1.0, prompt).ns / together([walk, chain]), ..unit }
    }

    /// The same form at another pace.
    pub(super) fn at_pace(&self, key_ns: f64) -> Self {
        Self { key_ns, ..self.clone() }
    }

    /// Nanoseconds that a tile takes per key.
    pub fn key_ns(&self) -> f64 {
        self.key_ns
    }

    /// Nanoseconds for these pieces and `requests` generating requests with a mean and a longest context in tokens.
    pub fn ns(&self, pieces: &[PrefillPiece], requests: f64, mean_context: f64, longest_context: f64) -> f64 {
        let [walk, chain, traffic_ns] = self.bounds(pieces, requests, mean_context, longest_context);
        together([self.key_ns * walk, self.key_ns * chain, traffic_ns])
    }

    /// Keys that multiprocessors walk over on average, keys of the longest chain, and nanoseconds of cache traffic.
    fn bounds(&self, pieces: &[PrefillPiece], requests: f64, mean_context: f64, longest_context: f64) -> [f64; 3] {
        let (mut tiles, mut keys, mut most_tiles, mut cached) = (0.0, 0.0, 0.0_f64, 0.0);
        let mut chain = longest_context.min(self.visible);
        for piece in pieces {
            let (new_tokens, context) = (f64::from(piece.new_tokens), f64::from(piece.context_tokens));
            let piece_tiles = (new_tokens / self.tile_tokens).ceil();
            let end = (context + new_tokens).min(self.visible + self.tile_tokens);
            let walked =
                piece_tiles * context + (piece_tiles - 1.0) * piece_tiles / 2.0 * self.tile_tokens + new_tokens;
            tiles += piece_tiles;
            keys += walked.min(piece_tiles * end);
            most_tiles = most_tiles.max(piece_tiles);
            cached += end;
            chain = chain.max(end);
        }
        let mean = mean_context.min(self.visible);
        let unequal = if mean > 0.0 { 1.0 + UNEQUAL * (longest_context.min(self.visible) / mean - 1.0) } else { 1.0 };
        let of_pieces = tiles * PIECE_TILE_KEYS + keys * PIECE_KEYS;
        let of_requests = requests * (REQUEST_TILE_KEYS + mean * unequal * REQUEST_KEYS);
        let walk = self.tiles_per_row * (of_pieces + of_requests) + requests * most_tiles / self.sms * EMPTY_TILE_KEYS;
        let chain = CHAIN_START_KEYS + chain * CHAIN_KEYS;
        let reads = self.reads(requests * mean, (requests + tiles) / self.sms);
        [walk, chain, self.ns_per_cached_token * (requests * mean * reads + cached)]
    }

    /// How often the cache of the generating requests is read from device memory.
    fn reads(&self, keys: f64, tiles_per_sm: f64) -> f64 {
        if self.group <= 1.0 {
            return 1.0;
        }
        let step = |ratio: f64, sharpness: f64| 1.0 / (1.0 + ratio.powf(-sharpness));
        let too_large = step(keys * self.head_bytes_over_l2 / L2_FIT, L2_SHARPNESS);
        1.0 + (self.group - 1.0) * too_large * step(tiles_per_sm / APART, APART_SHARPNESS)
    }
}

/// Time under several bounds, of which the largest rules.
fn together<const N: usize>(bounds: [f64; N]) -> f64 {
    bounds.iter().map(|bound| bound.powf(SHARPNESS)).sum::<f64>().powf(1.0 / SHARPNESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::DType;

    fn form(kernel: TileKernel) -> MixedForm {
        let (activations, kv_cache) = (DType::Bf16, DType::Bf16);
        let heads = HeadShape { query_heads: 32, kv_heads: 8, head_dim: 128, window: 0, activations, kv_cache };
        MixedForm::new(heads, &DeviceSpec::shipped("H100").unwrap(), kernel, 20.0)
    }

    const CHUNK: [PrefillPiece; 1] = [PrefillPiece { new_tokens: 512, context_tokens: 1024 }];

    #[test]
    fn more_of_anything_never_takes_less() {
        let form = form(TileKernel::PerQueryHead);
        let base = form.ns(&CHUNK, 32.0, 1000.0, 1000.0);
        assert!(form.ns(&CHUNK, 33.0, 1000.0, 1000.0) > base);
        assert!(form.ns(&CHUNK, 32.0, 1100.0, 1100.0) > base);
        assert!(form.ns(&CHUNK, 32.0, 1000.0, 4000.0) > base);
        assert!(form.ns(&[PrefillPiece { new_tokens: 640, context_tokens: 1024 }], 32.0, 1000.0, 1000.0) > base);
    }

    #[test]
    fn groups_that_run_apart_read_the_cache_once_per_query_head() {
        let form = form(TileKernel::PerQueryHead);
        assert!((form.reads(1000.0, 0.1) - 1.0).abs() < 0.01, "a small cache");
        assert!((form.reads(3e6, 0.05) - 1.0).abs() < 0.01, "a large one of heads that run together");
        assert!((form.reads(3e6, 3.0) - 4.0).abs() < 0.05, "a large one of heads that run apart");
    }

    #[test]
    fn tiles_of_whole_groups_walk_over_fewer_keys() {
        let together = form(TileKernel::PerGroup).ns(&CHUNK, 64.0, 4000.0, 4000.0);
        let apart = form(TileKernel::PerQueryHead).ns(&CHUNK, 64.0, 4000.0, 4000.0);
        assert!(together < 0.5 * apart, "{together} against {apart}");
    }
}
