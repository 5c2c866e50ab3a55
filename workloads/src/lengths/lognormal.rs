//! Which lognormal has a given mean and percentile.

use crate::check;
use crate::error::WorkloadError;
use crate::special::normal_quantile;

/// A lognormal distribution, said in one of the ways in which reports say it. Values are in tokens, before cutting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LogNormalShape {
    /// By the mean and standard deviation of the logarithm.
    LogMoments {
        /// Mean of the natural logarithm.
        mu: f64,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
    },
    /// By its mean and one quantile.
    ///
    /// With mean m, quantile q at probability p and z the normal quantile of p, `ln(q/m) = z σ − σ²/2`, so
    /// `σ = z ± √(z² − 2 ln(q/m))`. A quantile below the mean leaves one positive root. A quantile above it leaves two,
    /// of which the smaller, the less skewed distribution, is taken, or none: no lognormal has a quantile above
    /// `m exp(z²/2)`, which is 2.27 m for p = 0.9 and 15 m for p = 0.99.
    MeanAndQuantile {
        /// Mean.
        mean: f64,
        /// Probability of the quantile, in (0, 1).
        probability: f64,
        /// The quantile.
        value: f64,
    },
    /// By two quantiles, as (probability, value).
    TwoQuantiles {
        /// The lower one.
        low: (f64, f64),
        /// The higher one.
        high: (f64, f64),
    },
}

const OF: &str = "lognormal lengths";

impl LogNormalShape {
    /// Mean and standard deviation of the natural logarithm.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] for a value that cannot be; [`WorkloadError::NoSuchLogNormal`] where no lognormal
    /// has that mean and quantile.
    pub fn solve(&self) -> Result<(f64, f64), WorkloadError> {
        match *self {
            LogNormalShape::LogMoments { mu, sigma } => {
                if !mu.is_finite() {
                    return Err(check::wrong(OF, "mu", mu, "a finite number"));
                }
                check::not_negative(OF, "sigma", sigma)?;
                Ok((mu, sigma))
            }
            LogNormalShape::MeanAndQuantile { mean, probability, value } => mean_and_quantile(mean, probability, value),
            LogNormalShape::TwoQuantiles { low, high } => two_quantiles(low, high),
        }
    }
}

fn mean_and_quantile(mean: f64, probability: f64, value: f64) -> Result<(f64, f64), WorkloadError> {
    check::positive(OF, "mean", mean)?;
    check::positive(OF, "quantile", value)?;
    inside(probability)?;
    let z = normal_quantile(probability);
    let log_ratio = (value / mean).ln();
    let discriminant = z * z - 2.0 * log_ratio;
    let sigma = if log_ratio > 0.0 {
        if z <= 0.0 || discriminant < 0.0 {
            let highest = if z > 0.0 { mean * (z * z / 2.0).exp() } else { mean };
            return Err(WorkloadError::NoSuchLogNormal { mean, probability, value, highest });
        }
        z - discriminant.sqrt()
    } else {
        z + discriminant.sqrt()
    };
    Ok((mean.ln() - sigma * sigma / 2.0, sigma))
}

fn two_quantiles(low: (f64, f64), high: (f64, f64)) -> Result<(f64, f64), WorkloadError> {
    for (probability, value) in [low, high] {
        inside(probability)?;
        check::positive(OF, "quantile", value)?;
    }
    if low.0 >= high.0 {
        return Err(check::wrong(OF, "lower probability", low.0, format!("below the higher one, {}", high.0)));
    }
    if low.1 > high.1 {
        let expected = format!("at most {}, the quantile at {}", high.1, high.0);
        return Err(check::wrong(OF, "lower quantile", low.1, expected));
    }
    let (z_low, z_high) = (normal_quantile(low.0), normal_quantile(high.0));
    let sigma = (high.1 / low.1).ln() / (z_high - z_low);
    Ok((low.1.ln() - sigma * z_low, sigma))
}

