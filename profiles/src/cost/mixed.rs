//! Attention over prompt pieces and generating requests in one launch, where no table has it.

use super::Evidence;
use super::efficiency::Architecture;
use super::layer::Context;
use super::load::Timed;
use super::measured;
use crate::device::DeviceSpec;
use crate::model::Attention;
use crate::parallel::DType;
use crate::predict::attention::{MixedForm, TileKernel};
use crate::step::{DecodeBatch, PrefillPiece};

/// The devices whose tables the form was fitted to.
const FITTED_ON: [&str; 3] = ["RTX-4090-24GB", "RTX-PRO-6000-Server-96GB", "RTX-PRO-6000-Workstation-96GB"];

/// The prompt whose time gives the pace of a tile: long enough that it is almost all walking over keys.
const LONG_PROMPT: PrefillPiece = PrefillPiece { new_tokens: 8192, context_tokens: 0 };

/// The fitted form of mixed attention at the pace of the layer's prefill attention.
#[derive(Clone, Debug)]
pub(super) struct MixedCost {
    form: MixedForm,
    windowed: bool,
    evidence: Evidence,
}

impl MixedCost {
    /// For the heads of one GPU, whose prefill attention takes `prefill_ns`; `None` where prompt pieces and generating
    /// requests count as launched apart.
    pub(super) fn new(
        attention: Attention,
        context: &Context<'_>,
        prefill_ns: impl Fn(&[PrefillPiece]) -> f64,
    ) -> Option<Self> {
        if context.options.separate_attention {
            return None;
        }
        let device = context.options.device;
        let kernel = tile_kernel(device, context.options.architecture)?;
        let heads = measured::heads(attention, DType::Bf16, context);
        let keys = MixedForm::new(heads, device, kernel, 1.0).ns(&[LONG_PROMPT], 0.0, 0.0, 0.0);
        let key_ns = prefill_ns(&[LONG_PROMPT]) / keys;
        let known = FITTED_ON.contains(&device.name.as_str());
        Some(Self {
            form: MixedForm::new(heads, device, kernel, key_ns),
            windowed: attention.window.is_some(),
            evidence: if known { Evidence::Fitted } else { Evidence::Extrapolated },
        })
    }

    /// Time of both, whose parts stand on what `alone` says. How unequal contexts are is not known: all count as alike.
    #[inline]
    pub(super) fn both(&self, pieces: &[PrefillPiece], batch: DecodeBatch, alone: [Timed; 2]) -> Timed {
        let keys = if self.windowed { batch.windowed_context_tokens } else { batch.context_tokens };
        let requests = f64::from(batch.requests);
        let mean = keys as f64 / requests;
        let ns = self.form.ns(pieces, requests, mean, mean);
        let [prefill, decode] = alone;
        let evidence = self.evidence.max(prefill.evidence).max(decode.evidence);
        Timed { ns, evidence }
    }
}

/// How vLLM's kernels for a device put prompt pieces and generating requests into one launch; `None`: they launch them
/// apart, or nobody has measured it.
///
/// FlashAttention 2 takes a tile per query head. FlashAttention 3 on Hopper takes one per group of query heads; no table
/// shows what that makes of mixed batches, and carried over, the form comes out below the sum of both, while steps of
/// Qwen3-14B in vLLM 0.23 on H100 take longer than that: the sum stays. On B200, FlashInfer launches prompts and
/// generating requests one after the other; its kernels do not run on Blackwell cards for workstations, where vLLM keeps to
/// FlashAttention 2.
fn tile_kernel(device: &DeviceSpec, architecture: Option<Architecture>) -> Option<TileKernel> {
    match architecture.or(Architecture::of(device).ok())? {
        Architecture::Hopper => None,
        Architecture::Ampere | Architecture::Ada => Some(TileKernel::PerQueryHead),
        Architecture::Blackwell => device.name.contains("RTX").then_some(TileKernel::PerQueryHead),
    }
}
