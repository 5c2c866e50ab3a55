//! Attention over a paged KV pool.

use super::launch::{Builder, Launch, LaunchError, View};
use super::source::{
    ATTENTION_COMBINE, ATTENTION_DECODE_64, ATTENTION_DECODE_128, ATTENTION_PREFILL_64, ATTENTION_PREFILL_128, Kernel,
};

const BF16: u64 = 2;
/// Query rows of a prefill block, as in `attention_prefill.cu`.
const PREFILL_ROWS: u32 = 128;
/// Keys a prefill block takes at once, as in `attention_prefill.cu`.
const PREFILL_KEYS: u32 = 64;
/// Warps, stages and keys per warp and stage of a decode block, as in `attention_decode.cu`.
const DECODE_WARPS: u32 = 4;
const DECODE_STAGES: u32 = 3;
const DECODE_KEYS: u32 = 16;
/// Most query heads per KV head of a decode block.
const DECODE_GROUP: u64 = 16;

/// Heads of attention on one GPU, and the pages of its KV pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Query heads, a multiple of the KV heads.
    pub query_heads: u64,
    /// KV heads.
    pub kv_heads: u64,
    /// Elements of a head: 64 or 128.
    pub head_dim: u64,
    /// Tokens of a page.
    pub page_size: u64,
}

impl AttentionShape {
    fn check(self, builder: Builder) -> Builder {
        let AttentionShape { query_heads, kv_heads, head_dim, page_size } = self;
        let whole = kv_heads > 0 && query_heads % kv_heads == 0 && query_heads > 0;
        builder
            .require(whole, || format!("{query_heads} query heads over {kv_heads} KV heads; a multiple is possible"))
            .require(matches!(head_dim, 64 | 128), || format!("heads of {head_dim}; 64 and 128 are possible"))
            .require(page_size > 0, || "pages of 0 tokens".to_owned())
    }

    /// Scores are scaled by `1 / sqrt(head_dim)` and exponentiated in base 2.
    fn scale_log2(self) -> f32 {
        (std::f64::consts::LOG2_E / (self.head_dim as f64).sqrt()) as f32
    }

    fn pick(self, small: Kernel, large: Kernel) -> Kernel {
        if self.head_dim == 64 { small } else { large }
    }
}

/// A KV pool, `[page][place][kv_head][head_dim]` for keys and for values, and which pages hold which request's tokens.
#[derive(Clone, Copy, Debug)]
pub struct PagedKv<'a> {
    /// Keys.
    pub keys: &'a View,
    /// Values.
    pub values: &'a View,
    /// Pages of the pool.
    pub pages: u64,
    /// Page numbers as 32-bit integers, `[request][max_pages]`, each below `pages`; the kernels do not check them.
    pub table: &'a View,
    /// Places for page numbers per request.
    pub max_pages: u64,
}

impl PagedKv<'_> {
    fn add(&self, builder: Builder, shape: AttentionShape) -> Builder {
        let elements = self.pages * shape.page_size * shape.kv_heads * shape.head_dim;
        builder.memory("key pool", self.keys, elements, BF16).memory("value pool", self.values, elements, BF16)
    }

    fn check_reach(&self, builder: Builder, shape: AttentionShape, longest: u64) -> Builder {
        let reach = self.max_pages * shape.page_size;
        builder.require(longest <= reach, || format!("a context of {longest} tokens; the page table reaches {reach}"))
    }
}

/// A piece of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Tokens of this piece.
    pub new_tokens: u32,
    /// Tokens of the request before it, whose KV is in the pool.
    pub cached_tokens: u32,
}

/// What the blocks of a prefill launch work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefillPlan {
    /// (request, first query row) of each block, the most work first, so that the last blocks to start are short.
    pub tiles: Vec<[i32; 2]>,
    /// First token of each request in the step.
    pub query_start: Vec<i32>,
    /// Tokens of each request in the step.
    pub query_length: Vec<i32>,
    /// Tokens of each request before the step.
    pub cached: Vec<i32>,
    longest: u64,
    tokens: u64,
}

impl PrefillPlan {
    /// The plan for pieces whose tokens follow each other in the step.
    pub fn new(pieces: &[Piece]) -> Self {
        let mut tiles: Vec<(u32, [i32; 2])> = Vec::new();
        let mut query_start = Vec::with_capacity(pieces.len());
        let mut tokens = 0u32;
        for (request, piece) in pieces.iter().enumerate() {
            query_start.push(tokens.cast_signed());
            tokens += piece.new_tokens;
            for first in (0..piece.new_tokens).step_by(PREFILL_ROWS as usize) {
                let keys = piece.cached_tokens + piece.new_tokens.min(first + PREFILL_ROWS);
                tiles.push((keys.div_ceil(PREFILL_KEYS), [request as i32, first.cast_signed()]));
            }
        }
        tiles.sort_by_key(|&(work, _)| std::cmp::Reverse(work));
        PrefillPlan {
            tiles: tiles.into_iter().map(|(_, tile)| tile).collect(),
            query_start,
            query_length: pieces.iter().map(|piece| piece.new_tokens.cast_signed()).collect(),
            cached: pieces.iter().map(|piece| piece.cached_tokens.cast_signed()).collect(),
            longest: pieces.iter().map(|piece| u64::from(piece.new_tokens + piece.cached_tokens)).max().unwrap_or(0),
            tokens: u64::from(tokens),
        }
    }
}

