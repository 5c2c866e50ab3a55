//! Cost models simple enough to reason about by hand: oracles for tests, and other simulators' forms for reproduction.

mod file;
mod roofline;

pub use file::{DecodeLargeTable, DecodeTable, OverheadsTable, PrefillTable, StepCostFile};
pub use roofline::{RooflineCost, RooflineFile, RooflineOptions};

use super::{CostModel, CostTotals, Evidence, Operator};
use crate::step::{StepCost, StepShape};

/// Every step takes the same time, whatever it processes.
///
/// With one request per step this makes a replica a queue with deterministic service (M/D/1 under Poisson arrivals).
#[derive(Clone, Debug)]
pub struct ConstantCost {
    step_ns: u64,
    totals: CostTotals,
}

impl ConstantCost {
    /// Steps of `step_ns` nanoseconds.
    pub fn new(step_ns: u64) -> Self {
        Self { step_ns, totals: CostTotals::default() }
    }
}

impl CostModel for ConstantCost {
    fn step(&mut self, shape: &StepShape<'_>, stage_ns: &mut [u64]) -> StepCost {
        assert_eq!(stage_ns.len(), 1, "a constant cost has one pipeline stage");
        self.totals += &self.explain(shape);
        stage_ns[0] = self.step_ns;
        StepCost { duration_ns: self.step_ns, dynamic_energy_j: 0.0 }
    }

    fn totals(&self) -> CostTotals {
        self.totals.clone()
    }

    fn explain(&self, _shape: &StepShape<'_>) -> CostTotals {
        timed(Operator::Host, self.step_ns as f64)
    }
}

/// Times of decode steps, as a polynomial: `base + per_context_token · Σ contexts + per_request · requests`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecodePolynomial {
    /// Nanoseconds of any step with decoding requests.
    pub base_ns: f64,
    /// Nanoseconds per token attended to.
    pub per_context_token_ns: f64,
    /// Nanoseconds per decoding request.
    pub per_request_ns: f64,
}

/// A polynomial in the lengths, the form that `DistServe`'s simulator fits to measured engines
/// (`estimators/time_estimator.py` in its public code; *DistServe*, OSDI 2024, appendix A, for the derivation).
///
/// A pass over prompts takes `(a + b·Σ l + c·Σ l²) / stages` per pipeline stage, a decode pass
/// `(a + b·Σ contexts + c·requests) / stages`, and each pass adds fixed time per stage and on the first stage. The
/// fit knows whole prompts only: a piece of `q` tokens after `c` cached ones counts `q` tokens and the
/// difference of squares `(c+q)² − c²`, so that the chunks of a prompt add up to the prompt. A mixed step costs the sum of both
/// parts with the larger of the two bases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolynomialOptions {
    /// Nanoseconds of any step with prompt tokens.
    pub prefill_base_ns: f64,
    /// Nanoseconds per prompt token.
    pub per_prompt_token_ns: f64,
    /// Nanoseconds per squared prompt token.
    pub per_prompt_token_squared_ns: f64,
    /// Decode steps below `large_batch_requests`.
    pub decode: DecodePolynomial,
    /// Decode steps of at least `large_batch_requests`.
    pub decode_large: DecodePolynomial,
    /// Requests from which `decode_large` applies (95 in `DistServe`); `u32::MAX`: never.
    pub large_batch_requests: u32,
    /// Pipeline stages (≥ 1); the polynomial is divided evenly among them.
    pub stages: u32,
    /// Nanoseconds added per stage to a step with prompt tokens (1 ms in `DistServe`).
    pub per_stage_prefill_ns: f64,
    /// Nanoseconds added on the first stage of every step (2 ms in `DistServe`).
    pub per_step_ns: f64,
    /// Nanoseconds added on the first stage per token processed (100 ns in `DistServe`).
    pub per_step_token_ns: f64,
}

/// Prices steps by [`PolynomialOptions`].
///
/// Times count as fitted, except those of steps that no such fit has seen, which count as extrapolated: pieces of prompts
/// after cached tokens, prompts longer than [`fitted_up_to`](Self::fitted_up_to), and steps with both prompts and decodes.
#[derive(Clone, Debug)]
pub struct PolynomialCost {
    options: PolynomialOptions,
    longest_prompt_tokens: u32,
    totals: CostTotals,
}

