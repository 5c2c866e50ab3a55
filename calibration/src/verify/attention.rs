//! Attention of prompt pieces, of generated tokens, and of both in one pool.

use super::setup::{bf16_results, integers, normals, room};
use super::{BF16_TOLERANCE, Check, VerifyError, compare};
use crate::kernels::{self, AttentionShape, DecodeLists, DecodePlan, PagedKv, Piece, PrefillLists, PrefillPlan, View};
use crate::machine::{Machine, MachineError};
use crate::numbers::Random;

/// Products of scores and values are rounded to bfloat16 before they are summed, as in the published kernels.
const TOLERANCE: f64 = 2.0 * BF16_TOLERANCE;

pub(super) fn check(machine: &mut dyn Machine) -> Result<Vec<Check>, VerifyError> {
    let mut random = Random::new(2);
    let piece = |new_tokens, cached_tokens| Piece { new_tokens, cached_tokens };
    let shape =
        |query_heads, kv_heads, head_dim, page_size| AttentionShape { query_heads, kv_heads, head_dim, page_size };
    Ok(vec![
        prefill(machine, &mut random, shape(2, 1, 64, 16), &[piece(131, 0), piece(7, 70)])?,
        prefill(machine, &mut random, shape(2, 2, 128, 64), &[piece(1, 0), piece(65, 129)])?,
        decode(machine, &mut random, shape(4, 1, 64, 16), &[1, 16, 77, 3], 1)?,
        decode(machine, &mut random, shape(8, 2, 128, 16), &[600, 5, 1100], 8)?,
        decode(machine, &mut random, shape(16, 1, 128, 64), &[130], 1)?,
        decode(machine, &mut random, shape(3, 3, 64, 1), &[700, 65], 132)?,
    ])
}

/// KV of requests spread over a shuffled pool.
struct Pool {
    keys: View,
    values: View,
    key_numbers: Vec<f64>,
    value_numbers: Vec<f64>,
    table: View,
    table_numbers: Vec<i32>,
    pages: u64,
    max_pages: u64,
}

impl Pool {
    fn new(
        machine: &mut dyn Machine,
        random: &mut Random,
        shape: AttentionShape,
        contexts: &[u32],
    ) -> Result<Self, MachineError> {
        let pages_of = |context: u32| u64::from(context).div_ceil(shape.page_size);
        let max_pages = contexts.iter().map(|&context| pages_of(context)).max().unwrap_or(1) + 1;
        let pages = contexts.iter().map(|&context| pages_of(context)).sum::<u64>() + 3;
        let mut free: Vec<i32> = (0..pages as i32).collect();
        random.shuffle(&mut free);
        let mut table_numbers = Vec::new();
        for &context in contexts {
            let own = pages_of(context) as usize;
            table_numbers.extend(free.drain(..own));
            // Beyond a request's last page the kernels must not look.
            table_numbers.extend(std::iter::repeat_n(0, max_pages as usize - own));
        }
        let elements = pages * shape.page_size * shape.kv_heads * shape.head_dim;
        let (keys, key_numbers) = normals(machine, random, elements, 1.0)?;
        let (values, value_numbers) = normals(machine, random, elements, 1.0)?;
        let table = integers(machine, &table_numbers)?;
        Ok(Pool { keys, values, key_numbers, value_numbers, table, table_numbers, pages, max_pages })
    }

    fn paged(&self) -> PagedKv<'_> {
        let Pool { keys, values, table, pages, max_pages, .. } = self;
        PagedKv { keys, values, pages: *pages, table, max_pages: *max_pages }
    }

    /// Softmax-weighted values of `keys` keys of `request` for one query of head `head`.
    fn attend(&self, shape: AttentionShape, request: usize, query: &[f64], keys: u32, head: u64) -> Vec<f64> {
        let head_dim = shape.head_dim as usize;
        let kv_head = head / (shape.query_heads / shape.kv_heads);
        let row = |key: u32| {
            let page =
                self.table_numbers[request * self.max_pages as usize + (key as usize / shape.page_size as usize)];
            let place = page as u64 * shape.page_size + u64::from(key) % shape.page_size;
            ((place * shape.kv_heads + kv_head) * shape.head_dim) as usize
        };
        let dot = |key| query.iter().zip(&self.key_numbers[row(key)..][..head_dim]).map(|(q, k)| q * k).sum::<f64>();
        let scores: Vec<f64> = (0..keys).map(|key| dot(key) / (shape.head_dim as f64).sqrt()).collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut sum = vec![0.0; head_dim];
        for (key, weight) in (0..keys).zip(&weights) {
            let value = &self.value_numbers[row(key)..][..head_dim];
            sum.iter_mut().zip(value).for_each(|(sum, value)| *sum += weight / total * value);
        }
        sum
    }
}

