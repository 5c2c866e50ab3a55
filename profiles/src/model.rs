//! What a model is made of, layer by layer, as far as time, memory and energy depend on it.

mod config;
mod parameters;
mod shipped;

pub use parameters::{ParameterCount, PrefixFlops};

use serde::{Deserialize, Serialize};

use crate::parallel::DType;

/// A decoder-only language model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Hugging Face name, such as `meta-llama/Llama-3.1-8B`, or the path it was read from.
    pub name: String,
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Rows of the embedding table.
    pub vocab_size: u32,
    /// Whether the language-model head shares the embedding table.
    pub tie_word_embeddings: bool,
    /// Rows of a learned position table (OPT); 0 for rotary models.
    pub position_embeddings: u32,
    /// Longest context the model was made for, in tokens; 1,048,576 and a note if its configuration names none.
    pub max_position_embeddings: u32,
    /// Its layers, first one first.
    pub layers: Vec<LayerSpec>,
    /// Whether norms have a bias beside their weight (`LayerNorm`), or a weight only (`RMSNorm`).
    pub norm_bias: bool,
    /// Number format of the published checkpoint, if it is not a 16-bit one.
    pub weights_dtype_hint: Option<WeightsHint>,
    /// Where the figures come from.
    pub source: String,
    /// What the specification leaves out or assumes, one sentence each. Reports show them.
    pub notes: Vec<String>,
}

/// Number format of a checkpoint, as its `quantization_config` states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsHint {
    /// Format of the quantised matrices.
    pub dtype: DType,
    /// Which matrices those are.
    pub parts: QuantizedParts,
    /// Its `quant_method`, such as `fp8`, `awq`, `mxfp4`.
    pub method: String,
}

/// Which matrices a checkpoint quantises. Embeddings, head, routers and norms stay in 16 bits either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantizedParts {
    /// All linear layers.
    AllLinear,
    /// Routed experts only (GPT-OSS).
    ExpertsOnly,
}

/// One decoder layer: a mixer over tokens, then a feed-forward part, each behind a norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSpec {
    /// What mixes tokens.
    pub mixer: Mixer,
    /// What follows it.
    pub feed_forward: FeedForward,
}

/// What mixes tokens in a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mixer {
    /// Softmax attention with a per-token KV cache (MHA, GQA or MQA).
    Attention(Attention),
    /// Multi-head latent attention (DeepSeek): the cache holds one latent per token.
    Latent(LatentAttention),
    /// Mamba-1 or Mamba-2 state-space mixer: a fixed state per sequence.
    StateSpace(StateSpace),
    /// None: the layer is a feed-forward part only.
    None,
}

/// Softmax attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Query heads.
    pub query_heads: u32,
    /// Key/value heads; divides `query_heads`.
    pub kv_heads: u32,
    /// Size of a head.
    pub head_dim: u32,
    /// Tokens a token can see, itself included; `None`: all before it.
    pub window: Option<u32>,
    /// Whether Q, K and V have biases.
    pub qkv_bias: bool,
    /// Whether the output projection has a bias.
    pub output_bias: bool,
    /// Whether each head's Q and K are normalised (Qwen3).
    pub qk_norm: bool,
}

/// Multi-head latent attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentAttention {
    /// Query heads.
    pub heads: u32,
    /// Rank of the query's low-rank projection; `None`: projected directly.
    pub q_lora_rank: Option<u32>,
    /// Size of the cached latent.
    pub kv_lora_rank: u32,
    /// Size of a head's part without position.
    pub qk_nope_head_dim: u32,
    /// Size of the part with position, cached once for all heads.
    pub qk_rope_head_dim: u32,
    /// Size of a value head.
    pub v_head_dim: u32,
}

/// Which recurrence a state-space mixer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateSpaceKind {
    /// Selective scan with per-channel Δ from a low-rank projection of rank `dt_rank`.
    Mamba1 {
        /// Rank of the Δ projection.
        dt_rank: u32,
    },
    /// State-space duality: scalar decay per head, B and C shared in groups.
    Mamba2 {
        /// Heads.
        heads: u32,
        /// Groups that share B and C.
        groups: u32,
    },
}

/// A state-space mixer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSpace {
    /// Which recurrence.
    pub kind: StateSpaceKind,
    /// Channels inside the mixer.
    pub d_inner: u32,
    /// State per channel.
    pub d_state: u32,
    /// Width of the causal convolution.
    pub conv_kernel: u32,
}

/// The feed-forward part of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedForward {
    /// One network for all tokens.
    Dense(DenseFfn),
    /// A router and experts.
    Experts(ExpertFfn),
    /// None: the layer is a mixer only.
    None,
}

/// A dense feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseFfn {
    /// Inner width.
    pub intermediate_size: u32,
    /// Three matrices with a gate (SwiGLU), or two.
    pub gated: bool,
    /// Whether its projections have biases.
    pub bias: bool,
}

/// A mixture of experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpertFfn {
    /// Routed experts.
    pub experts: u32,
    /// Experts each token goes to.
    pub top_k: u32,
    /// Inner width of a routed expert.
    pub intermediate_size: u32,
    /// Summed inner width of the experts that every token goes to; 0: none.
    pub shared_intermediate_size: u32,
    /// Three matrices with a gate, or two.
    pub gated: bool,
    /// Whether router and experts have biases (GPT-OSS).
    pub bias: bool,
}
