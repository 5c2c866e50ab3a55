//! Which points to time.

use std::collections::BTreeSet;

use profiles::table::{
    DecodeAttentionRow, ElementwiseRow, ExpertsRow, GemmRow, Kernel, MixedAttentionRow, OverheadRow,
    PrefillAttentionRow, Scaling, StateSpacePhase, StateSpaceRow, Timing,
};
use profiles::{DType, FeedForward, Mixer, ModelSpec, ProfileError};

use super::point::Point;
use super::workload::elementwise_bytes;
use crate::gemm::{gemm_shapes, row_counts};

/// What the points are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Shipped models whose layers are timed.
    pub models: Vec<String>,
    /// Tensor-parallel sizes whose shards are timed.
    pub tensor_parallel_sizes: Vec<u32>,
    /// Whether fp8 products are timed beside bf16.
    pub fp8: bool,
}

impl Default for Grid {
    /// A dense small, a dense large and a mixture-of-experts model, in shards of 1, 2, 4 and 8 GPUs.
    fn default() -> Self {
        let models = ["meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-70B", "Qwen/Qwen3-30B-A3B"];
        Grid { models: models.map(str::to_owned).to_vec(), tensor_parallel_sizes: vec![1, 2, 4, 8], fp8: true }
    }
}

/// Most tokens that the KV pools of a point hold, over all of its requests; what does not fit a device's memory is left
/// out there.
const MOST_POOLED_TOKENS: u64 = 2 << 20;

/// A dense model whose widths lie between those of the grid's models; its activations are timed too.
const DENSE_BETWEEN: &str = "Qwen/Qwen3-32B";

/// The points of one kind of kernel. Collectives and whole passes need more than one GPU's kernels and have none.
///
/// # Errors
///
/// If a model is not shipped.
pub fn plan(grid: &Grid, kernel: Kernel) -> Result<Vec<Point>, ProfileError> {
    let models: Vec<ModelSpec> = grid.models.iter().map(|name| ModelSpec::shipped(name)).collect::<Result<_, _>>()?;
    Ok(match kernel {
        Kernel::Gemm => products(grid, &models),
        Kernel::PrefillAttention => heads(grid, &models).into_iter().flat_map(prefill).collect(),
        Kernel::DecodeAttention => heads(grid, &models).into_iter().flat_map(decode).collect(),
        Kernel::MixedAttention => heads(grid, &models).into_iter().flat_map(mixed).collect(),
        Kernel::Experts => experts(grid, &models),
        Kernel::StateSpace => state_space(),
        Kernel::Elementwise => elementwise(grid, &models)?,
        Kernel::Overhead => overhead(),
        Kernel::Collective | Kernel::Pass => Vec::new(),
    })
}

fn products(grid: &Grid, models: &[ModelSpec]) -> Vec<Point> {
    let mut shapes = BTreeSet::new();
    for model in models {
        for &size in &grid.tensor_parallel_sizes {
            shapes.extend(gemm_shapes(model, size));
        }
    }
    let mut formats = vec![(DType::Bf16, Scaling::None)];
    if grid.fp8 {
        formats.push((DType::Fp8, Scaling::Tensor));
    }
    let mut points = Vec::new();
    for (index, shape) in shapes.iter().enumerate() {
        // Every eighth shape is timed densely where published steps jump and public tables have nothing.
        let mut rows = row_counts(16_384);
        if index % 8 == 0 {
            rows.extend((1000..=1100).step_by(4));
        }
        // A language-model head runs on the rows that are sampled only.
        let most = if shape.n > 32_768 { 1024 } else { 16_384 };
        for &(dtype, scaling) in &formats {
            if dtype == DType::Fp8 && !(shape.n.is_multiple_of(16) && shape.k.is_multiple_of(16)) {
                continue;
            }
            points.extend(rows.iter().filter(|&&m| m <= most).map(|&m| {
                let (n, k, timing) = (shape.n, shape.k, Timing::default());
                Point::Gemm(GemmRow { m, n, k, weights: dtype, activations: dtype, scaling, timing })
            }));
        }
    }
    points
}

