//! Whether a run became steady, or had more to do than it could.

use serde::{Deserialize, Serialize};
use workloads::SimDuration;

use super::cell::{Cell, stretches};
use super::figure::RequestFigure;
use super::mser::mser;

/// Latencies that are looked at: a growing queue shows in the first, a growing batch in the second.
const LOOKED_AT: [RequestFigure; 2] = [RequestFigure::Ttft, RequestFigure::E2e];

/// Stretches in which a trend is looked for.
const STRETCHES: usize = 20;

/// Kendall's τ of the means of the stretches with time from which a run counts as overloaded, if they also grow by [`GROWTH`].
///
/// M/M/1 queues, 400 runs each: at a load of 0.8 none of 10,000 requests and 0.25 % of those of 2,000 are taken for overloaded,
/// at 0.9 none and 0.5 %; at 1.05 it is 95 % and 63 %, at 1.1 all and 88 %.
const OVERLOADED_TREND: f64 = 0.6;

/// Least ratio of the last quarter of an overloaded run to the second: that of growth from nothing at a constant pace is 2.3.
const GROWTH: f64 = 1.5;

/// τ from which a late cut by MSER is believed: alone, it comes by chance in 20 % of runs of 500 requests through an M/M/1 queue at a
/// load of 0.5; together in 0.8 % of them, and in 2 % of runs of 2,000 at a load of 0.8.
const UNSTEADY_TREND: f64 = 0.3;

/// What a run was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Steadiness {
    /// All requests were there at once: nothing is meant to be steady.
    Batch,
    /// Too few requests to tell.
    Short,
    /// Nothing speaks against it.
    Steady,
    /// It changed through all of its length: MSER would leave out more than half of it.
    Unsteady,
    /// Requests came faster than they were served: latencies grew through all of it.
    Overloaded,
}

impl Steadiness {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Short => "short",
            Self::Steady => "steady",
            Self::Unsteady => "unsteady",
            Self::Overloaded => "overloaded",
        }
    }
}

/// The beginning of a run that MSER leaves out, as the larger of the cuts for time to first token and end-to-end latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmUp {
    /// Requests in it.
    pub requests: u64,
    /// From the first arrival to that of the first request after it.
    pub time: SimDuration,
    /// Whether it is more than half of the run, so that nothing is gained by leaving it out.
    pub beyond_half: bool,
}

pub(super) fn warm_up(cells: &[Cell], requests_per_cell: u64) -> Option<WarmUp> {
    let cuts = LOOKED_AT.map(|figure| {
        let known: Vec<(usize, f64)> =
            cells.iter().enumerate().filter_map(|(number, cell)| Some((number, cell.mean(figure)?))).collect();
        let means: Vec<f64> = known.iter().map(|(_, mean)| *mean).collect();
        Some(known[mser(&means)?].0)
    });
    let cut = cuts.into_iter().flatten().max()?;
    let arrival = cells[cut..].iter().map(|cell| cell.arrival).min()?;
    Some(WarmUp {
        requests: cut as u64 * requests_per_cell,
        time: arrival - cells.first()?.arrival,
        beyond_half: cut > cells.len() / 2,
    })
}

pub(super) fn steadiness(cells: &[Cell]) -> Steadiness {
    if cells.len() < STRETCHES {
        return Steadiness::Short;
    }
    let parts = stretches(cells, STRETCHES);
    // A stretch in which every request was rejected has no latency, and says nothing of the others.
    let trends = LOOKED_AT.map(|figure| parts.iter().filter_map(|part| part.mean(figure)).collect::<Vec<f64>>());
    if trends.iter().any(|means| means.len() < STRETCHES / 2) {
        return Steadiness::Short;
    }
    if trends.iter().any(|means| kendall(means) >= OVERLOADED_TREND && growth(means) >= GROWTH) {
        return Steadiness::Overloaded;
    }
    let late = warm_up(cells, 1).is_some_and(|warm_up| warm_up.beyond_half);
    if late && trends.iter().any(|means| kendall(means).abs() >= UNSTEADY_TREND) {
        return Steadiness::Unsteady;
    }
    Steadiness::Steady
}