/// The lists of a [`PrefillPlan`] in a machine's memory.
#[derive(Clone, Debug)]
pub struct PrefillLists {
    /// Its tiles.
    pub tiles: View,
    /// Its query starts.
    pub query_start: View,
    /// Its query lengths.
    pub query_length: View,
    /// Its cached tokens.
    pub cached: View,
}

/// Causal attention of prompt pieces: `query` and `out` are `[token][query_head][head_dim]`; the KV of the new tokens is
/// in the pool already.
///
/// # Errors
///
/// If the kernel does not do the shape, or memory is too small.
pub fn prefill_attention(
    shape: AttentionShape,
    plan: &PrefillPlan,
    lists: &PrefillLists,
    query: &View,
    kv: PagedKv<'_>,
    out: &View,
) -> Result<Launch, LaunchError> {
    let requests = plan.query_length.len() as u64;
    let elements = plan.tokens * shape.query_heads * shape.head_dim;
    let builder = Builder::new(shape.pick(ATTENTION_PREFILL_64, ATTENTION_PREFILL_128));
    let builder = shape.check(builder).memory("query", query, elements, BF16);
    kv.check_reach(kv.add(builder, shape), shape, plan.longest)
        .memory("out", out, elements, BF16)
        .memory("page table", kv.table, requests * kv.max_pages, 4)
        .memory("tiles", &lists.tiles, 2 * plan.tiles.len() as u64, 4)
        .memory("query starts", &lists.query_start, requests, 4)
        .memory("query lengths", &lists.query_length, requests, 4)
        .memory("cached tokens", &lists.cached, requests, 4)
        .count("query heads", shape.query_heads)
        .count("KV heads", shape.kv_heads)
        .count("page size", shape.page_size)
        .count("pages per request", kv.max_pages)
        .float(shape.scale_log2())
        .over([plan.tiles.len() as u64, shape.query_heads], 256, 2 * 2 * PREFILL_KEYS * shape.head_dim as u32 * 2)
}

/// How decode attention is spread: contexts are cut into items of about equal length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodePlan {
    /// (request, first key, end key, partial slot or -1) of each item, the longest first.
    pub work: Vec<[i32; 4]>,
    /// (request, first slot, slots) of each request that was cut.
    pub splits: Vec<[i32; 3]>,
    /// Partial slots.
    pub slots: u64,
    requests: u64,
    longest: u64,
}

impl DecodePlan {
    /// The plan for one token each of requests with `contexts` tokens (the new one included, each above 0), over
    /// `multiprocessors` that run two blocks each: items as long as gives every place one item, but no shorter than 256
    /// tokens, below which joining costs more than it spreads.
    pub fn new(contexts: &[u32], kv_heads: u64, multiprocessors: u32) -> Self {
        const SHORTEST: u64 = 256;
        let granule = u64::from(DECODE_WARPS * DECODE_KEYS);
        let total: u64 = contexts.iter().map(|&context| u64::from(context)).sum();
        let places = 2 * u64::from(multiprocessors);
        let item = (total * kv_heads).div_ceil(places).next_multiple_of(granule).max(SHORTEST);
        let mut plan = DecodePlan {
            work: Vec::new(),
            splits: Vec::new(),
            slots: 0,
            requests: contexts.len() as u64,
            longest: contexts.iter().map(|&context| u64::from(context)).max().unwrap_or(0),
        };
        for (request, &context) in contexts.iter().enumerate() {
            let pieces = u64::from(context).div_ceil(item);
            if pieces <= 1 {
                plan.work.push([request as i32, 0, context.cast_signed(), -1]);
                continue;
            }
            let length = u64::from(context).div_ceil(pieces).next_multiple_of(granule);
            let pieces = u64::from(context).div_ceil(length);
            plan.splits.push([request as i32, plan.slots as i32, pieces as i32]);
            for piece in 0..pieces {
                let end = ((piece + 1) * length).min(u64::from(context));
                plan.work.push([request as i32, (piece * length) as i32, end as i32, plan.slots as i32]);
                plan.slots += 1;
            }
        }
        plan.work.sort_by_key(|item| std::cmp::Reverse(item[2] - item[1]));
        plan
    }
}

