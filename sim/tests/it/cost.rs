//! Cost models for tests.

use profiles::{CostModel, CostTotals, Operator, StepCost, StepShape};

/// A cost that depends on every field of a shape, so that two simulators whose shapes differ anywhere tell different
/// times from there on.
#[derive(Clone, Debug)]
pub(crate) struct ShapeCost {
    pub(crate) stages: usize,
    /// Nanoseconds of any step on every stage.
    pub(crate) base_ns: u64,
    /// Stage times are multiples of this, so that events of several replicas and arrivals coincide if it is large;
    /// 0: every stage time is reported as 0.
    pub(crate) quantum_ns: u64,
    /// Layers, if it prices them.
    pub(crate) layers: Option<u32>,
    pub(crate) handover_base_ns: u64,
    pub(crate) handover_row_ns: u64,
    pub(crate) totals: CostTotals,
}

impl ShapeCost {
    /// A number that every field of the shape changes.
    fn digest(shape: &StepShape<'_>) -> u64 {
        let mut digest = 0;
        for (place, piece) in (1..).zip(shape.prefill) {
            digest += 7 * u64::from(piece.new_tokens) + (3 + place % 5) * u64::from(piece.context_tokens) + 11 * place;
        }
        if let Some(part) = shape.prefill_layers {
            digest += 19 * u64::from(part.start) + 23 * u64::from(part.end);
        }
        digest += 13 * u64::from(shape.decode.requests) + 2 * shape.decode.context_tokens;
        let shared = shape.decode.shared;
        digest += 29 * u64::from(shared.prefixes) + 3 * shared.tokens + shared.member_tokens;
        digest + 5 * shape.decode.windowed_context_tokens + 17 * u64::from(shape.sampled)
    }
}

impl CostModel for ShapeCost {
    fn stages(&self) -> usize {
        self.stages
    }

    fn layers(&self) -> Option<u32> {
        self.layers
    }

    fn step(&mut self, shape: &StepShape<'_>, stage_ns: &mut [u64]) -> StepCost {
        let digest = Self::digest(shape);
        for (stage, ns) in (1..).zip(stage_ns.iter_mut()) {
            let raw = self.base_ns + digest * stage / 2;
            *ns = if self.quantum_ns == 0 { 0 } else { raw.next_multiple_of(self.quantum_ns) };
        }
        // Dyadic, so that sums are exact in whatever order they are taken.
        let dynamic_energy_j = digest as f64 / 1024.0;
        self.totals.steps += 1;
        self.totals.useful_flops += digest as f64;
        self.totals.dynamic_energy_j += dynamic_energy_j;
        StepCost { duration_ns: stage_ns.iter().sum(), dynamic_energy_j }
    }

    fn handover_ns(&self, stage: usize, rows: u32) -> u64 {
        self.handover_base_ns * stage as u64 + self.handover_row_ns * u64::from(rows)
    }

    fn totals(&self) -> CostTotals {
        self.totals.clone()
    }

    /// Enough of a price for compute and memory to be told apart.
    fn explain(&self, shape: &StepShape<'_>) -> CostTotals {
        let mut totals = CostTotals::default();
        totals.steps = 1;
        let rows: u32 = shape.prefill.iter().map(|piece| piece.new_tokens).sum::<u32>() + shape.decode.requests;
        totals.operator_mut(Operator::DenseFfn).time_ns_by_evidence[0] = 25.0 * f64::from(rows);
        totals.operator_mut(Operator::DecodeAttention).time_ns_by_evidence[0] =
            2.0 * shape.decode.context_tokens as f64;
        totals
    }
}