/// Query heads, KV heads and head size of the shards.
fn heads(grid: &Grid, models: &[ModelSpec]) -> BTreeSet<[u32; 3]> {
    let mut all = BTreeSet::new();
    for model in models {
        for layer in &model.layers {
            if let Mixer::Attention(attention) = &layer.mixer {
                all.extend(grid.tensor_parallel_sizes.iter().map(|&size| {
                    [attention.query_heads.div_ceil(size), attention.kv_heads.div_ceil(size), attention.head_dim]
                }));
            }
        }
    }
    all
}

fn prefill([query_heads, kv_heads, head_dim]: [u32; 3]) -> Vec<Point> {
    let mut points = Vec::new();
    for requests in [1, 4, 16] {
        for new_tokens in [16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384] {
            for context_tokens in [0, 1024, 4096, 16_384, 65_536] {
                let pooled = u64::from(requests) * u64::from(new_tokens + context_tokens);
                if u64::from(requests * new_tokens) > 32_768 || pooled > MOST_POOLED_TOKENS / 4 {
                    continue;
                }
                points.push(Point::PrefillAttention(PrefillAttentionRow {
                    requests,
                    new_tokens,
                    context_tokens,
                    query_heads,
                    kv_heads,
                    head_dim,
                    window: 0,
                    activations: DType::Bf16,
                    kv_cache: DType::Bf16,
                    timing: Timing::default(),
                }));
            }
        }
    }
    points
}

/// Sum and largest of `requests` contexts of mean `mean`: all alike, and one eight times as long as the mean.
fn mixes(requests: u32, mean: u64) -> Vec<(u64, u64)> {
    let total = u64::from(requests) * mean;
    let mut mixes = vec![(total, mean)];
    if requests >= 16 {
        mixes.push((total, 8 * mean));
    }
    mixes
}

fn decode([query_heads, kv_heads, head_dim]: [u32; 3]) -> Vec<Point> {
    let mut points = Vec::new();
    for requests in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] {
        for mean in [128, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 131_072] {
            for (context_tokens, longest_context_tokens) in mixes(requests, mean) {
                if context_tokens > MOST_POOLED_TOKENS {
                    continue;
                }
                points.push(Point::DecodeAttention(DecodeAttentionRow {
                    requests,
                    context_tokens,
                    longest_context_tokens,
                    query_heads,
                    kv_heads,
                    head_dim,
                    window: 0,
                    activations: DType::Bf16,
                    kv_cache: DType::Bf16,
                    timing: Timing::default(),
                }));
            }
        }
    }
    points
}

fn mixed([query_heads, kv_heads, head_dim]: [u32; 3]) -> Vec<Point> {
    let mut points = Vec::new();
    for new_tokens in [128, 256, 512, 1024, 2048, 4096, 8192] {
        for prefill_context_tokens in [0, 4096] {
            for decode_requests in [8, 32, 128, 256] {
                for mean in [512, 2048, 8192] {
                    for (decode_context_tokens, longest_context_tokens) in mixes(decode_requests, mean) {
                        points.push(Point::MixedAttention(MixedAttentionRow {
                            prefill_requests: 1,
                            new_tokens,
                            prefill_context_tokens,
                            decode_requests,
                            decode_context_tokens,
                            longest_context_tokens,
                            query_heads,
                            kv_heads,
                            head_dim,
                            window: 0,
                            activations: DType::Bf16,
                            kv_cache: DType::Bf16,
                            timing: Timing::default(),
                        }));
                    }
                }
            }
        }
    }
    points
}

