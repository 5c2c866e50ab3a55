//! Distributions of token counts: lengths of prompts and answers, of shared prefixes, turns per session.
//!
//! Every draw is by inversion of one uniform number, so two workloads that differ in one parameter draw *the same*
//! long and short requests (common random numbers), and any two distributions can be coupled by a copula.

mod joint;
mod lognormal;
pub(crate) mod quantiles;
mod sampler;

pub(crate) use joint::RequestLengthSampler;
pub use joint::RequestLengths;
pub use lognormal::LogNormalShape;
pub(crate) use sampler::LengthSampler;

use crate::check;
use crate::error::WorkloadError;
use quantiles::Quantiles;

/// Most values a Zipf distribution may range over.
const MAX_ZIPF_VALUES: u32 = 1 << 22;

/// A distribution of token counts. Every draw is at least 1 token.
#[derive(Clone, Debug, PartialEq)]
pub enum Lengths {
    /// Always the same.
    Fixed {
        /// The length.
        tokens: u32,
    },
    /// Every length between two bounds equally likely.
    Uniform {
        /// Shortest.
        min: u32,
        /// Longest.
        max: u32,
    },
    /// Normal, rounded to whole tokens and cut.
    Normal {
        /// Mean before cutting, tokens.
        mean: f64,
        /// Standard deviation before cutting, tokens (0 is allowed).
        sd: f64,
        /// Where and how it is cut.
        bounds: Bounds,
    },
    /// Lognormal, rounded to whole tokens and cut.
    LogNormal {
        /// Which one.
        shape: LogNormalShape,
        /// Where and how it is cut.
        bounds: Bounds,
    },
    /// Probability of `min + k - 1` proportional to `k^-exponent`, k = 1, 2 … (Zipf).
    Zipf {
        /// Exponent (0 is uniform).
        exponent: f64,
        /// Shortest and most likely length.
        min: u32,
        /// Longest; at most 4,194,303 above `min`.
        max: u32,
    },
    /// Piecewise linear between quantiles: pairs (probability from 0 to 1, tokens), both never falling. Two pairs at
    /// one probability are a jump, two pairs of one length an atom.
    Quantiles {
        /// The pairs, the first at probability 0, the last at 1.
        table: Vec<(f64, f64)>,
    },
    /// Given lengths with given weights.
    Empirical {
        /// Pairs (tokens, weight); weights are finite and not negative, and need not sum to 1.
        weights: Vec<(u32, f64)>,
    },
}

/// Between which lengths a distribution is cut, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Shortest length (≥ 1).
    pub min: u32,
    /// Longest length.
    pub max: u32,
    /// What happens to draws outside.
    pub cut: Cut,
}

/// What happens to draws outside the bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// They become the bound, which collects their probability. The default, and what benchmark clients do.
    #[default]
    Clamp,
    /// They are drawn again: the distribution is conditioned on the bounds.
    Resample,
}

impl Bounds {
    /// Clamped to `min` and `max`.
    pub fn clamp(min: u32, max: u32) -> Self {
        Bounds { min, max, cut: Cut::Clamp }
    }

    fn validate(self, of: &'static str) -> Result<(), WorkloadError> {
        range(of, self.min, self.max)
    }
}

impl Default for Bounds {
    /// At least one token.
    fn default() -> Self {
        Bounds::clamp(1, check::MAX_TOKENS)
    }
}

impl Lengths {
    /// Always `tokens`.
    ///
    /// # Errors
    /// If that is 0 or absurdly long.
    pub fn fixed(tokens: u32) -> Result<Self, WorkloadError> {
        Lengths::Fixed { tokens }.validated()
    }

    /// Normal, clamped to `min` and `max`.
    ///
    /// # Errors
    /// As [`Lengths::validate`].
    pub fn normal(mean: f64, sd: f64, min: u32, max: u32) -> Result<Self, WorkloadError> {
        Lengths::Normal { mean, sd, bounds: Bounds::clamp(min, max) }.validated()
    }

    /// Lognormal by its mean and 90th percentile, in tokens.
    ///
    /// # Errors
    /// If no lognormal has them; see [`LogNormalShape::MeanAndQuantile`].
    pub fn lognormal_mean_p90(mean: f64, p90: f64) -> Result<Self, WorkloadError> {
        let shape = LogNormalShape::MeanAndQuantile { mean, probability: 0.9, value: p90 };
        Lengths::LogNormal { shape, bounds: Bounds::default() }.validated()
    }

    /// Lognormal by its median and 90th percentile, in tokens.
    ///
    /// # Errors
    /// If the percentile lies below the median.
    pub fn lognormal_p50_p90(p50: f64, p90: f64) -> Result<Self, WorkloadError> {
        let shape = LogNormalShape::TwoQuantiles { low: (0.5, p50), high: (0.9, p90) };
        Lengths::LogNormal { shape, bounds: Bounds::default() }.validated()
    }

