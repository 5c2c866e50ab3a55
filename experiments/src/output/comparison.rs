//! Systems against the first one, seed by seed.

use std::collections::BTreeMap;

use sim::{Better, Column, Summary};

use super::decimal::push_integer;
use super::label::{RunLabel, push_field};
use super::student::student_t_quantile;

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
    /// Half of the 95 % interval of the difference of the means, by Student's t distribution over the differences of
    /// each seed; `None` with one seed, which tells nothing about it.
    pub(super) difference_half_width: Option<f64>,
}

impl Comparison {
    /// System − first system, mean over seeds.
    pub(super) fn difference(&self) -> f64 {
        self.system_mean - self.baseline_mean
    }

    /// Whether the interval leaves no doubt which of the two is larger, or that they are equal. With one seed there is
    /// no interval, and the difference is taken at its word.
    pub(super) fn is_certain(&self) -> bool {
        let difference = self.difference().abs();
        self.difference_half_width.is_none_or(|half_width| half_width < difference || half_width == 0.0)
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
                    difference_half_width: half_width(&differences),
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

/// Half of the 95 % confidence interval of the mean of `values`.
pub(crate) fn half_width(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    (values.len() > 1).then(|| {
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        student_t_quantile(0.975, values.len() as u32 - 1) * (variance / count).sqrt()
    })
}

/// `comparison.csv`, whole. `keys` are the swept ones.
pub(super) fn comparison_csv<'a>(keys: impl IntoIterator<Item = &'a String>, rows: &[Comparison]) -> Vec<u8> {
    let mut file = Vec::new();
    for key in keys {
        push_field(&mut file, key);
        file.push(b',');
    }
    file.extend_from_slice(
        b"system,baseline,measure,unit,better,seeds,baseline_mean,system_mean,difference,difference_low,\
          difference_high,ratio,note\n",
    );
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
        let difference = row.difference();
        let bound = |sign: f64| row.difference_half_width.map(|half_width| difference + sign * half_width);
        for number in
            [Some(row.baseline_mean), Some(row.system_mean), Some(difference), bound(-1.0), bound(1.0), row.ratio()]
        {
            file.push(b',');
            file.extend_from_slice(number.map(|number| number.to_string()).unwrap_or_default().as_bytes());
        }
        let note = if row.seeds == 1 { ",one seed: no interval\n" } else { ",\n" };
        file.extend_from_slice(note.as_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::summary;
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
        let half_width = row.difference_half_width.expect("three seeds");
        assert!((half_width - 4.302_652_73 * 10.0 / 3.0_f64.sqrt()).abs() < 1e-6, "{half_width}");
    }

    #[test]
    fn one_seed_has_no_interval_and_says_so() {
        let rows = compared(&[("a", 1, 100), ("b", 1, 90)]);
        assert_eq!(find(&rows, "mean_e2el_ms").difference_half_width, None);
        let file = String::from_utf8(comparison_csv([], &rows)).expect("CSV is text");
        let row = file.lines().find(|line| line.starts_with("b,a,mean_e2el_ms")).expect("a row");
        assert_eq!(row, "b,a,mean_e2el_ms,ms,lower,1,100,90,-10,,,0.9,one seed: no interval");
    }

    #[test]
    fn equal_systems_differ_by_nothing_with_certainty() {
        let rows = compared(&[("a", 1, 100), ("a", 2, 150), ("b", 1, 100), ("b", 2, 150)]);
        for row in &rows {
            assert!(row.difference().abs() < 1e-300, "{}", row.measure.name);
            assert!(row.difference_half_width.is_some_and(|width| width < 1e-300), "{}", row.measure.name);
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
