//! Whether a claim holds.

use super::claim::{Claim, Comparison, Published, Relation, Status};
use super::estimate::Estimate;

/// Share of the published change by which a comparison may miss it.
const QUARTER: f64 = 0.25;

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A prediction contains the published value or is near enough.
    Holds,
    /// A prediction does not.
    Differs,
    /// What was published to rise falls, or the other way round.
    DirectionWrong,
    /// A calibration was fitted to it, and it agrees, or does not.
    Fitted {
        /// Whether it agrees.
        agrees: bool,
    },
    /// Public facts do not determine it.
    Open {
        /// Whether the direction is that published; `None` for plain values.
        direction: Option<bool>,
    },
}

impl Verdict {
    /// In a word or two.
    pub(super) fn name(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Differs | Verdict::Fitted { agrees: false } => "differs",
            Verdict::DirectionWrong => "direction wrong",
            Verdict::Fitted { agrees: true } => "agrees",
            Verdict::Open { direction: None } => "open",
            Verdict::Open { direction: Some(true) } => "open, direction right",
            Verdict::Open { direction: Some(false) } => "open, direction wrong",
        }
    }

    /// Whether it has to be explained.
    pub(super) fn needs_reason(self) -> bool {
        !matches!(self, Verdict::Holds | Verdict::Fitted { agrees: true })
    }
}

/// Judges a claim by what it came to.
pub(super) fn judge(claim: &Claim, estimate: &Estimate) -> Verdict {
    let comparison = claim.quantity.against.as_ref().map(|(_, comparison)| *comparison);
    let direction = direction(claim.published, comparison).map(|up| {
        let neutral = neutral(comparison);
        if up { estimate.mean > neutral } else { estimate.mean < neutral }
    });
    let agrees = agrees(claim.published, comparison, estimate);
    match (&claim.status, direction) {
        (Status::Undetermined, direction) => Verdict::Open { direction },
        (_, Some(false)) => Verdict::DirectionWrong,
        (Status::Fitted(_), _) => Verdict::Fitted { agrees },
        (Status::Predicted, _) if agrees => Verdict::Holds,
        (Status::Predicted, _) => Verdict::Differs,
    }
}

/// What a comparison comes to if both sides are equal.
fn neutral(comparison: Option<Comparison>) -> f64 {
    if comparison == Some(Comparison::Ratio) { 1.0 } else { 0.0 }
}

/// Whether the first side was published to be larger; `None` for plain values and where it was left open.
fn direction(published: Published, comparison: Option<Comparison>) -> Option<bool> {
    comparison?;
    let neutral = neutral(comparison);
    match published.relation {
        _ if published.low > neutral => Some(true),
        _ if published.high < neutral => Some(false),
        Relation::Above => Some(true),
        Relation::Below => Some(false),
        Relation::Equal => None,
    }
}

