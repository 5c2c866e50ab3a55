//! State-space models and their hybrids with attention.

use serde_json::Value;

use super::reader::Config;
use super::{attention, common, layer_count};
use crate::error::ProfileError;
use crate::model::{
    Attention, DenseFfn, ExpertFfn, FeedForward, LayerSpec, Mixer, ModelSpec, StateSpace, StateSpaceKind,
};

/// Reads `jamba`: Mamba-1, attention every `attn_layer_period` layers, experts every `expert_layer_period`.
pub(super) fn jamba(config: &Config<'_>) -> Result<ModelSpec, ProfileError> {
    let mut model = common(config, false)?;
    let attention = attention(config, model.hidden_size)?;
    let intermediate_size = config.size("intermediate_size")?;
    let space = StateSpace {
        kind: StateSpaceKind::Mamba1 { dt_rank: dt_rank(config, "mamba_dt_rank", model.hidden_size)? },
        d_inner: model.hidden_size * config.optional_size("mamba_expand")?.unwrap_or(2),
        d_state: config.optional_size("mamba_d_state")?.unwrap_or(16),
        conv_kernel: config.optional_size("mamba_d_conv")?.unwrap_or(4),
    };
    refuse_projection_bias(config, "mamba_proj_bias")?;
    config.flag("mamba_conv_bias", true)?;
    let dense = FeedForward::Dense(DenseFfn { intermediate_size, gated: true, bias: false });
    let sparse = match config.optional_size("num_experts")?.unwrap_or(16) {
        1 => dense.clone(),
        experts => FeedForward::Experts(ExpertFfn {
            experts,
            top_k: config.optional_size("num_experts_per_tok")?.unwrap_or(2),
            intermediate_size,
            shared_intermediate_size: 0,
            gated: true,
            bias: false,
        }),
    };
    let attends = Every::read(config, "attn_layer_period", "attn_layer_offset", 8, 4)?;
    let routes = Every::read(config, "expert_layer_period", "expert_layer_offset", 2, 1)?;
    model.layers = (0..layer_count(config, "num_hidden_layers")?)
        .map(|index| LayerSpec {
            mixer: if attends.has(index) { Mixer::Attention(attention) } else { Mixer::StateSpace(space) },
            feed_forward: if routes.has(index) { sparse.clone() } else { dense.clone() },
        })
        .collect();
    model.notes.push("norms inside the state-space mixers (Δ, B and C) are not counted".into());
    Ok(model)
}

/// Reads `bamba`: Mamba-2, attention in the layers of `attn_layer_indices`, a gated feed-forward part in all.
pub(super) fn bamba(config: &Config<'_>) -> Result<ModelSpec, ProfileError> {
    let mut model = common(config, false)?;
    let bias = config.flag("attention_bias", false)?;
    let attention = Attention { qkv_bias: bias, output_bias: bias, ..attention(config, model.hidden_size)? };
    let d_inner = model.hidden_size * config.optional_size("mamba_expand")?.unwrap_or(2);
    let space = StateSpace {
        kind: StateSpaceKind::Mamba2 {
            heads: config.size("mamba_n_heads")?,
            groups: config.optional_size("mamba_n_groups")?.unwrap_or(1),
        },
        d_inner,
        d_state: config.size("mamba_d_state")?,
        conv_kernel: config.optional_size("mamba_d_conv")?.unwrap_or(4),
    };
    config.get("mamba_d_head");
    refuse_projection_bias(config, "mamba_proj_bias")?;
    config.flag("mamba_conv_bias", true)?;
    let feed_forward = FeedForward::Dense(DenseFfn {
        intermediate_size: config.size("intermediate_size")?,
        gated: true,
        bias: config.flag("mlp_bias", false)?,
    });
    let attends = config.layer_numbers("attn_layer_indices")?;
    model.layers = (0..layer_count(config, "num_hidden_layers")?)
        .map(|index| LayerSpec {
            mixer: if attends.contains(&index) { Mixer::Attention(attention) } else { Mixer::StateSpace(space) },
            feed_forward: feed_forward.clone(),
        })
        .collect();
    Ok(model)
}

