//! How often each of several choices is taken.

use crate::check;
use crate::error::WorkloadError;

/// Most choices there may be.
pub(super) const MAX_CHOICES: u32 = 1 << 20;

/// How often each of several choices is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Popularity {
    /// All equally often.
    #[default]
    Uniform,
    /// Choice k = 1, 2 … in proportion to `k^-exponent`.
    Zipf {
        /// Exponent (0 is uniform).
        exponent: f64,
    },
}

impl Popularity {
    /// Checks the exponent.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        match self {
            Popularity::Uniform => Ok(()),
            Popularity::Zipf { exponent } => check::not_negative("zipf popularity", "exponent", *exponent),
        }
    }
}

/// [`Popularity`] over a number of choices, ready to be drawn from.
#[derive(Clone, Debug)]
pub(crate) enum PopularitySampler {
    Uniform {
        choices: u32,
    },
    /// Cumulative probabilities.
    Zipf(Vec<f64>),
}

impl PopularitySampler {
    pub(crate) fn new(popularity: Popularity, choices: u32) -> Self {
        match popularity {
            Popularity::Uniform => PopularitySampler::Uniform { choices },
            Popularity::Zipf { exponent } => {
                let mut cumulative: Vec<f64> = (1..=choices).map(|k| f64::from(k).powf(-exponent)).collect();
                let total: f64 = cumulative.iter().sum();
                let mut below = 0.0;
                for p in &mut cumulative {
                    below += *p / total;
                    *p = below;
                }
                PopularitySampler::Zipf(cumulative)
            }
        }
    }

    /// The choice, from 0 on, for a uniform draw in (0, 1).
    pub(crate) fn choose(&self, u: f64) -> u32 {
        match self {
            PopularitySampler::Uniform { choices } => ((u * f64::from(*choices)) as u32).min(choices - 1),
            PopularitySampler::Zipf(cumulative) => {
                (cumulative.partition_point(|&p| p < u)).min(cumulative.len() - 1) as u32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_law() {
        let share = |popularity, choice| {
            let sampler = PopularitySampler::new(popularity, 4);
            let n = 100_000;
            (0..n).filter(|&i| sampler.choose((f64::from(i) + 0.5) / f64::from(n)) == choice).count() as f64
                / f64::from(n)
        };
        let total = 1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0;
        for choice in 0..4 {
            assert!((share(Popularity::Uniform, choice) - 0.25).abs() < 1e-4);
            let expected = 1.0 / f64::from(choice + 1) / total;
            assert!((share(Popularity::Zipf { exponent: 1.0 }, choice) - expected).abs() < 1e-4);
        }
    }
}
