//! Intervals from one run alone: batch means, shares beyond percentiles, and the bootstrap over stretches.

use serde::{Deserialize, Serialize};
use workloads::SimTime;

use super::bootstrap::{Blocked, Resamples};
use super::cell::{Cell, boundary};
use super::figure::{Base, LATENCIES, RequestFigure};
use super::interval::{CONFIDENCE, IntervalMethod, Spread};
use super::kept::{KeptQuantile, difference_of_kept};
use super::samples::{Sample, Samples};
use super::student::student_t_quantile;
use crate::measures::Statistics;

/// Stretches a run is cut into.
pub(super) const BATCHES: usize = 20;
/// Stretches where those are too short: where they resemble their neighbours, or there are not as many.
pub(super) const FEWEST_BATCHES: usize = 10;

/// What one run tells of how far chance moved its figures.
///
/// Its requests are cut, in the order in which they arrived, into 20 stretches, or 10 where 20 are too short. Stretches that
/// resemble their neighbours still (lag-1 correlation above what chance makes of independent ones in 5 % of cases) give no
/// interval: the run is too short for one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WithinRun {
    /// Sums over the stretches; empty if the run is too short even for 10.
    pub(super) batches: Vec<Cell>,
    /// Sums over all requests.
    pub(super) total: Cell,
    /// Cells they were made of, and which request the first began with.
    pub(super) cells: usize,
    pub(super) first_request: u64,
    pub(super) requests_per_cell: u64,
    /// Single requests; see [`WithinRun::condensed`].
    #[serde(skip)]
    pub(super) samples: Option<Samples>,
    /// Percentiles, where single requests are not kept.
    pub(super) kept: Vec<KeptQuantile>,
    pub(super) arrivals: Option<(SimTime, SimTime)>,
}

/// What each stretch adds to the error of a mean; they add up to nothing.
pub(super) type Influences = Vec<f64>;

impl WithinRun {
    /// Whether nothing is known: of a run without requests, and where nothing was kept of it.
    pub fn is_empty(&self) -> bool {
        self.cells == 0
    }

    /// The same in a few kilobytes, to be written into files: of percentiles, only what the quoted ones need is kept, and nothing of
    /// single requests. Intervals of figures and of differences of means stay what they were; those of differences of percentiles are
    /// then by batch means of the shares beyond them instead of the bootstrap.
    #[must_use]
    pub fn condensed(&self) -> Self {
        let mut kept = Vec::new();
        for figure in RequestFigure::LATENCIES {
            let Some(values) = self.blocked(figure, self.batches.len()) else { continue };
            kept.extend(Statistics::QUANTILES.into_iter().filter_map(|q| KeptQuantile::of(&values, figure, q)));
        }
        WithinRun { samples: None, kept, batches: self.batches.clone(), ..*self }
    }

    /// Times of the first and the last arrival that were measured; `None` without requests.
    pub fn arrivals(&self) -> Option<(SimTime, SimTime)> {
        self.arrivals
    }

    /// Sum of a figure over each stretch, and what it is a sum over: requests, or gaps. Empty where the run is too short.
    pub fn batch_sums(&self, figure: RequestFigure) -> Vec<(f64, f64)> {
        self.batches.iter().map(|batch| (batch.sums[figure as usize], batch.base(figure))).collect()
    }

    /// How many requests a share of this figure is of.
    pub fn requests(&self, figure: RequestFigure) -> f64 {
        self.total.base(figure)
    }

