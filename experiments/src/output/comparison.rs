//! Systems against the first one, seed by seed.

use std::collections::BTreeMap;

use sim::{Better, Column, Interval, Summary};

use super::decimal::push_integer;
use super::label::{RunLabel, push_field};

/// One figure of one system against the first system of the experiment, on the same seeds.
pub(super) struct Comparison {
    /// Swept keys and their values.
    pub(super) point: Vec<(String, String)>,
    /// The system.
    pub(super) system: String,
    /// The first system.
    pub(super) baseline: String,
    /// The figure.
    pub(super) measure: &'static Column,
    /// Seeds in which both systems have it (≥ 1).
    pub(super) seeds: u32,
    /// The first system's mean over those seeds.
    pub(super) baseline_mean: f64,
    /// The system's mean over those seeds.
    pub(super) system_mean: f64,
    /// The 95 % interval of the difference of the means: by Student's t distribution over the differences of each seed; with one
    /// seed, from its runs alone. `None` where that tells nothing about it.
    pub(super) interval: Option<Interval>,
    /// Whether under some seed the two were measured from different moments on, and so over different requests.
    pub(super) apart: bool,
}

impl Comparison {
    /// System − first system, mean over seeds.
    pub(super) fn difference(&self) -> f64 {
        self.system_mean - self.baseline_mean
    }

    /// Whether the interval leaves no doubt which of the two is larger, or that they are equal. Where there is no interval, the
    /// difference is taken at its word.
    pub(super) fn is_certain(&self) -> bool {
        self.interval.is_none_or(|Interval { low, high, .. }| low > 0.0 || high < 0.0 || (low == 0.0 && high == 0.0))
    }

    /// System ÷ first system, of the means over seeds; `None` where the first system's is 0.
    pub(super) fn ratio(&self) -> Option<f64> {
        (self.baseline_mean != 0.0).then(|| self.system_mean / self.baseline_mean)
    }
}

/// Every number of every system against the first system, at each swept point.
///
/// The rows of a point stand together, systems in the order of the experiment, figures in the order of `summary.csv`.
pub(super) fn compare(runs: &[RunLabel], summaries: &[Summary]) -> Vec<Comparison> {
    runs.first().map(|first| compare_against(&first.system, runs, summaries)).unwrap_or_default()
}

/// As [`compare`], against this system. Points that it has no run at have no rows.
pub(super) fn compare_against(baseline: &str, runs: &[RunLabel], summaries: &[Summary]) -> Vec<Comparison> {
    let mut rows = Vec::new();
    for (point, group) in by_point(runs, summaries) {
        for system in systems(&group).into_iter().filter(|system| *system != baseline) {
            let pairs = pairs(&group, baseline, system);
            let start = |run: &Summary| run.measured_from_s.to_bits();
            let apart = pairs.iter().any(|(baseline, system)| start(baseline) != start(system));
            rows.extend(Summary::columns().iter().filter_map(|measure| {
                let (baseline_mean, system_mean, differences) = means(measure, &pairs)?;
                Some(Comparison {
                    point: point.clone(),
                    system: system.to_owned(),
                    baseline: baseline.to_owned(),
                    measure,
                    seeds: differences.len() as u32,
                    baseline_mean,
                    system_mean,
                    interval: interval(measure, &pairs, &differences),
                    apart,
                })
            }));
        }
    }
    rows
}

/// A run's label and summary.
pub(super) type Run<'a> = (&'a RunLabel, &'a Summary);

/// Swept keys and their values, and the runs at this point.
pub(super) type Group<'a> = (Vec<(String, String)>, Vec<Run<'a>>);

/// Runs by swept point, points in the order in which they first occur.
pub(super) fn by_point<'a>(runs: &'a [RunLabel], summaries: &'a [Summary]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: BTreeMap<&[(String, String)], usize> = BTreeMap::new();
    for run in runs.iter().zip(summaries) {
        let place = *places.entry(&run.0.point).or_insert(groups.len());
        if place == groups.len() {
            groups.push((run.0.point.clone(), Vec::new()));
        }
        groups[place].1.push(run);
    }
    groups
}

/// Names of the systems, in the order in which they first occur.
pub(super) fn systems<'a>(group: &[Run<'a>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (label, _) in group {
        if !names.contains(&label.system.as_str()) {
            names.push(&label.system);
        }
    }
    names
}

/// The first system's and the system's runs of the same seed.
fn pairs<'a>(group: &[Run<'a>], baseline: &str, system: &str) -> Vec<(&'a Summary, &'a Summary)> {
    let of_system = |name: &str, seed: u64| {
        group.iter().find(|(label, _)| label.system == name && label.seed == seed).map(|(_, summary)| *summary)
    };
    let first = group.iter().filter(|(label, _)| label.system == baseline);
    first.filter_map(|(label, summary)| Some((*summary, of_system(system, label.seed)?))).collect()
}

