//! The bootstrap over stretches of a run: percentiles of runs put together anew from its stretches.

use rand::RngExt;

use super::interval::{CONFIDENCE, IntervalMethod, Spread};
use super::student::student_t_quantile;
use super::within::BATCHES;

/// Runs that are put together. With 999, the ends of the interval are themselves order statistics (Davison & Hinkley 1997, 5.2.3).
const REPLICATES: usize = 999;

/// Fewest values beyond a percentile that is given an interval.
const BEYOND: f64 = 10.0;

/// Values between two counts of those before.
const STRIDE: usize = 64;

/// How often each stretch is taken into a run that is put together.
pub(super) type Weights = [u32; BATCHES];

/// Runs put together of as many stretches as the run has, each drawn from all of them. They are the same for every figure and
/// every system, so that differences are those of the same runs.
pub(super) struct Resamples(Vec<Weights>);

impl Resamples {
    /// Of so many stretches (≤ 20).
    pub(super) fn of(stretches: usize) -> Self {
        let mut rng = workloads::stream(0, "bootstrap over stretches", stretches as u64);
        let draw = |_| {
            let mut weights = [0; BATCHES];
            (0..stretches).for_each(|_| weights[rng.random_range(0..stretches)] += 1);
            weights
        };
        Resamples((0..REPLICATES).map(draw).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Weights> {
        self.0.iter()
    }
}

/// Values in ascending order, each with its stretch.
pub(super) struct Blocked {
    values: Vec<(u64, u8)>,
    /// Values of each stretch before every 64th value.
    before: Vec<Weights>,
    stretches: usize,
}

impl Blocked {
    pub(super) fn new(mut values: Vec<(u64, u8)>, stretches: usize) -> Self {
        values.sort_unstable();
        let mut count = [0; BATCHES];
        let mut before = Vec::with_capacity(values.len() / STRIDE + 2);
        for chunk in values.chunks(STRIDE) {
            before.push(count);
            for (_, stretch) in chunk {
                count[usize::from(*stretch)] += 1;
            }
        }
        before.push(count);
        Blocked { values, before, stretches }
    }

    pub(super) fn stretches(&self) -> usize {
        self.stretches
    }

    /// Whether as many values lie beyond a quantile, and before it, as intervals need.
    pub(super) fn has_enough_beyond(&self, q: f64) -> bool {
        let count = self.values.len() as f64;
        count * (1.0 - q) >= BEYOND && count * q >= BEYOND
    }

    /// Of each stretch, how many values exceed `limit`, and how many there are.
    pub(super) fn beyond(&self, limit: f64) -> Vec<(f64, f64)> {
        let mut counts = vec![(0.0, 0.0); self.stretches];
        for (value, stretch) in &self.values {
            let (beyond, all) = &mut counts[usize::from(*stretch)];
            *beyond += f64::from(u8::from(*value as f64 > limit));
            *all += 1.0;
        }
        counts
    }

    /// The quantile of the values themselves.
    pub(super) fn estimate(&self, q: f64) -> f64 {
        let mut once = [0; BATCHES];
        once[..self.stretches].fill(1);
        self.quantile(&once, q)
    }

    /// The quantile of a run in which stretches occur so often, interpolated between order statistics as everywhere.
    pub(super) fn quantile(&self, weights: &Weights, q: f64) -> f64 {
        let reached =
            |counts: &Weights| counts.iter().zip(weights).map(|(count, weight)| u64::from(count * weight)).sum();
        let total: u64 = reached(self.before.last().expect("the count of all is there"));
        if total == 0 {
            return 0.0;
        }
        let (rank, part) = crate::measures::position(total, q);
        // The last count of values before that does not go beyond the rank.
        let chunk = self.before.partition_point(|counts| reached(counts) <= rank) - 1;
        let mut passed = reached(&self.before[chunk]);
        let mut low = None;
        for (value, stretch) in &self.values[chunk * STRIDE..] {
            passed += u64::from(weights[usize::from(*stretch)]);
            if low.is_none() && passed > rank {
                low = Some(*value as f64);
            }
            if let Some(low) = low
                && (part == 0.0 || passed > rank + 1)
            {
                return low + part * (*value as f64 - low);
            }
        }
        unreachable!("a rank below the count of all values is reached")
    }
}

/// The interval between percentiles of the replicates, spread as Student's t is against the normal distribution, for there are few
/// stretches: the expanded percentile interval (Hesterberg 2015, "What teachers should know about the bootstrap", 4.4).
pub(super) fn spread(mut replicates: Vec<f64>, estimate: f64, stretches: usize) -> Spread {
    let parts = stretches as f64;
    let t = student_t_quantile(f64::midpoint(1.0, CONFIDENCE), stretches as u32 - 1);
    let tail = above_normal(t * (parts / (parts - 1.0)).sqrt());
    replicates.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| {
        let (rank, part) = crate::measures::position(replicates.len() as u64, q);
        let low = replicates[rank as usize];
        if part > 0.0 { low + part * (replicates[rank as usize + 1] - low) } else { low }
    };
    Spread {
        below: estimate - at(tail),
        above: at(1.0 - tail) - estimate,
        method: IntervalMethod::BlockBootstrap,
        parts: stretches as u32,
    }
}

/// Probability that a standard normal variable exceeds `x` ≥ 0, to 7.5e-8: Abramowitz & Stegun (1964), 26.2.17.
fn above_normal(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let polynomial = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    polynomial * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tail_of_the_normal_distribution_is_the_published_one() {
        for (x, above) in [(0.0, 0.5), (1.0, 0.158_655_25), (1.96, 0.024_997_90), (3.0, 0.001_349_898)] {
            assert!((above_normal(x) - above).abs() < 1e-7, "{x}: {}", above_normal(x));
        }
    }

    #[test]
    fn every_run_put_together_has_as_many_stretches_and_all_stretches_occur_alike() {
        let drawn = Resamples::of(10);
        let mut sums = [0; BATCHES];
        for weights in drawn.iter() {
            assert_eq!(weights.iter().sum::<u32>(), 10);
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
        }
        assert_eq!(sums[10..], [0; 10]);
        // 9,990 draws: a standard deviation of 30.
        assert!(sums[..10].iter().all(|sum| (879..=1119).contains(sum)), "{sums:?}");
    }

    proptest! {
        #[test]
        fn the_quantile_of_a_run_put_together_is_that_of_its_values_spelled_out(
            values in proptest::collection::vec((0_u64..1000, 0_u8..10), 1..300),
            weights in proptest::array::uniform10(0_u32..4),
            q in 0.0..=1.0_f64,
        ) {
            let mut all = [0; BATCHES];
            all[..10].copy_from_slice(&weights);
            let mut spelled: Vec<f64> = values
                .iter()
                .flat_map(|(value, stretch)| (0..weights[usize::from(*stretch)]).map(|_| *value as f64))
                .collect();
            prop_assume!(!spelled.is_empty());
            spelled.sort_by(f64::total_cmp);
            let position = (spelled.len() - 1) as f64 * q;
            let (low, high) = (spelled[position.floor() as usize], spelled[position.ceil() as usize]);
            let expected = low + (high - low) * position.fract();
            let found = Blocked::new(values, 10).quantile(&all, q);
            prop_assert!((found - expected).abs() < 1e-9, "{found} should be {expected}");
        }
    }
}