    /// Mean length in tokens, as drawn: rounded and cut.
    ///
    /// # Errors
    /// As [`Lengths::validate`].
    pub fn mean(&self) -> Result<f64, WorkloadError> {
        LengthSampler::new(self).map(|sampler| sampler.mean())
    }

    /// Itself, if its parameters can be.
    ///
    /// # Errors
    /// As [`Lengths::validate`].
    pub fn validated(self) -> Result<Self, WorkloadError> {
        self.validate().map(|()| self)
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] or [`WorkloadError::NoSuchLogNormal`]: which parameter cannot be, and what it must
    /// be.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        match self {
            Lengths::Fixed { tokens } => check::tokens("fixed length", "tokens", *tokens),
            Lengths::Uniform { min, max } => range("uniform lengths", *min, *max),
            Lengths::Normal { mean, sd, bounds } => {
                check::not_negative("normal lengths", "mean", *mean)?;
                check::not_negative("normal lengths", "sd", *sd)?;
                bounds.validate("normal lengths")
            }
            Lengths::LogNormal { shape, bounds } => {
                shape.solve()?;
                bounds.validate("lognormal lengths")
            }
            Lengths::Zipf { exponent, min, max } => {
                check::not_negative("zipf lengths", "exponent", *exponent)?;
                range("zipf lengths", *min, *max)?;
                if max - min >= MAX_ZIPF_VALUES {
                    let expected = format!("less than {MAX_ZIPF_VALUES} above min = {min}");
                    return Err(check::wrong("zipf lengths", "max", max, expected));
                }
                Ok(())
            }
            Lengths::Quantiles { table } => {
                let table = Quantiles::new("quantile table of lengths", table, 1.0)?;
                if table.at(1.0) > f64::from(check::MAX_TOKENS) {
                    let expected = format!("at most {} tokens", check::MAX_TOKENS);
                    return Err(check::wrong("quantile table of lengths", "last value", table.at(1.0), expected));
                }
                Ok(())
            }
            Lengths::Empirical { weights } => validate_weights(weights),
        }
    }
}

fn range(of: &'static str, min: u32, max: u32) -> Result<(), WorkloadError> {
    check::tokens(of, "min", min)?;
    check::tokens(of, "max", max)?;
    if min > max {
        return Err(check::wrong(of, "min", min, format!("at most max = {max}")));
    }
    Ok(())
}

fn validate_weights(weights: &[(u32, f64)]) -> Result<(), WorkloadError> {
    const OF: &str = "empirical lengths";
    for &(tokens, weight) in weights {
        check::tokens(OF, "tokens", tokens)?;
        check::not_negative(OF, "weight", weight)?;
    }
    check::positive(OF, "sum of the weights", weights.iter().map(|&(_, weight)| weight).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(lengths: &Lengths) -> String {
        lengths.validate().unwrap_err().to_string()
    }

    #[test]
    fn impossible_lengths_are_refused_with_the_reason() {
        assert_eq!(
            message(&Lengths::Fixed { tokens: 0 }),
            "fixed length: tokens is 0, but it must be between 1 and 1073741824 tokens"
        );
        assert_eq!(
            message(&Lengths::Uniform { min: 9, max: 8 }),
            "uniform lengths: min is 9, but it must be at most max = 8"
        );
        assert_eq!(
            message(&Lengths::Normal { mean: f64::NAN, sd: 1.0, bounds: Bounds::default() }),
            "normal lengths: mean is NaN, but it must be a finite number, 0 or above"
        );
        assert_eq!(
            message(&Lengths::Normal { mean: 5.0, sd: -1.0, bounds: Bounds::default() }),
            "normal lengths: sd is -1, but it must be a finite number, 0 or above"
        );
        assert_eq!(
            message(&Lengths::Zipf { exponent: 1.0, min: 1, max: 1 << 23 }),
            "zipf lengths: max is 8388608, but it must be less than 4194304 above min = 1"
        );
        assert_eq!(
            message(&Lengths::Empirical { weights: vec![(5, 0.0)] }),
            "empirical lengths: sum of the weights is 0, but it must be a finite number above 0"
        );
        assert_eq!(
            message(&Lengths::Empirical { weights: vec![(5, -2.0)] }),
            "empirical lengths: weight is -2, but it must be a finite number, 0 or above"
        );
        assert_eq!(
            message(&Lengths::Quantiles { table: vec![(0.0, 1.0), (1.0, 1e10)] }),
            "quantile table of lengths: last value is 10000000000, but it must be at most 1073741824 tokens"
        );
    }
}
