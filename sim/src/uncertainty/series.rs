//! Requests in the order in which they arrive, in bounded memory.

use workloads::SimTime;

use super::cell::{Cell, stretches};
use super::figure::terms;
use super::samples::Samples;
use super::steadiness::{self, Steadiness, WarmUp};
use super::within::{BATCHES, FEWEST_BATCHES, WithinRun};
use crate::measures::Verdict;
use crate::record::{Ending, RequestRecord};

/// Sums over stretches of requests that arrived one after the other: five each, and twice as many whenever there are more than
/// [`ArrivalSeries::CELLS`] stretches. 0.6 MB at most, and 1.8 MB more with samples.
#[derive(Clone, Debug, Default)]
pub struct ArrivalSeries {
    /// A cell holds 5 · 2^`doublings` requests.
    doublings: u32,
    /// By the number of the request over the size of a cell.
    cells: Vec<Cell>,
    samples: Option<Samples>,
    arrivals: Option<(SimTime, SimTime)>,
}

impl ArrivalSeries {
    /// Most stretches that are told apart.
    pub const CELLS: usize = 4096;

    /// Requests of the smallest stretch: the five of MSER-5.
    pub const SMALLEST: u64 = 5;

    /// Keeps the latencies of single requests too (of every other one where there are more than 32,768, and so on), of which
    /// intervals of percentiles are made.
    pub fn keep_samples(&mut self) {
        self.samples.get_or_insert_default();
    }

    /// Adds a request that has ended; `verdict` is `None` for rejected ones. Requests are numbered in order of arrival.
    #[inline]
    pub fn add(&mut self, record: &RequestRecord, verdict: Option<Verdict>) {
        let mut cell = self.cell_of(record.id.0);
        if cell >= self.cells.len() {
            while cell >= Self::CELLS {
                self.halve();
                cell = self.cell_of(record.id.0);
            }
            self.cells.resize(self.cells.len().max(cell + 1), Cell::default());
        }
        self.cells[cell].add(&terms(record, verdict), record.arrival);
        let (first, last) = self.arrivals.unwrap_or((record.arrival, record.arrival));
        self.arrivals = Some((first.min(record.arrival), last.max(record.arrival)));
        if record.ending == Ending::Completed
            && let Some(samples) = &mut self.samples
        {
            samples.add(record);
        }
    }

    fn cell_of(&self, request: u64) -> usize {
        ((request / Self::SMALLEST) >> self.doublings) as usize
    }

    #[cold]
    fn halve(&mut self) {
        self.doublings += 1;
        self.cells = stretches_of_two(&self.cells);
    }

    /// Times of the first and the last arrival; `None` without requests.
    pub fn arrivals(&self) -> Option<(SimTime, SimTime)> {
        self.arrivals
    }

    /// The stretches that hold requests, from the first to the last, and the number of the first.
    fn held(&self) -> (usize, &[Cell]) {
        let first = self.cells.iter().position(|cell| cell.arrival != SimTime::MAX).unwrap_or(self.cells.len());
        (first, &self.cells[first..])
    }

    /// What MSER-5 leaves out at the beginning; `None` of fewer than 10 stretches.
    pub fn warm_up(&self) -> Option<WarmUp> {
        let requests_per_cell = Self::SMALLEST << self.doublings;
        steadiness::warm_up(self.held().1, requests_per_cell)
    }

    /// Whether the run became steady.
    pub fn steadiness(&self) -> Steadiness {
        let at_once = self.arrivals.is_some_and(|(first, last)| first == last);
        if at_once { Steadiness::Batch } else { steadiness::steadiness(self.held().1) }
    }

    /// What is kept of it beside a summary.
    pub fn within_run(&self) -> WithinRun {
        let (first, held) = self.held();
        let batches = [BATCHES, FEWEST_BATCHES].into_iter().find(|batches| held.len() >= *batches);
        let cell = Self::SMALLEST << self.doublings;
        WithinRun {
            batches: batches.map(|batches| stretches(held, batches)).unwrap_or_default(),
            total: stretches(held, 1)[0],
            cells: held.len(),
            first_request: first as u64 * cell,
            requests_per_cell: cell,
            samples: self.samples.clone(),
            kept: Vec::new(),
            arrivals: self.arrivals,
        }
    }
}

pub(super) fn stretches_of_two(cells: &[Cell]) -> Vec<Cell> {
    let pairs = cells.chunks(2).map(|pair| {
        let mut sum = pair[0];
        pair[1..].iter().for_each(|cell| sum.merge(cell));
        sum
    });
    pairs.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use workloads::RequestId;

    use super::super::figure::RequestFigure;
    use super::*;
    use crate::measures::Slos;
    use crate::measures::collector_tests::completed;

    fn request(id: u64, e2e: u64) -> RequestRecord {
        let arrival = id * 1000;
        RequestRecord { id: RequestId(id), ..completed(arrival, [arrival, arrival, arrival + e2e], 3, 1) }
    }

    /// Adds a completed request.
    pub(in crate::uncertainty) fn add(series: &mut ArrivalSeries, record: &RequestRecord) {
        series.add(record, Some(Slos::default().judge(record)));
    }

    #[test]
    fn memory_is_bounded_and_no_request_is_lost_in_whatever_order_they_end() {
        let mut series = ArrivalSeries::default();
        let requests = 5 * ArrivalSeries::CELLS as u64 * 3;
        for id in (0..requests).rev() {
            add(&mut series, &request(id, id));
        }
        assert!(series.cells.len() <= ArrivalSeries::CELLS && series.doublings == 2);
        let judged: f64 = series.cells.iter().map(|cell| cell.base(RequestFigure::Attained)).sum();
        assert!((judged - requests as f64).abs() < 0.5, "{judged}");
        let mut forwards = ArrivalSeries::default();
        (0..requests).for_each(|id| add(&mut forwards, &request(id, id)));
        assert_eq!(forwards.cells, series.cells);
    }

    #[test]
    fn stretches_before_the_first_measured_request_do_not_count() {
        let mut series = ArrivalSeries::default();
        (1000..1200).for_each(|id| add(&mut series, &request(id, 50)));
        assert_eq!(series.held().1.len(), 40);
        assert_eq!(series.within_run().batches.len(), BATCHES);
        assert_eq!(series.within_run().first_request, 1000);
    }
}
