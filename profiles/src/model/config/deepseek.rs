//! DeepSeek V2 and V3: latent attention, dense layers first, then routed and shared experts.

use super::reader::Config;
use super::{common, layer_count};
use crate::error::ProfileError;
use crate::model::{DenseFfn, ExpertFfn, FeedForward, LatentAttention, LayerSpec, Mixer, ModelSpec};

/// Reads `deepseek_v2` and `deepseek_v3`.
pub(super) fn read(config: &Config<'_>) -> Result<ModelSpec, ProfileError> {
    let mut model = common(config, false)?;
    let count = layer_count(config, "num_hidden_layers")?;
    let latent = LatentAttention {
        heads: config.size("num_attention_heads")?,
        q_lora_rank: config.optional_size("q_lora_rank")?,
        kv_lora_rank: config.size("kv_lora_rank")?,
        qk_nope_head_dim: config.size("qk_nope_head_dim")?,
        qk_rope_head_dim: config.size("qk_rope_head_dim")?,
        v_head_dim: config.size("v_head_dim")?,
    };
    // Stated in the files, but without meaning beside the latent.
    config.optional_size("num_key_value_heads")?;
    if config.flag("attention_bias", false)? {
        return Err(config.unsupported("`attention_bias`: latent attention with biases is not modelled"));
    }
    let dense = DenseFfn { intermediate_size: config.size("intermediate_size")?, gated: true, bias: false };
    let experts = experts(config)?;
    let first = config.optional_count("first_k_dense_replace")?.unwrap_or(0);
    let frequency = config.optional_size("moe_layer_freq")?.unwrap_or(1);
    model.layers = (0..count)
        .map(|index| LayerSpec {
            mixer: Mixer::Latent(latent),
            feed_forward: match experts {
                Some(experts) if index >= first && index % frequency == 0 => FeedForward::Experts(experts),
                _ => FeedForward::Dense(dense),
            },
        })
        .collect();
    if let Some(layers) = config.optional_count("num_nextn_predict_layers")?.filter(|&layers| layers > 0) {
        model.notes.push(format!(
            "{layers} layer(s) for multi-token prediction are left out: engines load them for speculative decoding only"
        ));
    }
    Ok(model)
}

fn experts(config: &Config<'_>) -> Result<Option<ExpertFfn>, ProfileError> {
    let Some(experts) = config.optional_count("n_routed_experts")?.filter(|&count| count > 0) else { return Ok(None) };
    let intermediate_size = config.size("moe_intermediate_size")?;
    let shared = config.optional_count("n_shared_experts")?.unwrap_or(0);
    Ok(Some(ExpertFfn {
        experts,
        top_k: config.size("num_experts_per_tok")?,
        intermediate_size,
        shared_intermediate_size: shared * intermediate_size,
        gated: true,
        bias: false,
    }))
}
