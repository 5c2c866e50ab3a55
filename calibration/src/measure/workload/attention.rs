//! Attention over a pool whose pages are shuffled, as after hours of serving.

use profiles::DType;
use profiles::table::{DecodeAttentionRow, MixedAttentionRow, PrefillAttentionRow};

use super::{Builder, Item, Workload, WorkloadError, no_kernel};
use crate::kernels::{
    AttentionShape, DecodeLists, DecodePlan, PagedKv, Piece, PrefillLists, PrefillPlan, View, decode_attention,
    prefill_attention,
};

/// Tokens of a page, vLLM's default.
const PAGE_SIZE: u64 = 16;

fn shape(
    query_heads: u32,
    kv_heads: u32,
    head_dim: u32,
    window: u32,
    formats: [DType; 2],
) -> Result<AttentionShape, WorkloadError> {
    if window != 0 {
        return no_kernel(format!("a sliding window of {window} tokens; there is no such kernel here"));
    }
    if formats != [DType::Bf16; 2] {
        return no_kernel(format!("{} with a KV cache of {}; bf16 with bf16 is possible", formats[0], formats[1]));
    }
    let [query_heads, kv_heads, head_dim] = [query_heads, kv_heads, head_dim].map(u64::from);
    Ok(AttentionShape { query_heads, kv_heads, head_dim, page_size: PAGE_SIZE })
}

/// Contexts of `requests` requests that sum to `total` and of which the largest is `longest`: the first is, the others
/// share the rest evenly.
fn contexts(requests: u32, total: u64, longest: u64) -> Result<Vec<u32>, WorkloadError> {
    let others = u64::from(requests).saturating_sub(1);
    let rest = total.checked_sub(longest);
    let possible =
        rest.is_some_and(|rest| rest >= others && rest <= others * longest) && u32::try_from(longest).is_ok();
    let Some(rest) = rest.filter(|_| possible) else {
        return no_kernel(format!("{requests} contexts that sum to {total} and of which the largest is {longest}"));
    };
    let share = |index: u64| rest / others + u64::from(index < rest % others);
    Ok(std::iter::once(longest).chain((0..others).map(share)).map(|context| context as u32).collect())
}

/// A pool with a page table for each variant, over pages of its own.
struct Pool {
    keys: View,
    values: View,
    pages: u64,
    max_pages: u64,
    tables: Vec<View>,
}

impl Pool {
    fn new(
        shape: AttentionShape,
        contexts: &[u32],
        other_bytes: u64,
        builder: &mut Builder<'_>,
    ) -> Result<Self, WorkloadError> {
        let pages_of = |context: &u32| u64::from(*context).div_ceil(PAGE_SIZE);
        let own_pages: u64 = contexts.iter().map(pages_of).sum();
        let row = shape.kv_heads * shape.head_dim;
        let read_bytes = 2 * 2 * row * contexts.iter().map(|&context| u64::from(context)).sum::<u64>();
        let copies = builder.copies(read_bytes, 2 * 2 * row * PAGE_SIZE * own_pages, other_bytes)?;
        let pages = copies * own_pages;
        // Parts of a table start at multiples of 16 bytes.
        let max_pages = contexts.iter().map(pages_of).max().unwrap_or(1).next_multiple_of(4);
        let mut free: Vec<i32> = (0..pages as i32).collect();
        builder.random.shuffle(&mut free);
        let mut tables = Vec::new();
        for _ in 0..copies {
            let mut table = Vec::new();
            for context in contexts {
                let own = pages_of(context) as usize;
                table.extend(free.drain(free.len() - own..));
                table.extend(std::iter::repeat_n(0, max_pages as usize - own));
            }
            tables.push(builder.integers(&table)?);
        }
        let elements = pages * PAGE_SIZE * row;
        Ok(Pool { keys: builder.bf16(elements)?, values: builder.bf16(elements)?, pages, max_pages, tables })
    }

    /// The pool of a variant, from request `first` of its table on.
    fn paged(&self, table: &View, first: u64, requests: u64) -> Result<View, WorkloadError> {
        Ok(table.part(first * self.max_pages * 4, requests * self.max_pages * 4)?)
    }

    fn kv<'a>(&'a self, table: &'a View) -> PagedKv<'a> {
        PagedKv { keys: &self.keys, values: &self.values, pages: self.pages, table, max_pages: self.max_pages }
    }
}

fn prefill_lists(plan: &PrefillPlan, builder: &mut Builder<'_>) -> Result<PrefillLists, WorkloadError> {
    Ok(PrefillLists {
        tiles: builder.integers(plan.tiles.as_flattened())?,
        query_start: builder.integers(&plan.query_start)?,
        query_length: builder.integers(&plan.query_length)?,
        cached: builder.integers(&plan.cached)?,
    })
}

