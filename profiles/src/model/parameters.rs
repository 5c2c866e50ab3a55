//! How many parameters a model has, and how much cache its tokens and sequences need.

use std::ops::{Add, AddAssign};

use super::{
    Attention, ExpertFfn, FeedForward, LatentAttention, LayerSpec, Mixer, ModelSpec, StateSpace, StateSpaceKind,
};
use crate::parallel::DType;

/// Parameters by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParameterCount {
    /// Embedding table, and learned positions.
    pub embedding: u64,
    /// Language-model head; 0 if it shares the embedding table.
    pub head: u64,
    /// Attention and state-space mixers.
    pub mixers: u64,
    /// Dense feed-forward networks.
    pub dense_ffn: u64,
    /// Routers.
    pub routers: u64,
    /// Routed experts.
    pub routed_experts: u64,
    /// Experts that every token passes through.
    pub shared_experts: u64,
    /// Norms between mixers and feed-forward parts, and the final one.
    pub norms: u64,
}

impl ParameterCount {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.embedding
            + self.head
            + self.mixers
            + self.dense_ffn
            + self.routers
            + self.routed_experts
            + self.shared_experts
            + self.norms
    }
}

impl Add for ParameterCount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            embedding: self.embedding + other.embedding,
            head: self.head + other.head,
            mixers: self.mixers + other.mixers,
            dense_ffn: self.dense_ffn + other.dense_ffn,
            routers: self.routers + other.routers,
            routed_experts: self.routed_experts + other.routed_experts,
            shared_experts: self.shared_experts + other.shared_experts,
            norms: self.norms + other.norms,
        }
    }
}

impl AddAssign for ParameterCount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// FLOPs of all layers per token of a prefix of L tokens, all of it computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixFlops {
    /// Of state-space mixers, per token.
    pub recurrent: u64,
    /// Of feed-forward parts, per token; of experts those that a token goes to.
    pub feed_forward: u64,
    /// Of attention, per token: its projections.
    pub attention: u64,
    /// Of attention, per token squared.
    pub attention_squared: u64,
}

impl ModelSpec {
    /// All parameters, without layers for multi-token prediction.
    pub fn parameters(&self) -> ParameterCount {
        let hidden = u64::from(self.hidden_size);
        let table = u64::from(self.vocab_size) * hidden;
        let mut count = ParameterCount {
            embedding: table + u64::from(self.position_embeddings) * hidden,
            head: if self.tie_word_embeddings { 0 } else { table },
            norms: self.norm_parameters(),
            ..ParameterCount::default()
        };
        for layer in &self.layers {
            count += layer.parameters(self.hidden_size);
            count.norms += layer.norms() * self.norm_parameters();
        }
        count
    }

    /// Parameters that one token passes through: `top_k` of each layer's routed experts, and everything else,
    /// the embedding table included.
    pub fn active_parameters(&self) -> ParameterCount {
        let mut count = self.parameters();
        count.routed_experts = 0;
        for layer in &self.layers {
            if let FeedForward::Experts(ffn) = &layer.feed_forward {
                count.routed_experts += u64::from(ffn.top_k) * ffn.expert_parameters(self.hidden_size);
            }
        }
        count
    }

    /// Cached elements per token, all layers, before tensor-parallel sharding.
    pub fn kv_elements_per_token(&self) -> u64 {
        self.layers.iter().map(|layer| layer.mixer.kv_elements_per_token()).sum()
    }

    /// Bytes of KV cache per token, all layers, before tensor-parallel sharding. Layers with a window count like
    /// others.
    pub fn kv_bytes_per_token(&self, kv_cache: DType) -> u64 {
        kv_cache.bytes(self.kv_elements_per_token())
    }

    /// Elements of recurrent state per sequence, all layers, before tensor-parallel sharding; 0 without state-space mixers.
    pub fn state_elements_per_sequence(&self) -> u64 {
        self.layers.iter().map(|layer| layer.mixer.state_elements_per_sequence()).sum()
    }

