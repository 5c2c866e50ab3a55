//! What steps cost: by hand, by conservation laws, by physics, and against measurements.

mod composition;
mod conservation;
mod experts;
mod measured;
mod offload;
mod oracles;
mod physics;
mod sampling;
mod servers;
mod settings;
mod shared_prefix;
mod simple;
#[path = "../support/shared_data.rs"]
mod support;
mod useful;

use std::sync::LazyLock;
use support::shared_data;

use profiles::cost::{AnalyticCost, CostOptions, EngineOverheads};
use profiles::{
    Attention, CostModel, DecodeBatch, DenseFfn, DeviceSpec, FeedForward, LayerSpec, Mixer, ModelSpec, PrefillPiece,
    StepShape,
};

fn h100() -> DeviceSpec {
    DeviceSpec::shipped("H100").expect("a shipped device")
}

fn shipped(model: &str) -> ModelSpec {
    ModelSpec::shipped(model).expect("a shipped model")
}

/// A model of these layers with hidden size 256 and a vocabulary of 1024.
fn tiny(layers: Vec<LayerSpec>) -> ModelSpec {
    static REST: LazyLock<ModelSpec> = LazyLock::new(|| shipped("meta-llama/Llama-3.1-8B"));
    ModelSpec { name: "tiny".into(), hidden_size: 256, vocab_size: 1024, layers, ..REST.clone() }
}

/// 8 query heads and 2 KV heads of size 32, then a gated network of width 512.
fn dense_layer() -> LayerSpec {
    LayerSpec {
        mixer: Mixer::Attention(Attention {
            query_heads: 8,
            kv_heads: 2,
            head_dim: 32,
            window: None,
            qkv_bias: false,
            output_bias: false,
            qk_norm: false,
        }),
        feed_forward: FeedForward::Dense(DenseFfn { intermediate_size: 512, gated: true, bias: false }),
    }
}

/// Options without engine overheads.
fn bare<'a>(model: &'a ModelSpec, device: &'a DeviceSpec) -> CostOptions<'a> {
    CostOptions { engine: EngineOverheads::none(), ..CostOptions::new(model, device) }
}

fn compile(options: &CostOptions<'_>) -> AnalyticCost {
    AnalyticCost::new(options).expect("valid options")
}

/// Generating requests with the same context.
fn decode(requests: u32, context: u64) -> DecodeBatch {
    let context_tokens = u64::from(requests) * context;
    DecodeBatch { requests, context_tokens, windowed_context_tokens: context_tokens, ..DecodeBatch::default() }
}

/// Pieces of these new tokens after these cached ones.
fn pieces(sizes: &[(u32, u32)]) -> Vec<PrefillPiece> {
    sizes.iter().map(|&(new_tokens, context_tokens)| PrefillPiece { new_tokens, context_tokens }).collect()
}

/// A step in which every generating request and the last piece are sampled.
fn shape(prefill: &[PrefillPiece], decode: DecodeBatch) -> StepShape<'_> {
    let sampled = decode.requests + u32::from(!prefill.is_empty());
    StepShape { prefill, decode, sampled, prefill_layers: None }
}

/// Milliseconds of a step.
fn milliseconds(cost: &AnalyticCost, shape: &StepShape<'_>) -> f64 {
    let mut stage_ns = vec![0; cost.stages()];
    cost.clone().step(shape, &mut stage_ns).duration_ns as f64 * 1e-6
}

/// Asserts that two numbers agree to a relative 1e-9.
#[track_caller]
fn assert_same(left: f64, right: f64, what: &str) {
    assert!((left - right).abs() <= 1e-9 * left.abs().max(right.abs()), "{what}: {left} and {right}");
}
