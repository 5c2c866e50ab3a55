//! Small kernels that move rows of bfloat16.

use super::launch::{Builder, Launch, LaunchError, View, threads_for};
use super::source::{
    ADD_RMS_NORM, ARGMAX_ROWS, COPY_16, GATHER_ROWS, Kernel, NOTHING, QUANTISE_ROWS, READ_16, RMS_NORM,
    ROTATE_AND_APPEND, SILU_MUL,
};

/// Added to the mean of squares by the norms: that of Llama 3 and Qwen 3.
const EPSILON: f32 = 1e-5;

/// Bytes of a bfloat16.
const BF16: u64 = 2;

fn norm_builder(kernel: Kernel, hidden: u64) -> (Builder, u32) {
    let threads = threads_for(hidden, 32, 1024);
    let possible = hidden.is_multiple_of(8) && hidden <= 32 * u64::from(threads);
    let builder = Builder::new(kernel)
        .require(possible, || format!("rows of {hidden} elements; multiples of 8 up to 32768 are possible"));
    (builder, threads)
}

/// `out = RMSNorm(input) * weight`, `rows` of `hidden` bfloat16.
///
/// # Errors
///
/// If the width is no multiple of 8 or above 32768, or memory is too small.
pub fn rms_norm(rows: u64, hidden: u64, input: &View, weight: &View, out: &View) -> Result<Launch, LaunchError> {
    let (builder, threads) = norm_builder(RMS_NORM, hidden);
    builder
        .memory("input", input, rows * hidden, BF16)
        .memory("weight", weight, hidden, BF16)
        .memory("out", out, rows * hidden, BF16)
        .count("hidden", hidden)
        .float(EPSILON)
        .over([rows, 1], threads, 0)
}

/// `residual += input`, `out = RMSNorm(residual) * weight`, `rows` of `hidden` bfloat16.
///
/// # Errors
///
/// If the width is no multiple of 8 or above 32768, or memory is too small.
pub fn add_rms_norm(
    rows: u64,
    hidden: u64,
    input: &View,
    residual: &View,
    weight: &View,
    out: &View,
) -> Result<Launch, LaunchError> {
    let (builder, threads) = norm_builder(ADD_RMS_NORM, hidden);
    builder
        .memory("input", input, rows * hidden, BF16)
        .memory("residual", residual, rows * hidden, BF16)
        .memory("weight", weight, hidden, BF16)
        .memory("out", out, rows * hidden, BF16)
        .count("hidden", hidden)
        .float(EPSILON)
        .over([rows, 1], threads, 0)
}

/// Heads of the fused QKV rows that [`rotate_and_append`] takes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotaryShape {
    /// Tokens.
    pub tokens: u64,
    /// Query heads.
    pub query_heads: u64,
    /// KV heads.
    pub kv_heads: u64,
    /// Elements of a head, a multiple of 16.
    pub head_dim: u64,
    /// Positions for which there are angles.
    pub positions: u64,
    /// Places for tokens in the KV pool.
    pub slots: u64,
}

/// Cosines and sines of the rotation at `positions` positions, `[position][2][head_dim / 2]`, with the frequencies
/// `base^(-2 i / head_dim)` of Su et al. 2021.
pub fn rotary_angles(positions: u64, head_dim: u64, base: f64) -> Vec<f32> {
    let half = head_dim / 2;
    let angle = |position: u64, pair: u64| position as f64 * base.powf(-2.0 * pair as f64 / head_dim as f64);
    let row = |position| {
        let cosines = (0..half).map(move |pair| angle(position, pair).cos() as f32);
        cosines.chain((0..half).map(move |pair| angle(position, pair).sin() as f32))
    };
    (0..positions).flat_map(row).collect()
}

/// Splits fused rows `[token][(query + 2 kv heads) * head_dim]`, rotates queries and keys by `angles` at `token_positions`,
/// writes queries to `query` and keys and values to the places `token_slots` of the pools.
///
/// Positions and slots must be below the shape's; the kernel does not check them.
///
/// # Errors
///
/// If the head size is no multiple of 16, or memory is too small.
#[expect(clippy::too_many_arguments, reason = "the operands of the kernel")]
pub fn rotate_and_append(
    shape: RotaryShape,
    qkv: &View,
    angles: &View,
    token_positions: &View,
    token_slots: &View,
    query: &View,
    key_pool: &View,
    value_pool: &View,
) -> Result<Launch, LaunchError> {
    let RotaryShape { tokens, query_heads, kv_heads, head_dim, positions, slots } = shape;
    let pooled = slots * kv_heads * head_dim;
    Builder::new(ROTATE_AND_APPEND)
        .require(head_dim.is_multiple_of(16), || format!("heads of {head_dim}; multiples of 16 are possible"))
        .memory("qkv", qkv, tokens * (query_heads + 2 * kv_heads) * head_dim, BF16)
        .memory("angles", angles, positions * head_dim, 4)
        .memory("positions", token_positions, tokens, 4)
        .memory("slots", token_slots, tokens, 4)
        .memory("query", query, tokens * query_heads * head_dim, BF16)
        .memory("key pool", key_pool, pooled, BF16)
        .memory("value pool", value_pool, pooled, BF16)
        .count("query heads", query_heads)
        .count("KV heads", kv_heads)
        .count("head size", head_dim)
        .over([tokens, 1], threads_for((query_heads + kv_heads) * head_dim / 2, 8, 512), 0)
}