    /// Mean of a figure over the requests of several `runs` of one system, and half of its interval of this `confidence` (0 to 1), by
    /// the batch means of all of them together: nanoseconds for latencies. `None` without requests, and half of it `None` where a run is
    /// too short.
    pub fn pooled_mean(runs: &[&Self], figure: RequestFigure, confidence: f64) -> Option<(f64, Option<f64>)> {
        let uncorrelated = |run: &&Self| {
            [BATCHES, FEWEST_BATCHES].into_iter().find_map(|parts| {
                let sums: Vec<(f64, f64)> = run
                    .stretches(parts)?
                    .iter()
                    .map(|batch| (batch.sums[figure as usize], batch.base(figure)))
                    .collect();
                let base = sums.iter().any(|(_, base)| *base > 0.0);
                (base && !resemble_neighbours(&ratio_influences(&sums))).then_some(sums)
            })
        };
        let (sum, base) = runs.iter().fold((0.0, 0.0), |(sum, base), run| {
            (sum + run.total.sums[figure as usize], base + run.total.base(figure))
        });
        let sums: Option<Vec<Vec<(f64, f64)>>> = runs.iter().map(uncorrelated).collect();
        let half = sums.map(|sums| half_width(&ratio_influences(&sums.concat()), confidence));
        (base > 0.0).then_some((sum / base, half))
    }

    /// The interval of the mean of a figure, by batch means: nanoseconds for latencies. Those of shares stay within 0 and 1; where
    /// none, or all, of n requests meet an objective, up to −ln(5 %) ÷ n may (Hanley & Lippman-Hand 1983: the rule of three).
    pub fn mean(&self, figure: RequestFigure) -> Option<Spread> {
        let spread = by_batches(|parts| influences(&self.stretches(parts)?, figure))?;
        if figure.base() != Base::Judged {
            return Some(spread);
        }
        let requests = self.total.base(figure);
        let met = self.total.sums[figure as usize] / requests;
        let least = -(1.0 - CONFIDENCE).ln() / requests;
        let towards = |half: f64, room: f64| if room >= 1.0 { half.max(least) } else { half }.min(room);
        Some(Spread { below: towards(spread.below, met), above: towards(spread.above, 1.0 - met), ..spread })
    }

    /// The interval of the difference of means, `other` − this one, on the same requests, by batch means of the differences.
    pub fn mean_difference(&self, other: &Self, figure: RequestFigure) -> Option<Spread> {
        if !self.is_parallel_to(other) {
            return None;
        }
        by_batches(|parts| {
            let ours = influences(&self.stretches(parts)?, figure)?;
            let theirs = influences(&other.stretches(parts)?, figure)?;
            Some(theirs.iter().zip(&ours).map(|(their, our)| their - our).collect())
        })
    }

    /// The interval of a quantile of a latency in nanoseconds: that of the share beyond it, by batch means, turned into values
    /// (Woodruff 1952, "Confidence intervals for medians and other position measures", JASA 47). `None` also where samples were
    /// not kept, fewer than 10 lie beyond, or the interval reaches beyond the largest.
    pub fn quantile(&self, figure: RequestFigure, q: f64) -> Option<Spread> {
        if let Some(kept) = self.kept_quantile(figure, q) {
            return kept.spread;
        }
        KeptQuantile::of(&self.blocked(figure, self.batches.len())?, figure, q)?.spread
    }

    /// The interval of the difference of quantiles, `other` − this one, on the same requests, by the bootstrap over stretches: both
    /// are drawn anew together. Of [condensed](WithinRun::condensed) runs, by batch means of the shares beyond them.
    pub fn quantile_difference(&self, other: &Self, figure: RequestFigure, q: f64) -> Option<Spread> {
        if let (Some(ours), Some(theirs)) = (self.kept_quantile(figure, q), other.kept_quantile(figure, q)) {
            return self.is_parallel_to(other).then(|| difference_of_kept(ours, theirs))?;
        }
        let parts = self.mean_difference(other, figure)?.parts as usize;
        let ours = self.blocked(figure, parts).filter(|values| values.has_enough_beyond(q))?;
        let theirs = other.blocked(figure, parts).filter(|values| values.has_enough_beyond(q))?;
        let estimate = theirs.estimate(q) - ours.estimate(q);
        let drawn = Resamples::of(parts);
        let replicates = drawn.iter().map(|weights| theirs.quantile(weights, q) - ours.quantile(weights, q)).collect();
        Some(super::bootstrap::spread(replicates, estimate, parts))
    }

