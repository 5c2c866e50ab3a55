//! The observer that collects what requests experienced.

use workloads::{SimDuration, SimTime};

use super::distribution::Distribution;
use super::histogram::WeightedHistogram;
use super::slo::Slos;
use crate::record::{Ending, GapsOf, Observer, RequestRecord};
use crate::uncertainty::ArrivalSeries;

/// A stretch of simulated time to measure in: from `start` on, up to but without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first moment.
    pub start: SimTime,
    /// The first moment after it.
    pub end: SimTime,
}

impl Window {
    /// Whether `moment` lies in it.
    pub fn contains(&self, moment: SimTime) -> bool {
        self.start <= moment && moment < self.end
    }
}

/// Collects latencies, gaps, tokens and attainment of a run.
///
/// With a [`Window`], latencies, gaps between tokens and attainment are those of requests that *arrive* in it; rates
/// (throughput, goodput) count requests whose *last token* lies in it. Energy, cost and utilisation come from the
/// [`Outcome`](crate::Outcome) and are always those of the whole run.
///
/// Memory is bounded by nine distributions, 17 MB, and the series of arrivals, 0.6 MB, or 2.4 MB with samples.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    slos: Slos,
    window: Option<Window>,
    pub(super) ttft: Distribution,
    pub(super) tpot: Distribution,
    pub(super) e2e: Distribution,
    pub(super) normalized_latency: Distribution,
    pub(super) queue_time: Distribution,
    pub(super) max_gap: Distribution,
    pub(super) transfer_time: Distribution,
    pub(super) handover_wait: Distribution,
    pub(super) gaps: WeightedHistogram,
    pub(super) attained: Attained,
    pub(super) whole_run: Served,
    pub(super) in_window: Served,
    pub(super) series: ArrivalSeries,
}

/// Requests judged, and how many met each objective. Rejected requests meet none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attained {
    pub(super) judged: u64,
    pub(super) all: u64,
    pub(super) ttft: u64,
    pub(super) tpot: u64,
    pub(super) tbt: u64,
    pub(super) e2e: u64,
}

/// Completed requests and their tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) requests: u64,
    /// Those of them that met every objective.
    pub(super) good_requests: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
}

impl Served {
    fn add(&mut self, record: &RequestRecord, good: bool) {
        self.requests += 1;
        self.good_requests += u64::from(good);
        self.input_tokens += u64::from(record.input_tokens);
        self.output_tokens += u64::from(record.output_tokens);
    }
}

impl Measures {
    /// Collects with these objectives, in `window` or, without one, over the whole run.
    pub fn new(slos: Slos, window: Option<Window>) -> Self {
        Measures { slos, window, ..Self::default() }
    }

    /// Keeps what intervals of percentiles within one run are made of, too: see [`ArrivalSeries::keep_samples`].
    #[must_use]
    pub fn with_samples(mut self) -> Self {
        self.series.keep_samples();
        self
    }

    /// What was measured in the order of arrival.
    pub fn series(&self) -> &ArrivalSeries {
        &self.series
    }

    /// The objectives it judges by.
    pub fn slos(&self) -> &Slos {
        &self.slos
    }

    /// The window it measures in, if it is not the whole run.
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// Times to the first token, one per request.
    pub fn ttft(&mut self) -> &mut Distribution {
        &mut self.ttft
    }

    /// Times per output token, one per request with more than one.
    pub fn tpot(&mut self) -> &mut Distribution {
        &mut self.tpot
    }

    /// Times from arrival to the last token, one per request.
    pub fn e2e(&mut self) -> &mut Distribution {
        &mut self.e2e
    }

    /// Times before the first step, one per request.
    pub fn queue_time(&mut self) -> &mut Distribution {
        &mut self.queue_time
    }

    /// Gaps between consecutive tokens (TBT, also called ITL), all of all requests that are measured.
    pub fn gaps(&self) -> &WeightedHistogram {
        &self.gaps
    }

    fn measured(&self, moment: SimTime) -> bool {
        self.window.is_none_or(|window| window.contains(moment))
    }

    fn add_latencies(&mut self, record: &RequestRecord) {
        self.ttft.add(record.ttft());
        self.e2e.add(record.e2e());
        self.queue_time.add(record.queue_time());
        if let Some(latency) = record.normalized_latency() {
            self.normalized_latency.add(latency);
        }
        if let Some(handover) = &record.handover {
            self.transfer_time.add(handover.transfer_time());
            self.handover_wait.add(handover.wait());
        }
        if let Some(tpot) = record.tpot() {
            self.tpot.add(tpot);
            self.max_gap.add(record.max_gap);
        }
    }
}

impl Observer for Measures {
    fn gaps_of(&self) -> GapsOf {
        GapsOf::of(self.window)
    }

