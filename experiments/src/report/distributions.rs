//! Distributions of latencies over the requests of all seeds.

use serde::Serialize;

use crate::results::{ResultsError, Table};

/// Most points of a curve: more than a screen has pixels for.
const POINTS: usize = 400;

/// What the curves are, for those who read them.
pub(super) const NOTE: &str = "Share of the completed requests of all seeds (of TBT: of all gaps between their tokens) that took no longer, over all that the folder has. Point at \
     a curve, or give it the focus and press the arrow keys.";

/// Cumulative distributions of a latency.
#[derive(Serialize)]
pub(super) struct Cdf {
    title: &'static str,
    /// Of what the shares are.
    counted: &'static str,
    /// The objective, in seconds.
    limit_s: Option<f64>,
    series: Vec<Curve>,
}

/// The distribution of a system: the share, in percent, that took at most so many seconds.
#[derive(Serialize)]
struct Curve {
    system: usize,
    label: String,
    x: Vec<f64>,
    y: Vec<f64>,
}

/// The distributions of every latency that requests have, and of the gaps between tokens where the folder counts them;
/// `objective` is the limit of one by its key, in seconds.
pub(super) fn of(
    table: &Table,
    gaps: Option<&Table>,
    systems: &[String],
    objective: impl Fn(&str) -> Option<f64>,
) -> Result<Vec<Cdf>, ResultsError> {
    let latencies = [
        ("TTFT", "ttft_s", "ttft", Some(table)),
        ("TBT", "tbt_s", "tbt", gaps),
        ("Time per output token", "tpot_s", "tpot", Some(table)),
        ("Longest gap between tokens", "max_tbt_s", "tbt", Some(table)),
        ("End-to-end latency", "e2e_s", "e2e", Some(table)),
    ];
    let mut cdfs = Vec::new();
    for (title, column, key, table) in latencies {
        let Some(table) = table else { continue };
        let system = table.words("system")?;
        let values = table.numbers(column)?;
        let counts = if column == "tbt_s" { Some(table.numbers("gaps")?) } else { None };
        let of_system = |(index, label): (usize, &String)| {
            let own = (0..table.len()).filter(|row| system.get(*row) == label && !values[*row].is_nan());
            let mut own: Vec<(f64, f64)> =
                own.map(|row| (values[row], counts.map_or(1.0, |counts| counts[row]))).collect();
            own.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (x, y) = curve(&own);
            Curve { system: index, label: label.clone(), x, y }
        };
        let series = systems.iter().enumerate().map(of_system).collect();
        let counted = if counts.is_some() { "gaps" } else { "requests" };
        cdfs.push(Cdf { title, counted, limit_s: objective(key), series });
    }
    Ok(cdfs)
}

/// Points of the distribution of sorted values, each with how often it occurred: all of them, or the first, the last, and
/// in between some evenly spread over the shares and some towards the tail, where percentiles of interest lie.
fn curve(sorted: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut total = 0.0;
    for (value, count) in sorted {
        total += count;
        match points.last_mut().filter(|(last, _)| last.total_cmp(value).is_eq()) {
            Some((_, up_to)) => *up_to = total,
            None => points.push((*value, total)),
        }
    }
    if points.len() > POINTS {
        let half = POINTS / 2;
        let part = |i: usize| i as f64 / (half - 1) as f64;
        let shares = (0..half).flat_map(|i| [part(i), 1.0 - total.powf(-part(i))]);
        let place = |share: f64| points.partition_point(|(_, up_to)| *up_to < share * total).min(points.len() - 1);
        let mut places: Vec<usize> = shares.map(place).collect();
        places.sort_unstable();
        places.dedup();
        points = places.into_iter().map(|place| points[place]).collect();
    }
    points.into_iter().map(|(value, up_to)| (rounded(value), rounded(up_to / total * 100.0))).unzip()
}

/// To seven digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.6e}").parse().expect("a number was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_distribution_is_told_whole_and_equals_share_their_share() {
        let once = [1.0, 2.0, 2.0, 4.0].map(|value| (value, 1.0));
        assert_eq!(curve(&once), (vec![1.0, 2.0, 4.0], vec![25.0, 75.0, 100.0]));
        assert_eq!(curve(&[(1.0, 1.0), (2.0, 2.0), (4.0, 1.0)]), curve(&once), "counts stand for so many values");
    }

    #[test]
    fn a_large_one_keeps_its_ends_and_its_tail() {
        let sorted: Vec<(f64, f64)> = (1..=100_000).map(|value| (f64::from(value), 1.0)).collect();
        let (x, y) = curve(&sorted);
        assert!(x.len() <= POINTS && x.is_sorted() && y.is_sorted());
        assert!((x[0] - 1.0).abs() < 1e-9 && (x[x.len() - 1] - 1e5).abs() < 1e-9);
        let tail = y.iter().filter(|share| (99.9..100.0).contains(*share)).count();
        assert!(tail > 40, "{tail} points lie beyond the 99.9th percentile");
        for (x, y) in x.iter().zip(&y) {
            assert!((x / 1e3 - y).abs() < 1e-4, "{x} of 100,000 is not {y} %");
        }
    }
}