/// The lists of a [`DecodePlan`] in a machine's memory, and room for partial results.
#[derive(Clone, Debug)]
pub struct DecodeLists {
    /// Its work items.
    pub work: View,
    /// Its splits; any memory where there are none.
    pub splits: View,
    /// Floats, `[slot][query_head][head_dim]`; any memory where there are no slots.
    pub partial_sums: View,
    /// Floats, `[slot][query_head][2]`; any memory where there are no slots.
    pub partial_scales: View,
}

/// Attention of one new token per request: `query` and `out` are `[request][query_head][head_dim]`. One launch, and a
/// second that joins the parts of requests that were cut.
///
/// # Errors
///
/// If the kernel does not do the shape, or memory is too small.
pub fn decode_attention(
    shape: AttentionShape,
    plan: &DecodePlan,
    lists: &DecodeLists,
    query: &View,
    kv: PagedKv<'_>,
    out: &View,
) -> Result<Vec<Launch>, LaunchError> {
    let elements = plan.requests * shape.query_heads * shape.head_dim;
    let partial = plan.slots * shape.query_heads;
    let group = shape.query_heads / shape.kv_heads.max(1);
    let shared_bytes = DECODE_WARPS * DECODE_STAGES * 2 * DECODE_KEYS * shape.head_dim as u32 * 2;
    let builder = Builder::new(shape.pick(ATTENTION_DECODE_64, ATTENTION_DECODE_128));
    let builder = shape
        .check(builder)
        .require(group <= DECODE_GROUP, || {
            format!("{group} query heads per KV head; up to {DECODE_GROUP} are possible")
        })
        .memory("query", query, elements, BF16);
    let attend = kv
        .check_reach(kv.add(builder, shape), shape, plan.longest)
        .memory("out", out, elements, BF16)
        .memory("partial sums", &lists.partial_sums, partial * shape.head_dim, 4)
        .memory("partial scales", &lists.partial_scales, partial * 2, 4)
        .memory("page table", kv.table, plan.requests * kv.max_pages, 4)
        .memory("work", &lists.work, 4 * plan.work.len() as u64, 4)
        .count("query heads", shape.query_heads)
        .count("KV heads", shape.kv_heads)
        .count("page size", shape.page_size)
        .count("pages per request", kv.max_pages)
        .float(shape.scale_log2())
        .over([plan.work.len() as u64, shape.kv_heads], 32 * DECODE_WARPS, shared_bytes)?;
    if plan.splits.is_empty() {
        return Ok(vec![attend]);
    }
    let combine = Builder::new(ATTENTION_COMBINE)
        .memory("partial sums", &lists.partial_sums, partial * shape.head_dim, 4)
        .memory("partial scales", &lists.partial_scales, partial * 2, 4)
        .memory("out", out, elements, BF16)
        .memory("splits", &lists.splits, 3 * plan.splits.len() as u64, 4)
        .count("query heads", shape.query_heads)
        .over([plan.splits.len() as u64, shape.query_heads], shape.head_dim as u32, 0)?;
    Ok(vec![attend, combine])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decode_plan_covers_every_context_once_and_in_order() {
        let contexts = [1, 17, 255, 256, 257, 5000, 131_072];
        let plan = DecodePlan::new(&contexts, 8, 132);
        for (request, &context) in contexts.iter().enumerate() {
            let mut items: Vec<_> = plan.work.iter().filter(|item| item[0] == request as i32).collect();
            items.sort_by_key(|item| item[1]);
            assert_eq!(items[0][1], 0);
            assert!(items.windows(2).all(|pair| pair[0][2] == pair[1][1]), "request {request} has a gap or an overlap");
            assert_eq!(items.last().map(|item| item[2]), Some(context.cast_signed()));
            assert_eq!(items.len() == 1, items[0][3] == -1, "whole requests need no slot");
        }
        assert_eq!(plan.splits.iter().map(|split| split[2] as u64).sum::<u64>(), plan.slots);
    }

    #[test]
    fn one_long_context_is_cut_until_it_fills_the_gpu() {
        let plan = DecodePlan::new(&[131_072], 8, 132);
        let blocks = plan.work.len() as u64 * 8;
        assert!((200..=2 * 132).contains(&blocks), "{blocks} blocks for 264 places");
    }

    #[test]
    fn a_prefill_plan_starts_with_the_most_work() {
        let plan = PrefillPlan::new(&[
            Piece { new_tokens: 200, cached_tokens: 0 },
            Piece { new_tokens: 1, cached_tokens: 4096 },
        ]);
        assert_eq!(plan.tiles, [[1, 0], [0, 128], [0, 0]]);
        assert_eq!(plan.query_start, [0, 200]);
    }
}