    /// FLOPs that the first tokens of a sequence take in the layers: two for each weight that a token passes, what recurrences
    /// and convolutions take per token, and attention to each token before and to itself. Embeddings, norms and the head are
    /// left out; layers with a window count like others.
    pub fn prefix_flops(&self) -> PrefixFlops {
        let mut flops = PrefixFlops::default();
        for layer in &self.layers {
            let count = layer.parameters(self.hidden_size);
            let unused = match &layer.feed_forward {
                FeedForward::Experts(ffn) => {
                    u64::from(ffn.experts - ffn.top_k) * ffn.expert_parameters(self.hidden_size)
                }
                FeedForward::Dense(_) | FeedForward::None => 0,
            };
            flops.feed_forward += 2 * (count.dense_ffn + count.routers + count.routed_experts + count.shared_experts);
            flops.feed_forward -= 2 * unused;
            match &layer.mixer {
                Mixer::StateSpace(space) => flops.recurrent += 2 * count.mixers + space.scan_flops_per_token(),
                mixer => {
                    flops.attention += 2 * count.mixers;
                    // A product with keys and one with values, over half of all pairs of tokens.
                    flops.attention_squared += mixer.attention_width();
                }
            }
        }
        flops
    }

    /// Parameters of one norm over the residual stream.
    fn norm_parameters(&self) -> u64 {
        u64::from(self.hidden_size) * if self.norm_bias { 2 } else { 1 }
    }
}

impl LayerSpec {
    /// Parameters of mixer and feed-forward part, without the norms before them.
    pub(crate) fn parameters(&self, hidden_size: u32) -> ParameterCount {
        let mut count = ParameterCount { mixers: self.mixer.parameters(hidden_size), ..ParameterCount::default() };
        match &self.feed_forward {
            FeedForward::Dense(ffn) => {
                count.dense_ffn = matrices(hidden_size, ffn.intermediate_size, ffn.gated, ffn.bias);
            }
            FeedForward::Experts(ffn) => {
                let bias = if ffn.bias { ffn.experts } else { 0 };
                count.routers = u64::from(hidden_size) * u64::from(ffn.experts) + u64::from(bias);
                count.routed_experts = u64::from(ffn.experts) * ffn.expert_parameters(hidden_size);
                count.shared_experts = matrices(hidden_size, ffn.shared_intermediate_size, ffn.gated, false);
            }
            FeedForward::None => {}
        }
        count
    }

    /// Norms over the residual stream: one before each part.
    pub(crate) fn norms(&self) -> u64 {
        u64::from(self.mixer != Mixer::None) + u64::from(self.feed_forward != FeedForward::None)
    }
}

impl ExpertFfn {
    /// Parameters of one routed expert.
    pub(crate) fn expert_parameters(&self, hidden_size: u32) -> u64 {
        matrices(hidden_size, self.intermediate_size, self.gated, self.bias)
    }
}

/// Parameters of a feed-forward network.
fn matrices(hidden_size: u32, intermediate_size: u32, gated: bool, bias: bool) -> u64 {
    let (hidden, inner) = (u64::from(hidden_size), u64::from(intermediate_size));
    let up = if gated { 2 } else { 1 };
    (up + 1) * hidden * inner + if bias { up * inner + hidden } else { 0 }
}

impl Mixer {
    fn parameters(&self, hidden_size: u32) -> u64 {
        match self {
            Self::Attention(attention) => attention.parameters(hidden_size),
            Self::Latent(latent) => latent.parameters(hidden_size),
            Self::StateSpace(space) => space.parameters(hidden_size),
            Self::None => 0,
        }
    }

    /// Cached elements per token: keys and values, or one latent with its rotary part.
    pub fn kv_elements_per_token(&self) -> u64 {
        match self {
            Self::Attention(attention) => 2 * u64::from(attention.kv_heads) * u64::from(attention.head_dim),
            Self::Latent(latent) => u64::from(latent.kv_lora_rank + latent.qk_rope_head_dim),
            Self::StateSpace(_) | Self::None => 0,
        }
    }

    /// FLOPs per pair of tokens: twice the width of all heads' keys, and of their values.
    fn attention_width(&self) -> u64 {
        match self {
            Self::Attention(attention) => 2 * u64::from(attention.query_heads) * u64::from(attention.head_dim),
            Self::Latent(latent) => {
                let head = latent.qk_nope_head_dim + latent.qk_rope_head_dim + latent.v_head_dim;
                u64::from(latent.heads) * u64::from(head)
            }
            Self::StateSpace(_) | Self::None => 0,
        }
    }