/// Whether the interval contains the published value, or the mean is near enough: for comparisons within a quarter of the
/// published change, for plain values within the stated tolerance. Bounds have to be kept by the whole interval.
fn agrees(published: Published, comparison: Option<Comparison>, estimate: &Estimate) -> bool {
    let (low, high) = estimate.interval();
    match published.relation {
        Relation::Above => low > published.low,
        Relation::Below => high < published.high,
        Relation::Equal => {
            let nearest = estimate.mean.clamp(published.low, published.high);
            let margin = match comparison {
                Some(_) => QUARTER * (nearest - neutral(comparison)).abs(),
                None => published.tolerance.unwrap_or(0.0) * nearest.abs(),
            };
            (low <= published.high && published.low <= high) || (estimate.mean - nearest).abs() <= margin
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::claim;
    use super::*;

    fn verdict(rest: &str, mean: f64, half_width: f64) -> Verdict {
        let estimate = Estimate {
            mean,
            half_width: (half_width > 0.0).then_some(half_width),
            range: (mean, mean),
            seeds: 20,
            sides: (mean, None),
            bound: None,
        };
        judge(&claim(rest), &estimate)
    }

    const CHANGE: &str = "system = \"b\"\nagainst = \"a\"\ncompare = \"change\"\nmeasure = \"mean_ttft_ms\"\n";
    const RATIO: &str = "system = \"b\"\nagainst = \"a\"\ncompare = \"ratio\"\nmeasure = \"mean_ttft_ms\"\n";
    const VALUE: &str = "system = \"b\"\nmeasure = \"mean_ttft_ms\"\n";
    const PREDICTED: &str = "status = \"predicted\"";

    #[test]
    fn a_prediction_holds_within_a_quarter_of_the_published_change() {
        let claim = format!("{CHANGE}published = -40\n{PREDICTED}");
        assert_eq!(verdict(&claim, -50.0, 0.0), Verdict::Holds);
        assert_eq!(verdict(&claim, -50.1, 0.0), Verdict::Differs);
        assert_eq!(verdict(&claim, -30.0, 0.0), Verdict::Holds);
        assert_eq!(verdict(&claim, -29.9, 0.0), Verdict::Differs);
    }

    #[test]
    fn the_change_of_a_ratio_is_what_it_has_over_one() {
        let claim = format!("{RATIO}published = 2.6\n{PREDICTED}");
        assert_eq!(verdict(&claim, 2.21, 0.0), Verdict::Holds);
        assert_eq!(verdict(&claim, 2.19, 0.0), Verdict::Differs);
        assert_eq!(verdict(&claim, 0.9, 5.0), Verdict::DirectionWrong, "a wide interval excuses no wrong direction");
    }

    #[test]
    fn an_interval_that_contains_the_published_value_holds() {
        let claim = format!("{CHANGE}published = -40\n{PREDICTED}");
        assert_eq!(verdict(&claim, -60.0, 20.0), Verdict::Holds);
        assert_eq!(verdict(&claim, -60.0, 9.0), Verdict::Differs);
    }

    #[test]
    fn a_plain_value_has_only_the_tolerance_it_states() {
        let strict = format!("{VALUE}published = 100\n{PREDICTED}");
        assert_eq!(verdict(&strict, 100.1, 0.0), Verdict::Differs);
        assert_eq!(verdict(&strict, 100.1, 0.2), Verdict::Holds);
        let tolerant = format!("{VALUE}published = 100\ntolerance = 0.05\n{PREDICTED}");
        assert_eq!(verdict(&tolerant, 104.9, 0.0), Verdict::Holds);
        assert_eq!(verdict(&tolerant, 105.1, 0.0), Verdict::Differs);
    }

    #[test]
    fn a_published_range_holds_all_that_lies_in_it() {
        let claim = format!("{VALUE}published = 1.4\npublished_to = 1.5\n{PREDICTED}");
        assert_eq!(verdict(&claim, 1.45, 0.0), Verdict::Holds);
        assert_eq!(verdict(&claim, 1.55, 0.0), Verdict::Differs);
        assert_eq!(verdict(&claim, 1.55, 0.06), Verdict::Holds);
    }

    #[test]
    fn a_bound_has_to_be_kept_by_the_whole_interval() {
        let claim = format!("{VALUE}published = 0.5\nrelation = \"below\"\n{PREDICTED}");
        assert_eq!(verdict(&claim, 0.4, 0.05), Verdict::Holds);
        assert_eq!(verdict(&claim, 0.4, 0.15), Verdict::Differs);
        let slower = format!("{CHANGE}published = 0\nrelation = \"above\"\n{PREDICTED}");
        assert_eq!(verdict(&slower, 3.0, 1.0), Verdict::Holds);
        assert_eq!(verdict(&slower, -3.0, 1.0), Verdict::DirectionWrong);
    }

    #[test]
    fn what_was_fitted_or_is_undetermined_never_holds() {
        let fitted = format!("{CHANGE}published = -40\nstatus = \"fitted\"\nfitted_by = \"layered-paper\"");
        assert_eq!(verdict(&fitted, -40.0, 0.0), Verdict::Fitted { agrees: true });
        assert_eq!(verdict(&fitted, -10.0, 0.0), Verdict::Fitted { agrees: false });
        assert_eq!(verdict(&fitted, 10.0, 0.0), Verdict::DirectionWrong);
        let open = format!("{CHANGE}published = -40\nstatus = \"undetermined\"\nreason = \"noise\"");
        assert_eq!(verdict(&open, -40.0, 0.0), Verdict::Open { direction: Some(true) });
        assert_eq!(verdict(&open, 40.0, 0.0), Verdict::Open { direction: Some(false) });
    }
}