/// `out = silu(gate) * up` of `rows` of `[gate | up]`, each `width` bfloat16.
///
/// # Errors
///
/// If the width is no multiple of 8, or memory is too small.
pub fn silu_mul(rows: u64, width: u64, gate_up: &View, out: &View) -> Result<Launch, LaunchError> {
    let blocks = (rows * width / 8).div_ceil(256).clamp(1, 1 << 16);
    Builder::new(SILU_MUL)
        .require(width.is_multiple_of(8), || format!("rows of {width} elements; multiples of 8 are possible"))
        .memory("input", gate_up, 2 * rows * width, BF16)
        .memory("out", out, rows * width, BF16)
        .count("rows", rows)
        .count("width", width)
        .over([blocks, 1], 256, 0)
}

/// Rows of an embedding `table` of `vocabulary` rows, picked by `ids`, which must be below it.
///
/// # Errors
///
/// If the width is no multiple of 8, or memory is too small.
pub fn embed(
    tokens: u64,
    width: u64,
    vocabulary: u64,
    table: &View,
    ids: &View,
    out: &View,
) -> Result<Launch, LaunchError> {
    Builder::new(GATHER_ROWS)
        .require(width.is_multiple_of(8), || format!("rows of {width} elements; multiples of 8 are possible"))
        .memory("table", table, vocabulary * width, BF16)
        .memory("ids", ids, tokens, 4)
        .memory("out", out, tokens * width, BF16)
        .count("width", width)
        .over([tokens, 1], threads_for(width, 8, 512), 0)
}

/// The index of the largest of `vocabulary` logits of each row, as 32-bit integers.
///
/// # Errors
///
/// If the vocabulary is no multiple of 8, or memory is too small.
pub fn sample_greedy(rows: u64, vocabulary: u64, logits: &View, out: &View) -> Result<Launch, LaunchError> {
    Builder::new(ARGMAX_ROWS)
        .require(vocabulary.is_multiple_of(8), || format!("{vocabulary} logits; multiples of 8 are possible"))
        .memory("logits", logits, rows * vocabulary, BF16)
        .memory("out", out, rows, 4)
        .count("vocabulary", vocabulary)
        .over([rows, 1], threads_for(vocabulary, 8, 1024), 0)
}

fn stream_blocks(bytes: u64, multiprocessors: u32) -> u64 {
    (bytes / 16).div_ceil(512).clamp(1, 16 * u64::from(multiprocessors))
}

/// Copies `bytes`, a multiple of 16, over `multiprocessors`.
///
/// # Errors
///
/// If `bytes` is no multiple of 16, or memory is too small.
pub fn copy(bytes: u64, multiprocessors: u32, from: &View, to: &View) -> Result<Launch, LaunchError> {
    Builder::new(COPY_16)
        .require(bytes.is_multiple_of(16), || format!("{bytes} bytes; multiples of 16 are possible"))
        .memory("from", from, bytes, 1)
        .memory("to", to, bytes, 1)
        .long((bytes / 16).cast_signed())
        .over([stream_blocks(bytes, multiprocessors), 1], 512, 0)
}

/// Reads `bytes`, a multiple of 16, over `multiprocessors`, and writes sums (mod 2^32) of the words read, one for each of
/// 16 blocks per multiprocessor at most; those left out are not written.
///
/// # Errors
///
/// If `bytes` is no multiple of 16, or memory is too small.
pub fn read(bytes: u64, multiprocessors: u32, from: &View, sums: &View) -> Result<Launch, LaunchError> {
    let blocks = stream_blocks(bytes, multiprocessors);
    Builder::new(READ_16)
        .require(bytes.is_multiple_of(16), || format!("{bytes} bytes; multiples of 16 are possible"))
        .memory("from", from, bytes, 1)
        .memory("sums", sums, blocks, 4)
        .long((bytes / 16).cast_signed())
        .over([blocks, 1], 512, 0)
}

/// A kernel that does nothing.
///
/// # Errors
///
/// None: the shape is fixed.
pub fn nothing() -> Result<Launch, LaunchError> {
    Builder::new(NOTHING).over([1, 1], 32, 0)
}

/// Quantises rows of bfloat16 to fp8 e4m3, each with its own float scale in `scales`.
///
/// # Errors
///
/// If the width is no multiple of 8, or memory is too small.
pub fn quantise_rows(rows: u64, width: u64, input: &View, out: &View, scales: &View) -> Result<Launch, LaunchError> {
    Builder::new(QUANTISE_ROWS)
        .require(width.is_multiple_of(8), || format!("rows of {width} elements; multiples of 8 are possible"))
        .memory("input", input, rows * width, BF16)
        .memory("out", out, rows * width, 1)
        .memory("scales", scales, rows, 4)
        .count("width", width)
        .over([rows, 1], threads_for(width, 8, 512), 0)
}
