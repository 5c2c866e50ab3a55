//! Attention, products and experts of a layer from measured kernels.

use super::decode_lookup::DecodeLookup;
use super::layer::Context;
use super::load::Timed;
use crate::model::{Attention, ExpertFfn};
use crate::parallel::DType;
use crate::predict::attention::{HeadShape, MixedTimes, Predicted, PrefillTimes, Residency};
use crate::predict::experts::ExpertsShape;
use crate::predict::{ExpertsCurve, GemmCurve, OperandFormat, Operands};
use crate::step::{DecodeBatch, PrefillPiece};
use crate::table::Scaling;

/// Attention of one kind of layer from measured kernels, as far as the tables have it.
#[derive(Clone, Debug, Default)]
pub(super) struct MeasuredAttention {
    windowed: bool,
    prefill: Option<PrefillTimes>,
    decode: Option<DecodeLookup>,
    mixed: Option<MixedTimes>,
}

impl MeasuredAttention {
    /// For the heads of one GPU.
    pub(super) fn new(attention: Attention, context: &Context<'_>) -> Self {
        let Some(kernels) = context.options.kernels else { return Self::default() };
        let heads = |activations| heads(attention, activations, context);
        // Kernels over a narrow cache may compute in its format or in 16 bits.
        let formats = [DType::Bf16, context.options.precision.kv_cache];
        let prefill = formats.iter().find_map(|&format| kernels.prefill.for_heads(heads(format)));
        let residency =
            if kernels.measured_cold.decode_attention { Residency::AsMeasured } else { Residency::DeviceMemory };
        let decode = formats.iter().find_map(|&format| kernels.decode.for_heads(heads(format), residency));
        let one_launch = !context.options.separate_attention;
        let mixed = formats.iter().filter(|_| one_launch).find_map(|&format| kernels.mixed.for_heads(heads(format)));
        let decode = decode.map(|times| DecodeLookup::new(times, context.options.max_num_seqs));
        Self { windowed: attention.window.is_some(), prefill, decode, mixed }
    }

    /// Time of the pieces of a step in one layer.
    #[inline]
    pub(super) fn prefill(&self, pieces: &[PrefillPiece]) -> Option<Timed> {
        Some(self.prefill.as_ref()?.ns(pieces).into())
    }

    /// Time of the generating requests of a step in one layer. How unequal their contexts are is not known: all count as
    /// alike.
    #[inline]
    pub(super) fn decode(&self, batch: DecodeBatch) -> Option<Timed> {
        let (keys, _) = self.keys(batch);
        Some(self.decode.as_ref()?.at(batch.requests, keys))
    }

    /// Time of both in one launch.
    #[inline]
    pub(super) fn mixed(&self, pieces: &[PrefillPiece], batch: DecodeBatch) -> Option<Timed> {
        let (keys, longest) = self.keys(batch);
        Some(self.mixed.as_ref()?.ns(pieces, batch.requests, keys, longest).into())
    }

    /// Keys that the requests of a batch see, and the most that one sees if all see as many.
    fn keys(&self, batch: DecodeBatch) -> (u64, u64) {
        let keys = if self.windowed { batch.windowed_context_tokens } else { batch.context_tokens };
        (keys, keys / u64::from(batch.requests.max(1)))
    }
}

impl From<Predicted> for Timed {
    fn from(Predicted { ns, evidence }: Predicted) -> Self {
        Self { ns, evidence }
    }
}

/// What is fixed about the attention of a layer on one GPU.
pub(super) fn heads(attention: Attention, activations: DType, context: &Context<'_>) -> HeadShape {
    HeadShape {
        query_heads: attention.query_heads,
        kv_heads: attention.kv_heads,
        head_dim: attention.head_dim,
        window: attention.window.unwrap_or(0),
        activations,
        kv_cache: context.options.precision.kv_cache,
    }
}

/// Formats in which a product with these weights and activations may have been measured, the likeliest first.
fn operand_formats(weights: DType, activations: DType, block_first: bool) -> Vec<OperandFormat> {
    let scalings: &[Scaling] = match (activations, block_first) {
        (DType::Bf16, _) => &[Scaling::None],
        (_, true) => &[Scaling::Block, Scaling::Tensor],
        (_, false) => &[Scaling::Tensor, Scaling::Block],
    };
    scalings.iter().map(|&scaling| OperandFormat { weights, activations, scaling }).collect()
}

/// Products with `n` columns and inner length `k` from measured kernels; `None` if neither they nor products around them
/// were measured.
///
/// No row count takes longer than a larger one: what disturbs a measurement only adds to it, and the smaller product is a
/// part of the larger. Steps of measured engines agree: with H100's tables, the median error of the mean time per token
/// falls from 5.1 to 3.6 % over 12 loads of Qwen3-14B in vLLM 0.23, and from 13.2 to 7.4 % in one of Llama-2-7B in 0.15; on
/// an RTX 4090 with its own tables from 1.4 to 1.0 %.
pub(super) fn gemm(n: f64, k: f64, weights: DType, activations: DType, context: &Context<'_>) -> Option<GemmCurve> {
    let kernels = context.options.kernels?;
    let operands = if kernels.measured_cold.gemm { Operands::AsMeasured } else { Operands::Cold };
    operand_formats(weights, activations, false)
        .into_iter()
        .filter_map(|format| kernels.gemm.for_shape(format, n as u32, k as u32, operands))
        .find(|curve| curve.measured_rows().is_some())
        .map(GemmCurve::lower_envelope)
}

/// The experts of a layer as one GPU holds them, from measured kernels; `None` if the tables do not have them. Tables hold
/// gated experts.
pub(super) fn experts(slice: &ExpertFfn, all_experts: u32, context: &Context<'_>) -> Option<ExpertsCurve> {
    let kernels = context.options.kernels.filter(|_| slice.gated)?;
    let shape = ExpertsShape {
        hidden_size: context.options.model.hidden_size,
        intermediate_size: slice.intermediate_size,
        top_k: slice.top_k,
        experts: all_experts,
        local_experts: slice.experts,
    };
    let operands = if kernels.measured_cold.experts { Operands::AsMeasured } else { Operands::Cold };
    let precision = context.options.precision;
    operand_formats(precision.weights, precision.activations, true)
        .into_iter()
        .filter_map(|format| kernels.experts.for_layer(format, &shape, None, operands))
        .find(|curve| curve.measured_tokens().is_some())
}
