//! What is kept of a percentile where single requests are not.

use serde::{Deserialize, Serialize};

use super::bootstrap::Blocked;
use super::figure::RequestFigure;
use super::interval::{CONFIDENCE, IntervalMethod, Spread};
use super::within::{FEWEST_BATCHES, Influences, by_batches, half_width, ratio_influences};

/// A percentile of a latency: its interval, and what its differences from other runs of the same requests need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptQuantile {
    figure: RequestFigure,
    q: f64,
    /// Its interval, in nanoseconds; `None` where it has none.
    pub(super) spread: Option<Spread>,
    /// Of each stretch, how many values exceed it, and how many there are.
    beyond: Vec<(f64, f64)>,
    /// By how many nanoseconds it moves with the share beyond it: the inverse of the density there.
    ns_per_share: f64,
}

impl KeptQuantile {
    /// Of the values of a run. `None` where too few lie beyond it.
    pub(super) fn of(values: &Blocked, figure: RequestFigure, q: f64) -> Option<Self> {
        if !values.has_enough_beyond(q) {
            return None;
        }
        let estimate = values.estimate(q);
        let beyond = values.beyond(estimate);
        let interval = |share: Spread| {
            let (low, high) = (q - share.below, q + share.above);
            (low >= 0.0 && high <= 1.0).then(|| Spread {
                below: estimate - values.estimate(low),
                above: values.estimate(high) - estimate,
                method: IntervalMethod::BatchShares,
                parts: share.parts,
            })
        };
        let spread = by_batches(|parts| Some(ratio_influences(&grouped(&beyond, parts)?))).and_then(interval);
        // Over the width of the interval that independent stretches would have.
        let half = half_width(&ratio_influences(&beyond), CONFIDENCE);
        let (low, high) = ((q - half).max(0.0), (q + half).min(1.0));
        let ns_per_share = if low < high { (values.estimate(high) - values.estimate(low)) / (high - low) } else { 0.0 };
        debug_assert_eq!(beyond.len(), values.stretches());
        Some(KeptQuantile { figure, q, spread, beyond, ns_per_share })
    }

    /// Whether it is this one.
    pub(super) fn is(&self, figure: RequestFigure, q: f64) -> bool {
        self.figure == figure && self.q.total_cmp(&q).is_eq()
    }

    /// What each stretch adds to the error of the percentile: that of the share beyond it, in nanoseconds (the first term of
    /// Bahadur 1966, "A note on quantiles in large samples", Ann. Math. Statist. 37).
    fn influences(&self, parts: usize) -> Option<Influences> {
        let shares = ratio_influences(&grouped(&self.beyond, parts)?);
        Some(shares.into_iter().map(|share| share * self.ns_per_share).collect())
    }
}

/// The interval of the difference `theirs` − `ours` of runs whose stretches hold the same requests, by batch means.
pub(super) fn difference_of_kept(ours: &KeptQuantile, theirs: &KeptQuantile) -> Option<Spread> {
    let spread = by_batches(|parts| {
        let (ours, theirs) = (ours.influences(parts)?, theirs.influences(parts)?);
        Some(theirs.iter().zip(&ours).map(|(their, our)| their - our).collect())
    })?;
    Some(Spread { method: IntervalMethod::BatchShares, ..spread })
}

/// Counts of stretches as those of `parts` stretches: as they are, or two and two.
fn grouped(counts: &[(f64, f64)], parts: usize) -> Option<Vec<(f64, f64)>> {
    if counts.len() == parts {
        return Some(counts.to_vec());
    }
    let add = |pair: &[(f64, f64)]| pair.iter().fold((0.0, 0.0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    (parts == FEWEST_BATCHES && counts.len() == 2 * parts).then(|| counts.chunks(2).map(add).collect())
}