    /// Whether stretch by stretch both hold the same requests.
    fn is_parallel_to(&self, other: &Self) -> bool {
        let shape = |run: &Self| (run.cells, run.first_request, run.requests_per_cell, run.batches.len(), run.arrivals);
        shape(self) == shape(other)
    }

    fn kept_quantile(&self, figure: RequestFigure, q: f64) -> Option<&KeptQuantile> {
        self.kept.iter().find(|kept| kept.is(figure, q))
    }

    fn stretches(&self, parts: usize) -> Option<Vec<Cell>> {
        if self.batches.len() == parts {
            return Some(self.batches.clone());
        }
        // Ten are pairs of twenty: the boundaries of stretches fall together.
        (self.batches.len() == BATCHES && parts == FEWEST_BATCHES)
            .then(|| super::series::stretches_of_two(&self.batches))
    }

    /// The samples of a latency, with the stretch each belongs to.
    fn blocked(&self, figure: RequestFigure, parts: usize) -> Option<Blocked> {
        let asked = (figure as usize) < LATENCIES && (1..=self.batches.len()).contains(&parts);
        let samples = self.samples.as_ref().filter(|_| asked)?;
        let firsts: Vec<u64> = (0..parts)
            .map(|part| self.first_request + boundary(self.cells, part, parts) as u64 * self.requests_per_cell)
            .collect();
        let with_stretch = |sample: &Sample| {
            let stretch = firsts.partition_point(|first| *first <= sample.request) - 1;
            (sample.latencies_ns[figure as usize], stretch as u8)
        };
        let values = samples.rows.iter().map(with_stretch).filter(|(ns, _)| *ns != Sample::NONE).collect();
        Some(Blocked::new(values, parts))
    }
}

/// What each stretch adds to the error of the mean, a ratio of sums (Law & Kelton, Simulation Modeling and Analysis, 9.5.3):
/// (sum − mean · base) ÷ all bases.
fn influences(stretches: &[Cell], figure: RequestFigure) -> Option<Influences> {
    let sums: Vec<(f64, f64)> =
        stretches.iter().map(|stretch| (stretch.sums[figure as usize], stretch.base(figure))).collect();
    sums.iter().any(|(_, base)| *base > 0.0).then(|| ratio_influences(&sums))
}

/// The same from the sum and the base of each stretch; the bases are not all 0.
pub(super) fn ratio_influences(sums: &[(f64, f64)]) -> Influences {
    let (sum, all) = sums.iter().fold((0.0, 0.0), |(sum, all), (term, base)| (sum + term, all + base));
    sums.iter().map(|(term, base)| (term - sum / all * base) / all).collect()
}

/// The interval from the influences of 20 stretches, or of 10 if those resemble their neighbours; `None` if these do too.
pub(super) fn by_batches(of: impl Fn(usize) -> Option<Influences>) -> Option<Spread> {
    let uncorrelated = |parts| of(parts).filter(|influences| !resemble_neighbours(influences));
    let influences = [BATCHES, FEWEST_BATCHES].into_iter().find_map(uncorrelated)?;
    let half = half_width(&influences, CONFIDENCE);
    Some(Spread { below: half, above: half, method: IntervalMethod::BatchMeans, parts: influences.len() as u32 })
}

/// Half of the interval of a mean to whose error independent stretches add so much.
pub(super) fn half_width(influences: &[f64], confidence: f64) -> f64 {
    let parts = influences.len() as u32;
    let squares: f64 = influences.iter().map(|influence| influence * influence).sum();
    let variance = f64::from(parts) / f64::from(parts - 1) * squares;
    student_t_quantile(f64::midpoint(1.0, confidence), parts - 1) * variance.sqrt()
}

