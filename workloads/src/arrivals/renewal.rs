//! Arrival processes with independent gaps.

use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Gamma};

use crate::check;
use crate::error::WorkloadError;
use crate::rng::exponential;
use crate::special::ln_gamma;

/// A distribution of gaps, in seconds.
#[derive(Clone, Debug)]
pub(crate) enum Gaps {
    Exponential { mean_s: f64 },
    Gamma(Gamma<f64>),
    Weibull { scale_s: f64, inverse_shape: f64 },
}

impl Gaps {
    pub(super) fn gamma(rate: f64, cv: f64) -> Result<Self, WorkloadError> {
        let shape = 1.0 / (cv * cv);
        check::cv("gamma arrivals", cv)?;
        let gamma = Gamma::new(shape, 1.0 / (rate * shape)).expect("shape and scale are finite and above 0");
        Ok(Gaps::Gamma(gamma))
    }

    pub(super) fn weibull(rate: f64, cv: f64) -> Result<Self, WorkloadError> {
        let shape = weibull_shape(cv)?;
        let mean_of_unit_scale = ln_gamma(1.0 + 1.0 / shape).exp();
        Ok(Gaps::Weibull { scale_s: 1.0 / (rate * mean_of_unit_scale), inverse_shape: 1.0 / shape })
    }

    pub(super) fn draw(&self, rng: &mut Xoshiro256PlusPlus) -> f64 {
        match self {
            Gaps::Exponential { mean_s } => exponential(rng) * mean_s,
            Gaps::Gamma(gamma) => gamma.sample(rng),
            Gaps::Weibull { scale_s, inverse_shape } => scale_s * exponential(rng).powf(*inverse_shape),
        }
    }
}

/// Shape of the Weibull distribution whose coefficient of variation is `cv`: the root of
/// `Γ(1 + 2/k) / Γ(1 + 1/k)² − 1 = cv²`, whose left side falls with k, by bisection to the last bit.
pub(super) fn weibull_shape(cv: f64) -> Result<f64, WorkloadError> {
    check::cv("weibull arrivals", cv)?;
    let squared_cv = |shape: f64| (ln_gamma(1.0 + 2.0 / shape) - 2.0 * ln_gamma(1.0 + 1.0 / shape)).exp_m1();
    let (mut low, mut high) = (0.05_f64, 1000.0_f64);
    for _ in 0..200 {
        let middle = (low * high).sqrt();
        if squared_cv(middle) > cv * cv {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok((low * high).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    fn mean_and_cv(gaps: &Gaps) -> (f64, f64) {
        let mut rng = stream(1, "arrivals", 0);
        let n = 400_000;
        let draws: Vec<f64> = (0..n).map(|_| gaps.draw(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / f64::from(n);
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn gaps_have_the_rate_and_the_cv_asked_for() {
        let poisson = mean_and_cv(&Gaps::Exponential { mean_s: 0.25 });
        assert!((poisson.0 / 0.25 - 1.0).abs() < 0.01 && (poisson.1 - 1.0).abs() < 0.01, "{poisson:?}");
        for cv in [0.3, 1.0, 2.5] {
            for gaps in [Gaps::gamma(4.0, cv).unwrap(), Gaps::weibull(4.0, cv).unwrap()] {
                let (mean, got) = mean_and_cv(&gaps);
                assert!((mean / 0.25 - 1.0).abs() < 0.02 && (got / cv - 1.0).abs() < 0.03, "{gaps:?}: {mean} {got}");
            }
        }
    }

    /// CV 1 is the exponential (shape 1); shape 2 is the Rayleigh distribution, cv² = 4/π − 1; shape ½ has cv² = 5.
    #[test]
    fn known_weibull_shapes_are_found() {
        for (cv, shape) in [(1.0, 1.0), ((4.0 / std::f64::consts::PI - 1.0).sqrt(), 2.0), (5.0_f64.sqrt(), 0.5)] {
            assert!((weibull_shape(cv).unwrap() - shape).abs() < 1e-10);
        }
        for cv in [0.01, 100.0] {
            assert!(weibull_shape(cv).is_ok(), "the ends of the range can be solved");
        }
    }
}
