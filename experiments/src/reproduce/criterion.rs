//! Limits on measures, `slo_attainment >= 0.9`, and the highest value of a swept key that keeps within them.

use std::fmt;

use super::measured::{Measure, RunSummary, Study};
use crate::diagnostic::{Problem, Span};
use crate::file::quantity::Plain;

/// A limit on a measure.
#[derive(Clone, Copy)]
pub(super) struct Criterion {
    measure: Measure,
    at_least: bool,
    limit: f64,
}

/// Whether the true value may lie beyond the points that were simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Even the lowest point misses a limit.
    AtMost,
    /// Even the highest point keeps within all limits.
    AtLeast,
}

impl Criterion {
    /// Reads `MEASURE >= NUMBER` or `MEASURE <= NUMBER`, written at `span`, of measures of `study`.
    pub(super) fn parse(text: &str, span: Span, study: &Study) -> Result<Self, Problem> {
        let wrong = |label: &str| Problem::at(span, format!("`{text}` is not a limit")).label(label);
        let (name, at_least, limit) = match (text.split_once(">="), text.split_once("<=")) {
            (Some((name, limit)), None) => (name, true, limit),
            (None, Some((name, limit))) => (name, false, limit),
            _ => return Err(wrong("expected MEASURE >= NUMBER or MEASURE <= NUMBER, such as slo_attainment >= 0.9")),
        };
        let limit = limit.trim().parse().ok().filter(|limit: &f64| limit.is_finite());
        let limit = limit.ok_or_else(|| wrong("what stands behind the sign is no number"))?;
        Ok(Criterion { measure: study.measure(name.trim(), span)?, at_least, limit })
    }

    fn holds(&self, value: f64) -> bool {
        if self.at_least { value >= self.limit } else { value <= self.limit }
    }

    /// Up to which value of the swept key it holds: where it first fails between two points, by a straight line between
    /// them. A point without the measure (nobody was answered) fails.
    fn reach(&self, points: &[(f64, &RunSummary)]) -> (f64, Option<Bound>) {
        let mut last: Option<(f64, f64)> = None;
        for (x, summary) in points {
            let value = self.measure.of(summary);
            match (value.filter(|value| self.holds(*value)), last) {
                (Some(value), _) => last = Some((*x, value)),
                (None, None) => return (*x, Some(Bound::AtMost)),
                (None, Some((before, good))) => {
                    let crossing = value.map(|bad| before + (x - before) * (self.limit - good) / (bad - good));
                    return (crossing.unwrap_or(before), None);
                }
            }
        }
        (points.last().expect("a swept key has values").0, Some(Bound::AtLeast))
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { "≥" } else { "≤" };
        write!(f, "{} {sign} {}", self.measure.name(), Plain(self.limit))
    }
}

/// The highest value of the swept key up to which all limits hold, and whether it may lie beyond the points.
///
/// # Errors
/// A measure that no point has, such as attainment without objectives.
///
/// # Panics
/// If there are no limits or no points: both were checked when the claim was read.
pub(super) fn highest(criteria: &[Criterion], points: &[(f64, &RunSummary)]) -> Result<(f64, Option<Bound>), Measure> {
    let is_known = |criterion: &&Criterion| points.iter().any(|(_, run)| criterion.measure.of(run).is_some());
    if let Some(unknown) = criteria.iter().find(|criterion| !is_known(criterion)) {
        return Err(unknown.measure);
    }
    let reaches = criteria.iter().map(|criterion| criterion.reach(points));
    Ok(reaches.min_by(|a, b| a.0.total_cmp(&b.0)).expect("there is a limit"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, study, summary_with_attainment as attains};
    use super::*;

    fn criterion(text: &str) -> Criterion {
        Criterion::parse(text, at(), &study()).unwrap_or_else(|problem| panic!("{problem:?}"))
    }

    fn reach(shares: &[(f64, f64)]) -> (f64, Option<Bound>) {
        let summaries: Vec<_> = shares.iter().map(|(x, share)| (*x, attains(*share))).collect();
        let points: Vec<_> = summaries.iter().map(|(x, summary)| (*x, summary)).collect();
        highest(&[criterion("slo_attainment >= 0.9")], &points)
            .unwrap_or_else(|measure| panic!("no {}", measure.name()))
    }

    #[test]
    fn attainment_crosses_its_limit_between_two_points() {
        // From 1.0 at 1 to 0.8 at 2: 0.9 is met half way.
        let (rate, bound) = reach(&[(1.0, 1.0), (2.0, 0.8), (3.0, 0.1)]);
        assert!((rate - 1.5).abs() < 1e-12 && bound.is_none(), "{rate} {bound:?}");
    }

    #[test]
    fn the_first_failure_counts_even_if_a_later_point_recovers() {
        assert!((reach(&[(1.0, 0.95), (2.0, 0.85), (3.0, 0.95)]).0 - 1.5).abs() < 1e-12);
    }

    #[test]
    fn what_lies_beyond_the_points_is_said_to() {
        assert_eq!(reach(&[(1.0, 0.5), (2.0, 0.4)]), (1.0, Some(Bound::AtMost)));
        assert_eq!(reach(&[(1.0, 1.0), (2.0, 0.9)]), (2.0, Some(Bound::AtLeast)), "a limit that is just met is met");
    }

    #[test]
    fn the_tightest_of_several_limits_decides() {
        let summaries = [attains(1.0), attains(0.5)];
        let points: Vec<_> = [1.0, 2.0].into_iter().zip(&summaries).collect();
        let limits = [criterion("slo_attainment >= 0.9"), criterion("slo_attainment>=0.6")];
        let Ok((rate, None)) = highest(&limits, &points) else { panic!("the limits are crossed between the points") };
        assert!((rate - 1.2).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_limit_is_refused_with_what_would_be_one() {
        for (text, expected) in [
            ("slo_attainment > 0.9", "such as slo_attainment >= 0.9"),
            ("slo_attainment >= most", "no number"),
            ("slo_atainment >= 0.9", "slo_attainment"),
        ] {
            let Err(problem) = Criterion::parse(text, at(), &study()) else { panic!("`{text}` was taken") };
            assert!(crate::diagnostic::Problems::from(problem).brief().contains(expected), "{text}");
        }
    }
}
