//! Durations whose percentiles are exact as long as they are few enough to keep.

use workloads::SimDuration;

use super::histogram::WeightedHistogram;
use super::statistics::{Method, Statistics, between, mean, position};

/// Durations, one per request: kept whole up to [`Distribution::EXACT_SAMPLES`], beyond that in the buckets of a
/// [`WeightedHistogram`]. Mean, minimum and maximum are always exact.
#[derive(Clone, Debug)]
pub struct Distribution {
    samples: Samples,
}

#[derive(Clone, Debug)]
enum Samples {
    Kept { nanos: Vec<u64>, sum_ns: u128, sorted: bool },
    Bucketed(WeightedHistogram),
}

impl Default for Distribution {
    fn default() -> Self {
        Distribution { samples: Samples::Kept { nanos: Vec::new(), sum_ns: 0, sorted: true } }
    }
}

impl Distribution {
    /// Samples kept before buckets take over: 2 MB.
    pub const EXACT_SAMPLES: usize = 1 << 18;

    /// An empty distribution.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one duration.
    #[inline]
    pub fn add(&mut self, value: SimDuration) {
        match &mut self.samples {
            Samples::Kept { nanos, sum_ns, sorted } if nanos.len() < Self::EXACT_SAMPLES => {
                nanos.push(value.as_nanos());
                *sum_ns += u128::from(value.as_nanos());
                *sorted = false;
            }
            Samples::Bucketed(histogram) => histogram.add(value, 1),
            Samples::Kept { .. } => self.bucketed().add(value, 1),
        }
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        match &other.samples {
            Samples::Bucketed(histogram) => self.bucketed().merge(histogram),
            Samples::Kept { nanos, .. } => nanos.iter().for_each(|&ns| self.add(SimDuration::from_nanos(ns))),
        }
    }

    /// The histogram, which takes over now if it had not before.
    #[cold]
    fn bucketed(&mut self) -> &mut WeightedHistogram {
        if let Samples::Kept { nanos, .. } = &self.samples {
            let mut histogram = WeightedHistogram::new();
            for &ns in nanos {
                histogram.add(SimDuration::from_nanos(ns), 1);
            }
            self.samples = Samples::Bucketed(histogram);
        }
        match &mut self.samples {
            Samples::Bucketed(histogram) => histogram,
            Samples::Kept { .. } => unreachable!("the samples were just put into buckets"),
        }
    }

    /// How many durations it holds.
    pub fn count(&self) -> u64 {
        match &self.samples {
            Samples::Kept { nanos, .. } => nanos.len() as u64,
            Samples::Bucketed(histogram) => histogram.count(),
        }
    }

    /// How its percentiles are found.
    pub fn method(&self) -> Method {
        match self.samples {
            Samples::Kept { .. } => Method::Exact,
            Samples::Bucketed(_) => Method::Buckets,
        }
    }

    /// Quantiles in nanoseconds, each between 0 and 1, in ascending order; empty if the distribution is. They
    /// interpolate linearly between order statistics, as numpy does. Takes `&mut` to sort its samples once.
    pub fn quantiles_ns(&mut self, quantiles: &[f64]) -> Vec<f64> {
        match &mut self.samples {
            Samples::Bucketed(histogram) => histogram.quantiles_ns(quantiles),
            Samples::Kept { nanos, .. } if nanos.is_empty() => Vec::new(),
            Samples::Kept { nanos, sorted, .. } => {
                sort_once(nanos, sorted);
                quantiles.iter().map(|&q| quantile(nanos, q)).collect()
            }
        }
    }

    /// The figures quoted of it; `None` if it is empty. Takes `&mut` to sort its samples once.
    pub fn statistics(&mut self) -> Option<Statistics> {
        match &mut self.samples {
            Samples::Bucketed(histogram) => histogram.statistics(),
            Samples::Kept { nanos, sum_ns, sorted } => {
                sort_once(nanos, sorted);
                let (&first, &last) = (nanos.first()?, nanos.last()?);
                let [median_ns, p90_ns, p95_ns, p99_ns] = Statistics::QUANTILES.map(|q| quantile(nanos, q));
                Some(Statistics {
                    count: nanos.len() as u64,
                    mean_ns: mean(*sum_ns, nanos.len() as u64),
                    min_ns: first as f64,
                    median_ns,
                    p90_ns,
                    p95_ns,
                    p99_ns,
                    max_ns: last as f64,
                    method: Method::Exact,
                })
            }
        }
    }
}

fn sort_once(nanos: &mut [u64], sorted: &mut bool) {
    if !*sorted {
        nanos.sort_unstable();
        *sorted = true;
    }
}

