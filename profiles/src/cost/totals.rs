//! The books of a cost model: what was spent, by operator, and what the figures stand on.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::parts::StepParts;

/// What a forward pass spends its time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Looking up the embedding rows of the tokens.
    Embedding,
    /// Projections into Q, K and V, and MLA's low-rank projections.
    QkvProjection,
    /// Attention of prompt pieces.
    PrefillAttention,
    /// Attention of generating requests.
    DecodeAttention,
    /// Projection of the attention output back to the residual stream.
    OutputProjection,
    /// Dense feed-forward networks.
    DenseFfn,
    /// Choosing experts.
    Router,
    /// Routed experts.
    Experts,
    /// Experts that every token passes through.
    SharedExperts,
    /// Projections into and out of state-space mixers.
    StateSpaceProjection,
    /// Convolution and recurrence of state-space mixers.
    StateSpaceScan,
    /// Norms, rotary embedding, KV writes, activations, residual additions: the small kernels.
    Elementwise,
    /// All-reduce over tensor-parallel GPUs.
    AllReduce,
    /// Dispatch to and combination from experts on other GPUs.
    AllToAll,
    /// Handing hidden states and residual from one pipeline stage to the next: bytes and joules. Its time is none of a
    /// stage's, so no total holds it; see [`CostModel::handover_ns`](super::CostModel::handover_ns).
    Handover,
    /// Final norm and language-model head over the sampled positions.
    LmHead,
    /// Sampling.
    Sampling,
    /// Time the GPUs wait for the host between steps.
    Host,
}

impl Operator {
    /// How many there are.
    pub const COUNT: usize = 18;

    /// All of them, in the order of a forward pass.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Embedding,
        Self::QkvProjection,
        Self::PrefillAttention,
        Self::DecodeAttention,
        Self::OutputProjection,
        Self::DenseFfn,
        Self::Router,
        Self::Experts,
        Self::SharedExperts,
        Self::StateSpaceProjection,
        Self::StateSpaceScan,
        Self::Elementwise,
        Self::AllReduce,
        Self::AllToAll,
        Self::Handover,
        Self::LmHead,
        Self::Sampling,
        Self::Host,
    ];

    /// Its name in tables and CSV files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::QkvProjection => "qkv_projection",
            Self::PrefillAttention => "prefill_attention",
            Self::DecodeAttention => "decode_attention",
            Self::OutputProjection => "output_projection",
            Self::DenseFfn => "dense_ffn",
            Self::Router => "router",
            Self::Experts => "experts",
            Self::SharedExperts => "shared_experts",
            Self::StateSpaceProjection => "state_space_projection",
            Self::StateSpaceScan => "state_space_scan",
            Self::Elementwise => "elementwise",
            Self::AllReduce => "all_reduce",
            Self::AllToAll => "all_to_all",
            Self::Handover => "handover",
            Self::LmHead => "lm_head",
            Self::Sampling => "sampling",
            Self::Host => "host",
        }
    }
}

/// Operators that are told together where there is no room for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorClass {
    /// Attention of prompt pieces.
    PrefillAttention,
    /// Attention of generating requests.
    DecodeAttention,
    /// Products with weights that every token passes, the language-model head among them.
    Products,
    /// Routed experts.
    Experts,
    /// What goes over links between GPUs: all-reduce, all-to-all and handing over from stage to stage.
    Collectives,
    /// Embedding, scans of state-space mixers, small kernels, sampling and the host.
    Others,
}

impl OperatorClass {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::PrefillAttention, Self::DecodeAttention, Self::Products, Self::Experts, Self::Collectives, Self::Others];

    /// That of an operator.
    pub fn of(operator: Operator) -> Self {
        match operator {
            Operator::PrefillAttention => Self::PrefillAttention,
            Operator::DecodeAttention => Self::DecodeAttention,
            Operator::QkvProjection
            | Operator::OutputProjection
            | Operator::DenseFfn
            | Operator::Router
            | Operator::SharedExperts
            | Operator::StateSpaceProjection
            | Operator::LmHead => Self::Products,
            Operator::Experts => Self::Experts,
            Operator::AllReduce | Operator::AllToAll | Operator::Handover => Self::Collectives,
            Operator::Embedding
            | Operator::StateSpaceScan
            | Operator::Elementwise
            | Operator::Sampling
            | Operator::Host => Self::Others,
        }
    }

    /// Its name in tables and CSV files.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrefillAttention => "prefill_attention",
            Self::DecodeAttention => "decode_attention",
            Self::Products => "products",
            Self::Experts => "experts",
            Self::Collectives => "collectives",
            Self::Others => "others",
        }
    }
}

/// What a time stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Kernels measured at this shape, or between measured neighbours.
    Measured,
    /// A curve fitted to kernels measured on this device.
    Fitted,
    /// Datasheet figures with the curve of a like device, or values beyond what was measured.
    Extrapolated,
}