/// Whether the correlation of neighbours exceeds what it does by chance in 5 % of cases: 1.645 ÷ √n (Bartlett 1946).
fn resemble_neighbours(influences: &[f64]) -> bool {
    let squares: f64 = influences.iter().map(|influence| influence * influence).sum();
    let products: f64 = influences.windows(2).map(|pair| pair[0] * pair[1]).sum();
    products > 1.645 / (influences.len() as f64).sqrt() * squares
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use workloads::RequestId;

    use super::super::series::ArrivalSeries;
    use super::super::series::tests::add;
    use super::*;
    use crate::measures::Verdict;
    use crate::measures::collector_tests::completed;
    use crate::record::RequestRecord;

    /// Independent, spread evenly over 0 … 999.
    fn noise(index: u64) -> u64 {
        workloads::stream(7, "noise", index).random_range(0..1000)
    }

    fn run(requests: u64, ttft_ns: impl Fn(u64) -> u64) -> WithinRun {
        let mut series = ArrivalSeries::default();
        series.keep_samples();
        for id in 0..requests {
            let first = id * 10 + ttft_ns(id);
            let record = completed(id * 10, [id * 10, first, first], 1, 0);
            add(&mut series, &RequestRecord { id: RequestId(id), ..record });
        }
        series.within_run()
    }

    #[test]
    fn objectives_that_all_requests_or_none_meet_may_be_missed_or_met_by_three_in_as_many() {
        let least = -0.05_f64.ln() / 2000.0;
        for met in [true, false] {
            let mut series = ArrivalSeries::default();
            for id in 0..2000 {
                let record = completed(id * 10, [id * 10, id * 10 + 5, id * 10 + 5], 1, 0);
                let verdict = Verdict { ttft: met, tpot: met, tbt: met, e2e: met };
                series.add(&RequestRecord { id: RequestId(id), ..record }, Some(verdict));
            }
            let spread = series.within_run().mean(RequestFigure::Attained).expect("it is long enough");
            let (inward, outward) = if met { (spread.below, spread.above) } else { (spread.above, spread.below) };
            assert!((inward - least).abs() < 1e-12 && outward == 0.0, "{spread:?}");
        }
    }

    #[test]
    fn batch_means_are_students_interval_over_the_means_of_the_stretches() {
        let run = run(2000, noise);
        let means: Vec<f64> = run.batch_sums(RequestFigure::Ttft).iter().map(|(sum, count)| sum / count).collect();
        assert_eq!(means.len(), 20);
        let spread = run.mean(RequestFigure::Ttft).expect("stretches of independent values");
        let expected = super::super::interval::half_width(&means).expect("twenty");
        assert_eq!((spread.method, spread.parts), (IntervalMethod::BatchMeans, 20));
        assert!((spread.below / expected - 1.0).abs() < 1e-9 && (spread.above / expected - 1.0).abs() < 1e-9);
    }

    #[test]
    fn stretches_that_resemble_their_neighbours_are_joined_or_give_no_interval() {
        // Levels that last for two of twenty stretches each.
        let pairs = run(2000, |id| 1000 * noise(id / 200 + 7) + noise(id));
        assert_eq!(pairs.mean(RequestFigure::Ttft).map(|spread| spread.parts), Some(10));
        assert_eq!(run(2000, |id| id).mean(RequestFigure::Ttft), None, "a ramp");
        assert_eq!(run(45, noise).mean(RequestFigure::Ttft), None, "nine stretches of five");
    }

    #[test]
    fn several_runs_together_have_the_interval_of_all_their_stretches() {
        let runs = [run(2000, noise), run(2000, |id| noise(id + 10_000)), run(2000, |id| noise(id + 20_000))];
        let all: Vec<&WithinRun> = runs.iter().collect();
        let (mean, half) = WithinRun::pooled_mean(&all, RequestFigure::Ttft, 0.95).expect("requests");
        let means: Vec<f64> =
            runs.iter().flat_map(|run| run.batch_sums(RequestFigure::Ttft)).map(|(sum, count)| sum / count).collect();
        assert!((mean - means.iter().sum::<f64>() / 60.0).abs() < 1e-9);
        let expected = super::super::interval::half_width(&means).expect("sixty");
        assert!((half.expect("long enough") / expected - 1.0).abs() < 1e-9);
        let short = run(45, noise);
        let (_, none) = WithinRun::pooled_mean(&[&runs[0], &short], RequestFigure::Ttft, 0.95).expect("requests");
        assert_eq!(none, None, "one of them has nine stretches of five");
    }

    #[test]
    fn differences_on_the_same_requests_are_surer_than_the_figures_themselves() {
        let (slow, fast) = (run(2000, |id| 500 + noise(id)), run(2000, |id| 400 + noise(id) + id % 3));
        let difference = slow.mean_difference(&fast, RequestFigure::Ttft).expect("the same requests");
        assert!(difference.below < 0.1 * slow.mean(RequestFigure::Ttft).expect("an interval").below);
        let p90 = slow.quantile_difference(&fast, RequestFigure::Ttft, 0.9).expect("the same requests");
        assert!(p90.below < 5.0 && p90.above < 5.0, "{p90:?}");
        assert_eq!(p90.method, IntervalMethod::BlockBootstrap);
        assert_eq!(slow.mean_difference(&run(1900, noise), RequestFigure::Ttft), None, "not the same requests");
    }

    #[test]
    fn condensed_runs_keep_every_interval_and_the_differences_on_the_same_requests() {
        let (slow, fast) = (run(2000, |id| 500 + noise(id)), run(2000, |id| 400 + noise(id) + id % 3));
        let (kept, other) = (slow.condensed(), fast.condensed());
        assert!(kept.samples.is_none());
        for q in Statistics::QUANTILES {
            let spread = slow.quantile(RequestFigure::Ttft, q);
            assert!(spread.is_some() && kept.quantile(RequestFigure::Ttft, q) == spread, "{q}: {spread:?}");
        }
        assert_eq!(kept.quantile(RequestFigure::Ttft, 0.7), None, "only those that are quoted are kept");
        let difference = slow.mean_difference(&fast, RequestFigure::Ttft);
        assert!(difference.is_some() && kept.mean_difference(&other, RequestFigure::Ttft) == difference);
        let p90 = kept.quantile_difference(&other, RequestFigure::Ttft, 0.9).expect("the same requests");
        assert_eq!(p90.method, IntervalMethod::BatchShares);
        // As sure as the bootstrap, for the noise is common to both.
        let whole = kept.quantile(RequestFigure::Ttft, 0.9).expect("an interval");
        assert!(p90.below < 0.2 * whole.below && (p90.below - p90.above).abs() < 1e-9, "{p90:?} of {whole:?}");
        let shorter = run(1900, noise).condensed();
        assert_eq!(kept.quantile_difference(&shorter, RequestFigure::Ttft, 0.9), None, "not the same requests");
    }

    #[test]
    fn percentiles_have_an_interval_where_enough_lies_beyond_them() {
        let run = run(2000, noise);
        let p99 = run.quantile(RequestFigure::Ttft, 0.99).expect("twenty lie beyond");
        assert_eq!(p99.method, IntervalMethod::BatchShares);
        // Of 2,000 independent values spread evenly over 0 … 1000, the standard error is 1000 √(0.01 · 0.99 ÷ 2000) = 2.2.
        assert!((2.0..9.0).contains(&p99.below) && (2.0..9.0).contains(&p99.above), "{p99:?}");
        assert_eq!(run.quantile(RequestFigure::Ttft, 0.999), None, "two lie beyond");
        assert_eq!(run.quantile(RequestFigure::Attained, 0.5), None, "no percentiles of yes and no");
    }
}