fn decode_lists(
    plan: &DecodePlan,
    shape: AttentionShape,
    builder: &mut Builder<'_>,
) -> Result<DecodeLists, WorkloadError> {
    let partial = plan.slots * shape.query_heads;
    Ok(DecodeLists {
        work: builder.integers(plan.work.as_flattened())?,
        splits: builder.integers(plan.splits.as_flattened())?,
        partial_sums: builder.room(partial * shape.head_dim * 4)?,
        partial_scales: builder.room(partial * 2 * 4)?,
    })
}

/// Prompt pieces and generating requests of one step; either may be none.
fn build(
    shape: AttentionShape,
    pieces: &[Piece],
    decode_contexts: &[u32],
    builder: &mut Builder<'_>,
) -> Result<Workload, WorkloadError> {
    let prefill_contexts = pieces.iter().map(|piece| piece.new_tokens + piece.cached_tokens);
    let all: Vec<u32> = prefill_contexts.chain(decode_contexts.iter().copied()).collect();
    let (prompts, generating) = (pieces.len() as u64, decode_contexts.len() as u64);
    let row = shape.query_heads * shape.head_dim;
    let tokens: u64 = pieces.iter().map(|piece| u64::from(piece.new_tokens)).sum();
    // Queries and results, and generously of partial results.
    let other_bytes = 4 * row * (tokens + 4 * generating) + (1 << 20);
    let pool = Pool::new(shape, &all, other_bytes, builder)?;
    let prefill_plan = PrefillPlan::new(pieces);
    let prefill_lists = prefill_lists(&prefill_plan, builder)?;
    let (prefill_query, prefill_out) = (builder.bf16(tokens * row)?, builder.room(tokens * row * 2)?);
    let decode_plan = DecodePlan::new(decode_contexts, shape.kv_heads, builder.machine.multiprocessors());
    let decode_lists = decode_lists(&decode_plan, shape, builder)?;
    let (decode_query, decode_out) = (builder.bf16(generating * row)?, builder.room(generating * row * 2)?);
    let mut variants = Vec::new();
    for table in &pool.tables {
        let mut items = Vec::new();
        if prompts > 0 {
            let own = pool.paged(table, 0, prompts)?;
            let kv = pool.kv(&own);
            let launch = prefill_attention(shape, &prefill_plan, &prefill_lists, &prefill_query, kv, &prefill_out)?;
            items.push(Item::Kernel(launch));
        }
        if generating > 0 {
            let own = pool.paged(table, prompts, generating)?;
            let kv = pool.kv(&own);
            let launches = decode_attention(shape, &decode_plan, &decode_lists, &decode_query, kv, &decode_out)?;
            items.extend(launches.into_iter().map(Item::Kernel));
        }
        variants.push(items);
    }
    Ok(Workload { variants, touched_experts: None })
}

pub(super) fn prefill(row: &PrefillAttentionRow, builder: &mut Builder<'_>) -> Result<Workload, WorkloadError> {
    let shape = shape(row.query_heads, row.kv_heads, row.head_dim, row.window, [row.activations, row.kv_cache])?;
    let piece = Piece { new_tokens: row.new_tokens, cached_tokens: row.context_tokens };
    build(shape, &vec![piece; row.requests as usize], &[], builder)
}

pub(super) fn decode(row: &DecodeAttentionRow, builder: &mut Builder<'_>) -> Result<Workload, WorkloadError> {
    let shape = shape(row.query_heads, row.kv_heads, row.head_dim, row.window, [row.activations, row.kv_cache])?;
    build(shape, &[], &contexts(row.requests, row.context_tokens, row.longest_context_tokens)?, builder)
}

pub(super) fn mixed(row: &MixedAttentionRow, builder: &mut Builder<'_>) -> Result<Workload, WorkloadError> {
    let shape = shape(row.query_heads, row.kv_heads, row.head_dim, row.window, [row.activations, row.kv_cache])?;
    let piece = Piece { new_tokens: row.new_tokens, cached_tokens: row.prefill_context_tokens };
    let pieces = vec![piece; row.prefill_requests as usize];
    let contexts = contexts(row.decode_requests, row.decode_context_tokens, row.longest_context_tokens)?;
    build(shape, &pieces, &contexts, builder)
}

#[cfg(test)]
mod tests {
    use super::contexts;

    #[test]
    fn contexts_sum_to_what_the_row_says_and_reach_its_longest() {
        for (requests, total, longest) in [(1, 77, 77), (4, 400, 100), (5, 1003, 1000 - 1), (3, 10, 5), (8, 9000, 8000)]
        {
            let contexts = contexts(requests, total, longest).expect("it is possible");
            assert_eq!(contexts.len(), requests as usize);
            assert_eq!(contexts.iter().map(|&context| u64::from(context)).sum::<u64>(), total);
            assert_eq!(contexts.iter().max().map(|&context| u64::from(context)), Some(longest));
            assert!(contexts.iter().all(|&context| context > 0));
        }
    }

    #[test]
    fn contexts_that_cannot_be_are_refused() {
        for (requests, total, longest) in [(1, 77, 70), (4, 400, 99), (4, 100, 98), (2, 10, 11)] {
            assert!(contexts(requests, total, longest).is_err(), "{requests} {total} {longest}");
        }
    }
}