    fn request(&mut self, record: &RequestRecord) {
        let arrived_inside = self.measured(record.arrival);
        if let Ending::Rejected(_) = record.ending {
            if arrived_inside {
                self.attained.judged += 1;
                self.series.add(record, None);
            }
            return;
        }
        let verdict = self.slos.judge(record);
        self.whole_run.add(record, verdict.all());
        if self.measured(record.last_token) {
            self.in_window.add(record, verdict.all());
        }
        if arrived_inside {
            self.attained.judged += 1;
            self.attained.all += u64::from(verdict.all());
            self.attained.ttft += u64::from(verdict.ttft);
            self.attained.tpot += u64::from(verdict.tpot);
            self.attained.tbt += u64::from(verdict.tbt);
            self.attained.e2e += u64::from(verdict.e2e);
            self.add_latencies(record);
            self.series.add(record, Some(verdict));
        }
    }

    #[inline]
    fn gaps(&mut self, _: SimTime, gap: SimDuration, requests: u64) {
        self.gaps.add(gap, requests);
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the figures of these examples are exact in floating point")]
pub(crate) mod tests {
    use workloads::RequestId;

    use super::*;
    use crate::record::Rejection;

    /// A completed request: arrival, then `[first scheduled, first token, last token]`, all in nanoseconds.
    pub(crate) fn completed(
        arrival: u64,
        [first_scheduled, first_token, last_token]: [u64; 3],
        output_tokens: u32,
        max_gap: u64,
    ) -> RequestRecord {
        RequestRecord {
            id: RequestId(0),
            session: None,
            ending: Ending::Completed,
            replica: 0,
            arrival: SimTime::from_nanos(arrival),
            first_scheduled: SimTime::from_nanos(first_scheduled),
            first_token: SimTime::from_nanos(first_token),
            last_token: SimTime::from_nanos(last_token),
            input_tokens: 1000,
            cached_tokens: 0,
            output_tokens,
            preemptions: 0,
            max_gap: SimDuration::from_nanos(max_gap),
            energy_nj: 0,
            handover: None,
        }
    }

    pub(in crate::measures) fn rejected(arrival: u64) -> RequestRecord {
        let ending = Ending::Rejected(Rejection::ExceedsKvCache);
        RequestRecord { ending, output_tokens: 0, ..completed(arrival, [arrival; 3], 0, 0) }
    }

    fn window(start: u64, end: u64) -> Window {
        Window { start: SimTime::from_nanos(start), end: SimTime::from_nanos(end) }
    }

    #[test]
    fn latencies_are_taken_from_the_right_moments() {
        let mut measures = Measures::default();
        measures.request(&completed(100, [110, 150, 250], 3, 60));
        let mean = |distribution: &mut Distribution| distribution.statistics().expect("one request").mean_ns;
        assert_eq!(mean(&mut measures.queue_time), 10.0);
        assert_eq!(mean(&mut measures.ttft), 50.0);
        assert_eq!(mean(&mut measures.tpot), 50.0);
        assert_eq!(mean(&mut measures.e2e), 150.0);
        assert_eq!(mean(&mut measures.normalized_latency), 50.0);
        assert_eq!(mean(&mut measures.max_gap), 60.0);
    }

    #[test]
    fn one_token_answers_are_left_out_of_tpot_rather_than_counted_as_zero() {
        let mut measures = Measures::default();
        measures.request(&completed(0, [10, 50, 50], 1, 0));
        measures.request(&completed(0, [10, 50, 80], 2, 30));
        assert_eq!((measures.ttft.count(), measures.tpot.count(), measures.max_gap.count()), (2, 1, 1));
    }

    #[test]
    fn rejected_requests_have_no_latency_and_miss_the_objectives() {
        let mut measures = Measures::new(Slos { ttft: Some(SimDuration::from_nanos(60)), ..Slos::default() }, None);
        measures.request(&completed(0, [10, 50, 80], 2, 30));
        measures.request(&rejected(5));
        assert_eq!(measures.ttft.count(), 1);
        assert_eq!((measures.attained.judged, measures.attained.all), (2, 1));
        assert_eq!(measures.whole_run.input_tokens, 1000);
    }

    #[test]
    fn a_window_takes_latencies_by_arrival_and_rates_by_the_last_token() {
        let mut measures = Measures::new(Slos::default(), Some(window(100, 200)));
        measures.request(&completed(50, [60, 70, 150], 4, 30));
        measures.request(&completed(100, [110, 120, 200], 4, 30));
        measures.request(&completed(199, [210, 220, 230], 4, 30));
        assert_eq!(measures.ttft.count(), 2, "the second and third arrive inside");
        assert_eq!(measures.in_window.requests, 1, "only the first ends inside");
        assert_eq!(measures.whole_run.requests, 3);
    }
}
