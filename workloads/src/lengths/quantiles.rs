//! A distribution given by its quantiles, linear between them.

use crate::check;
use crate::error::WorkloadError;

/// The quantile function of a piecewise linear distribution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantiles {
    probabilities: Vec<f64>,
    values: Vec<f64>,
}

impl Quantiles {
    /// Checks the table of (probability, value): at least two pairs, from probability 0 to 1, neither column falling,
    /// no value below `lowest`.
    pub(crate) fn new(of: &'static str, table: &[(f64, f64)], lowest: f64) -> Result<Self, WorkloadError> {
        let (Some(first), Some(last)) = (table.first(), table.last()) else {
            return Err(check::wrong(of, "table", "empty", "pairs of (probability, value) from probability 0 to 1"));
        };
        if first.0 > 0.0 || first.0.is_nan() {
            return Err(check::wrong(of, "first probability", first.0, "0 (the smallest value)"));
        }
        if last.0 < 1.0 || last.0.is_nan() {
            return Err(check::wrong(of, "last probability", last.0, "1 (the largest value)"));
        }
        for &(probability, value) in table {
            check::share(of, "probability", probability)?;
            if !(value.is_finite() && value >= lowest) {
                return Err(check::wrong(of, "value", value, format!("a finite number, {lowest} or above")));
            }
        }
        for pair in table.windows(2) {
            if pair[1].0 < pair[0].0 {
                let expected = format!("at least the one before, {}", pair[0].0);
                return Err(check::wrong(of, "probability", pair[1].0, expected));
            }
            if pair[1].1 < pair[0].1 {
                let expected = format!("at least the one before, {}", pair[0].1);
                return Err(check::wrong(of, "value", pair[1].1, expected));
            }
        }
        let (probabilities, values) = table.iter().copied().unzip();
        Ok(Quantiles { probabilities, values })
    }

    /// The value at cumulative probability `u`.
    pub(crate) fn at(&self, u: f64) -> f64 {
        let right = self.probabilities.partition_point(|&p| p < u).clamp(1, self.probabilities.len() - 1);
        let (p0, p1) = (self.probabilities[right - 1], self.probabilities[right]);
        let (v0, v1) = (self.values[right - 1], self.values[right]);
        if p1 > p0 { v0 + (v1 - v0) * ((u - p0) / (p1 - p0)) } else { v1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_quantiles_the_value_is_linear_and_jumps_are_jumps() {
        let table = Quantiles::new("t", &[(0.0, 1.0), (0.5, 1.0), (0.5, 10.0), (1.0, 20.0)], 0.0).unwrap();
        for (u, value) in [(0.0, 1.0), (0.2, 1.0), (0.5, 1.0), (0.75, 15.0), (1.0, 20.0)] {
            assert!((table.at(u) - value).abs() < 1e-12, "at {u}: {}", table.at(u));
        }
        assert!(table.at(0.5 + 1e-9) >= 10.0);
    }

    #[test]
    fn broken_tables_are_refused_with_the_reason() {
        let message = |table: &[(f64, f64)]| Quantiles::new("t", table, 1.0).unwrap_err().to_string();
        assert_eq!(
            message(&[]),
            "t: table is empty, but it must be pairs of (probability, value) from probability 0 to 1"
        );
        assert_eq!(message(&[(0.1, 1.0)]), "t: first probability is 0.1, but it must be 0 (the smallest value)");
        assert_eq!(
            message(&[(0.0, 1.0), (0.9, 2.0)]),
            "t: last probability is 0.9, but it must be 1 (the largest value)"
        );
        assert_eq!(message(&[(0.0, 0.5), (1.0, 2.0)]), "t: value is 0.5, but it must be a finite number, 1 or above");
        assert_eq!(
            message(&[(0.0, 1.0), (0.7, 2.0), (0.6, 3.0), (1.0, 9.0)]),
            "t: probability is 0.6, but it must be at least the one before, 0.7"
        );
        assert_eq!(message(&[(0.0, 5.0), (1.0, 2.0)]), "t: value is 2, but it must be at least the one before, 5");
    }
}
