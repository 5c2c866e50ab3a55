//! OPT and GPT-2: learned positions, biases throughout, two-matrix feed-forward parts.

use super::reader::Config;
use super::{attention, common, layer_count};
use crate::error::ProfileError;
use crate::model::{Attention, DenseFfn, FeedForward, LayerSpec, Mixer, ModelSpec};

/// Rows that OPT's position table has beyond its context (`OPTLearnedPositionalEmbedding.offset` in Transformers).
const OPT_POSITION_OFFSET: u32 = 2;

/// Reads `opt`.
pub(super) fn opt(config: &Config<'_>) -> Result<ModelSpec, ProfileError> {
    let mut model = common(config, true)?;
    let context = config.size("max_position_embeddings")?;
    let attention = attention(config, model.hidden_size)?;
    let projected = config.optional_size("word_embed_proj_dim")?.unwrap_or(model.hidden_size);
    if projected != model.hidden_size {
        return Err(config.unsupported(format!(
            "`word_embed_proj_dim` is {projected}: projected embeddings are not modelled; expected {}",
            model.hidden_size
        )));
    }
    if !config.flag("do_layer_norm_before", true)? {
        return Err(config.unsupported("`do_layer_norm_before` is false: norms after the parts are not modelled"));
    }
    let bias = config.flag("enable_bias", true)?;
    let count = layer_count(config, "num_hidden_layers")?;
    model.norm_bias = true;
    model.position_embeddings = context + OPT_POSITION_OFFSET;
    model.layers = layers(count, attention, config.size("ffn_dim")?, bias);
    Ok(model)
}

/// Reads `gpt2`.
pub(super) fn gpt2(config: &Config<'_>) -> Result<ModelSpec, ProfileError> {
    let hidden_size = config.size("n_embd")?;
    let heads = config.size("n_head")?;
    if !hidden_size.is_multiple_of(heads) {
        return Err(config.wrong("n_head", &format!("is {heads}, which does not divide n_embd = {hidden_size}")));
    }
    let context = match config.optional_size("n_positions")? {
        Some(context) => context,
        None => config.size("n_ctx")?,
    };
    config.optional_size("n_ctx")?;
    let inner = config.optional_size("n_inner")?.unwrap_or(4 * hidden_size);
    let attention = Attention {
        query_heads: heads,
        kv_heads: heads,
        head_dim: hidden_size / heads,
        window: None,
        qkv_bias: false,
        output_bias: false,
        qk_norm: false,
    };
    Ok(ModelSpec {
        name: String::new(),
        hidden_size,
        vocab_size: config.size("vocab_size")?,
        tie_word_embeddings: config.flag("tie_word_embeddings", true)?,
        position_embeddings: context,
        max_position_embeddings: context,
        layers: layers(layer_count(config, "n_layer")?, attention, inner, true),
        norm_bias: true,
        weights_dtype_hint: None,
        source: String::new(),
        notes: Vec::new(),
    })
}

fn layers(count: u32, attention: Attention, intermediate_size: u32, bias: bool) -> Vec<LayerSpec> {
    let layer = LayerSpec {
        mixer: Mixer::Attention(Attention { qkv_bias: bias, output_bias: bias, ..attention }),
        feed_forward: FeedForward::Dense(DenseFfn { intermediate_size, gated: false, bias }),
    };
    vec![layer; count as usize]
}
