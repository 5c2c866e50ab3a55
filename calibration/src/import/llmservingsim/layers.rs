//! What the layers of a model compute, by the names that profilers give them.

use profiles::table::{ElementwiseRow, GemmRow, Scaling, Timing};
use profiles::{Attention, DType, DenseFfn, ExpertFfn, FeedForward, Mixer, ModelSpec};

use super::{Subject, Version};
use crate::import::report::Rejected;

/// Bytes of an activation: profiles are of 16-bit models.
const ACTIVATION_BYTES: u64 = 2;

/// A row of one of two kinds.
pub(super) enum LayerRow {
    Gemm(GemmRow),
    Elementwise(ElementwiseRow),
}

/// A shape that a layer's name and the model say.
enum Shape {
    /// Columns and depth of a product.
    Gemm(u32, u32),
    /// Operation, elements of a row, and how many times its bytes are read or written.
    Elementwise(&'static str, u32, u64),
}

/// The row of a layer over `rows` tokens (or sequences).
pub(super) fn row(
    subject: &Subject<'_>,
    layer: &str,
    rows: u32,
    format: DType,
    timing: Timing,
) -> Result<LayerRow, Rejected> {
    Ok(match shape(subject, layer)? {
        Shape::Gemm(n, k) => LayerRow::Gemm(GemmRow {
            m: rows,
            n,
            k,
            weights: format,
            activations: format,
            scaling: Scaling::None,
            timing,
        }),
        Shape::Elementwise(operation, width, passes) => LayerRow::Elementwise(ElementwiseRow {
            operation: operation.to_string(),
            rows,
            width,
            bytes: u64::from(rows) * u64::from(width) * passes * ACTIVATION_BYTES,
            timing,
        }),
    })
}

fn shape(subject: &Subject<'_>, layer: &str) -> Result<Shape, Rejected> {
    let model = &subject.model;
    let hidden = model.hidden_size;
    let plain = matches!(subject.version, Version::V0);
    let vocabulary = subject.divided(model.vocab_size);
    Ok(match layer {
        "qkv_proj" => {
            let heads = attention(model)?;
            Shape::Gemm((query(subject, heads) + 2 * key_value(subject, heads)) * heads.head_dim, hidden)
        }
        "q_proj" => Shape::Gemm(query(subject, attention(model)?) * attention(model)?.head_dim, hidden),
        "k_proj" | "v_proj" => Shape::Gemm(key_value(subject, attention(model)?) * attention(model)?.head_dim, hidden),
        "o_proj" => Shape::Gemm(hidden, query(subject, attention(model)?) * attention(model)?.head_dim),
        "gate_up_proj" => Shape::Gemm(2 * subject.divided(dense(model)?.intermediate_size), hidden),
        "gate_proj" | "up_proj" => Shape::Gemm(subject.divided(dense(model)?.intermediate_size), hidden),
        "down_proj" => Shape::Gemm(hidden, subject.divided(dense(model)?.intermediate_size)),
        // One expert at a time, as plain PyTorch runs them.
        "expert.w1" | "expert.w3" => Shape::Gemm(subject.divided(experts(model)?.intermediate_size), hidden),
        "expert.w2" => Shape::Gemm(hidden, subject.divided(experts(model)?.intermediate_size)),
        "gate" => Shape::Gemm(experts(model)?.experts, hidden),
        "lm_head" => Shape::Gemm(vocabulary, hidden),
        "embedding" => Shape::Elementwise("embedding", hidden, 2),
        // vLLM adds the residual in the kernel of every norm on the residual stream, of the last one too: two tensors in,
        // two out. Plain PyTorch's modules normalise alone.
        "layernorm" | "input_layernorm" | "post_layernorm" | "final_layernorm" => {
            if plain {
                Shape::Elementwise("plain_rms_norm", hidden, 2)
            } else {
                Shape::Elementwise("rms_norm", hidden, 4)
            }
        }
        "rotary_emb" | "rope" => {
            let heads = attention(model)?;
            Shape::Elementwise("rotary", (query(subject, heads) + key_value(subject, heads)) * heads.head_dim, 2)
        }
        "qk_norm" => {
            let heads = attention(model)?;
            Shape::Elementwise("qk_norm", (query(subject, heads) + key_value(subject, heads)) * heads.head_dim, 2)
        }
        // vLLM reads gate and up and writes their product; PyTorch's module is the activation alone.
        "act_fn" => {
            let width = dense(model).map(|ffn| ffn.intermediate_size);
            let width = width.or_else(|_| experts(model).map(|experts| experts.intermediate_size))?;
            if plain {
                Shape::Elementwise("silu", subject.divided(width), 2)
            } else {
                Shape::Elementwise("silu_mul", subject.divided(width), 3)
            }
        }
        "sampler" => Shape::Elementwise("sample", vocabulary, 1),
        "attn" => return Err(Rejected::new("`attn` does not say how long contexts were", layer)),
        other => return Err(Rejected::new(format!("unknown layer `{other}`"), other)),
    })
}

fn query(subject: &Subject<'_>, heads: &Attention) -> u32 {
    subject.divided(heads.query_heads)
}

fn key_value(subject: &Subject<'_>, heads: &Attention) -> u32 {
    subject.divided(heads.kv_heads)
}

fn missing(model: &ModelSpec, part: &str) -> Rejected {
    Rejected::new(format!("the model has no {part}"), model.name.clone())
}

/// The attention of the model's layers.
pub(super) fn attention(model: &ModelSpec) -> Result<&Attention, Rejected> {
    let mut found = model.layers.iter().filter_map(|layer| match &layer.mixer {
        Mixer::Attention(attention) => Some(attention),
        _ => None,
    });
    found.next().ok_or_else(|| missing(model, "softmax attention"))
}

fn dense(model: &ModelSpec) -> Result<&DenseFfn, Rejected> {
    let mut found = model.layers.iter().filter_map(|layer| match &layer.feed_forward {
        FeedForward::Dense(ffn) => Some(ffn),
        _ => None,
    });
    found.next().ok_or_else(|| missing(model, "dense feed-forward network"))
}

/// The experts of the model's layers.
pub(super) fn experts(model: &ModelSpec) -> Result<&ExpertFfn, Rejected> {
    let mut found = model.layers.iter().filter_map(|layer| match &layer.feed_forward {
        FeedForward::Experts(experts) => Some(experts),
        _ => None,
    });
    found.next().ok_or_else(|| missing(model, "experts"))
}

#[cfg(test)]
mod tests {
    use profiles::DeviceSpec;

