//! What a claim comes to, seed by seed, and over seeds.

use super::claim::{Comparison, Point, Quantity, Side};
use super::criterion::{Bound, highest};
use super::measured::RunSummary;
use super::paper::Figure;
use super::simulate::Runs;
use sim::half_width;

/// What a claim comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Estimate {
    /// Mean over seeds, in the unit of the published value.
    pub(super) mean: f64,
    /// Half of the 95 % interval of the mean, by Student's t distribution over the values of each seed; `None` with one
    /// seed.
    pub(super) half_width: Option<f64>,
    /// The least and the largest value of a seed.
    pub(super) range: (f64, f64),
    /// Seeds.
    pub(super) seeds: usize,
    /// Mean of the system itself, and of what it is compared with.
    pub(super) sides: (f64, Option<f64>),
    /// If the swept key's highest value lies beyond its values under a seed.
    pub(super) bound: Option<Bound>,
}

impl Estimate {
    /// The interval; a single seed is taken at its word.
    pub(super) fn interval(&self) -> (f64, f64) {
        let half_width = self.half_width.unwrap_or(0.0);
        (self.mean - half_width, self.mean + half_width)
    }
}

/// Computes a quantity from the runs of its figure.
///
/// # Errors
/// Why it has no value: a run failed, or a measure does not exist under some seed.
pub(super) fn estimate(quantity: &Quantity, figure: &Figure, runs: &Runs) -> Result<Estimate, String> {
    let mut bound = None;
    let mut of_seed = |side: &Side, seed: usize| {
        let (value, beyond) = value(quantity, side, figure, runs, seed)?;
        bound = bound.or(beyond);
        Ok::<f64, String>(value)
    };
    let (mut values, mut subjects, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..runs.seeds {
        let subject = quantity.times * of_seed(&quantity.subject, seed)?;
        subjects.push(subject);
        values.push(match &quantity.against {
            None => subject,
            Some((side, comparison)) => {
                let other = of_seed(side, seed)?;
                others.push(other);
                compare(*comparison, subject, other)?
            }
        });
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Ok(Estimate {
        mean: mean(&values),
        half_width: half_width(&values),
        range: (least, largest),
        seeds: values.len(),
        sides: (mean(&subjects), (!others.is_empty()).then(|| mean(&others))),
        bound,
    })
}

fn compare(comparison: Comparison, subject: f64, other: f64) -> Result<f64, String> {
    match comparison {
        Comparison::Difference => Ok(subject - other),
        _ if other == 0.0 => Err("what it is compared with is 0".to_owned()),
        Comparison::Ratio => Ok(subject / other),
        Comparison::Change => Ok(100.0 * (subject - other) / other.abs()),
    }
}

/// One side under one seed, and whether it may lie beyond the points.
fn value(
    quantity: &Quantity,
    side: &Side,
    figure: &Figure,
    runs: &Runs,
    seed: usize,
) -> Result<(f64, Option<Bound>), String> {
    let system = figure.points[0].systems()[side.system];
    match &side.point {
        Point::Given(point) => {
            let summary = runs.summary(side.system, *point, seed)?;
            Ok((quantity.scale * quotient(quantity, summary, system)?, None))
        }
        Point::Highest(criteria) => {
            let values = figure.vary.as_ref().map(|vary| vary.values.as_slice()).unwrap_or_default();
            let summaries = (0..values.len()).map(|point| runs.summary(side.system, point, seed));
            let summaries = summaries.collect::<Result<Vec<_>, _>>()?;
            let points: Vec<(f64, &RunSummary)> = values.iter().copied().zip(summaries).collect();
            let (x, bound) =
                highest(criteria, &points).map_err(|measure| format!("`{system}` has no {}", measure.name()))?;
            let value = match quantity.measure {
                None => x / divisor(quantity, points[0].1, system)?,
                Some(_) => between(&points, x, |summary| quotient(quantity, summary, system))?,
            };
            Ok((quantity.scale * value, bound))
        }
    }
}

/// A value at `x` on the straight line between the two points around it.
fn between(
    points: &[(f64, &RunSummary)],
    x: f64,
    value: impl Fn(&RunSummary) -> Result<f64, String>,
) -> Result<f64, String> {
    let after = points.iter().position(|(at, _)| *at >= x).unwrap_or(points.len() - 1);
    let (right, at_right) = (points[after].0, value(points[after].1)?);
    if after == 0 {
        return Ok(at_right);
    }
    let (left, at_left) = (points[after - 1].0, value(points[after - 1].1)?);
    Ok(at_left + (at_right - at_left) * (x - left) / (right - left))
}

/// The measure divided by what it is per.
fn quotient(quantity: &Quantity, summary: &RunSummary, system: &str) -> Result<f64, String> {
    let measure = quantity.measure.expect("a claim at a point has a measure");
    let value = measure.of(summary).ok_or_else(|| format!("`{system}` has no {}", measure.name()))?;
    Ok(value / divisor(quantity, summary, system)?)
}

fn divisor(quantity: &Quantity, summary: &RunSummary, system: &str) -> Result<f64, String> {
    let Some(per) = quantity.per else { return Ok(1.0) };
    per.of(summary).filter(|value| *value != 0.0).ok_or_else(|| format!("`{system}` has no {}", per.name()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{figure, runs_with};
    use super::*;

    /// Two systems under three seeds; each number is the mean E2E latency in ms.
    fn of(claim: &str, latencies: [[u64; 3]; 2]) -> Result<Estimate, String> {
        let figure = figure(claim);
        estimate(&figure.claims[0].quantity, &figure, &runs_with(latencies))
    }

    const SIDES: &str = "measure = \"mean_e2el_ms\"\nsystem = \"b\"\nagainst = \"a\"\n";

    #[test]
    fn a_plain_value_is_the_mean_over_seeds_in_the_unit_asked_for() {
        let claim = "measure = \"mean_e2el_ms\"\nsystem = \"b\"\nscale = 0.001\nunit = \"s\"";
        let estimate = of(claim, [[1; 3], [100, 200, 300]]).expect("a value");
        assert!((estimate.mean - 0.2).abs() < 1e-12);
        // t(0.975, 2) = 4.302 652 73, standard error 0.1/√3.
        let half_width = estimate.half_width.expect("three seeds");
        assert!((half_width - 4.302_652_73 * 0.1 / 3.0_f64.sqrt()).abs() < 1e-8, "{half_width}");
        assert_eq!((estimate.range, estimate.seeds, estimate.sides.1), ((0.1, 0.3), 3, None));
    }

    #[test]
    fn systems_are_compared_seed_by_seed() {
        let latencies = [[100, 200, 400], [90, 180, 300]];
        let mean = |compare: &str| of(&format!("{SIDES}compare = \"{compare}\""), latencies).expect("a value").mean;
        assert!((mean("difference") + (10.0 + 20.0 + 100.0) / 3.0).abs() < 1e-9);
        assert!((mean("ratio") - (0.9 + 0.9 + 0.75) / 3.0).abs() < 1e-9);
        assert!((mean("change") + (10.0 + 10.0 + 25.0) / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_measure_can_be_divided_by_another() {
        let claim = "measure = \"mean_e2el_ms\"\nper = \"mean_e2el_ms\"\nsystem = \"a\"";
        assert!((of(claim, [[7; 3], [8; 3]]).expect("a value").mean - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_factor_counts_for_the_system_and_not_for_what_it_is_compared_with() {
        let claim = format!("{SIDES}compare = \"ratio\"\ntimes = 2");
        assert!((of(&claim, [[100; 3], [60; 3]]).expect("a value").mean - 1.2).abs() < 1e-12);
    }

    #[test]
    fn a_measure_that_no_run_has_is_an_error_that_names_both() {
        let error =
            of("measure = \"slo_attainment\"\nsystem = \"a\"", [[1; 3]; 2]).expect_err("no objectives were set");
        assert_eq!(error, "`a` has no slo_attainment");
    }

    #[test]
    fn values_between_two_points_lie_on_a_straight_line() {
        let summaries = [1, 3].map(|ms| super::super::testing::summary(ms * 1_000_000));
        let points: Vec<_> = [10.0, 20.0].into_iter().zip(&summaries).collect();
        let measure = super::super::testing::study().measure("mean_e2el_ms", super::super::testing::at());
        let Ok(measure) = measure else { panic!("it is a measure") };
        let latency = |summary: &RunSummary| Ok(measure.of(summary).expect("ms"));
        for (x, expected) in [(10.0, 1.0), (15.0, 2.0), (20.0, 3.0)] {
            assert!((between(&points, x, latency).expect("a value") - expected).abs() < 1e-12);
        }
    }
}
