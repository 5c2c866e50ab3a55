//! Statistics of a stream of requests: lengths, arrivals, and how much of the prompts could come from a cache.

mod lengths;
mod prefixes;

use lengths::LengthCounts;
use prefixes::SeenPrefixes;

use crate::request::{Request, Span};
use crate::row::TraceRow;
use crate::time::SimTime;

/// Width of the windows in which the peak rate is looked for, seconds.
const PEAK_WINDOW_S: u64 = 60;

/// Collects statistics, request by request. Memory: one number per distinct length, per minute and per distinct prefix.
#[derive(Debug, Default)]
pub struct Statistics {
    rows: u64,
    first: SimTime,
    last: SimTime,
    out_of_order: u64,
    gaps: Moments,
    /// Requests in each window since the first one.
    windows: Vec<u32>,
    input: LengthCounts,
    output: LengthCounts,
    prefixes: SeenPrefixes,
}

/// What [`Statistics`] found.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TraceStatistics {
    /// Requests.
    pub rows: u64,
    /// From the first to the last arrival, seconds.
    pub span_s: f64,
    /// Gaps between arrivals per second: `(rows - 1) / span_s`. `None` where all arrive at one time.
    pub rate_rps: Option<f64>,
    /// Coefficient of variation of the gaps (standard deviation over mean). `None` where all arrive at one time.
    pub interarrival_cv: Option<f64>,
    /// Highest rate in a window of 60 s, windows laid end to end from the first arrival on (the last may be partial),
    /// requests per second.
    pub peak_minute_rps: f64,
    /// Requests that arrive before their predecessor.
    pub out_of_order: u64,
    /// Lengths of prompts.
    pub input: LengthStatistics,
    /// Lengths of answers.
    pub output: LengthStatistics,
    /// What prompts share.
    pub prefix: PrefixStatistics,
}

/// Lengths in tokens. Percentiles interpolate linearly between order statistics, as numpy's default does.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct LengthStatistics {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Longest.
    pub max: u32,
    /// Sum.
    pub total: u64,
    /// Requests of length 0.
    pub zeros: u64,
}

/// What a prefix cache that forgets nothing could do. A token hits if the whole prompt up to and including it has been
/// the beginning of an earlier prompt of the stream; answers are not in the cache until a later prompt repeats them.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct PrefixStatistics {
    /// Tokens that hit over all prompt tokens. On Mooncake's conversation trace: 0.374.
    pub token_hit_ratio: f64,
    /// Tokens that hit.
    pub hit_tokens: u64,
    /// Spans (blocks, in a trace of blocks) of prompts whose content the trace gives.
    pub spans: u64,
    /// Distinct ones among them, told apart by the whole prompt up to their end.
    pub unique_spans: u64,
    /// `1 - unique_spans / spans`: the hit ratio in blocks, whatever their length. On Mooncake's conversation trace:
    /// 0.366. `None` without spans.
    pub span_hit_ratio: Option<f64>,
}

/// Running mean and sum of squared deviations (B. P. Welford, Technometrics 4, 1962).
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let from_old = value - self.mean;
        self.mean += from_old / self.count as f64;
        self.squares += from_old * (value - self.mean);
    }

    fn cv(self) -> f64 {
        (self.squares / self.count as f64).sqrt() / self.mean
    }
}

impl Statistics {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a row of a trace.
    pub fn add_row(&mut self, row: &TraceRow) {
        self.add(row.arrival, row.input_tokens, row.output_tokens, row.spans.as_deref());
    }

    /// Counts a request of a source.
    pub fn add_request(&mut self, request: &Request) {
        let prompt = &request.prompt;
        self.add(request.arrival, prompt.tokens(), request.output_tokens, Some(prompt.spans()));
    }

    /// Counts a request of these lengths in tokens; without `spans` its prompt shares nothing.
    pub fn add(&mut self, arrival: SimTime, input: u32, output: u32, spans: Option<&[Span]>) {
        if self.rows == 0 {
            (self.first, self.last) = (arrival, arrival);
        } else if arrival < self.last {
            self.out_of_order += 1;
            self.gaps.add(-self.last.since(arrival).as_secs_f64());
        } else {
            self.gaps.add(arrival.since(self.last).as_secs_f64());
        }
        self.rows += 1;
        self.last = arrival;
        self.count_in_window(arrival);
        self.input.add(input);
        self.output.add(output);
        if let Some(spans) = spans {
            self.prefixes.add(spans);
        }
    }

    fn count_in_window(&mut self, arrival: SimTime) {
        let nanos = arrival.as_nanos().saturating_sub(self.first.as_nanos());
        let window = (nanos / (PEAK_WINDOW_S * 1_000_000_000)) as usize;
        if window >= self.windows.len() {
            self.windows.resize(window + 1, 0);
        }
        self.windows[window] += 1;
    }

    /// The statistics so far; `None` before the first request.
    pub fn finish(&self) -> Option<TraceStatistics> {
        if self.rows == 0 {
            return None;
        }
        let span_s = self.last.as_secs_f64() - self.first.as_secs_f64();
        let spread = span_s > 0.0;
        Some(TraceStatistics {
            rows: self.rows,
            span_s,
            rate_rps: spread.then(|| (self.rows - 1) as f64 / span_s),
            interarrival_cv: spread.then(|| self.gaps.cv()),
            peak_minute_rps: f64::from(self.windows.iter().copied().max().unwrap_or(0)) / PEAK_WINDOW_S as f64,
            out_of_order: self.out_of_order,
            input: self.input.finish(),
            output: self.output.finish(),
            prefix: self.prefixes.finish(self.input.finish().total),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::from_secs_f64(seconds)
    }

    #[test]
    fn rates_are_those_of_the_gaps() {
        let mut statistics = Statistics::new();
        assert_eq!(statistics.finish(), None);
        for t in [10.0, 11.0, 14.0, 15.0, 18.0, 75.0, 76.0] {
            statistics.add(at(t), 1, 0, None);
        }
        let found = statistics.finish().unwrap();
        assert_eq!((found.rows, found.out_of_order, found.output.zeros), (7, 0, 7));
        assert!((found.span_s - 66.0).abs() < 1e-9);
        assert!((found.rate_rps.unwrap() - 6.0 / 66.0).abs() < 1e-12);
        let gaps = [1.0, 3.0, 1.0, 3.0, 57.0, 1.0_f64];
        let variance = gaps.iter().map(|g| (g - 11.0).powi(2)).sum::<f64>() / 6.0;
        assert!((found.interarrival_cv.unwrap() - variance.sqrt() / 11.0).abs() < 1e-9);
        assert!((found.peak_minute_rps - 5.0 / 60.0).abs() < 1e-12);
    }

    #[test]
    fn requests_all_at_once_have_no_rate() {
        let mut statistics = Statistics::new();
        statistics.add(at(3.0), 5, 6, None);
        statistics.add(at(3.0), 5, 6, None);
        let found = statistics.finish().unwrap();
        assert_eq!((found.rate_rps, found.interarrival_cv, found.prefix.span_hit_ratio), (None, None, None));
    }

    #[test]
    fn a_clock_that_goes_backwards_is_counted() {
        let mut statistics = Statistics::new();
        for t in [1.0, 3.0, 2.0, 4.0] {
            statistics.add(at(t), 5, 6, None);
        }
        assert_eq!(statistics.finish().unwrap().out_of_order, 1);
    }
}
