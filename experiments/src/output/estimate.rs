//! Every figure of every system with its interval.

use sim::{Column, Interval, Summary};

use super::comparison::{Run, by_point, interval_header, note, push_interval, systems};
use super::decimal::push_integer;
use super::label::{RunLabel, push_field};

/// One figure of one system.
pub(super) struct Estimate {
    /// Swept keys and their values.
    pub(super) point: Vec<(String, String)>,
    /// The system.
    pub(super) system: String,
    /// The figure.
    pub(super) measure: &'static Column,
    /// Seeds in which the system has it (≥ 1).
    pub(super) seeds: u32,
    /// Mean over those seeds.
    pub(super) mean: f64,
    /// Its 95 % interval: by Student's t distribution over seeds; with one seed, from its run alone. `None` where that tells nothing
    /// about it.
    pub(super) interval: Option<Interval>,
}

/// Every number of every system, at each swept point: systems in the order of the experiment, figures in that of `summary.csv`.
pub(super) fn estimates(runs: &[RunLabel], summaries: &[Summary]) -> Vec<Estimate> {
    let mut rows = Vec::new();
    for (point, group) in by_point(runs, summaries) {
        for system in systems(&group) {
            rows.extend(Summary::columns().iter().filter_map(|measure| {
                let (mean, seeds) = mean(measure, &group, system)?;
                let interval = interval(measure, &group, system);
                Some(Estimate { point: point.clone(), system: system.to_owned(), measure, seeds, mean, interval })
            }));
        }
    }
    rows
}

fn values(measure: &Column, group: &[Run<'_>], system: &str) -> Vec<f64> {
    let runs = group.iter().filter(|(label, _)| label.system == system);
    runs.filter_map(|(_, summary)| measure.value(summary)?.as_f64()).collect()
}

fn mean(measure: &Column, group: &[Run<'_>], system: &str) -> Option<(f64, u32)> {
    let values = values(measure, group, system);
    let seeds = values.len();
    (seeds > 0).then(|| (values.iter().sum::<f64>() / seeds as f64, seeds as u32))
}

/// Over the seeds of the system; with one, from its run alone.
pub(super) fn interval(measure: &Column, group: &[Run<'_>], system: &str) -> Option<Interval> {
    let values = values(measure, group, system);
    if let [value] = values[..] {
        let mut runs = group.iter().filter(|(label, _)| label.system == system);
        return runs.find_map(|(_, summary)| measure.spread(summary)).map(|spread| spread.around(value));
    }
    Interval::over_seeds(&values)
}

/// `intervals.csv`, whole. `keys` are the swept ones.
pub(super) fn intervals_csv<'a>(keys: impl IntoIterator<Item = &'a String>, rows: &[Estimate]) -> Vec<u8> {
    let mut file = Vec::new();
    for key in keys {
        push_field(&mut file, key);
        file.push(b',');
    }
    file.extend_from_slice(("system,measure,unit,seeds,mean,".to_owned() + &interval_header("mean")).as_bytes());
    for row in rows {
        for (_, value) in &row.point {
            push_field(&mut file, value);
            file.push(b',');
        }
        for text in [&row.system, &row.measure.name, row.measure.unit] {
            push_field(&mut file, text);
            file.push(b',');
        }
        push_integer(&mut file, row.seeds);
        file.extend_from_slice(format!(",{}", row.mean).as_bytes());
        push_interval(&mut file, row.interval.as_ref(), note(row.interval.as_ref(), row.seeds));
    }
    file
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{long_summary, summary};
    use super::*;

    fn lines(labels: &[RunLabel], summaries: &[Summary]) -> String {
        String::from_utf8(intervals_csv(None, &estimates(labels, summaries))).expect("CSV is text")
    }

    #[test]
    fn several_seeds_have_students_interval_and_one_short_run_has_none() {
        let labels = [RunLabel::new("a", 1), RunLabel::new("a", 2), RunLabel::new("b", 1)];
        let text = lines(&labels, &[100, 120, 90].map(|ms| summary(ms * 1_000_000)));
        let row = |start: &str| text.lines().find(|line| line.starts_with(start)).expect("a row").to_owned();
        // t(0.975, 1) = 12.706 times the standard error, 10.
        let fields: Vec<String> = row("a,mean_e2el_ms").split(',').map(str::to_owned).collect();
        assert_eq!(fields[..5], ["a", "mean_e2el_ms", "ms", "2", "110"]);
        let ends: Vec<f64> = fields[5..7].iter().map(|end| end.parse().expect("a number")).collect();
        assert!((ends[0] + 17.062).abs() < 1e-3 && (ends[1] - 237.062).abs() < 1e-3, "{ends:?}");
        assert_eq!(fields[7..], ["seeds", "2", ""]);
        assert_eq!(row("b,mean_e2el_ms"), "b,mean_e2el_ms,ms,1,90,,,,,one seed: no interval");
    }

    #[test]
    fn one_long_run_has_intervals_of_its_own_and_says_how_they_were_found() {
        let text = lines(&[RunLabel::new("a", 1)], &[long_summary(100_000)]);
        for (measure, method) in [("mean_ttft_ms", "batch-means"), ("p99_ttft_ms", "batch-shares")] {
            let row = text.lines().find(|line| line.contains(measure)).expect("a row");
            assert!(row.ends_with(&format!(",{method},20,")), "{row}");
        }
        assert!(text.contains("a,steps,,1,3,,,,,one seed: no interval\n"), "{text}");
    }
}
