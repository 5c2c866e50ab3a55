//! A histogram that takes a value with a weight in a few instructions.

use workloads::SimDuration;

use super::buckets;
use super::statistics::{Method, Statistics, between, mean, position};

/// Durations with weights, in logarithmic buckets at most 0.0488 % wide; mean, minimum and maximum are exact.
///
/// This is what takes the gaps between tokens: one [`add`](Self::add) per step, weighted with the requests that
/// generate. Memory grows with the largest duration: 350 kB up to 1 s, 500 kB up to 1,000 s.
#[derive(Clone, Debug)]
pub struct WeightedHistogram {
    weights: Vec<u64>,
    count: u64,
    sum_ns: u128,
    min_ns: u64,
    max_ns: u64,
}

impl Default for WeightedHistogram {
    fn default() -> Self {
        WeightedHistogram { weights: Vec::new(), count: 0, sum_ns: 0, min_ns: u64::MAX, max_ns: 0 }
    }
}

impl WeightedHistogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `value`, `weight` times.
    #[inline]
    pub fn add(&mut self, value: SimDuration, weight: u64) {
        if weight == 0 {
            return;
        }
        let ns = value.as_nanos();
        let index = buckets::index(ns);
        if index >= self.weights.len() {
            self.reach(index);
        }
        self.weights[index] += weight;
        self.count += weight;
        self.sum_ns += u128::from(ns) * u128::from(weight);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    #[cold]
    fn reach(&mut self, index: usize) {
        self.weights.resize(index + 1, 0);
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        if self.weights.len() < other.weights.len() {
            self.weights.resize(other.weights.len(), 0);
        }
        for (sum, term) in self.weights.iter_mut().zip(&other.weights) {
            *sum += term;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Sum of the weights.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Every bucket that holds something, ascending: a value of it and its weight. The value is the middle of the bucket, in
    /// whole nanoseconds, but the smallest of all for the first bucket and the largest for the last. Adding these to an
    /// empty histogram gives one with the same quantiles, if more than one bucket holds something.
    pub fn occupied(&self) -> impl Iterator<Item = (SimDuration, u64)> + '_ {
        let last = self.weights.len().saturating_sub(1);
        let first = self.weights.iter().position(|weight| *weight > 0).unwrap_or(last);
        let value = move |index: usize| match index {
            _ if index == first => self.min_ns,
            _ if index == last => self.max_ns,
            _ => buckets::middle(index) as u64,
        };
        let held = self.weights.iter().enumerate().filter(|(_, weight)| **weight > 0);
        held.map(move |(index, &weight)| (SimDuration::from_nanos(value(index)), weight))
    }

    /// Weighted mean in nanoseconds, exact; `None` if it is empty.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count > 0).then(|| mean(self.sum_ns, self.count))
    }

    /// Largest value, exact; `None` if it is empty.
    pub fn max(&self) -> Option<SimDuration> {
        (self.count > 0).then(|| SimDuration::from_nanos(self.max_ns))
    }

    /// Quantiles in nanoseconds, each between 0 and 1, in ascending order; empty if the histogram is.
    ///
    /// They interpolate linearly between order statistics, as numpy does; each order statistic is within 0.025 % of
    /// the true one, and the first and the last are exact.
    pub fn quantiles_ns(&self, quantiles: &[f64]) -> Vec<f64> {
        assert!(quantiles.is_sorted(), "quantiles are asked in ascending order");
        if self.count == 0 {
            return Vec::new();
        }
        let mut cursor = Cursor { histogram: self, bucket: 0, before: 0 };
        quantiles
            .iter()
            .map(|&q| {
                let (rank, part) = position(self.count, q);
                let low = cursor.order_statistic(rank);
                if part == 0.0 { low } else { between(low, cursor.clone().order_statistic(rank + 1), part) }
            })
            .collect()
    }

    /// The figures quoted of it; `None` if it is empty.
    pub fn statistics(&self) -> Option<Statistics> {
        let mean_ns = self.mean_ns()?;
        let quantiles = self.quantiles_ns(&Statistics::QUANTILES);
        Some(Statistics {
            count: self.count,
            mean_ns,
            min_ns: self.min_ns as f64,
            median_ns: quantiles[0],
            p90_ns: quantiles[1],
            p95_ns: quantiles[2],
            p99_ns: quantiles[3],
            max_ns: self.max_ns as f64,
            method: Method::Buckets,
        })
    }
}

/// A walk over the buckets that finds order statistics of ascending rank.
#[derive(Clone)]
struct Cursor<'a> {
    histogram: &'a WeightedHistogram,
    bucket: usize,
    /// Sum of the weights before `bucket`.
    before: u64,
}