/// Kendall's rank correlation τ of values with their order: 1 if they only grow, −1 if they only fall.
fn kendall(values: &[f64]) -> f64 {
    let mut sum = 0_i32;
    for (place, early) in values.iter().enumerate() {
        for late in &values[place + 1..] {
            sum += match late.total_cmp(early) {
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => 1,
            };
        }
    }
    f64::from(sum) / (values.len() * (values.len() - 1) / 2) as f64
}

/// Mean of the last quarter over that of the second.
fn growth(means: &[f64]) -> f64 {
    let quarter = means.len() / 4;
    let sum = |from: usize| means[from..from + quarter].iter().sum::<f64>();
    sum(means.len() - quarter) / sum(quarter)
}

#[cfg(test)]
mod tests {
    use workloads::{RequestId, SimTime};

    use super::super::series::ArrivalSeries;
    use super::super::series::tests::add;
    use super::*;
    use crate::measures::collector_tests::completed;
    use crate::record::RequestRecord;

    /// A queue of one server: requests come every `gap`, each is served for 70 to 130.
    fn queue(gap: u64, requests: u64) -> ArrivalSeries {
        let mut series = ArrivalSeries::default();
        let mut free = 0;
        for id in 0..requests {
            let arrival = id * gap;
            let start = free.max(arrival);
            free = start + 70 + (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 61;
            let record = completed(arrival, [start, free, free], 1, 0);
            add(&mut series, &RequestRecord { id: RequestId(id), ..record });
        }
        series
    }

    #[test]
    fn a_queue_that_grows_is_overloaded_and_one_that_does_not_is_steady() {
        assert_eq!(queue(90, 2000).steadiness(), Steadiness::Overloaded);
        assert_eq!(queue(110, 2000).steadiness(), Steadiness::Steady);
        assert_eq!(queue(90, 60).steadiness(), Steadiness::Short);
        assert_eq!(queue(0, 2000).steadiness(), Steadiness::Batch);
    }

    #[test]
    fn rejections_that_fill_a_stretch_do_not_hide_that_a_queue_grows() {
        let mut series = ArrivalSeries::default();
        for id in 0..2000_u64 {
            let (arrival, wait) = (id * 10, 100 + id * 5);
            let record = completed(arrival, [arrival, arrival + wait, arrival + wait], 1, 0);
            let record = RequestRecord { id: RequestId(id), ..record };
            if (500..620).contains(&id) { series.add(&record, None) } else { add(&mut series, &record) }
        }
        assert_eq!(series.steadiness(), Steadiness::Overloaded);
    }

    #[test]
    fn a_slow_beginning_is_left_out_up_to_the_request_with_which_it_ends() {
        let mut series = ArrivalSeries::default();
        for id in 0..1000 {
            let e2e = if id < 100 { 5000 } else { 500 };
            let record = completed(id * 10, [id * 10, id * 10 + e2e, id * 10 + e2e], 1, 0);
            add(&mut series, &RequestRecord { id: RequestId(id), ..record });
        }
        let warm_up = series.warm_up().expect("enough requests");
        assert_eq!((warm_up.requests, warm_up.beyond_half), (100, false));
        assert_eq!(warm_up.time, SimTime::from_nanos(1000) - SimTime::ZERO);
        assert_eq!(series.steadiness(), Steadiness::Steady);
    }

    #[test]
    fn a_run_that_slows_down_all_along_without_growing_much_is_unsteady() {
        let mut series = ArrivalSeries::default();
        for id in 0..1000_u64 {
            let e2e = 10_000 + id;
            let record = completed(id * 10, [id * 10, id * 10 + e2e, id * 10 + e2e], 1, 0);
            add(&mut series, &RequestRecord { id: RequestId(id), ..record });
        }
        assert_eq!(series.steadiness(), Steadiness::Unsteady);
        assert!(series.warm_up().is_some_and(|warm_up| warm_up.beyond_half));
    }

    #[test]
    fn kendalls_tau_is_one_of_a_ramp_and_nothing_of_what_goes_up_and_down() {
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}");
        close(kendall(&[1.0, 2.0, 3.0, 4.0]), 1.0);
        close(kendall(&[4.0, 3.0, 2.0, 1.0]), -1.0);
        // Pairs: 1<3, 1<2, 1<4, 3>2, 3<4, 2<4.
        close(kendall(&[1.0, 3.0, 2.0, 4.0]), 4.0 / 6.0);
        close(kendall(&[7.0; 5]), 0.0);
    }
}
