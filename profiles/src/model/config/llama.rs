//! Llama and its kin: rotary attention and gated feed-forward parts, dense or with experts.

use super::reader::Config;
use super::{attention, common, layer_count};
use crate::error::ProfileError;
use crate::model::{Attention, DenseFfn, ExpertFfn, FeedForward, LayerSpec, Mixer, ModelSpec};

/// Reads `llama`, `mistral`, `qwen2`, `qwen3`, `mixtral`, `qwen2_moe`, `qwen3_moe` and `gpt_oss`.
pub(super) fn read(config: &Config<'_>, model_type: &str) -> Result<ModelSpec, ProfileError> {
    let mut model = common(config, false)?;
    let count = layer_count(config, "num_hidden_layers")?;
    let attention = biased_attention(config, model_type, model.hidden_size)?;
    let windows = windows(config, model_type, count)?;
    let parts = FeedForwardParts::read(config, model_type)?;
    model.layers = (0..count)
        .map(|index| LayerSpec {
            mixer: Mixer::Attention(Attention { window: windows[index as usize], ..attention }),
            feed_forward: parts.layer(index),
        })
        .collect();
    if model_type == "gpt_oss" {
        model.notes.push("attention sinks (one value per head) are not counted".into());
    }
    Ok(model)
}

/// Where the architectures differ in biases and norms (their `modeling_*.py` in Transformers 4.57).
fn biased_attention(config: &Config<'_>, model_type: &str, hidden_size: u32) -> Result<Attention, ProfileError> {
    let mut attention = attention(config, hidden_size)?;
    let default_bias = model_type == "gpt_oss";
    let bias = config.flag("attention_bias", default_bias)?;
    (attention.qkv_bias, attention.output_bias) = match model_type {
        "qwen2" | "qwen2_moe" => (true, false),
        _ => (bias, bias),
    };
    attention.qk_norm = matches!(model_type, "qwen3" | "qwen3_moe");
    Ok(attention)
}

/// Each layer's window.
///
/// `layer_types` decides where it is given. Without it, Mistral's and Mixtral's `sliding_window` holds for all layers;
/// Qwen's only with `use_sliding_window`, from layer `max_window_layers` on; GPT-OSS alternates, windowed layers first.
fn windows(config: &Config<'_>, model_type: &str, count: u32) -> Result<Vec<Option<u32>>, ProfileError> {
    let window = config.optional_size("sliding_window")?;
    let qwen = model_type.starts_with("qwen");
    let used = config.flag("use_sliding_window", !qwen)?;
    let first = config.optional_count("max_window_layers")?.filter(|_| qwen).unwrap_or(0);
    let window = window.filter(|_| used);
    if let Some(types) = config.texts("layer_types")? {
        return typed_windows(config, &types, window, count);
    }
    Ok((0..count)
        .map(|index| match model_type {
            "gpt_oss" => window.filter(|_| index % 2 == 0),
            _ => window.filter(|_| index >= first),
        })
        .collect())
}

fn typed_windows(
    config: &Config<'_>,
    types: &[&str],
    window: Option<u32>,
    count: u32,
) -> Result<Vec<Option<u32>>, ProfileError> {
    if types.len() != count as usize {
        return Err(config.wrong("layer_types", &format!("names {} layers; the model has {count}", types.len())));
    }
    types
        .iter()
        .map(|&kind| match kind {
            "full_attention" => Ok(None),
            "sliding_attention" if window.is_some() => Ok(window),
            "sliding_attention" => {
                Err(config.wrong("sliding_window", "is missing, but layer_types names windowed layers"))
            }
            other => {
                let problem = format!("holds `{other}`; expected full_attention or sliding_attention");
                Err(config.wrong("layer_types", &problem))
            }
        })
        .collect()
}

/// Which layers have which feed-forward part.
enum FeedForwardParts {
    /// The same in all.
    Uniform(FeedForward),
    /// Experts in every `step`-th layer but for those in `dense_layers` (`Qwen3MoeDecoderLayer` in Transformers).
    Sparse { experts: ExpertFfn, dense: DenseFfn, step: u32, dense_layers: Vec<u32> },
}

impl FeedForwardParts {
    fn read(config: &Config<'_>, model_type: &str) -> Result<Self, ProfileError> {
        match model_type {
            "mixtral" | "gpt_oss" => {
                let experts = whole_width_experts(config, model_type == "gpt_oss")?;
                Ok(Self::Uniform(FeedForward::Experts(experts)))
            }
            "qwen2_moe" | "qwen3_moe" => Self::qwen(config, model_type),
            _ => Ok(Self::Uniform(FeedForward::Dense(dense(config)?))),
        }
    }

    fn qwen(config: &Config<'_>, model_type: &str) -> Result<Self, ProfileError> {
        let dense = dense(config)?;
        let Some(experts) = qwen_experts(config, model_type)? else {
            return Ok(Self::Uniform(FeedForward::Dense(dense)));
        };
        let step = config.optional_size("decoder_sparse_step")?.unwrap_or(1);
        Ok(Self::Sparse { experts, dense, step, dense_layers: config.layer_numbers("mlp_only_layers")? })
    }

    fn layer(&self, index: u32) -> FeedForward {
        match self {
            Self::Uniform(part) => part.clone(),
            Self::Sparse { experts, dense, step, dense_layers } => {
                if (index + 1).is_multiple_of(*step) && !dense_layers.contains(&index) {
                    FeedForward::Experts(*experts)
                } else {
                    FeedForward::Dense(*dense)
                }
            }
        }
    }
}

fn dense(config: &Config<'_>) -> Result<DenseFfn, ProfileError> {
    Ok(DenseFfn {
        intermediate_size: config.size("intermediate_size")?,
        gated: true,
        bias: config.flag("mlp_bias", false)?,
    })
}

/// Mixtral's and GPT-OSS's experts: as wide as `intermediate_size` says.
fn whole_width_experts(config: &Config<'_>, bias: bool) -> Result<ExpertFfn, ProfileError> {
    let top_k = match config.optional_size("num_experts_per_tok")? {
        Some(top_k) => top_k,
        None => config.size("experts_per_token")?,
    };
    config.optional_size("experts_per_token")?;
    Ok(ExpertFfn {
        experts: config.size("num_local_experts")?,
        top_k,
        intermediate_size: config.size("intermediate_size")?,
        shared_intermediate_size: 0,
        gated: true,
        bias,
    })
}

fn qwen_experts(config: &Config<'_>, model_type: &str) -> Result<Option<ExpertFfn>, ProfileError> {
    let Some(experts) = config.optional_count("num_experts")?.filter(|&count| count > 0) else { return Ok(None) };
    let shared = if model_type == "qwen2_moe" { config.size("shared_expert_intermediate_size")? } else { 0 };
    Ok(Some(ExpertFfn {
        experts,
        top_k: config.size("num_experts_per_tok")?,
        intermediate_size: config.size("moe_intermediate_size")?,
        shared_intermediate_size: shared,
        gated: true,
        bias: false,
    }))
}
