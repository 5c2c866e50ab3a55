//! Models from Hugging Face's `config.json`.

mod deepseek;
mod hybrid;
mod learned;
mod llama;
mod quantization;
mod reader;

use reader::Config;

use super::{Attention, FeedForward, LayerSpec, Mixer, ModelSpec};
use crate::error::ProfileError;

/// Layers beyond which a configuration is taken for a mistake.
const MOST_LAYERS: u32 = 4096;

/// Longest context taken for a model whose configuration names none: the longest that such a model was shown to work at
/// (*Mamba*, induction heads), and small enough that every size derived from it can be counted.
const UNNAMED_CONTEXT: u32 = 1 << 20;

/// Architectures whose configuration is understood.
const MODEL_TYPES: &str = "llama, mistral, qwen2, qwen3, mixtral, qwen2_moe, qwen3_moe, gpt_oss, deepseek_v2, \
                           deepseek_v3, kimi_k2, jamba, bamba, nemotron_h, mamba, mamba2, opt, gpt2";

impl ModelSpec {
    /// Whether its longest context is the one taken for a configuration that names none, 2^20 tokens.
    pub fn has_unnamed_context(&self) -> bool {
        self.max_position_embeddings == UNNAMED_CONTEXT
    }

    /// Reads a Hugging Face `config.json`.
    ///
    /// `name` names the model in reports and in errors; `source` says where the file comes from. Keys that are neither understood
    /// nor known to be harmless are listed in [`notes`](ModelSpec::notes).
    ///
    /// # Errors
    ///
    /// If the text is not JSON, the architecture is not one of those modelled, a size is missing or inconsistent, or
    /// the model has parts that are not modelled (an image encoder, an encoder-decoder, parallel mixers).
    pub fn from_hf_config(json: &str, name: &str, source: &str) -> Result<Self, ProfileError> {
        let config = Config::parse(json, name)?;
        refuse_other_modalities(&config)?;
        let model_type = config
            .text("model_type")?
            .ok_or_else(|| config.wrong("model_type", &format!("is missing; expected one of {MODEL_TYPES}")))?;
        refuse_other_heads(&config)?;
        let mut model = match model_type {
            "llama" | "mistral" | "qwen2" | "qwen3" | "mixtral" | "qwen2_moe" | "qwen3_moe" | "gpt_oss" => {
                llama::read(&config, model_type)?
            }
            "deepseek_v2" | "deepseek_v3" | "kimi_k2" => deepseek::read(&config)?,
            "jamba" => hybrid::jamba(&config)?,
            "bamba" => hybrid::bamba(&config)?,
            "nemotron_h" => hybrid::nemotron_h(&config)?,
            "mamba" => hybrid::mamba1(&config)?,
            "mamba2" => hybrid::mamba2(&config)?,
            "opt" => learned::opt(&config)?,
            "gpt2" => learned::gpt2(&config)?,
            other => return Err(unknown_type(&config, other)),
        };
        model.name = name.to_string();
        model.source = source.to_string();
        model.weights_dtype_hint = quantization::read(&config)?;
        note_dtype(&config, &mut model)?;
        let unread = config.unread();
        if !unread.is_empty() {
            model
                .notes
                .push(format!("not understood, and taken to change neither time nor memory: {}", unread.join(", ")));
        }
        check(&config, &model)?;
        Ok(model)
    }
}

/// A specification without layers, from the keys that all architectures share.
fn common(config: &Config<'_>, default_tied: bool) -> Result<ModelSpec, ProfileError> {
    let longest = config.optional_size("max_position_embeddings")?;
    let mut notes = Vec::new();
    if longest.is_none() {
        notes.push("names no longest context; 1,048,576 tokens assumed: set max_model_len".into());
    }
    Ok(ModelSpec {
        name: String::new(),
        hidden_size: config.size("hidden_size")?,
        vocab_size: config.size("vocab_size")?,
        tie_word_embeddings: config.flag("tie_word_embeddings", default_tied)?,
        position_embeddings: 0,
        max_position_embeddings: longest.unwrap_or(UNNAMED_CONTEXT),
        layers: Vec::new(),
        norm_bias: false,
        weights_dtype_hint: None,
        source: String::new(),
        notes,
    })
}