fn quantile(sorted: &[u64], q: f64) -> f64 {
    let (rank, part) = position(sorted.len() as u64, q);
    let low = sorted[rank as usize] as f64;
    if part == 0.0 { low } else { between(low, sorted[rank as usize + 1] as f64, part) }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the figures of these examples are exact in floating point")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distribution(values: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::new();
        for ns in values {
            distribution.add(SimDuration::from_nanos(ns));
        }
        distribution
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        // numpy.percentile([15, 20, 35, 40, 50], [5, 30, 40, 50, 100]) = [16, 23, 29, 35, 50]
        let found = distribution([40, 15, 50, 20, 35]).quantiles_ns(&[0.05, 0.3, 0.4, 0.5, 1.0]);
        for (found, numpy) in found.into_iter().zip([16.0, 23.0, 29.0, 35.0, 50.0]) {
            assert!((found - numpy).abs() < 1e-12, "{found} should be {numpy}");
        }
        // numpy.percentile([1, 2, 4, 8, 16, 32, 64, 128, 256, 512], [50, 90, 95, 99]) = [24, 281.6, 396.8, 488.96]
        let statistics = distribution((0..10).map(|power| 1 << power)).statistics().expect("it holds values");
        for (found, numpy) in [
            (statistics.median_ns, 24.0),
            (statistics.p90_ns, 281.6),
            (statistics.p95_ns, 396.8),
            (statistics.p99_ns, 488.96),
        ] {
            assert!((found - numpy).abs() < 1e-9, "{found} should be {numpy}");
        }
    }

    #[test]
    fn one_value_is_all_its_percentiles() {
        let statistics = distribution([42]).statistics().expect("it holds a value");
        assert_eq!(
            (statistics.min_ns, statistics.median_ns, statistics.p99_ns, statistics.max_ns),
            (42.0, 42.0, 42.0, 42.0)
        );
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(distribution([]).statistics(), None);
        assert!(distribution([]).quantiles_ns(&[0.5]).is_empty());
    }

    #[test]
    fn values_added_after_a_question_count_in_the_next_answer() {
        let mut distribution = distribution([10, 30]);
        assert_eq!(distribution.quantiles_ns(&[0.5]), [20.0]);
        distribution.add(SimDuration::from_nanos(0));
        assert_eq!(distribution.quantiles_ns(&[0.5]), [10.0]);
    }

    /// Values spread over a wide range in an order that is not theirs.
    fn many(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|value| value.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (20 + value % 20))
    }

    #[test]
    fn buckets_take_over_from_the_stated_number_on_and_stay_within_their_width() {
        let limit = Distribution::EXACT_SAMPLES as u64;
        let mut kept = distribution(many(limit));
        assert_eq!(kept.method(), Method::Exact);
        let over = distribution(many(limit + 1));
        assert_eq!((over.method(), over.count()), (Method::Buckets, limit + 1));

        let exact = kept.statistics().expect("it holds values");
        kept.bucketed();
        let bucketed = kept.statistics().expect("it holds values");
        assert_eq!(
            (exact.mean_ns, exact.min_ns, exact.max_ns, exact.count),
            (bucketed.mean_ns, bucketed.min_ns, bucketed.max_ns, bucketed.count)
        );
        for (exact, bucketed) in [
            (exact.median_ns, bucketed.median_ns),
            (exact.p90_ns, bucketed.p90_ns),
            (exact.p95_ns, bucketed.p95_ns),
            (exact.p99_ns, bucketed.p99_ns),
        ] {
            assert!((exact - bucketed).abs() <= exact / 4096.0 + 1.0, "{bucketed} should be {exact}");
        }
    }

    #[test]
    fn distributions_of_either_kind_merge_into_the_distribution_of_all_values() {
        let limit = Distribution::EXACT_SAMPLES as u64;
        let all = distribution(many(limit + 1000)).statistics();
        let (mut small, mut large) = (distribution(many(1000)), distribution(many(limit + 1000).skip(1000)));
        let mut small_into_large = large.clone();
        small_into_large.merge(&small);
        small.merge(&large);
        assert_eq!(small.statistics(), all);
        assert_eq!(small_into_large.statistics(), all);
        assert_eq!(large.method(), Method::Exact);
        large.merge(&distribution(many(1)));
        assert_eq!(large.method(), Method::Buckets);
    }

    proptest! {
        #[test]
        fn statistics_are_those_of_the_sorted_values(values in proptest::collection::vec(0_u64..1 << 50, 1..300)) {
            let statistics = distribution(values.iter().copied()).statistics().expect("it holds values");
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let brute_force = |q: f64| {
                let position = (sorted.len() - 1) as f64 * q;
                let (below, above) = (position.floor() as usize, position.ceil() as usize);
                sorted[below] as f64 * (1.0 - position.fract()) + sorted[above] as f64 * position.fract()
            };
            prop_assert_eq!(statistics.min_ns, sorted[0] as f64);
            prop_assert_eq!(statistics.max_ns, sorted[sorted.len() - 1] as f64);
            let mean = sorted.iter().map(|&value| value as f64).sum::<f64>() / sorted.len() as f64;
            for (found, truth) in [
                (statistics.mean_ns, mean),
                (statistics.median_ns, brute_force(0.5)),
                (statistics.p90_ns, brute_force(0.9)),
                (statistics.p95_ns, brute_force(0.95)),
                (statistics.p99_ns, brute_force(0.99)),
            ] {
                prop_assert!((found - truth).abs() <= 1e-12 * truth.abs().max(1.0), "{} should be {}", found, truth);
            }
        }
    }
}