fn experts(grid: &Grid, models: &[ModelSpec]) -> Vec<Point> {
    let mut layers = BTreeSet::new();
    for model in models {
        for layer in &model.layers {
            if let FeedForward::Experts(ffn) = &layer.feed_forward {
                layers.extend(
                    grid.tensor_parallel_sizes
                        .iter()
                        .map(|&size| (model.hidden_size, ffn.intermediate_size.div_ceil(size), ffn.top_k, ffn.experts)),
                );
            }
        }
    }
    let mut points = Vec::new();
    for (hidden_size, intermediate_size, top_k, experts) in layers {
        for tokens in [1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192] {
            // `touched` with as few experts as a row chooses is the narrowest skew there is: all rows alike.
            let routings = [
                ("uniform", None),
                ("balanced", None),
                ("zipf_0.6", None),
                ("zipf_1.2", None),
                ("touched", Some(top_k)),
            ];
            for (routing, touched_experts) in routings {
                points.push(Point::Experts(ExpertsRow {
                    tokens,
                    hidden_size,
                    intermediate_size,
                    top_k,
                    experts,
                    local_experts: experts,
                    routing: routing.to_owned(),
                    touched_experts,
                    weights: DType::Bf16,
                    activations: DType::Bf16,
                    scaling: Scaling::None,
                    timing: Timing::default(),
                }));
            }
        }
    }
    points
}

/// Mamba-2 mixers of hybrid models of 7 to 50 billion parameters and their shards: 32 to 256 heads of 64 channels.
fn state_space() -> Vec<Point> {
    let mut points = Vec::new();
    for heads in [32, 64, 128, 256] {
        for (groups, d_state) in [(1, 128), (8, 128), (1, 64)] {
            let mut add = |phase, sequences, tokens| {
                points.push(Point::StateSpace(StateSpaceRow {
                    phase,
                    sequences,
                    tokens,
                    d_inner: 64 * heads,
                    d_state,
                    heads,
                    groups,
                    timing: Timing::default(),
                }));
            };
            for sequences in [1, 4, 16] {
                for each in [64, 256, 512, 1024, 2048, 4096, 8192, 16_384] {
                    if sequences * each <= 32_768 {
                        add(StateSpacePhase::Scan, sequences, sequences * each);
                    }
                }
            }
            for sequences in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] {
                add(StateSpacePhase::Update, sequences, sequences);
            }
        }
    }
    points
}

/// Widths of the activations between the products of feed-forward networks, on one GPU.
fn activation_widths(grid: &Grid, models: &[ModelSpec]) -> BTreeSet<u32> {
    let whole = models.iter().flat_map(|model| &model.layers).flat_map(|layer| match &layer.feed_forward {
        FeedForward::Dense(ffn) => vec![ffn.intermediate_size],
        FeedForward::Experts(ffn) => vec![ffn.intermediate_size, ffn.shared_intermediate_size],
        FeedForward::None => vec![],
    });
    let whole: BTreeSet<u32> = whole.filter(|&width| width > 0).collect();
    whole.iter().flat_map(|width| grid.tensor_parallel_sizes.iter().map(|&size| width.div_ceil(size))).collect()
}

fn elementwise(grid: &Grid, models: &[ModelSpec]) -> Result<Vec<Point>, ProfileError> {
    let hidden: BTreeSet<u32> = models.iter().map(|model| model.hidden_size).collect();
    let vocabularies: BTreeSet<u32> = models.iter().map(|model| model.vocab_size).collect();
    let mut activations = activation_widths(grid, models);
    activations.extend(activation_widths(grid, &[ModelSpec::shipped(DENSE_BETWEEN)?]));
    activations.extend(hidden.iter().map(|width| 4 * width));
    let mut points = Vec::new();
    let mut add = |operation: &str, rows: u32, width: u32| {
        let Some(bytes) = elementwise_bytes(operation, u64::from(rows), u64::from(width)) else { return };
        let operation = operation.to_owned();
        points.push(Point::Elementwise(ElementwiseRow { operation, rows, width, bytes, timing: Timing::default() }));
    };
    for rows in [1, 4, 16, 64, 256, 1024, 4096, 16_384] {
        for &width in &hidden {
            for operation in ["rms_norm", "plain_rms_norm", "embedding", "quantize", "copy"] {
                add(operation, rows, width);
            }
        }
        for &width in &activations {
            add("silu_mul", rows, width);
        }
        for width in [768, 1536, 3072, 6144] {
            add("rotary_kv_append", rows, width);
        }
        if rows <= 512 {
            for &width in &vocabularies {
                add("sample", rows, width.next_multiple_of(8));
            }
        }
    }
    Ok(points)
}