fn inside(probability: f64) -> Result<(), WorkloadError> {
    if probability > 0.0 && probability < 1.0 {
        return Ok(());
    }
    Err(check::wrong(OF, "probability of a quantile", probability, "above 0 and below 1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mean_and_value((mu, sigma): (f64, f64), probability: f64) -> (f64, f64) {
        ((mu + sigma * sigma / 2.0).exp(), (mu + sigma * normal_quantile(probability)).exp())
    }

    proptest! {
        #[test]
        fn the_solution_has_the_mean_and_the_quantile(
            mean in 2.0..1e5_f64, ratio in 0.01..2.27_f64, probability in 0.9..0.999_f64,
        ) {
            let shape = LogNormalShape::MeanAndQuantile { mean, probability, value: mean * ratio };
            let (m, v) = mean_and_value(shape.solve().unwrap(), probability);
            prop_assert!((m / mean - 1.0).abs() < 1e-9 && (v / (mean * ratio) - 1.0).abs() < 1e-9);
        }

        #[test]
        fn two_quantiles_are_met(p50 in 1.0..1e5_f64, ratio in 1.0..50.0_f64, high in 0.6..0.999_f64) {
            let shape = LogNormalShape::TwoQuantiles { low: (0.5, p50), high: (high, p50 * ratio) };
            let (mu, sigma) = shape.solve().unwrap();
            prop_assert!((mu.exp() / p50 - 1.0).abs() < 1e-9);
            prop_assert!(((mu + sigma * normal_quantile(high)).exp() / (p50 * ratio) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn of_two_solutions_the_less_skewed_is_taken() {
        let (_, sigma) =
            LogNormalShape::MeanAndQuantile { mean: 1024.0, probability: 0.9, value: 2000.0 }.solve().unwrap();
        assert!(sigma < normal_quantile(0.9), "the other root is above z, here {sigma}");
    }

    #[test]
    fn a_quantile_that_no_lognormal_reaches_is_refused_with_the_highest_possible() {
        let shape = LogNormalShape::MeanAndQuantile { mean: 1024.0, probability: 0.9, value: 2600.0 };
        assert_eq!(
            shape.solve().unwrap_err().to_string(),
            "lognormal lengths: no lognormal of mean 1024 has its p90 at 2600: with that mean it is at most 2327.8; \
             lower the quantile, or give the median instead of the mean"
        );
        let below_the_median = LogNormalShape::MeanAndQuantile { mean: 100.0, probability: 0.4, value: 101.0 };
        assert!(below_the_median.solve().unwrap_err().to_string().contains("at most 100.0"));
    }

    #[test]
    fn impossible_shapes_are_refused_with_the_reason() {
        let message = |shape: LogNormalShape| shape.solve().unwrap_err().to_string();
        assert_eq!(
            message(LogNormalShape::TwoQuantiles { low: (0.5, 10.0), high: (0.9, 5.0) }),
            "lognormal lengths: lower quantile is 10, but it must be at most 5, the quantile at 0.9"
        );
        assert_eq!(
            message(LogNormalShape::TwoQuantiles { low: (0.9, 10.0), high: (0.5, 50.0) }),
            "lognormal lengths: lower probability is 0.9, but it must be below the higher one, 0.5"
        );
        assert_eq!(
            message(LogNormalShape::MeanAndQuantile { mean: 9.0, probability: 90.0, value: 10.0 }),
            "lognormal lengths: probability of a quantile is 90, but it must be above 0 and below 1"
        );
        assert_eq!(
            message(LogNormalShape::MeanAndQuantile { mean: -9.0, probability: 0.9, value: 10.0 }),
            "lognormal lengths: mean is -9, but it must be a finite number above 0"
        );
        assert_eq!(
            message(LogNormalShape::LogMoments { mu: 2.0, sigma: -1.0 }),
            "lognormal lengths: sigma is -1, but it must be a finite number, 0 or above"
        );
        assert_eq!(
            message(LogNormalShape::LogMoments { mu: f64::INFINITY, sigma: 1.0 }),
            "lognormal lengths: mu is inf, but it must be a finite number"
        );
    }
}
