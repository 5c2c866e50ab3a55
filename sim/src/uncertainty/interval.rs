//! Intervals of 95 % confidence, and where they come from.

use serde::{Deserialize, Serialize};

use super::student::student_t_quantile;

/// Probability with which an interval is meant to contain the truth.
pub(super) const CONFIDENCE: f64 = 0.95;

/// Where an interval comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IntervalMethod {
    /// Student's t over the figures of several seeds, or over their differences seed by seed.
    Seeds,
    /// Batch means of one run: Student's t over stretches of requests that arrived one after the other.
    BatchMeans,
    /// For a percentile of one run: batch means of the share beyond it, turned into values. For the difference of percentiles of two
    /// runs of the same requests whose single requests are not known any more: the same of both shares, stretch by stretch.
    BatchShares,
    /// For the difference of percentiles of two runs of the same requests: bootstrap over such stretches.
    BlockBootstrap,
}

impl IntervalMethod {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seeds => "seeds",
            Self::BatchMeans => "batch-means",
            Self::BatchShares => "batch-shares",
            Self::BlockBootstrap => "block-bootstrap",
        }
    }
}

/// How far below and above an estimate its interval of 95 % confidence reaches, in the unit of the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How far below; less than 0 only where a bootstrap is lopsided beyond its estimate.
    pub below: f64,
    /// How far above.
    pub above: f64,
    /// Where it comes from.
    pub method: IntervalMethod,
    /// Seeds or stretches it rests on.
    pub parts: u32,
}

impl Spread {
    /// Around this estimate.
    pub fn around(self, estimate: f64) -> Interval {
        let Spread { below, above, method, parts } = self;
        Interval { low: estimate - below, high: estimate + above, method, parts }
    }

    /// In a unit that is `scale` of the present one.
    pub(crate) fn scaled(self, scale: f64) -> Self {
        Spread { below: self.below * scale, above: self.above * scale, ..self }
    }
}

/// An interval of 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Where it comes from.
    pub method: IntervalMethod,
    /// Seeds or stretches it rests on.
    pub parts: u32,
}

impl Interval {
    /// Half of its width.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// That of the mean of one figure per seed; `None` with fewer than two.
    pub fn over_seeds(figures: &[f64]) -> Option<Self> {
        let half = half_width(figures)?;
        let spread = Spread { below: half, above: half, method: IntervalMethod::Seeds, parts: figures.len() as u32 };
        Some(spread.around(figures.iter().sum::<f64>() / figures.len() as f64))
    }
}

/// Half of the 95 % confidence interval of the mean of independent `values`, by Student's t distribution; `None` with fewer
/// than two.
pub fn half_width(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    (values.len() > 1).then(|| {
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        student_t_quantile(f64::midpoint(1.0, CONFIDENCE), values.len() as u32 - 1) * (variance / count).sqrt()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_students() {
        // Mean 20, standard error 10/√3, t(0.975, 2) = 4.302 652 73.
        let interval = Interval::over_seeds(&[10.0, 20.0, 30.0]).expect("three values");
        let half = 4.302_652_73 * 10.0 / 3.0_f64.sqrt();
        assert!((interval.low - (20.0 - half)).abs() < 1e-6 && (interval.high - (20.0 + half)).abs() < 1e-6);
        assert!((interval.half_width() - half).abs() < 1e-6);
        assert_eq!((interval.method, interval.parts), (IntervalMethod::Seeds, 3));
        assert_eq!(Interval::over_seeds(&[10.0]), None);
    }
}