/// Reads `nemotron_h`: one part per layer, spelled in `hybrid_override_pattern` (`M` Mamba-2, `*` attention, `-` a
/// two-matrix feed-forward part).
pub(super) fn nemotron_h(config: &Config<'_>) -> Result<ModelSpec, ProfileError> {
    let mut model = common(config, false)?;
    let bias = config.flag("attention_bias", false)?;
    let mut attention = Attention { qkv_bias: bias, output_bias: bias, ..attention(config, model.hidden_size)? };
    // Older files call it by this name.
    if let Some(size) = config.optional_size("attention_head_dim")? {
        if config.optional_size("head_dim")?.is_some_and(|head_dim| head_dim != size) {
            return Err(config.wrong("attention_head_dim", "differs from head_dim"));
        }
        attention.head_dim = size;
    }
    let heads = config.size("mamba_num_heads")?;
    let space = StateSpace {
        kind: StateSpaceKind::Mamba2 { heads, groups: config.optional_size("n_groups")?.unwrap_or(1) },
        d_inner: heads * config.size("mamba_head_dim")?,
        d_state: config.size("ssm_state_size")?,
        conv_kernel: config.optional_size("conv_kernel")?.unwrap_or(4),
    };
    config.optional_size("expand")?;
    refuse_projection_bias(config, "mamba_proj_bias")?;
    refuse_projection_bias(config, "use_bias")?;
    config.flag("use_conv_bias", true)?;
    let dense = FeedForward::Dense(DenseFfn {
        intermediate_size: config.size("intermediate_size")?,
        gated: false,
        bias: config.flag("mlp_bias", false)?,
    });
    let pattern = config
        .text("hybrid_override_pattern")?
        .ok_or_else(|| config.wrong("hybrid_override_pattern", "is missing; expected letters M, * and -"))?;
    let count = layer_count(config, "num_hidden_layers")?;
    if pattern.chars().count() != count as usize {
        let problem = format!("has {} letters; num_hidden_layers is {count}", pattern.chars().count());
        return Err(config.wrong("hybrid_override_pattern", &problem));
    }
    model.layers = pattern
        .chars()
        .map(|letter| match letter {
            'M' => Ok(LayerSpec { mixer: Mixer::StateSpace(space), feed_forward: FeedForward::None }),
            '*' => Ok(LayerSpec { mixer: Mixer::Attention(attention), feed_forward: FeedForward::None }),
            '-' => Ok(LayerSpec { mixer: Mixer::None, feed_forward: dense.clone() }),
            other => Err(config.wrong("hybrid_override_pattern", &format!("holds `{other}`; expected M, * and -"))),
        })
        .collect::<Result<_, _>>()?;
    Ok(model)
}

/// Reads `mamba`: Mamba-1 mixers and nothing else.
pub(super) fn mamba1(config: &Config<'_>) -> Result<ModelSpec, ProfileError> {
    let mut model = common(config, true)?;
    let d_inner = match config.optional_size("intermediate_size")? {
        Some(size) => size,
        None => model.hidden_size * config.optional_size("expand")?.unwrap_or(2),
    };
    // Files state both; the width decides.
    for key in ["expand", "d_inner", "d_model", "n_layer"] {
        config.get(key);
    }
    refuse_projection_bias(config, "use_bias")?;
    config.flag("use_conv_bias", true)?;
    let space = StateSpace {
        kind: StateSpaceKind::Mamba1 { dt_rank: dt_rank(config, "time_step_rank", model.hidden_size)? },
        d_inner,
        d_state: config.optional_size("state_size")?.unwrap_or(16),
        conv_kernel: config.optional_size("conv_kernel")?.unwrap_or(4),
    };
    let count = layer_count(config, "num_hidden_layers")?;
    model.layers = mixers_only(count, space);
    Ok(model)
}

/// Reads `mamba2`: Mamba-2 mixers and nothing else.
pub(super) fn mamba2(config: &Config<'_>) -> Result<ModelSpec, ProfileError> {
    let mut model = common(config, false)?;
    let heads = config.size("num_heads")?;
    refuse_projection_bias(config, "use_bias")?;
    config.flag("use_conv_bias", true)?;
    config.optional_size("expand")?;
    let space = StateSpace {
        kind: StateSpaceKind::Mamba2 { heads, groups: config.optional_size("n_groups")?.unwrap_or(8) },
        d_inner: heads * config.size("head_dim")?,
        d_state: config.optional_size("state_size")?.unwrap_or(128),
        conv_kernel: config.optional_size("conv_kernel")?.unwrap_or(4),
    };
    let count = layer_count(config, "num_hidden_layers")?;
    model.layers = mixers_only(count, space);
    Ok(model)
}

fn mixers_only(count: u32, space: StateSpace) -> Vec<LayerSpec> {
    vec![LayerSpec { mixer: Mixer::StateSpace(space), feed_forward: FeedForward::None }; count as usize]
}

/// Rank of Mamba-1's Δ projection; `auto` is a sixteenth of the hidden size, rounded up.
fn dt_rank(config: &Config<'_>, key: &str, hidden_size: u32) -> Result<u32, ProfileError> {
    match config.get(key) {
        None => Ok(hidden_size.div_ceil(16)),
        Some(Value::String(text)) if text == "auto" => Ok(hidden_size.div_ceil(16)),
        Some(_) => config.size(key),
    }
}

fn refuse_projection_bias(config: &Config<'_>, key: &str) -> Result<(), ProfileError> {
    if config.flag(key, false)? {
        return Err(config.unsupported(format!("`{key}`: state-space projections with biases are not modelled")));
    }
    Ok(())
}

/// Every `period`-th layer, from `offset` on.
struct Every {
    period: u32,
    offset: u32,
}

impl Every {
    fn read(
        config: &Config<'_>,
        period_key: &str,
        offset_key: &str,
        period: u32,
        offset: u32,
    ) -> Result<Self, ProfileError> {
        let period = config.optional_size(period_key)?.unwrap_or(period);
        let offset = config.optional_count(offset_key)?.unwrap_or(offset);
        if offset >= period {
            return Err(config.wrong(offset_key, &format!("is {offset}; expected less than {period_key} = {period}")));
        }
        Ok(Self { period, offset })
    }

    fn has(&self, index: u32) -> bool {
        index % self.period == self.offset
    }
}
