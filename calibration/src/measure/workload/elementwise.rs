//! Small kernels, on activations that the kernel before has just written.

use profiles::table::ElementwiseRow;

use super::{Builder, Item, Workload, WorkloadError, no_kernel};
use crate::kernels::{self, RotaryShape};

/// Vocabulary of the embedding table that is gathered from.
const VOCABULARY: u64 = 32_768;
/// Head size of the rotary kernel, and query heads per KV head.
const HEAD_DIM: u64 = 128;
const QUERY_HEADS_PER_KV_HEAD: u64 = 4;

/// Bytes that an operation on `rows` of `width` elements reads and writes; nothing for one that is not known. `width` is
/// that of the residual stream for norms and embedding, of the result for `silu_mul`, of the fused QKV row for
/// `rotary_kv_append`, and the vocabulary for `sample`. As everywhere in kernel tables, `rms_norm` adds the residual and
/// `plain_rms_norm` does not.
pub(crate) fn bytes(operation: &str, rows: u64, width: u64) -> Option<u64> {
    let elements = rows * width;
    Some(match operation {
        "plain_rms_norm" | "embedding" | "copy" | "rotary_kv_append" => 4 * elements,
        "rms_norm" => 8 * elements,
        "silu_mul" => 6 * elements,
        "sample" => 2 * elements + 4 * rows,
        "quantize" => 3 * elements + 4 * rows,
        _ => return None,
    })
}

pub(super) fn build(row: &ElementwiseRow, builder: &mut Builder<'_>) -> Result<Workload, WorkloadError> {
    let (rows, width) = (u64::from(row.rows), u64::from(row.width));
    if bytes(&row.operation, rows, width) != Some(row.bytes) {
        return no_kernel(format!("`{}` of {rows} x {width} with {} bytes", row.operation, row.bytes));
    }
    let elements = rows * width;
    let launch = match row.operation.as_str() {
        "plain_rms_norm" => {
            let (input, weight, out) = (builder.bf16(elements)?, builder.bf16(width)?, builder.room(elements * 2)?);
            kernels::rms_norm(rows, width, &input, &weight, &out)?
        }
        "rms_norm" => {
            // Repeated, the residual grows by the input each time; zeros keep it finite.
            let (input, residual) = (builder.room(elements * 2)?, builder.bf16(elements)?);
            let (weight, out) = (builder.bf16(width)?, builder.room(elements * 2)?);
            kernels::add_rms_norm(rows, width, &input, &residual, &weight, &out)?
        }
        "silu_mul" => {
            let (input, out) = (builder.bf16(2 * elements)?, builder.room(elements * 2)?);
            kernels::silu_mul(rows, width, &input, &out)?
        }
        "embedding" => {
            let table = builder.bf16(VOCABULARY * width)?;
            let ids: Vec<i32> = (0..rows).map(|_| builder.random.below(VOCABULARY) as i32).collect();
            let (ids, out) = (builder.integers(&ids)?, builder.room(elements * 2)?);
            kernels::embed(rows, width, VOCABULARY, &table, &ids, &out)?
        }
        "sample" => {
            let (logits, out) = (builder.bf16(elements)?, builder.room(rows * 4)?);
            kernels::sample_greedy(rows, width, &logits, &out)?
        }
        "quantize" => {
            let (input, out, scales) = (builder.bf16(elements)?, builder.room(elements)?, builder.room(rows * 4)?);
            kernels::quantise_rows(rows, width, &input, &out, &scales)?
        }
        "copy" => {
            let (from, to) = (builder.bf16(elements)?, builder.room(elements * 2)?);
            kernels::copy(elements * 2, builder.machine.multiprocessors(), &from, &to)?
        }
        "rotary_kv_append" => rotary(rows, width, builder)?,
        other => return no_kernel(format!("`{other}`")),
    };
    Ok(Workload { variants: vec![vec![Item::Kernel(launch)]], touched_experts: None })
}

fn rotary(tokens: u64, width: u64, builder: &mut Builder<'_>) -> Result<kernels::Launch, WorkloadError> {
    let per_kv_head = (QUERY_HEADS_PER_KV_HEAD + 2) * HEAD_DIM;
    if !width.is_multiple_of(per_kv_head) {
        return no_kernel(format!("a QKV row of {width} elements; multiples of {per_kv_head} are possible"));
    }
    let kv_heads = width / per_kv_head;
    let (positions, slots) = (8192, tokens.next_multiple_of(16) + 16);
    let query_heads = QUERY_HEADS_PER_KV_HEAD * kv_heads;
    let shape = RotaryShape { tokens, query_heads, kv_heads, head_dim: HEAD_DIM, positions, slots };
    let qkv = builder.bf16(tokens * width)?;
    let angles = builder.floats(&kernels::rotary_angles(positions, HEAD_DIM, 500_000.0))?;
    let at: Vec<i32> = (0..tokens).map(|_| builder.random.below(positions) as i32).collect();
    let mut places: Vec<i32> = (0..slots as i32).collect();
    builder.random.shuffle(&mut places);
    places.truncate(tokens as usize);
    let (at, places) = (builder.integers(&at)?, builder.integers(&places)?);
    let query = builder.room(tokens * query_heads * HEAD_DIM * 2)?;
    let pool = slots * kv_heads * HEAD_DIM * 2;
    let (keys, values) = (builder.room(pool)?, builder.room(pool)?);
    Ok(kernels::rotate_and_append(shape, &qkv, &angles, &at, &places, &query, &keys, &values)?)
}
