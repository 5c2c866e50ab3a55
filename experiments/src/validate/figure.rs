//! What is compared: measured figures, their statistics and their units.

use serde::Serialize;

/// A quantity that was measured and is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Time to first token, in seconds.
    Ttft,
    /// Time per output token after the first, of a request, in seconds.
    Tpot,
    /// Gap between two consecutive tokens, over all gaps, in seconds.
    Itl,
    /// Time from sending to the last token, in seconds.
    E2e,
    /// Requests completed per second.
    RequestThroughput,
    /// Tokens generated per second.
    OutputThroughput,
    /// Power of all GPUs together, in watts.
    Power,
    /// Prompt tokens per second, second by second.
    SeriesPromptThroughput,
    /// Generated tokens per second, second by second.
    SeriesOutputThroughput,
    /// Requests running, second by second.
    SeriesRunning,
    /// Requests waiting, second by second.
    SeriesWaiting,
    /// Share of KV blocks in use, second by second.
    SeriesKvUsage,
}

/// A statistic of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Statistic {
    /// Arithmetic mean.
    Mean,
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// Mean absolute distance of two series over the mean of the measured one: no sign, 0 is perfect.
    Distance,
}

impl Metric {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Metric::Ttft => "ttft",
            Metric::Tpot => "tpot",
            Metric::Itl => "itl",
            Metric::E2e => "e2e",
            Metric::RequestThroughput => "request_throughput",
            Metric::OutputThroughput => "output_throughput",
            Metric::Power => "power",
            Metric::SeriesPromptThroughput => "series_prompt_throughput",
            Metric::SeriesOutputThroughput => "series_output_throughput",
            Metric::SeriesRunning => "series_running",
            Metric::SeriesWaiting => "series_waiting",
            Metric::SeriesKvUsage => "series_kv_usage",
        }
    }

    /// Its unit in tables; empty for counts and shares.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Metric::Ttft | Metric::Tpot | Metric::Itl | Metric::E2e => "s",
            Metric::RequestThroughput => "requests/s",
            Metric::OutputThroughput | Metric::SeriesPromptThroughput | Metric::SeriesOutputThroughput => "tokens/s",
            Metric::Power => "W",
            Metric::SeriesRunning | Metric::SeriesWaiting | Metric::SeriesKvUsage => "",
        }
    }
}

impl Statistic {
    /// Those that a list of values has.
    pub(crate) const OF_VALUES: [Statistic; 4] = [Statistic::Mean, Statistic::P50, Statistic::P90, Statistic::P99];

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::P50 => "p50",
            Statistic::P90 => "p90",
            Statistic::P95 => "p95",
            Statistic::P99 => "p99",
            Statistic::Distance => "distance",
        }
    }

    /// The statistic of values in ascending order, percentiles interpolated between neighbours as numpy does; `None`
    /// without values.
    pub(crate) fn of(self, ascending: &[f64]) -> Option<f64> {
        let last = ascending.len().checked_sub(1)?;
        let quantile = match self {
            Statistic::Mean => return Some(ascending.iter().sum::<f64>() / ascending.len() as f64),
            Statistic::P50 => 0.5,
            Statistic::P90 => 0.9,
            Statistic::P95 => 0.95,
            Statistic::P99 => 0.99,
            Statistic::Distance => return None,
        };
        let place = quantile * last as f64;
        let (low, part) = (place.floor() as usize, place.fract());
        Some(ascending[low] + part * (ascending[(low + 1).min(last)] - ascending[low]))
    }
}

/// A statistic of a metric and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    /// Of what.
    pub(crate) metric: Metric,
    /// Which.
    pub(crate) statistic: Statistic,
    /// In the metric's unit.
    pub(crate) value: f64,
}

impl Figure {
    /// Mean and percentiles of some values; nothing if there are none.
    pub(crate) fn all_of(metric: Metric, mut values: Vec<f64>) -> Vec<Figure> {
        values.sort_by(f64::total_cmp);
        let of = |statistic: Statistic| Some(Figure { metric, statistic, value: statistic.of(&values)? });
        Statistic::OF_VALUES.into_iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_numpy() {
        // numpy.percentile([1, 2, 3, 4, 10], [50, 90, 99]) = 3, 7.6, 9.76
        let values = [1.0, 2.0, 3.0, 4.0, 10.0];
        let of = |statistic: Statistic| statistic.of(&values).expect("there are values");
        assert!((of(Statistic::P50) - 3.0).abs() < 1e-12);
        assert!((of(Statistic::P90) - 7.6).abs() < 1e-12);
        assert!((of(Statistic::P99) - 9.76).abs() < 1e-12);
        assert!((of(Statistic::Mean) - 4.0).abs() < 1e-12);
        assert_eq!(Statistic::P99.of(&[]), None);
    }
}
