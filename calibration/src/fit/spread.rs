//! How far predictions are from measurements.

/// Median, tail and signs of relative errors, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// How many errors.
    pub count: usize,
    /// Median of the absolute errors.
    pub median: f64,
    /// Their 95th percentile.
    pub p95: f64,
    /// Median of the signed errors.
    pub bias: f64,
    /// Mean of the signed errors.
    pub mean: f64,
}

impl Spread {
    /// Of relative errors `predicted ÷ measured − 1`; `None` without any.
    pub fn of(mut errors: Vec<f64>) -> Option<Self> {
        let count = errors.len();
        if count == 0 {
            return None;
        }
        let mean = errors.iter().sum::<f64>() / count as f64;
        let bias = quantile(&mut errors, 0.5);
        let mut absolute: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
        let median = quantile(&mut absolute, 0.5);
        let p95 = quantile(&mut absolute, 0.95);
        let percent = |part: f64| part * 100.0;
        Some(Self { count, median: percent(median), p95: percent(p95), bias: percent(bias), mean: percent(mean) })
    }
}

/// A quantile of numbers (at least one), linear between neighbours in order; sorts them.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let position = part * (values.len() - 1) as f64;
    let (below, above) = (values[position as usize], values[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_tells_size_and_sign() {
        let spread = Spread::of(vec![-0.10, 0.02, 0.04, 0.30]).expect("some errors");
        assert_eq!(spread.count, 4);
        for (found, expected) in [(spread.median, 7.0), (spread.bias, 3.0), (spread.mean, 6.5), (spread.p95, 27.0)] {
            assert!((found - expected).abs() < 1e-9, "{spread:?}");
        }
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
