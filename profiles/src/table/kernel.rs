//! Kinds of kernels.

use std::fmt;
use std::str::FromStr;

/// A kind of kernel: decides the columns of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kernel {
    /// Matrix products by weights.
    Gemm,
    /// Attention of prompt pieces.
    PrefillAttention,
    /// Attention of generating requests.
    DecodeAttention,
    /// Attention of prompt pieces and generating requests in one step.
    MixedAttention,
    /// Routed experts: both grouped products and what lies between them.
    Experts,
    /// Convolution and recurrence of state-space mixers.
    StateSpace,
    /// Norms, rotary embedding, KV writes, activations, sampling, copies.
    Elementwise,
    /// Operations over several GPUs.
    Collective,
    /// What the host adds: launches, graph launches, synchronisation, gaps between steps.
    Overhead,
    /// Whole forward passes of a model.
    Pass,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Gemm,
        Self::PrefillAttention,
        Self::DecodeAttention,
        Self::MixedAttention,
        Self::Experts,
        Self::StateSpace,
        Self::Elementwise,
        Self::Collective,
        Self::Overhead,
        Self::Pass,
    ];

    /// What it times, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Gemm => "Matrix products by weights, `y[m, n] = x[m, k] · w[k, n]`, as one GPU executes them.",
            Self::PrefillAttention => "Attention of prompt pieces that are all alike, one layer on one GPU.",
            Self::DecodeAttention => "Attention of requests that each generate one token, one layer on one GPU.",
            Self::MixedAttention => {
                "Attention of prompt pieces and generating requests in one step, one layer on one GPU."
            }
            Self::Experts => {
                "The routed experts of one layer on one GPU, gated, without communication: both grouped products, the \
                 activation between them, and the sorting of rows where the engine's kernel includes it."
            }
            Self::StateSpace => "Convolution and recurrence of a state-space mixer, one layer on one GPU.",
            Self::Elementwise => "Small kernels, bound by memory or by their launch.",
            Self::Collective => "Operations over several GPUs.",
            Self::Overhead => "What the host adds.",
            Self::Pass => "Whole forward passes of a model; compared with, not predicted from.",
        }
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gemm => "gemm",
            Self::PrefillAttention => "prefill_attention",
            Self::DecodeAttention => "decode_attention",
            Self::MixedAttention => "mixed_attention",
            Self::Experts => "experts",
            Self::StateSpace => "state_space",
            Self::Elementwise => "elementwise",
            Self::Collective => "collective",
            Self::Overhead => "overhead",
            Self::Pass => "pass",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernel {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|kernel| kernel.name() == name)
            .ok_or_else(|| format!("`{name}` is no kind of kernel; use one of {}", names()))
    }
}
