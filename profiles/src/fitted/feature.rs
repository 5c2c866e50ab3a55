//! What fitted surfaces are functions of.

use serde::{Deserialize, Serialize};

/// A quantity that corrections depend on, as the logarithm to base 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Rows of activations of a product.
    Rows,
    /// Columns of its weights.
    Columns,
    /// Length of its inner products.
    Depth,
    /// Output tiles of 128 × 128 per streaming multiprocessor.
    Waves,
    /// These, rounded up to whole waves, over what they are; 0 below one wave.
    WaveFill,
    /// Output tiles of 128 × 256 per streaming multiprocessor.
    WideWaves,
    /// These, rounded up to whole waves, over what they are; 0 below one wave.
    WideWaveFill,
    /// Tokens of a prompt whose tokens see as many keys, on average, as those of the step do.
    PromptTokens,
    /// Blocks of 128 query rows per streaming multiprocessor.
    Blocks,
    /// Tokens that a generating request attends to, on average.
    Context,
    /// Generating requests times KV heads on this GPU.
    RequestHeads,
    /// Elements of a head.
    HeadDim,
    /// Query heads per KV head.
    Group,
    /// KV heads on this GPU.
    KvHeads,
    /// Rows that reach this GPU's experts, copies counted, per expert touched.
    RowsPerExpert,
    /// Time to read the weights of the touched experts at the peak bandwidth, over the floor.
    WeightTime,
    /// Width of one expert on this GPU.
    Width,
    /// The largest power of two that divides this width, at most 128.
    Alignment,
    /// Width of the residual stream.
    Hidden,
    /// Rows before they are copied for their experts.
    Tokens,
    /// These, per expert on this GPU.
    TokensPerExpert,
    /// Experts on this GPU.
    Experts,
    /// Experts that each row chooses.
    Chosen,
    /// Rows of the busiest expert over the mean of those touched.
    Imbalance,
}

impl Feature {
    /// How many there are.
    pub const COUNT: usize = 24;
}

/// The values of some features, as logarithms to base 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point([f64; Feature::COUNT]);

impl Default for Point {
    /// No feature has a value.
    fn default() -> Self {
        Self([f64::NAN; Feature::COUNT])
    }
}

impl Point {
    /// The same with the logarithm of `value` (> 0) for `feature`.
    #[must_use]
    pub fn with(mut self, feature: Feature, value: f64) -> Self {
        self.0[feature as usize] = value.log2();
        self
    }

    /// The same with a logarithm as it is.
    #[must_use]
    pub(super) fn with_log2(mut self, feature: Feature, log2: f64) -> Self {
        self.0[feature as usize] = log2;
        self
    }

    /// The logarithm of a feature; not a number where it was not given.
    pub fn log2(&self, feature: Feature) -> f64 {
        self.0[feature as usize]
    }
}