/// Means of both, and the differences, over the pairs in which both have the figure as a number.
fn means(measure: &Column, pairs: &[(&Summary, &Summary)]) -> Option<(f64, f64, Vec<f64>)> {
    let number = |summary: &Summary| measure.value(summary)?.as_f64();
    let values: Vec<(f64, f64)> =
        pairs.iter().filter_map(|(baseline, system)| Some((number(baseline)?, number(system)?))).collect();
    let count = values.len() as f64;
    (!values.is_empty()).then(|| {
        let baseline_mean = values.iter().map(|(baseline, _)| baseline).sum::<f64>() / count;
        let system_mean = values.iter().map(|(_, system)| system).sum::<f64>() / count;
        (baseline_mean, system_mean, values.iter().map(|(baseline, system)| system - baseline).collect())
    })
}

/// Over the seeds; with one, from its pair of runs alone.
fn interval(measure: &Column, pairs: &[(&Summary, &Summary)], differences: &[f64]) -> Option<Interval> {
    let within = || match pairs {
        [(baseline, system)] => measure.difference_spread(baseline, system).map(|spread| spread.around(differences[0])),
        _ => None,
    };
    Interval::over_seeds(differences).or_else(within)
}

/// What there is to say of an estimate over so many seeds that may have an interval.
pub(super) fn note(interval: Option<&Interval>, seeds: u32) -> &'static str {
    if interval.is_none() && seeds == 1 { "one seed: no interval" } else { "" }
}

/// The last fields of a row: the ends of an interval, how it was found, over how many seeds or stretches, and what there is to say
/// where there is none.
pub(super) fn push_interval(file: &mut Vec<u8>, interval: Option<&Interval>, note: &str) {
    let end = |end: Option<f64>| end.map(|end| end.to_string()).unwrap_or_default();
    let (low, high) = (end(interval.map(|interval| interval.low)), end(interval.map(|interval| interval.high)));
    let method = interval.map_or("", |interval| interval.method.name());
    let parts = interval.map(|interval| interval.parts.to_string()).unwrap_or_default();
    file.extend_from_slice(format!(",{low},{high},{method},{parts},{note}\n").as_bytes());
}

/// Names of these fields, for a row whose estimate has this name.
pub(super) fn interval_header(estimate: &str) -> String {
    format!("{estimate}_low,{estimate}_high,method,n,note\n")
}