impl Evidence {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// All of them, best first.
    pub const ALL: [Self; Self::COUNT] = [Self::Measured, Self::Fitted, Self::Extrapolated];

    /// Its name in tables and CSV files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Fitted => "fitted",
            Self::Extrapolated => "extrapolated",
        }
    }
}

/// What one operator cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OperatorTotals {
    /// Time on the replica's critical path in nanoseconds, by [`Evidence`] (index with `evidence as usize`).
    pub time_ns_by_evidence: [f64; Evidence::COUNT],
    /// Floating-point operations, all GPUs of the replica.
    pub flops: f64,
    /// Bytes moved to and from device memory, all GPUs of the replica.
    pub memory_bytes: f64,
    /// Bytes sent over links between GPUs, all GPUs of the replica.
    pub link_bytes: f64,
    /// Energy above idle in joules, all GPUs of the replica. What the board power limit cuts off is taken off all operators alike.
    pub dynamic_energy_j: f64,
}

impl OperatorTotals {
    /// Time on the replica's critical path in nanoseconds.
    pub fn time_ns(&self) -> f64 {
        self.time_ns_by_evidence.iter().sum()
    }
}

impl AddAssign for OperatorTotals {
    fn add_assign(&mut self, other: Self) {
        for (sum, term) in self.time_ns_by_evidence.iter_mut().zip(other.time_ns_by_evidence) {
            *sum += term;
        }
        self.flops += other.flops;
        self.memory_bytes += other.memory_bytes;
        self.link_bytes += other.link_bytes;
        self.dynamic_energy_j += other.dynamic_energy_j;
    }
}

/// What a set of steps cost, by operator.
///
/// Times are those of the replica (GPUs that share a layer count once; pipeline stages add up); FLOPs, bytes and joules
/// are summed over all its GPUs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CostTotals {
    /// Forward passes.
    pub steps: u64,
    pub(super) operators: [OperatorTotals; Operator::COUNT],
    /// Bytes of routed experts' weights read from device memory; part of the operators' memory bytes.
    pub expert_load_bytes: f64,
    /// FLOPs that the tokens need: without rows added by padding and without cached latents expanded again (MLA), and work
    /// that every tensor-parallel GPU repeats counted once. The numerator of model FLOP utilisation.
    pub useful_flops: f64,
    /// Bytes that cannot be avoided: weights touched, once per step, and the KV cache and states that are read and
    /// written; what several tensor-parallel GPUs hold counts once. The numerator of model bandwidth utilisation.
    pub necessary_bytes: f64,
    /// Energy above idle in joules, each step capped by the board power limit.
    pub dynamic_energy_j: f64,
    /// Times of steps in two parts, each as if alone: with [`Composition::Overlapped`](super::Composition::Overlapped) more than
    /// what the operators took, whose times are without what another part hides.
    pub parts: StepParts,
}

impl CostTotals {
    /// What one operator cost.
    pub fn operator(&self, operator: Operator) -> &OperatorTotals {
        &self.operators[operator as usize]
    }

    /// What one operator cost, to be added to.
    pub fn operator_mut(&mut self, operator: Operator) -> &mut OperatorTotals {
        &mut self.operators[operator as usize]
    }

    /// Operators with what they cost, in the order of a forward pass.
    pub fn operators(&self) -> impl Iterator<Item = (Operator, &OperatorTotals)> {
        Operator::ALL.into_iter().zip(&self.operators)
    }

    /// Sum over operators.
    pub fn sum(&self) -> OperatorTotals {
        let mut sum = OperatorTotals::default();
        for operator in self.operators {
            sum += operator;
        }
        sum
    }

    /// Time in nanoseconds, all operators.
    pub fn time_ns(&self) -> f64 {
        self.sum().time_ns()
    }

    /// FLOPs, all operators.
    pub fn flops(&self) -> f64 {
        self.sum().flops
    }

    /// Share of the time (0 to 1) that stands on this kind of evidence; 0 if there is no time.
    pub fn evidence_share(&self, evidence: Evidence) -> f64 {
        let sum = self.sum();
        let time_ns = sum.time_ns();
        if time_ns > 0.0 { sum.time_ns_by_evidence[evidence as usize] / time_ns } else { 0.0 }
    }
}

impl AddAssign<&Self> for CostTotals {
    fn add_assign(&mut self, other: &Self) {
        self.steps += other.steps;
        for (sum, term) in self.operators.iter_mut().zip(other.operators) {
            *sum += term;
        }
        self.expert_load_bytes += other.expert_load_bytes;
        self.useful_flops += other.useful_flops;
        self.necessary_bytes += other.necessary_bytes;
        self.dynamic_energy_j += other.dynamic_energy_j;
        self.parts += &other.parts;
    }
}
