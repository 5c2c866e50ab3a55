//! Length distributions, ready to be drawn from.

use super::quantiles::Quantiles;
use super::{Bounds, Cut, Lengths};
use crate::check;
use crate::error::WorkloadError;
use crate::special::{normal_cdf, normal_quantile};

/// The quantile function of [`Lengths`].
#[derive(Clone, Debug)]
pub(crate) enum LengthSampler {
    Fixed(u32),
    Uniform {
        min: u32,
        values: f64,
    },
    Normal {
        mean: f64,
        sd: f64,
        cut: Cutting,
    },
    LogNormal {
        mu: f64,
        sigma: f64,
        cut: Cutting,
    },
    Quantiles(Quantiles),
    /// Values in order with their cumulative probabilities.
    Steps {
        values: Vec<u32>,
        cumulative: Vec<f64>,
    },
}

/// Bounds, and the part of (0, 1) that is left of the normal quantile between them when draws are repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutting {
    min: f64,
    max: f64,
    low: f64,
    width: f64,
}

impl Cutting {
    /// `z_of` maps a length to its standard normal score.
    fn new(of: &'static str, bounds: Bounds, z_of: impl Fn(f64) -> f64) -> Result<Self, WorkloadError> {
        let (min, max) = (f64::from(bounds.min), f64::from(bounds.max));
        if bounds.cut == Cut::Clamp {
            return Ok(Cutting { min, max, low: 0.0, width: 1.0 });
        }
        // Half a token beyond the bounds still rounds to them.
        let low = normal_cdf(z_of(min - 0.5));
        let width = normal_cdf(z_of(max + 0.5)) - low;
        if width > 1e-9 {
            return Ok(Cutting { min, max, low, width });
        }
        let range = format!("{} to {} tokens", bounds.min, bounds.max);
        Err(check::wrong(of, "range to draw again in", range, "a range the distribution falls into"))
    }

    fn score(&self, u: f64) -> f64 {
        normal_quantile((self.low + u * self.width).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON))
    }

    fn round(&self, tokens: f64) -> u32 {
        tokens.round().clamp(self.min, self.max) as u32
    }
}

impl LengthSampler {
    pub(crate) fn new(lengths: &Lengths) -> Result<Self, WorkloadError> {
        lengths.validate()?;
        Ok(match lengths {
            Lengths::Fixed { tokens } => LengthSampler::Fixed(*tokens),
            Lengths::Uniform { min, max } => LengthSampler::Uniform { min: *min, values: f64::from(max - min) + 1.0 },
            Lengths::Normal { mean, sd, bounds } => {
                let cut = Cutting::new("normal lengths", *bounds, |tokens| (tokens - mean) / sd)?;
                LengthSampler::Normal { mean: *mean, sd: *sd, cut }
            }
            Lengths::LogNormal { shape, bounds } => {
                let (mu, sigma) = shape.solve()?;
                let cut = Cutting::new("lognormal lengths", *bounds, |tokens| (tokens.ln() - mu) / sigma)?;
                LengthSampler::LogNormal { mu, sigma, cut }
            }
            Lengths::Zipf { exponent, min, max } => {
                let weights = (*min..=*max).map(|tokens| (tokens, f64::from(tokens - min + 1).powf(-exponent)));
                Self::steps(weights.collect())
            }
            Lengths::Quantiles { table } => {
                LengthSampler::Quantiles(Quantiles::new("quantile table of lengths", table, 1.0)?)
            }
            Lengths::Empirical { weights } => {
                let mut weights: Vec<_> = weights.iter().copied().filter(|&(_, weight)| weight > 0.0).collect();
                weights.sort_by_key(|&(tokens, _)| tokens);
                Self::steps(weights)
            }
        })
    }

    fn steps(weights: Vec<(u32, f64)>) -> Self {
        let total: f64 = weights.iter().map(|&(_, weight)| weight).sum();
        let mut below = 0.0;
        let (values, cumulative) = weights
            .into_iter()
            .map(|(value, weight)| {
                below += weight;
                (value, below / total)
            })
            .unzip();
        LengthSampler::Steps { values, cumulative }
    }

    /// Mean in tokens: exact for steps, else over an even grid of 10^5 probabilities.
    pub(crate) fn mean(&self) -> f64 {
        const POINTS: u32 = 100_000;
        if let LengthSampler::Steps { values, cumulative } = self {
            let below = std::iter::once(0.0).chain(cumulative.iter().copied());
            return values.iter().zip(cumulative).zip(below).map(|((&v, p), below)| f64::from(v) * (p - below)).sum();
        }
        let at = |point: u32| f64::from(self.quantile((f64::from(point) + 0.5) / f64::from(POINTS)));
        (0..POINTS).map(at).sum::<f64>() / f64::from(POINTS)
    }