impl PolynomialCost {
    /// Prices steps by these coefficients.
    ///
    /// # Panics
    ///
    /// If there is no stage.
    pub fn new(options: PolynomialOptions) -> Self {
        assert!(options.stages >= 1, "a replica has at least one pipeline stage");
        Self { options, longest_prompt_tokens: u32::MAX, totals: CostTotals::default() }
    }

    /// The same, for a fit to prompts of at most this many tokens.
    #[must_use]
    pub fn fitted_up_to(self, longest_prompt_tokens: u32) -> Self {
        Self { longest_prompt_tokens, ..self }
    }

    /// Whether the fit has seen such steps.
    fn evidence(&self, shape: &StepShape<'_>) -> Evidence {
        let mixed = !shape.prefill.is_empty() && shape.decode.requests > 0;
        let strange =
            shape.prefill.iter().any(|piece| piece.context_tokens > 0 || piece.new_tokens > self.longest_prompt_tokens);
        if mixed || strange { Evidence::Extrapolated } else { Evidence::Fitted }
    }

    /// Nanoseconds of the polynomial itself (prefill part, decode part), and the tokens processed.
    fn parts(&self, shape: &StepShape<'_>) -> (f64, f64, f64) {
        assert!(shape.prefill_layers.is_none(), "a polynomial prices whole passes, not some of the layers");
        let options = &self.options;
        let (mut tokens, mut squares) = (0.0, 0.0);
        for piece in shape.prefill {
            let (new, context) = (f64::from(piece.new_tokens), f64::from(piece.context_tokens));
            tokens += new;
            squares += new * (new + 2.0 * context);
        }
        let prefill = tokens * options.per_prompt_token_ns + squares * options.per_prompt_token_squared_ns;
        let requests = shape.decode.requests;
        let form = if requests < options.large_batch_requests { options.decode } else { options.decode_large };
        let decode =
            shape.decode.context_tokens as f64 * form.per_context_token_ns + f64::from(requests) * form.per_request_ns;
        let prefill_base = if shape.prefill.is_empty() { 0.0 } else { options.prefill_base_ns };
        let decode_base = if requests == 0 { 0.0 } else { form.base_ns };
        if prefill_base >= decode_base {
            (prefill + prefill_base, decode, tokens + f64::from(requests))
        } else {
            (prefill, decode + decode_base, tokens + f64::from(requests))
        }
    }

    /// Nanoseconds that every stage adds, and that the first one adds.
    fn overheads(&self, shape: &StepShape<'_>, tokens: f64) -> (f64, f64) {
        let every = if shape.prefill.is_empty() { 0.0 } else { self.options.per_stage_prefill_ns };
        (every, self.options.per_step_ns + self.options.per_step_token_ns * tokens)
    }
}

impl CostModel for PolynomialCost {
    fn stages(&self) -> usize {
        self.options.stages as usize
    }

    fn step(&mut self, shape: &StepShape<'_>, stage_ns: &mut [u64]) -> StepCost {
        assert_eq!(stage_ns.len(), self.stages(), "one time for each pipeline stage");
        let (prefill, decode, tokens) = self.parts(shape);
        let (every, first) = self.overheads(shape, tokens);
        let per_stage = (prefill + decode) / f64::from(self.options.stages) + every;
        stage_ns.fill(per_stage.max(0.0).round() as u64);
        stage_ns[0] = (per_stage + first).max(0.0).round() as u64;
        self.totals += &self.explain(shape);
        StepCost { duration_ns: stage_ns.iter().sum(), dynamic_energy_j: 0.0 }
    }

    fn totals(&self) -> CostTotals {
        self.totals.clone()
    }

    fn explain(&self, shape: &StepShape<'_>) -> CostTotals {
        let (prefill, decode, tokens) = self.parts(shape);
        let (every, first) = self.overheads(shape, tokens);
        let mut totals = timed(Operator::Host, every * f64::from(self.options.stages) + first);
        let evidence = self.evidence(shape) as usize;
        totals.operator_mut(Operator::PrefillAttention).time_ns_by_evidence[evidence] = prefill;
        totals.operator_mut(Operator::DecodeAttention).time_ns_by_evidence[evidence] = decode;
        totals
    }
}

/// The books of one step that spends `time_ns` on one operator.
fn timed(operator: Operator, time_ns: f64) -> CostTotals {
    let mut totals = CostTotals { steps: 1, ..CostTotals::default() };
    totals.operator_mut(operator).time_ns_by_evidence[Evidence::Fitted as usize] = time_ns;
    totals
}
