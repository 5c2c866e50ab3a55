//! The mean rate of an arrival process, and the same process at another one.

use super::{Arrivals, RatePiece};
use crate::check;
use crate::error::WorkloadError;

impl Arrivals {
    /// Mean rate on the long run (over the schedule, for piecewise rates that end), requests per second. `None` where
    /// there is none: all at once, and closed loops.
    pub fn mean_rate(&self) -> Option<f64> {
        match self {
            Arrivals::Poisson { rate }
            | Arrivals::Gamma { rate, .. }
            | Arrivals::Weibull { rate, .. }
            | Arrivals::Constant { rate } => Some(*rate),
            Arrivals::OnOff { on_rate, off_rate, mean_on_s, mean_off_s } => {
                Some((on_rate * mean_on_s + off_rate * mean_off_s) / (mean_on_s + mean_off_s))
            }
            Arrivals::Piecewise { pieces, .. } => {
                let duration_s: f64 = pieces.iter().map(|piece| piece.duration_s).sum();
                Some(pieces.iter().map(|piece| piece.rate * piece.duration_s).sum::<f64>() / duration_s)
            }
            Arrivals::AllAtOnce | Arrivals::ClosedLoop { .. } => None,
        }
    }

    /// The same process at another mean rate: the CV, the phases and the schedule stay, all rates are scaled alike.
    ///
    /// # Errors
    /// If the process has no rate, or `rate` cannot be.
    pub fn at_rate(&self, rate: f64) -> Result<Self, WorkloadError> {
        check::rate("workload", "rate", rate)?;
        let own = self.mean_rate().filter(|&own| own > 0.0).ok_or_else(|| {
            let expected = "left out: requests all at once, or in a closed loop, have no rate of their own";
            check::wrong("workload", "rate", rate, expected)
        })?;
        let factor = rate / own;
        match self.clone() {
            Arrivals::Gamma { cv, .. } => Arrivals::Gamma { rate, cv },
            Arrivals::Weibull { cv, .. } => Arrivals::Weibull { rate, cv },
            Arrivals::Constant { .. } => Arrivals::Constant { rate },
            Arrivals::OnOff { on_rate, off_rate, mean_on_s, mean_off_s } => {
                Arrivals::OnOff { on_rate: on_rate * factor, off_rate: off_rate * factor, mean_on_s, mean_off_s }
            }
            Arrivals::Piecewise { pieces, repeat } => {
                let scaled = |piece: RatePiece| RatePiece { rate: piece.rate * factor, ..piece };
                Arrivals::Piecewise { pieces: pieces.into_iter().map(scaled).collect(), repeat }
            }
            Arrivals::Poisson { .. } | Arrivals::AllAtOnce | Arrivals::ClosedLoop { .. } => Arrivals::Poisson { rate },
        }
        .validated()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_with_a_rate_can_be_given_another() {
        let pieces = vec![RatePiece { duration_s: 10.0, rate: 1.0 }, RatePiece { duration_s: 30.0, rate: 5.0 }];
        for arrivals in [
            Arrivals::Poisson { rate: 3.0 },
            Arrivals::Gamma { rate: 3.0, cv: 2.0 },
            Arrivals::Weibull { rate: 3.0, cv: 2.0 },
            Arrivals::Constant { rate: 3.0 },
            Arrivals::OnOff { on_rate: 9.0, off_rate: 1.0, mean_on_s: 2.0, mean_off_s: 5.0 },
            Arrivals::Piecewise { pieces, repeat: true },
        ] {
            let faster = arrivals.at_rate(8.0).unwrap();
            assert!((faster.mean_rate().unwrap() - 8.0).abs() < 1e-12, "{faster:?}");
            assert_eq!(std::mem::discriminant(&faster), std::mem::discriminant(&arrivals));
        }
    }

    #[test]
    fn what_has_no_rate_cannot_be_given_one() {
        assert_eq!(
            Arrivals::AllAtOnce.at_rate(2.0).unwrap_err().to_string(),
            "workload: rate is 2, but it must be left out: requests all at once, or in a closed loop, have no rate of \
             their own"
        );
    }
}