    /// Elements of recurrent state per sequence.
    pub fn state_elements_per_sequence(&self) -> u64 {
        match self {
            Self::StateSpace(space) => space.state_elements(),
            _ => 0,
        }
    }
}

impl Attention {
    fn parameters(&self, hidden_size: u32) -> u64 {
        let hidden = u64::from(hidden_size);
        let head = u64::from(self.head_dim);
        let query = u64::from(self.query_heads) * head;
        let key_value = 2 * u64::from(self.kv_heads) * head;
        let biases = if self.qkv_bias { query + key_value } else { 0 } + if self.output_bias { hidden } else { 0 };
        let norms = if self.qk_norm { 2 * head } else { 0 };
        hidden * (query + key_value) + query * hidden + biases + norms
    }
}

impl LatentAttention {
    /// *DeepSeek-V2* (arXiv 2405.04434), section 2.1.2; the norms over both latents as in the published checkpoints.
    fn parameters(&self, hidden_size: u32) -> u64 {
        let hidden = u64::from(hidden_size);
        let heads = u64::from(self.heads);
        let (nope, rope) = (u64::from(self.qk_nope_head_dim), u64::from(self.qk_rope_head_dim));
        let (value, latent) = (u64::from(self.v_head_dim), u64::from(self.kv_lora_rank));
        let query_width = heads * (nope + rope);
        let query = match self.q_lora_rank.map(u64::from) {
            Some(rank) => hidden * rank + rank + rank * query_width,
            None => hidden * query_width,
        };
        let key_value = hidden * (latent + rope) + latent + latent * heads * (nope + value);
        query + key_value + heads * value * hidden
    }
}

impl StateSpace {
    /// Channels of the causal convolution: Mamba-2 passes B and C through it too.
    pub(crate) fn conv_channels(&self) -> u64 {
        let inner = u64::from(self.d_inner);
        match self.kind {
            StateSpaceKind::Mamba1 { .. } => inner,
            StateSpaceKind::Mamba2 { groups, .. } => inner + 2 * u64::from(groups) * u64::from(self.d_state),
        }
    }

    /// Elements kept per sequence: `d_inner × d_state` of recurrence and the last `conv_kernel − 1` inputs of the
    /// convolution (vLLM's `MambaStateShapeCalculator`).
    pub(crate) fn state_elements(&self) -> u64 {
        u64::from(self.d_inner) * u64::from(self.d_state)
            + u64::from(self.conv_kernel.saturating_sub(1)) * self.conv_channels()
    }

    /// FLOPs of recurrence and convolution per token: six per channel and state, `h ← exp(Δ·A)·h + Δ·B·x` and `y += C·h`
    /// (*Mamba*, algorithm 2).
    pub(crate) fn scan_flops_per_token(&self) -> u64 {
        let inner = u64::from(self.d_inner);
        6 * inner * u64::from(self.d_state) + 2 * u64::from(self.conv_kernel) * inner
    }

    /// Mamba-1: *Mamba* (arXiv 2312.00752), section 3.4, and its `mamba_simple.py`; Mamba-2: *Transformers are SSMs*
    /// (arXiv 2405.21060), section 7, and its `mamba2.py`.
    fn parameters(&self, hidden_size: u32) -> u64 {
        let (hidden, inner, state) = (u64::from(hidden_size), u64::from(self.d_inner), u64::from(self.d_state));
        let convolution = self.conv_channels() * (u64::from(self.conv_kernel) + 1);
        let output = inner * hidden;
        match self.kind {
            StateSpaceKind::Mamba1 { dt_rank } => {
                let rank = u64::from(dt_rank);
                let selection = inner * (rank + 2 * state) + rank * inner + inner;
                hidden * 2 * inner + convolution + selection + inner * state + inner + output
            }
            StateSpaceKind::Mamba2 { heads, groups } => {
                let (heads, groups) = (u64::from(heads), u64::from(groups));
                let input = hidden * (2 * inner + 2 * groups * state + heads);
                input + convolution + 3 * heads + inner + output
            }
        }
    }
}
