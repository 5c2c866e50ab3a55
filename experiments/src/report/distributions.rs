//! Distributions of latencies over the requests of all seeds.

use serde::Serialize;

use crate::results::{ResultsError, Table};

/// Most points of a curve: more than a screen has pixels for.
const POINTS: usize = 400;

/// What the curves are, for those who read them.
pub(super) const NOTE: &str = "Share of the completed requests of all seeds that took no longer, over all requests that the folder has. Point at \
     a curve, or give it the focus and press the arrow keys.";

/// Cumulative distributions of a latency.
#[derive(Serialize)]
pub(super) struct Cdf {
    title: &'static str,
    /// The objective, in seconds.
    limit_s: Option<f64>,
    series: Vec<Curve>,
}

/// The distribution of a system: the share of requests, in percent, that took at most so many seconds.
#[derive(Serialize)]
struct Curve {
    system: usize,
    label: String,
    x: Vec<f64>,
    y: Vec<f64>,
}

/// The distributions of every latency that requests have; `objective` is the limit of one by its key, in seconds.
pub(super) fn of(
    table: &Table,
    systems: &[String],
    objective: impl Fn(&str) -> Option<f64>,
) -> Result<Vec<Cdf>, ResultsError> {
    let latencies = [
        ("TTFT", "ttft_s", "ttft"),
        ("Time per output token", "tpot_s", "tpot"),
        ("Longest gap between tokens", "max_tbt_s", "tbt"),
        ("End-to-end latency", "e2e_s", "e2e"),
    ];
    let system = table.words("system")?;
    let mut cdfs = Vec::new();
    for (title, column, key) in latencies {
        let values = table.numbers(column)?;
        let of_system = |(index, label): (usize, &String)| {
            let own = values
                .iter()
                .zip(system.codes())
                .filter(|(value, code)| system.names()[**code as usize] == *label && !value.is_nan());
            let mut own: Vec<f64> = own.map(|(value, _)| *value).collect();
            own.sort_by(f64::total_cmp);
            let (x, y) = curve(&own);
            Curve { system: index, label: label.clone(), x, y }
        };
        cdfs.push(Cdf { title, limit_s: objective(key), series: systems.iter().enumerate().map(of_system).collect() });
    }
    Ok(cdfs)
}

/// Points of the distribution of sorted values: the first, the last, and in between evenly spread both over the shares and
/// towards the tail, where percentiles of interest lie.
fn curve(sorted: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let count = sorted.len();
    let mut ranks: Vec<usize> = if count <= POINTS {
        (1..=count).collect()
    } else {
        let even = (0..POINTS / 2).map(|i| 1 + i * (count - 1) / (POINTS / 2 - 1));
        let tail = (0..POINTS / 2).map(|i| {
            let beyond = (count as f64).powf(-(i as f64) / (POINTS / 2 - 1) as f64);
            count + 1 - ((beyond * count as f64).round() as usize).clamp(1, count)
        });
        even.chain(tail).collect()
    };
    ranks.sort_unstable();
    ranks.dedup();
    // Of equal values the last one has the share of all.
    let share = |rank: usize| sorted.partition_point(|value| *value <= sorted[rank - 1]) as f64 / count as f64;
    (
        ranks.iter().map(|&rank| rounded(sorted[rank - 1])).collect(),
        ranks.iter().map(|&rank| rounded(share(rank) * 100.0)).collect(),
    )
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
        assert_eq!(curve(&[1.0, 2.0, 2.0, 4.0]), (vec![1.0, 2.0, 2.0, 4.0], vec![25.0, 75.0, 75.0, 100.0]));
    }

    #[test]
    fn a_large_one_keeps_its_ends_and_its_tail() {
        let sorted: Vec<f64> = (1..=100_000).map(f64::from).collect();
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
