//! What one GPU executes of a schedule: its share of each layer.

use profiles::{DType, FeedForward, LayerSpec, Mixer};

use super::ReplayError;
use super::schedule::RunHeader;

/// Columns of the language-model head are a multiple of this, which sampling and products want.
const VOCABULARY_GRANULE: u64 = 64;

/// One GPU's share of a model whose layers are all alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// Width of the residual stream.
    pub hidden: u64,
    /// Rows of the embedding table on this GPU.
    pub vocabulary: u64,
    /// Layers that are executed.
    pub layers: u32,
    /// Query heads.
    pub query_heads: u64,
    /// KV heads.
    pub kv_heads: u64,
    /// Elements of a head.
    pub head_dim: u64,
    /// Whether heads are normalised before rotation.
    pub qk_norm: bool,
    /// What follows attention.
    pub feed_forward: ShardFfn,
    /// Tokens of a KV block.
    pub block_size: u64,
    /// KV blocks.
    pub kv_blocks: u64,
    /// Longest request in tokens.
    pub positions: u64,
}

/// The feed-forward part of a layer on one GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardFfn {
    /// Gated, of this inner width.
    Dense {
        /// Inner width.
        width: u64,
    },
    /// Gated experts, each a slice of this inner width.
    Experts {
        /// How many.
        experts: u64,
        /// How many each token chooses.
        top_k: u64,
        /// Inner width of each.
        width: u64,
    },
}

impl Shard {
    /// The share that a GPU of `run` has, cut to the first `layers` layers.
    ///
    /// # Errors
    /// If the model, its formats or its parallelism have no kernels here: says which and why.
    pub fn new(run: &RunHeader, layers: Option<u32>) -> Result<Self, ReplayError> {
        let all = run.model.layer_count();
        let layers = layers.unwrap_or(all);
        if layers > all {
            return Err(unsupported(format!("{layers} layers"), format!("{} has {all}", run.model.name)));
        }
        let [kind] = run.model.layers.as_slice() else {
            let why = "its layers differ, and only models whose layers are all alike can be replayed";
            return Err(unsupported(run.model.name.clone(), why));
        };
        let formats = [run.precision.weights, run.precision.activations, run.precision.kv_cache];
        if formats != [DType::Bf16; 3] {
            let what = format!("{} weights, {} activations, {} KV cache", formats[0], formats[1], formats[2]);
            return Err(unsupported(what, "the kernels of a replay compute in bf16 only"));
        }
        if run.parallelism.enable_expert_parallel && run.parallelism.expert_ranks() > 1 {
            let why = "which rows arrive at one GPU's experts depends on the other GPUs";
            return Err(unsupported("expert parallelism".to_owned(), why));
        }
        let gpus = u64::from(run.parallelism.tensor_parallel_size);
        let (query_heads, kv_heads, head_dim, qk_norm) = attention(&kind.layer, run)?;
        Ok(Shard {
            hidden: u64::from(run.model.hidden_size),
            vocabulary: u64::from(run.model.vocab_size).div_ceil(gpus).next_multiple_of(VOCABULARY_GRANULE),
            layers,
            query_heads,
            kv_heads,
            head_dim,
            qk_norm,
            feed_forward: feed_forward(&kind.layer, gpus)?,
            block_size: u64::from(run.block_size),
            kv_blocks: u64::from(run.kv_blocks),
            positions: u64::from(run.max_model_len),
        })
    }

    /// Columns of the fused product for queries, keys and values.
    pub fn qkv_width(&self) -> u64 {
        (self.query_heads + 2 * self.kv_heads) * self.head_dim
    }

    /// Elements of all query heads.
    pub fn query_width(&self) -> u64 {
        self.query_heads * self.head_dim
    }
}

fn unsupported(what: String, why: impl Into<String>) -> ReplayError {
    ReplayError::Unsupported { what, why: why.into() }
}

/// Query heads, KV heads and head size on one GPU, and whether heads are normalised.
fn attention(layer: &LayerSpec, run: &RunHeader) -> Result<(u64, u64, u64, bool), ReplayError> {
    let Mixer::Attention(attention) = layer.mixer else {
        return Err(unsupported(
            run.model.name.clone(),
            "only softmax attention over a paged KV cache can be replayed",
        ));
    };
    if let Some(window) = attention.window {
        let why = "the attention kernels of a replay have no window";
        return Err(unsupported(format!("a sliding window of {window} tokens"), why));
    }
    if attention.qkv_bias || attention.output_bias {
        let why = "the products of a replay add no bias";
        return Err(unsupported(format!("the projections of {}", run.model.name), why));
    }
    let gpus = run.parallelism.tensor_parallel_size;
    let query_heads = attention.query_heads.div_ceil(gpus);
    let kv_heads = run.parallelism.kv_heads_per_gpu(attention.kv_heads);
    Ok((u64::from(query_heads), u64::from(kv_heads), u64::from(attention.head_dim), attention.qk_norm))
}

fn feed_forward(layer: &LayerSpec, gpus: u64) -> Result<ShardFfn, ReplayError> {
    let (gated, bias) = match layer.feed_forward {
        FeedForward::Dense(ffn) => (ffn.gated, ffn.bias),
        FeedForward::Experts(ffn) => (ffn.gated, ffn.bias),
        FeedForward::None => (false, false),
    };
    if !gated || bias {
        return Err(unsupported("the feed-forward part".to_owned(), "only gated ones without bias can be replayed"));
    }
    match layer.feed_forward {
        FeedForward::Experts(ffn) if ffn.shared_intermediate_size > 0 => {
            Err(unsupported("shared experts".to_owned(), "the experts of a replay are all routed"))
        }
        FeedForward::Experts(ffn) => Ok(ShardFfn::Experts {
            experts: u64::from(ffn.experts),
            top_k: u64::from(ffn.top_k),
            width: u64::from(ffn.intermediate_size).div_ceil(gpus),
        }),
        FeedForward::Dense(ffn) => Ok(ShardFfn::Dense { width: u64::from(ffn.intermediate_size).div_ceil(gpus) }),
        FeedForward::None => unreachable!("it is not gated"),
    }
}
