//! The matrix products of a model, as the shards that one GPU executes.

use std::collections::BTreeSet;

use profiles::{FeedForward, LayerSpec, Mixer, ModelSpec};

/// Weights of a matrix product `y[m, n] = x[m, k] · w[k, n]`; the rows `m` are the tokens of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GemmShape {
    /// Columns of the result on one GPU.
    pub n: u32,
    /// Depth of the product on one GPU.
    pub k: u32,
}

/// The distinct weights of `model`'s dense products on one of `tensor_parallel_size` GPUs, smallest first: fused QKV,
/// output projection, fused gate and up, down, language-model head, `MoE` router and shared experts.
///
/// Column-parallel products divide `n` and row-parallel ones `k`, as in Megatron-LM (Shoeybi et al. 2019, section 3);
/// key/value heads are not divided below one. Latent attention, state-space mixers and routed experts run kernels of
/// their own and are not listed.
pub fn gemm_shapes(model: &ModelSpec, tensor_parallel_size: u32) -> BTreeSet<GemmShape> {
    let mut shapes = BTreeSet::new();
    for layer in &model.layers {
        mixer_shapes(model.hidden_size, layer, tensor_parallel_size, &mut shapes);
        feed_forward_shapes(model.hidden_size, layer, tensor_parallel_size, &mut shapes);
    }
    shapes.insert(GemmShape { n: model.vocab_size.div_ceil(tensor_parallel_size), k: model.hidden_size });
    shapes
}

fn mixer_shapes(hidden: u32, layer: &LayerSpec, tensor: u32, shapes: &mut BTreeSet<GemmShape>) {
    if let Mixer::Attention(attention) = &layer.mixer {
        let query = attention.query_heads.div_ceil(tensor);
        let key_value = attention.kv_heads.div_ceil(tensor);
        shapes.insert(GemmShape { n: (query + 2 * key_value) * attention.head_dim, k: hidden });
        shapes.insert(GemmShape { n: hidden, k: query * attention.head_dim });
    }
}

fn feed_forward_shapes(hidden: u32, layer: &LayerSpec, tensor: u32, shapes: &mut BTreeSet<GemmShape>) {
    let mut dense = |width: u32, gated: bool| {
        let width = width.div_ceil(tensor);
        shapes.insert(GemmShape { n: if gated { 2 * width } else { width }, k: hidden });
        shapes.insert(GemmShape { n: hidden, k: width });
    };
    match &layer.feed_forward {
        FeedForward::Dense(ffn) => dense(ffn.intermediate_size, ffn.gated),
        FeedForward::Experts(experts) => {
            if experts.shared_intermediate_size > 0 {
                dense(experts.shared_intermediate_size, experts.gated);
            }
            shapes.insert(GemmShape { n: experts.experts, k: hidden });
        }
        FeedForward::None => {}
    }
}

/// Row counts at which to time a product up to `most` rows: a grid dense where decode batches lie, and both sides of
/// every edge of a 128-row tile up to 2048 rows, where time jumps (in a published run of Qwen3-14B on an H100, steps with
/// 1024 to 1031 prompt tokens take 46.0 ms and those with 1008 to 1015 take 40.7; public tables have no row count between
/// 1024 and 1536).
pub fn row_counts(most: u32) -> BTreeSet<u32> {
    let coarse = [
        1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144,
        8192, 16_384,
    ];
    let edges = (1..=16).flat_map(|tiles| [128 * tiles, 128 * tiles + 1]);
    coarse.into_iter().chain(edges).filter(|&rows| rows <= most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(model: &str, tensor_parallel_size: u32) -> Vec<(u32, u32)> {
        let model = ModelSpec::shipped(model).expect("the model is shipped");
        gemm_shapes(&model, tensor_parallel_size).into_iter().map(|shape| (shape.n, shape.k)).collect()
    }

    #[test]
    fn a_dense_model_has_five_products() {
        // Llama-3.1-8B: 32 query and 8 key/value heads of 128, FFN 14336, vocabulary 128256.
        let expected = [(4096, 4096), (4096, 14_336), (6144, 4096), (28_672, 4096), (128_256, 4096)];
        assert_eq!(shapes("meta-llama/Llama-3.1-8B", 1), expected);
    }

    #[test]
    fn tensor_parallelism_divides_columns_of_one_product_and_the_depth_of_the_next() {
        let expected = [(768, 4096), (3584, 4096), (4096, 512), (4096, 1792), (16_032, 4096)];
        assert_eq!(shapes("meta-llama/Llama-3.1-8B", 8), expected);
    }

    #[test]
    fn key_value_heads_are_not_divided_below_one() {
        // Qwen3-30B-A3B has 4 key/value heads: on 8 GPUs each holds 4 query heads and one whole key/value head.
        let qkv = GemmShape { n: (4 + 2) * 128, k: 2048 };
        let model = ModelSpec::shipped("Qwen/Qwen3-30B-A3B").expect("the model is shipped");
        assert!(gemm_shapes(&model, 8).contains(&qkv));
    }

    #[test]
    fn rows_lie_on_both_sides_of_every_tile_edge_around_a_thousand() {
        let rows = row_counts(2048);
        for edge in [896, 1024, 1152] {
            assert!(rows.contains(&edge) && rows.contains(&(edge + 1)), "both {edge} and {} are timed", edge + 1);
        }
        assert_eq!(rows.last(), Some(&2048), "2049 rows are more than were asked for");
    }
}