/// `comparison.csv`, whole. `keys` are the swept ones.
pub(super) fn comparison_csv<'a>(keys: impl IntoIterator<Item = &'a String>, rows: &[Comparison]) -> Vec<u8> {
    let mut file = Vec::new();
    for key in keys {
        push_field(&mut file, key);
        file.push(b',');
    }
    let header = "system,baseline,measure,unit,better,seeds,baseline_mean,system_mean,ratio,difference,";
    file.extend_from_slice((header.to_owned() + &interval_header("difference")).as_bytes());
    for row in rows {
        for (_, value) in &row.point {
            push_field(&mut file, value);
            file.push(b',');
        }
        let better = match row.measure.better {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "",
        };
        for text in [&row.system, &row.baseline, &row.measure.name, row.measure.unit, better] {
            push_field(&mut file, text);
            file.push(b',');
        }
        push_integer(&mut file, row.seeds);
        for number in [Some(row.baseline_mean), Some(row.system_mean), row.ratio(), Some(row.difference())] {
            file.push(b',');
            file.extend_from_slice(number.map(|number| number.to_string()).unwrap_or_default().as_bytes());
        }
        let missing = note(row.interval.as_ref(), row.seeds);
        let apart = if row.apart { "measured from different moments" } else { "" };
        let notes: Vec<&str> = [apart, missing].into_iter().filter(|note| !note.is_empty()).collect();
        push_interval(&mut file, row.interval.as_ref(), &notes.join("; "));
    }
    file
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{long_summary, summary};
    use super::*;

    fn compared(runs: &[(&str, u64, u64)]) -> Vec<Comparison> {
        let labels: Vec<_> = runs.iter().map(|(system, seed, _)| RunLabel::new(*system, *seed)).collect();
        let summaries: Vec<_> = runs.iter().map(|(_, _, e2e_ms)| summary(e2e_ms * 1_000_000)).collect();
        compare(&labels, &summaries)
    }

    fn find<'a>(rows: &'a [Comparison], measure: &str) -> &'a Comparison {
        rows.iter().find(|row| row.measure.name == measure).unwrap_or_else(|| panic!("{measure} is not compared"))
    }

    #[test]
    fn differences_are_taken_seed_by_seed_in_whatever_order_the_runs_come() {
        // Differences −10, −20, −30: mean −20, standard error 10/√3, t(0.975, 2) = 4.302 652 73.
        let rows = compared(&[("a", 1, 100), ("a", 2, 200), ("a", 3, 600), ("b", 3, 570), ("b", 1, 90), ("b", 2, 180)]);
        let row = find(&rows, "mean_e2el_ms");
        assert_eq!((row.seeds, row.system.as_str(), row.baseline.as_str()), (3, "b", "a"));
        assert!((row.difference() + 20.0).abs() < 1e-9);
        assert!((row.ratio().expect("not zero") - 280.0 / 300.0).abs() < 1e-12);
        let half_width = row.interval.expect("three seeds").half_width();
        assert!((half_width - 4.302_652_73 * 10.0 / 3.0_f64.sqrt()).abs() < 1e-6, "{half_width}");
    }

    #[test]
    fn one_seed_whose_run_is_too_short_has_no_interval_and_says_so() {
        let rows = compared(&[("a", 1, 100), ("b", 1, 90)]);
        assert_eq!(find(&rows, "mean_e2el_ms").interval, None);
        let file = String::from_utf8(comparison_csv([], &rows)).expect("CSV is text");
        let row = file.lines().find(|line| line.starts_with("b,a,mean_e2el_ms")).expect("a row");
        assert_eq!(row, "b,a,mean_e2el_ms,ms,lower,1,100,90,0.9,-10,,,,,one seed: no interval");
    }

    #[test]
    fn one_seed_of_a_long_run_has_the_interval_of_its_stretches() {
        let labels = [RunLabel::new("a", 1), RunLabel::new("b", 1)];
        let rows = compare(&labels, &[long_summary(100_000), long_summary(90_000)]);
        let file = String::from_utf8(comparison_csv(None, &rows)).expect("CSV is text");
        for (measure, method) in [("mean_ttft_ms", "batch-means"), ("p90_ttft_ms", "block-bootstrap")] {
            let row = find(&rows, measure);
            let interval = row.interval.expect("two thousand requests");
            assert!(interval.low < row.difference() && row.difference() < interval.high, "{measure}: {interval:?}");
            assert!(row.is_certain() && interval.high < 0.0, "{measure}: {interval:?}");
            let line = file.lines().find(|line| line.contains(measure)).expect("a row");
            assert!(line.contains(&format!(",{method},20,")), "{line}");
        }
        assert_eq!(find(&rows, "request_throughput").interval, None, "no figure of single requests");
    }

    #[test]
    fn systems_that_were_measured_from_different_moments_are_noted() {
        let (first, second) = (summary(100_000_000), Summary { measured_from_s: 2.5, ..summary(90_000_000) });
        let rows = compare(&[RunLabel::new("a", 1), RunLabel::new("b", 1)], &[first, second]);
        let file = String::from_utf8(comparison_csv([], &rows)).expect("CSV is text");
        let row = file.lines().find(|line| line.starts_with("b,a,mean_e2el_ms")).expect("a row");
        assert!(row.ends_with(",-10,,,,,measured from different moments; one seed: no interval"), "{row}");
    }

    #[test]
    fn equal_systems_differ_by_nothing_with_certainty() {
        let rows = compared(&[("a", 1, 100), ("a", 2, 150), ("b", 1, 100), ("b", 2, 150)]);
        for row in &rows {
            assert!(row.difference().abs() < 1e-300, "{}", row.measure.name);
            assert!(row.interval.is_some_and(|interval| interval.half_width() < 1e-300), "{}", row.measure.name);
        }
    }

    #[test]
    fn figures_that_neither_has_are_not_compared_and_seeds_without_a_partner_are_left_out() {
        let rows = compared(&[("a", 1, 100), ("a", 2, 100), ("b", 2, 90), ("b", 3, 1)]);
        assert!(rows.iter().all(|row| row.measure.name != "slo_attainment" && row.measure.name != "percentile_method"));
        let row = find(&rows, "mean_e2el_ms");
        assert_eq!(row.seeds, 1);
        assert!((row.difference() + 10.0).abs() < 1e-9);
    }

    #[test]
    fn every_swept_point_is_compared_on_its_own() {
        let label = |system: &str, rate: &str| RunLabel {
            point: vec![("workload.rate".to_owned(), rate.to_owned())],
            ..RunLabel::new(system, 1)
        };
        let labels = [label("a", "1"), label("a", "2"), label("b", "1"), label("b", "2")];
        let summaries = [100, 200, 110, 230].map(|e2e_ms| summary(e2e_ms * 1_000_000));
        let rows = compare(&labels, &summaries);
        let differences: Vec<_> = rows
            .iter()
            .filter(|row| row.measure.name == "mean_e2el_ms")
            .map(|row| (row.point[0].1.as_str(), row.difference().round()))
            .collect();
        assert_eq!(differences, [("1", 10.0), ("2", 30.0)]);
        let file = String::from_utf8(comparison_csv([&"workload.rate".to_owned()], &rows)).expect("CSV is text");
        assert!(file.starts_with("workload.rate,system,baseline,measure,"), "{file}");
    }
}
