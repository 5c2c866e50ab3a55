//! Mixture of experts.

use super::launch::{Builder, Launch, LaunchError, View, threads_for};
use super::source::{COMBINE_EXPERTS, GROUPED_GEMM_16, GROUPED_GEMM_64, GROUPED_GEMM_128, ROUTE_TOP_K, SORT_BY_EXPERT};

const BF16: u64 = 2;
/// Most experts of a layer, as in `experts.cu`.
const MOST_EXPERTS: u64 = 512;

/// How tokens choose experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpertRouting {
    /// Tokens.
    pub tokens: u64,
    /// Experts on this GPU, up to 512.
    pub experts: u64,
    /// Experts that each token chooses, up to 32.
    pub top_k: u64,
}

impl ExpertRouting {
    fn check(self, builder: Builder) -> Builder {
        let ExpertRouting { experts, top_k, .. } = self;
        let possible = (1..=MOST_EXPERTS).contains(&experts) && (1..=32.min(experts)).contains(&top_k);
        builder.require(possible, || {
            format!("{top_k} of {experts} experts; up to {MOST_EXPERTS} experts and up to 32 of them are possible")
        })
    }

    /// Pairs of a token and an expert it chose.
    pub fn pairs(self) -> u64 {
        self.tokens * self.top_k
    }

    /// Most tiles of `tile_rows` rows that the pairs can need.
    pub fn most_tiles(self, tile_rows: u64) -> u64 {
        // Every expert may end with a tile that is not full, and no expert has a tile without a pair.
        (self.pairs() / tile_rows + self.experts).min(self.pairs())
    }
}

/// The `top_k` largest of each token's `logits` (bfloat16) and their softmax, renormalised: `chosen` as 32-bit integers and
/// `weights` as floats, both `[token][top_k]`.
///
/// # Errors
///
/// If the kernel does not do the shape, or memory is too small.
pub fn route(routing: ExpertRouting, logits: &View, chosen: &View, weights: &View) -> Result<Launch, LaunchError> {
    routing
        .check(Builder::new(ROUTE_TOP_K))
        .memory("logits", logits, routing.tokens * routing.experts, BF16)
        .memory("chosen", chosen, routing.pairs(), 4)
        .memory("weights", weights, routing.pairs(), 4)
        .count("tokens", routing.tokens)
        .count("experts", routing.experts)
        .count("choices", routing.top_k)
        .over([routing.tokens.div_ceil(8), 1], 256, 0)
}

/// Where each pair lies when pairs are sorted by expert. All are 32-bit integers.
#[derive(Clone, Debug)]
pub struct SortedPairs {
    /// First sorted row of each expert, and the end: experts + 1.
    pub expert_start: View,
    /// The pair at each sorted row.
    pub pair_of_row: View,
    /// The sorted row of each pair.
    pub row_of_pair: View,
    /// (expert, first row) of each tile, [`ExpertRouting::most_tiles`] of them at most.
    pub tiles: View,
    /// How many tiles there are.
    pub tile_count: View,
}

/// Rows of a tile of the grouped products, chosen by the mean number of pairs per expert: 16 where weights are read for a
/// few rows each, 128 where there is much to do.
pub fn grouped_tile_rows(routing: ExpertRouting) -> u64 {
    match routing.pairs() / routing.experts.max(1) {
        0..=16 => 16,
        17..=96 => 64,
        _ => 128,
    }
}

/// Sorts pairs by the expert `chosen`, each below the number of experts, into tiles of `tile_rows`.
///
/// # Errors
///
/// If the kernel does not do the shape, or memory is too small.
pub fn sort_by_expert(
    routing: ExpertRouting,
    tile_rows: u64,
    chosen: &View,
    sorted: &SortedPairs,
) -> Result<Launch, LaunchError> {
    let pairs = routing.pairs();
    routing
        .check(Builder::new(SORT_BY_EXPERT))
        .memory("chosen", chosen, pairs, 4)
        .memory("expert starts", &sorted.expert_start, routing.experts + 1, 4)
        .memory("pairs of rows", &sorted.pair_of_row, pairs, 4)
        .memory("rows of pairs", &sorted.row_of_pair, pairs, 4)
        .memory("tiles", &sorted.tiles, 2 * routing.most_tiles(tile_rows), 4)
        .memory("tile count", &sorted.tile_count, 1, 4)
        .count("pairs", pairs)
        .count("experts", routing.experts)
        .count("tile rows", tile_rows)
        .over([1, 1], 1024, 0)
}