impl Cursor<'_> {
    fn order_statistic(&mut self, rank: u64) -> f64 {
        let histogram = self.histogram;
        while self.before + histogram.weights[self.bucket] <= rank {
            self.before += histogram.weights[self.bucket];
            self.bucket += 1;
        }
        let (min_ns, max_ns) = (histogram.min_ns as f64, histogram.max_ns as f64);
        match rank {
            0 => min_ns,
            last if last == histogram.count - 1 => max_ns,
            _ => buckets::middle(self.bucket).clamp(min_ns, max_ns),
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the figures of these examples are exact in floating point")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(values: &[(u64, u64)]) -> WeightedHistogram {
        let mut histogram = WeightedHistogram::new();
        for &(ns, weight) in values {
            histogram.add(SimDuration::from_nanos(ns), weight);
        }
        histogram
    }

    #[test]
    fn what_is_read_back_bucket_by_bucket_has_the_same_quantiles() {
        let mut histogram = WeightedHistogram::new();
        for index in 0..5_000_u64 {
            histogram.add(SimDuration::from_nanos(index * index * index), index % 7);
        }
        let mut again = WeightedHistogram::new();
        histogram.occupied().for_each(|(value, weight)| again.add(value, weight));
        assert_eq!((&again.weights, again.count), (&histogram.weights, histogram.count));
        let quantiles: Vec<f64> = (0..=100).map(|percent| f64::from(percent) / 100.0).collect();
        assert_eq!(again.quantiles_ns(&quantiles), histogram.quantiles_ns(&quantiles));
    }

    #[test]
    fn small_values_are_told_apart_exactly() {
        let values: Vec<_> = (1..=101).map(|value| (value, 1)).collect();
        let statistics = histogram(&values).statistics().expect("it holds values");
        assert_eq!(statistics.median_ns, 51.0);
        assert_eq!(statistics.p90_ns, 91.0);
        assert_eq!(statistics.p99_ns, 100.0);
        assert_eq!((statistics.min_ns, statistics.max_ns, statistics.mean_ns), (1.0, 101.0, 51.0));
    }

    #[test]
    fn a_value_without_weight_changes_nothing() {
        let histogram = histogram(&[(7, 0)]);
        assert_eq!(histogram.statistics(), None);
        assert_eq!(histogram.max(), None);
        assert!(histogram.quantiles_ns(&[0.5]).is_empty());
    }

    #[test]
    fn the_mean_is_exact_where_floats_are_not() {
        let big = (1 << 53) + 1;
        assert_eq!(histogram(&[(big, 3), (1, 1), (0, 1), (0, 1)]).sum_ns, 3 * u128::from(big) + 1);
        assert_eq!(histogram(&[(u64::MAX, 1 << 40)]).mean_ns(), Some(u64::MAX as f64));
    }

    fn weighted_values() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let value = (any::<u64>(), 0_u32..64).prop_map(|(bits, shift)| bits >> shift);
        proptest::collection::vec((value, 1_u64..20), 1..200)
    }

    proptest! {
        // Buckets reach up to 2⁶⁴ ns here, which is slow to walk without optimisation.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn quantiles_are_those_of_the_sorted_values_within_the_width_of_a_bucket(
            values in weighted_values(), q in 0.0..=1.0_f64,
        ) {
            let mut sorted: Vec<u64> =
                values.iter().flat_map(|&(value, weight)| std::iter::repeat_n(value, weight as usize)).collect();
            sorted.sort_unstable();
            let (rank, part) = position(sorted.len() as u64, q);
            let low = sorted[rank as usize] as f64;
            let high = sorted[(rank as usize + 1).min(sorted.len() - 1)] as f64;
            let truth = between(low, high, part);
            let found = histogram(&values).quantiles_ns(&[q])[0];
            // Both neighbours may be off by half a bucket.
            prop_assert!((found - truth).abs() <= high / 4096.0 * 1.000_001, "{found} should be {truth}");
        }

        #[test]
        fn merging_is_adding(left in weighted_values(), right in weighted_values()) {
            let mut merged = histogram(&left);
            merged.merge(&histogram(&right));
            let together: Vec<_> = left.into_iter().chain(right).collect();
            prop_assert_eq!(merged.statistics(), histogram(&together).statistics());
        }

        #[test]
        fn many_quantiles_at_once_are_the_same_as_one_by_one(values in weighted_values()) {
            let histogram = histogram(&values);
            let grid: Vec<f64> = (0..=8).map(|step| f64::from(step) / 8.0).collect();
            let at_once = histogram.quantiles_ns(&grid);
            for (q, found) in grid.iter().zip(&at_once) {
                prop_assert_eq!(histogram.quantiles_ns(&[*q])[0], *found);
            }
            prop_assert!(at_once.is_sorted());
        }
    }
}