fn prefill(
    machine: &mut dyn Machine,
    random: &mut Random,
    shape: AttentionShape,
    pieces: &[Piece],
) -> Result<Check, VerifyError> {
    let contexts: Vec<u32> = pieces.iter().map(|piece| piece.new_tokens + piece.cached_tokens).collect();
    let pool = Pool::new(machine, random, shape, &contexts)?;
    let tokens: u64 = pieces.iter().map(|piece| u64::from(piece.new_tokens)).sum();
    let row = shape.query_heads * shape.head_dim;
    let (query, query_numbers) = normals(machine, random, tokens * row, 1.0)?;
    let plan = PrefillPlan::new(pieces);
    let lists = PrefillLists {
        tiles: integers(machine, plan.tiles.as_flattened())?,
        query_start: integers(machine, &plan.query_start)?,
        query_length: integers(machine, &plan.query_length)?,
        cached: integers(machine, &plan.cached)?,
    };
    let out = room(machine, tokens * row * 2)?;
    machine.run(&[kernels::prefill_attention(shape, &plan, &lists, &query, pool.paged(), &out)?])?;

    let mut want = Vec::new();
    let mut queries = query_numbers.chunks(shape.head_dim as usize);
    for (request, piece) in pieces.iter().enumerate() {
        for token in 0..piece.new_tokens {
            for head in 0..shape.query_heads {
                let query = queries.next().unwrap_or(&[]);
                want.extend(pool.attend(shape, request, query, piece.cached_tokens + token + 1, head));
            }
        }
    }
    let name = format!("prefill attention, {} pieces, {} heads of {}", pieces.len(), shape.query_heads, shape.head_dim);
    Ok(compare(name, &bf16_results(machine, &out)?, &want, TOLERANCE))
}

fn decode(
    machine: &mut dyn Machine,
    random: &mut Random,
    shape: AttentionShape,
    contexts: &[u32],
    multiprocessors: u32,
) -> Result<Check, VerifyError> {
    let pool = Pool::new(machine, random, shape, contexts)?;
    let requests = contexts.len() as u64;
    let row = shape.query_heads * shape.head_dim;
    let (query, query_numbers) = normals(machine, random, requests * row, 1.0)?;
    let plan = DecodePlan::new(contexts, shape.kv_heads, multiprocessors);
    let partial = plan.slots * shape.query_heads;
    let lists = DecodeLists {
        work: integers(machine, plan.work.as_flattened())?,
        splits: integers(machine, plan.splits.as_flattened())?,
        partial_sums: room(machine, partial * shape.head_dim * 4)?,
        partial_scales: room(machine, partial * 2 * 4)?,
    };
    let out = room(machine, requests * row * 2)?;
    machine.run(&kernels::decode_attention(shape, &plan, &lists, &query, pool.paged(), &out)?)?;

    let mut want = Vec::new();
    let mut queries = query_numbers.chunks(shape.head_dim as usize);
    for (request, &context) in contexts.iter().enumerate() {
        for head in 0..shape.query_heads {
            want.extend(pool.attend(shape, request, queries.next().unwrap_or(&[]), context, head));
        }
    }
    let name = format!(
        "decode attention, {requests} requests in {} items, {} + {} heads of {}",
        plan.work.len(),
        shape.query_heads,
        shape.kv_heads,
        shape.head_dim
    );
    Ok(compare(name, &bf16_results(machine, &out)?, &want, TOLERANCE))
}