/// The number of layers.
fn layer_count(config: &Config<'_>, key: &str) -> Result<u32, ProfileError> {
    match config.size(key)? {
        count if count <= MOST_LAYERS => Ok(count),
        count => Err(config.wrong(key, &format!("is {count}; expected at most {MOST_LAYERS}"))),
    }
}

/// Softmax attention over all tokens, without biases.
fn attention(config: &Config<'_>, hidden_size: u32) -> Result<Attention, ProfileError> {
    let query_heads = config.size("num_attention_heads")?;
    let kv_heads = config.optional_size("num_key_value_heads")?.unwrap_or(query_heads);
    if !query_heads.is_multiple_of(kv_heads) {
        let problem = format!("is {kv_heads}, which does not divide the {query_heads} query heads");
        return Err(config.wrong("num_key_value_heads", &problem));
    }
    let head_dim = match config.optional_size("head_dim")? {
        Some(size) => size,
        None if hidden_size.is_multiple_of(query_heads) => hidden_size / query_heads,
        None => {
            let problem = format!("is missing, and {query_heads} heads do not divide the hidden size {hidden_size}");
            return Err(config.wrong("head_dim", &problem));
        }
    };
    Ok(Attention { query_heads, kv_heads, head_dim, window: None, qkv_bias: false, output_bias: false, qk_norm: false })
}

fn refuse_other_modalities(config: &Config<'_>) -> Result<(), ProfileError> {
    for key in ["vision_config", "audio_config", "text_config", "thinker_config", "encoder", "decoder"] {
        if config.get(key).is_some() {
            return Err(config.unsupported(format!(
                "`{key}`: models of several parts are not modelled; for text alone, give the part that is the language \
                 model as a configuration of its own"
            )));
        }
    }
    if config.flag("is_encoder_decoder", false)? {
        return Err(config.unsupported("`is_encoder_decoder`: only decoder-only models are modelled"));
    }
    Ok(())
}

fn refuse_other_heads(config: &Config<'_>) -> Result<(), ProfileError> {
    let generates = |name: &&str| name.ends_with("ForCausalLM") || name.ends_with("LMHeadModel");
    match config.texts("architectures")?.as_deref() {
        Some([name, ..]) if !generates(name) => Err(config
            .unsupported(format!("`architectures` is {name}, which does not generate text; expected …ForCausalLM"))),
        _ => Ok(()),
    }
}

fn unknown_type(config: &Config<'_>, model_type: &str) -> ProfileError {
    let reason = match model_type {
        "falcon_h1" | "hymba" => "its attention and state-space mixers run side by side in one layer",
        "zamba" | "zamba2" => "its attention blocks share weights across layers, with an adapter for each use",
        "gemma2" | "gemma3" | "gemma3_text" => "it has norms after its mixers that would not be counted",
        "qwen3_next" => "its gated delta rule has another state and another scan, neither of which is priced",
        "granitemoehybrid" => "its hybrid layers with shared experts are not modelled",
        _ => return config.wrong("model_type", &format!("is `{model_type}`; expected one of {MODEL_TYPES}")),
    };
    config.unsupported(format!("model_type `{model_type}` is not modelled: {reason}; expected one of {MODEL_TYPES}"))
}

fn note_dtype(config: &Config<'_>, model: &mut ModelSpec) -> Result<(), ProfileError> {
    if config.text("torch_dtype")?.or(config.text("dtype")?) == Some("float32") {
        model.notes.push("published in float32; counted in 16 bits, as engines serve it".into());
    }
    Ok(())
}

/// Relations that hold for every architecture.
fn check(config: &Config<'_>, model: &ModelSpec) -> Result<(), ProfileError> {
    for layer in &model.layers {
        if let FeedForward::Experts(ffn) = &layer.feed_forward
            && ffn.top_k > ffn.experts
        {
            let problem = format!("is {}, more than the {} experts", ffn.top_k, ffn.experts);
            return Err(config.wrong("num_experts_per_tok", &problem));
        }
    }
    if model.layers.iter().all(|layer: &LayerSpec| layer.mixer == Mixer::None) {
        return Err(config.unsupported("no layer mixes tokens"));
    }
    Ok(())
}