    /// The length whose cumulative probability is `u` in (0, 1).
    pub(crate) fn quantile(&self, u: f64) -> u32 {
        match self {
            LengthSampler::Fixed(tokens) => *tokens,
            LengthSampler::Uniform { min, values } => min + (u * values) as u32,
            LengthSampler::Normal { mean, sd, cut } => cut.round(mean + sd * cut.score(u)),
            LengthSampler::LogNormal { mu, sigma, cut } => cut.round((mu + sigma * cut.score(u)).exp()),
            LengthSampler::Quantiles(table) => table.at(u).round() as u32,
            LengthSampler::Steps { values, cumulative } => {
                let step = cumulative.partition_point(|&p| p < u);
                values[step.min(values.len() - 1)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::LogNormalShape;
    use super::*;
    use proptest::prelude::*;

    fn mean(lengths: &Lengths) -> f64 {
        lengths.mean().unwrap()
    }

    #[test]
    fn means_are_those_of_the_distribution() {
        let wide = Bounds::clamp(1, 1_000_000);
        let lognormal = LogNormalShape::MeanAndQuantile { mean: 1024.0, probability: 0.9, value: 2200.0 };
        let zipf_mean = (1..=100).map(|k| f64::from(k).powf(-0.2)).sum::<f64>()
            / (1..=100).map(|k| f64::from(k).powf(-1.2)).sum::<f64>();
        for (lengths, expected, tolerance) in [
            (Lengths::Fixed { tokens: 77 }, 77.0, 1e-9),
            (Lengths::Uniform { min: 10, max: 20 }, 15.0, 1e-3),
            (Lengths::Normal { mean: 5000.0, sd: 256.0, bounds: wide }, 5000.0, 0.01),
            (Lengths::LogNormal { shape: lognormal, bounds: wide }, 1024.0, 1.0),
            (Lengths::Zipf { exponent: 1.2, min: 1, max: 100 }, zipf_mean, 0.01),
            (Lengths::Quantiles { table: vec![(0.0, 10.0), (0.5, 20.0), (1.0, 100.0)] }, 37.5, 0.02),
            (Lengths::Empirical { weights: vec![(30, 1.0), (10, 3.0)] }, 15.0, 1e-3),
        ] {
            let mean = mean(&lengths);
            assert!((mean - expected).abs() <= tolerance, "{lengths:?}: mean {mean}, expected {expected}");
        }
    }

    /// E[X | a < X < b] = m + s (φ(α) − φ(β)) / (Φ(β) − Φ(α)), the mean of a truncated normal.
    #[test]
    fn resampling_conditions_on_the_bounds_and_clamping_collects_at_them() {
        let normal = |cut| Lengths::Normal { mean: 100.0, sd: 100.0, bounds: Bounds { min: 1, max: 150, cut } };
        let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (alpha, beta) = ((0.5 - 100.0) / 100.0, (150.5 - 100.0) / 100.0);
        let expected = 100.0 + 100.0 * (density(alpha) - density(beta)) / (normal_cdf(beta) - normal_cdf(alpha));
        assert!((mean(&normal(Cut::Resample)) - expected).abs() < 0.02);
        let clamped = LengthSampler::new(&normal(Cut::Clamp)).unwrap();
        let at_the_top = 1.0 - normal_cdf(0.495);
        assert_eq!(clamped.quantile(1.0 - at_the_top + 1e-6), 150);
        assert_eq!(clamped.quantile(1.0 - at_the_top - 1e-6), 149);
    }

    #[test]
    fn drawing_again_where_nothing_falls_is_refused() {
        let lengths =
            Lengths::Normal { mean: 100.0, sd: 1.0, bounds: Bounds { min: 500, max: 600, cut: Cut::Resample } };
        assert_eq!(
            LengthSampler::new(&lengths).unwrap_err().to_string(),
            "normal lengths: range to draw again in is 500 to 600 tokens, but it must be a range the distribution \
             falls into"
        );
    }

    #[test]
    fn a_normal_without_spread_is_its_mean() {
        for cut in [Cut::Clamp, Cut::Resample] {
            let lengths = Lengths::Normal { mean: 100.0, sd: 0.0, bounds: Bounds { min: 1, max: 200, cut } };
            assert_eq!(LengthSampler::new(&lengths).unwrap().quantile(0.01), 100);
        }
    }

    proptest! {
        #[test]
        fn quantiles_rise_with_the_probability_and_stay_inside_the_bounds(
            min in 1_u32..5000, width in 0_u32..5000, mean in 0.0..10_000.0_f64, sd in 1.0..5000.0_f64,
            a in 0.0001..0.9999_f64, b in 0.0001..0.9999_f64, exponent in 0.0..3.0_f64,
        ) {
            let bounds = Bounds::clamp(min, min + width);
            let shape = LogNormalShape::LogMoments { mu: (mean + 1.0).ln(), sigma: sd / 1000.0 };
            for lengths in [
                Lengths::Uniform { min, max: min + width },
                Lengths::Normal { mean, sd, bounds },
                Lengths::LogNormal { shape, bounds },
                Lengths::Zipf { exponent, min, max: min + width },
            ] {
                let sampler = LengthSampler::new(&lengths).unwrap();
                let (low, high) = (sampler.quantile(a.min(b)), sampler.quantile(a.max(b)));
                prop_assert!(min <= low && low <= high && high <= min + width, "{lengths:?}: {low} {high}");
            }
        }
    }
}
