//! Two rates and nothing else: what tokens need of compute, and contexts of memory bandwidth.

use serde::{Deserialize, Serialize};

use super::{CostModel, CostTotals, Evidence, Operator};
use crate::cost::Composition;
use crate::error::ProfileError;
use crate::model::{Mixer, ModelSpec};
use crate::parallel::DType;
use crate::step::{StepCost, StepShape};

const NS_PER_S: f64 = 1e9;

/// A file that names both rates of a device.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RooflineFile {
    /// Which form it is: `roofline`.
    pub form: String,
    /// The device; left out: any.
    pub device: Option<String>,
    /// Where the rates come from.
    pub source: String,
    /// Rate of matrix products on one GPU, in FLOP/s.
    pub flops_per_s: f64,
    /// Rate at which one GPU reads its memory, in bytes/s.
    pub bytes_per_s: f64,
}

impl RooflineFile {
    /// The only form there is.
    pub const FORM: &'static str = "roofline";

    /// Reads such a file. `file` is the name used in errors.
    ///
    /// # Errors
    ///
    /// If the text is not TOML, a key is missing, unknown or of the wrong type, a rate is not above zero, or no `source` is
    /// named.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ProfileError> {
        let parsed: Self = toml::from_str(text).map_err(|error| ProfileError::Syntax {
            file: file.to_string(),
            problem: error.to_string().trim_end().to_string(),
        })?;
        let wrong = |field: &str, problem: String| {
            Err(ProfileError::Field { file: file.to_string(), field: field.to_string(), problem })
        };
        if parsed.form != Self::FORM {
            return wrong("form", format!("`{}` is no form of step cost; expected `{}`", parsed.form, Self::FORM));
        }
        if parsed.source.trim().is_empty() {
            return wrong("source", "is empty; expected where the rates come from".to_string());
        }
        for (field, rate) in [("flops_per_s", parsed.flops_per_s), ("bytes_per_s", parsed.bytes_per_s)] {
            if !(rate.is_finite() && rate > 0.0) {
                return wrong(field, format!("{rate} is out of range; expected a rate above 0"));
            }
        }
        Ok(parsed)
    }

    /// Prices of `model`, its cache in this format, on so many GPUs that share every layer.
    pub fn cost(&self, model: &ModelSpec, kv_cache: DType, gpus: u32, composition: Composition) -> RooflineCost {
        let flops_per_s = self.flops_per_s * f64::from(gpus);
        let bytes_per_s = self.bytes_per_s * f64::from(gpus);
        let attending =
            model.layers.iter().filter(|layer| matches!(layer.mixer, Mixer::Attention(_) | Mixer::Latent(_))).count();
        let attention_flops = 4.0 * f64::from(model.hidden_size) * attending as f64;
        let cache_bytes = model.kv_bytes_per_token(kv_cache) as f64;
        RooflineCost::new(RooflineOptions {
            compute_ns_per_token: 2.0 * model.active_parameters().total() as f64 / flops_per_s * NS_PER_S,
            compute_ns_per_squared_token: attention_flops / flops_per_s * NS_PER_S,
            memory_ns_per_context_token: cache_bytes / bytes_per_s * NS_PER_S,
            composition,
        })
    }
}

/// What the two resources are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RooflineOptions {
    /// Compute per token, prompt or answer, in nanoseconds.
    pub compute_ns_per_token: f64,
    /// Compute on top per squared prompt token, in nanoseconds; of a piece the difference of squares of what is computed after
    /// and before it.
    pub compute_ns_per_squared_token: f64,
    /// Memory per token of context that a generating request reads, in nanoseconds.
    pub memory_ns_per_context_token: f64,
    /// How both go together.
    pub composition: Composition,
}

/// Prices steps as *`BlendServe`* (section 3) counts demand: `(2 · tokens · P + 4HL · Σ squares) / C` of compute and KV bytes ÷
/// bandwidth of memory, put together by a [`Composition`]. No step reads weights, launches a kernel or waits for a host.
#[derive(Clone, Debug)]
pub struct RooflineCost {
    options: RooflineOptions,
    totals: CostTotals,
}

impl RooflineCost {
    /// Prices steps by these.
    pub fn new(options: RooflineOptions) -> Self {
        Self { options, totals: CostTotals::default() }
    }

    /// Nanoseconds of a step: of matrices, of attention over prompts, of reading contexts, each as if alone.
    fn parts(&self, shape: &StepShape<'_>) -> [f64; 3] {
        assert!(shape.prefill_layers.is_none(), "a roofline prices whole passes, not some of the layers");
        let mut tokens = f64::from(shape.decode.requests);
        let mut squares = 0.0;
        for piece in shape.prefill {
            let (new, context) = (f64::from(piece.new_tokens), f64::from(piece.context_tokens));
            tokens += new;
            squares += new * (new + 2.0 * context);
        }
        let options = &self.options;
        [
            tokens * options.compute_ns_per_token,
            squares * options.compute_ns_per_squared_token,
            shape.decode.context_tokens as f64 * options.memory_ns_per_context_token,
        ]
    }
}

impl CostModel for RooflineCost {
    fn step(&mut self, shape: &StepShape<'_>, stage_ns: &mut [u64]) -> StepCost {
        assert_eq!(stage_ns.len(), 1, "a roofline has one pipeline stage");
        let [matrices, attention, memory] = self.parts(shape);
        stage_ns[0] = self.options.composition.time(matrices + attention, memory).round() as u64;
        self.totals += &self.explain(shape);
        StepCost { duration_ns: stage_ns[0], dynamic_energy_j: 0.0 }
    }

    fn composed_ns(&self, compute_ns: f64, memory_ns: f64) -> f64 {
        self.options.composition.time(compute_ns, memory_ns)
    }

    fn totals(&self) -> CostTotals {
        self.totals.clone()
    }

    /// All matrices count as dense feed-forward networks. Operators have the time that nothing hides.
    fn explain(&self, shape: &StepShape<'_>) -> CostTotals {
        let [matrices, attention, memory] = self.parts(shape);
        let compute = matrices + attention;
        let hidden = compute + memory - self.options.composition.time(compute, memory);
        let (of_compute, of_memory) = if memory < compute { (0.0, hidden) } else { (hidden, 0.0) };
        let shown = if compute > 0.0 { 1.0 - of_compute / compute } else { 1.0 };
        let mut totals = CostTotals { steps: 1, ..CostTotals::default() };
        for (operator, ns) in [
            (Operator::DenseFfn, matrices * shown),
            (Operator::PrefillAttention, attention * shown),
            (Operator::DecodeAttention, memory - of_memory),
        ] {
            totals.operator_mut(operator).time_ns_by_evidence[Evidence::Fitted as usize] = ns;
        }
        totals.parts.add(compute, memory);
        totals
    }
}