/// Which rows a grouped product reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupedInput {
    /// One row per token; each sorted row reads its token's.
    Tokens,
    /// One row per pair, sorted.
    Sorted,
}

/// `out[row] = input[row] * weights[expert of row]`, weights `[expert][n][k]`, `out` sorted rows of `n`, all bfloat16;
/// `tile_rows` as the pairs were sorted.
///
/// # Errors
///
/// If the kernel does not do the shape, or memory is too small.
#[expect(clippy::too_many_arguments, reason = "the operands of the kernel")]
pub fn grouped_product(
    routing: ExpertRouting,
    tile_rows: u64,
    [n, k]: [u64; 2],
    input_rows: GroupedInput,
    input: &View,
    weights: &View,
    out: &View,
    sorted: &SortedPairs,
) -> Result<Launch, LaunchError> {
    let (kernel, threads, stages) = match tile_rows {
        16 => (GROUPED_GEMM_16, 128, 4),
        64 => (GROUPED_GEMM_64, 256, 3),
        _ => (GROUPED_GEMM_128, 256, 3),
    };
    let (rows, top_k) = match input_rows {
        GroupedInput::Tokens => (routing.tokens, routing.top_k),
        GroupedInput::Sorted => (routing.pairs(), 0),
    };
    let tiles = routing.most_tiles(tile_rows);
    routing
        .check(Builder::new(kernel))
        .require(matches!(tile_rows, 16 | 64 | 128), || {
            format!("tiles of {tile_rows} rows; 16, 64 and 128 are possible")
        })
        .require(k.is_multiple_of(8) && k > 0, || format!("k = {k}; multiples of 8 are possible"))
        .require(n.is_multiple_of(2) && n > 0, || format!("n = {n}; even numbers are possible"))
        .memory("input", input, rows * k, BF16)
        .memory("weights", weights, routing.experts * n * k, BF16)
        .memory("out", out, routing.pairs() * n, BF16)
        .memory("expert starts", &sorted.expert_start, routing.experts + 1, 4)
        .memory("pairs of rows", &sorted.pair_of_row, routing.pairs(), 4)
        .memory("tiles", &sorted.tiles, 2 * tiles, 4)
        .memory("tile count", &sorted.tile_count, 1, 4)
        .count("n", n)
        .count("k", k)
        .count("choices", top_k)
        .over([n.div_ceil(128), tiles], threads, stages * (tile_rows as u32 + 128) * 128)
}

/// `out[token] = sum of weight * input[sorted row]` over its choices; rows of `hidden` bfloat16, weights float.
///
/// # Errors
///
/// If the width is no multiple of 8, or memory is too small.
pub fn combine_experts(
    routing: ExpertRouting,
    hidden: u64,
    input: &View,
    weights: &View,
    row_of_pair: &View,
    out: &View,
) -> Result<Launch, LaunchError> {
    routing
        .check(Builder::new(COMBINE_EXPERTS))
        .require(hidden.is_multiple_of(8), || format!("rows of {hidden} elements; multiples of 8 are possible"))
        .memory("input", input, routing.pairs() * hidden, BF16)
        .memory("weights", weights, routing.pairs(), 4)
        .memory("rows of pairs", row_of_pair, routing.pairs(), 4)
        .memory("out", out, routing.tokens * hidden, BF16)
        .count("hidden", hidden)
        .count("choices", routing.top_k)
        .over([routing.tokens, 1], threads_for(hidden, 8, 512), 0)
}
