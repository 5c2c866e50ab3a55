//! Distributions of durations: how long people think between turns.

use crate::check;
use crate::error::WorkloadError;
use crate::lengths::quantiles::Quantiles;
use crate::special::normal_quantile;
use crate::time::SimDuration;

/// A distribution of durations, in seconds, none above 10^9 (a lognormal is cut there).
#[derive(Clone, Debug, PartialEq)]
pub enum Durations {
    /// Always the same (0 is allowed).
    Fixed {
        /// The duration.
        seconds: f64,
    },
    /// Uniform between two bounds.
    Uniform {
        /// Shortest (0 is allowed).
        min_s: f64,
        /// Longest.
        max_s: f64,
    },
    /// Exponential.
    Exponential {
        /// Mean.
        mean_s: f64,
    },
    /// Lognormal by its median and 90th percentile.
    LogNormal {
        /// Median.
        p50_s: f64,
        /// 90th percentile, not below the median.
        p90_s: f64,
    },
    /// Piecewise linear between quantiles: pairs (probability from 0 to 1, seconds), both never falling.
    Quantiles {
        /// The pairs, the first at probability 0, the last at 1.
        table: Vec<(f64, f64)>,
    },
}

impl Durations {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] names the one that cannot be and what it must be.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        match self {
            Durations::Fixed { seconds } => check::seconds("fixed duration", "seconds", *seconds),
            Durations::Uniform { min_s, max_s } => {
                check::seconds("uniform duration", "min_s", *min_s)?;
                check::seconds("uniform duration", "max_s", *max_s)?;
                if min_s > max_s {
                    let expected = format!("at most max_s = {max_s}");
                    return Err(check::wrong("uniform duration", "min_s", min_s, expected));
                }
                Ok(())
            }
            Durations::Exponential { mean_s } => {
                check::positive("exponential duration", "mean_s", *mean_s)?;
                check::seconds("exponential duration", "mean_s", *mean_s)
            }
            Durations::LogNormal { p50_s, p90_s } => {
                check::positive("lognormal duration", "p50_s", *p50_s)?;
                check::positive("lognormal duration", "p90_s", *p90_s)?;
                check::seconds("lognormal duration", "p90_s", *p90_s)?;
                if p90_s < p50_s {
                    let expected = format!("at least p50_s = {p50_s}");
                    return Err(check::wrong("lognormal duration", "p90_s", p90_s, expected));
                }
                Ok(())
            }
            Durations::Quantiles { table } => {
                let table = Quantiles::new("quantile table of durations", table, 0.0)?;
                check::seconds("quantile table of durations", "last value", table.at(1.0))
            }
        }
    }

    pub(crate) fn sampler(&self) -> Result<DurationSampler, WorkloadError> {
        self.validate()?;
        Ok(match self {
            Durations::Fixed { seconds } => DurationSampler::Uniform { min_s: *seconds, width_s: 0.0 },
            Durations::Uniform { min_s, max_s } => DurationSampler::Uniform { min_s: *min_s, width_s: max_s - min_s },
            Durations::Exponential { mean_s } => DurationSampler::Exponential { mean_s: *mean_s },
            Durations::LogNormal { p50_s, p90_s } => DurationSampler::LogNormal {
                log_median: p50_s.ln(),
                sigma: (p90_s / p50_s).ln() / normal_quantile(0.9),
            },
            Durations::Quantiles { table } => {
                DurationSampler::Quantiles(Quantiles::new("quantile table of durations", table, 0.0)?)
            }
        })
    }
}

/// [`Durations`], ready to be drawn from by inversion.
#[derive(Clone, Debug)]
pub(crate) enum DurationSampler {
    Uniform { min_s: f64, width_s: f64 },
    Exponential { mean_s: f64 },
    LogNormal { log_median: f64, sigma: f64 },
    Quantiles(Quantiles),
}

impl DurationSampler {
    /// The duration whose cumulative probability is `u` in (0, 1).
    pub(crate) fn quantile(&self, u: f64) -> SimDuration {
        const LONGEST_S: f64 = 1e9;
        let seconds = match self {
            DurationSampler::Uniform { min_s, width_s } => min_s + u * width_s,
            DurationSampler::Exponential { mean_s } => -(-u).ln_1p() * mean_s,
            DurationSampler::LogNormal { log_median, sigma } => (log_median + sigma * normal_quantile(u)).exp(),
            DurationSampler::Quantiles(table) => table.at(u),
        };
        SimDuration::from_secs_f64(seconds.min(LONGEST_S))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_distribution() {
        let at = |durations: Durations, u| durations.sampler().unwrap().quantile(u).as_secs_f64();
        assert!((at(Durations::Fixed { seconds: 2.5 }, 0.7) - 2.5).abs() < 1e-9);
        assert!((at(Durations::Uniform { min_s: 1.0, max_s: 3.0 }, 0.25) - 1.5).abs() < 1e-9);
        assert!((at(Durations::Exponential { mean_s: 4.0 }, 0.5) - 4.0 * 2.0_f64.ln()).abs() < 1e-9);
        let lognormal = Durations::LogNormal { p50_s: 20.0, p90_s: 90.0 };
        assert!((at(lognormal.clone(), 0.5) - 20.0).abs() < 1e-6);
        assert!((at(lognormal, 0.9) - 90.0).abs() < 1e-6);
        assert!((at(Durations::Quantiles { table: vec![(0.0, 1.0), (1.0, 11.0)] }, 0.3) - 4.0).abs() < 1e-9);
    }

    #[test]
    fn impossible_durations_are_refused_with_the_reason() {
        let message = |durations: Durations| durations.validate().unwrap_err().to_string();
        assert_eq!(
            message(Durations::Fixed { seconds: -1.0 }),
            "fixed duration: seconds is -1, but it must be a number of seconds between 0 and 1e8"
        );
        assert_eq!(
            message(Durations::Uniform { min_s: 3.0, max_s: 2.0 }),
            "uniform duration: min_s is 3, but it must be at most max_s = 2"
        );
        assert_eq!(
            message(Durations::Exponential { mean_s: 0.0 }),
            "exponential duration: mean_s is 0, but it must be a finite number above 0"
        );
        assert_eq!(
            message(Durations::Exponential { mean_s: 1e9 }),
            "exponential duration: mean_s is 1000000000, but it must be a number of seconds between 0 and 1e8"
        );
        assert_eq!(
            message(Durations::LogNormal { p50_s: 3.0, p90_s: 2.0 }),
            "lognormal duration: p90_s is 2, but it must be at least p50_s = 3"
        );
    }
}