    use super::*;
    use crate::import::Known;

    fn subject(version: Version<'_>) -> Subject<'_> {
        Subject {
            file: "layers.csv".to_owned(),
            device: DeviceSpec::shipped("H100-SXM-80GB").expect("it is shipped"),
            model: ModelSpec::shipped("meta-llama/Llama-3.1-8B").expect("it is shipped"),
            tensor_parallel_size: 2,
            known: Known::default(),
            version,
        }
    }

    /// Operation, width and bytes of a layer over one token.
    fn small(subject: &Subject<'_>, layer: &str) -> (String, u32, u64) {
        match row(subject, layer, 1, DType::Bf16, Timing::of_us(3.0)) {
            Ok(LayerRow::Elementwise(row)) => (row.operation, row.width, row.bytes),
            _ => panic!("{layer} is a small kernel"),
        }
    }

    #[test]
    fn norms_of_vllm_add_the_residual_and_those_of_plain_pytorch_do_not() {
        let meta = crate::import::Meta {
            gpu: "NVIDIA H100".to_owned(),
            model: "meta-llama/Llama-3.1-8B".to_owned(),
            variant: "bf16".to_owned(),
            profiler_version: "1.0.0".to_owned(),
            vllm_version: "0.19.0".to_owned(),
            cuda_version: "12.8".to_owned(),
            day: "2026-08-17".to_owned(),
            enforce_eager: true,
        };
        let (vllm, pytorch) = (subject(Version::V1(&meta)), subject(Version::V0));
        for layer in ["layernorm", "input_layernorm", "post_layernorm", "final_layernorm"] {
            assert_eq!(small(&vllm, layer), ("rms_norm".to_owned(), 4096, 4 * 4096 * 2), "{layer}");
            assert_eq!(small(&pytorch, layer), ("plain_rms_norm".to_owned(), 4096, 2 * 4096 * 2), "{layer}");
        }
        assert_eq!(small(&vllm, "act_fn").0, "silu_mul");
        assert_eq!(small(&pytorch, "act_fn").0, "silu", "alone it is no kernel of a serving step");
    }
}