fn overhead() -> Vec<Point> {
    let counted = |operation: &'static str, counts: &'static [u32]| {
        let timing = Timing::default();
        counts.iter().map(move |&count| Point::Overhead(OverheadRow { operation: operation.to_owned(), count, timing }))
    };
    counted("launch", &[1, 10, 100, 1000])
        .chain(counted("graph_launch", &[1, 10, 100, 300, 1000]))
        .chain(counted("graph_node", &[10, 100, 1000]))
        .chain(counted("synchronise", &[1]))
        .chain(counted("event", &[1]))
        .chain(counted("step_gap", &[1, 100, 300, 1000]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Point> {
        Kernel::ALL.into_iter().flat_map(|kernel| plan(&Grid::default(), kernel).expect("models are shipped")).collect()
    }

    #[test]
    fn every_point_is_named_once_and_is_of_its_kind() {
        for kernel in Kernel::ALL {
            let points = plan(&Grid::default(), kernel).expect("models are shipped");
            let keys: BTreeSet<_> = points.iter().map(Point::key).collect();
            assert_eq!(keys.len(), points.len(), "{kernel} names a point twice");
            assert!(points.iter().all(|point| point.kernel() == kernel));
        }
    }

    #[test]
    fn products_are_dense_around_a_thousand_rows() {
        let near = |point: &&Point| matches!(point, Point::Gemm(row) if (1000..=1100).contains(&row.m));
        let points = all();
        let rows: BTreeSet<u32> = points
            .iter()
            .filter(near)
            .filter_map(|point| if let Point::Gemm(row) = point { Some(row.m) } else { None })
            .collect();
        assert!(rows.len() >= 27, "{rows:?}");
    }

    #[test]
    fn ragged_and_mixed_batches_are_there() {
        let points = all();
        assert!(points.iter().any(|point| matches!(point, Point::DecodeAttention(row)
            if row.longest_context_tokens * u64::from(row.requests) > 2 * row.context_tokens)));
        assert!(points.iter().any(|point| matches!(point, Point::MixedAttention(row) if row.decode_requests == 256)));
    }

    #[test]
    fn a_model_that_is_not_shipped_is_an_error() {
        let grid = Grid { models: vec!["nobody/nothing".to_owned()], ..Grid::default() };
        assert!(plan(&grid, Kernel::Gemm).is_err());
    }

    /// Width and bytes per row of the points of a small kernel.
    fn small(operation: &str) -> BTreeSet<(u32, u64)> {
        let of = |point: Point| match point {
            Point::Elementwise(row) if row.operation == operation => Some((row.width, row.bytes / u64::from(row.rows))),
            _ => None,
        };
        all().into_iter().filter_map(of).collect()
    }

    #[test]
    fn norms_with_and_without_the_residual_have_the_names_of_kernel_tables() {
        let hidden = [2048, 4096, 8192];
        assert_eq!(small("rms_norm"), hidden.map(|width| (width, u64::from(4 * width * 2))).into());
        assert_eq!(small("plain_rms_norm"), hidden.map(|width| (width, u64::from(2 * width * 2))).into());
    }

    #[test]
    fn activations_are_timed_at_the_widths_that_models_have() {
        let widths: BTreeSet<u32> = small("silu_mul").into_iter().map(|(width, _)| width).collect();
        // Llama-3.1-8B and 70B, Qwen3-32B and Qwen3-30B-A3B's experts, whole and on 2, 4 and 8 GPUs.
        for whole in [14_336, 28_672, 25_600, 768] {
            for gpus in [1, 2, 4, 8] {
                assert!(widths.contains(&(whole / gpus)), "{whole} on {gpus} GPUs: {widths:?}");
            }
        }
    }
}
