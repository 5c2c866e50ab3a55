//! The requests of one run, and what has to be said of them when it is over.

use std::sync::{Arc, Mutex};

use workloads::trace::Skipped;
use workloads::{Request, RequestId, SimTime, Source, TraceReader, TraceRow, WorkloadError};

/// Least share of the rate asked of sessions that is met without a word: below it a run is a burst of first turns and a
/// long tail of later ones rather than traffic at that rate.
const LEAST_SHARE_OF_RATE: f64 = 0.8;

/// The requests of one run.
pub(crate) struct Requests {
    source: Box<dyn Source>,
    left_out: Arc<Mutex<Skipped>>,
    /// Requests per second asked of sessions.
    session_rate: Option<f64>,
    taken: u64,
    first_and_last: Option<(SimTime, SimTime)>,
}

impl Source for Requests {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        self.source.next_arrival()
    }

    fn take(&mut self) -> Request {
        let request = self.source.take();
        self.taken += 1;
        let first = self.first_and_last.map_or(request.arrival, |(first, _)| first);
        self.first_and_last = Some((first, request.arrival));
        request
    }

    fn ended(&mut self, request: RequestId, now: SimTime) {
        self.source.ended(request, now);
    }

    fn remaining_hint(&self) -> Option<u64> {
        self.source.remaining_hint()
    }
}

impl Requests {
    /// Those of `source`; of a trace, `left_out` is filled when its rows are dropped. `session_rate` is the mean rate asked
    /// of a workload of sessions.
    pub(super) fn new(source: Box<dyn Source>, left_out: Arc<Mutex<Skipped>>, session_rate: Option<f64>) -> Self {
        Requests { source, left_out, session_rate, taken: 0, first_and_last: None }
    }

    /// What was left out of the trace, and whether sessions came at the rate asked of them.
    pub(crate) fn remarks(self) -> Vec<String> {
        let slow = self.slower_than_asked();
        // Its rows report when they are dropped.
        drop(self.source);
        let skipped = self.left_out.lock().ok().and_then(|skipped| left_out(&skipped));
        skipped.into_iter().chain(slow).collect()
    }

    fn slower_than_asked(&self) -> Option<String> {
        let (asked, (first, last)) = (self.session_rate?, self.first_and_last?);
        let span_s = last.since(first).as_secs_f64();
        let came = (self.taken - 1) as f64 / span_s;
        (span_s > 0.0 && came < LEAST_SHARE_OF_RATE * asked).then(|| {
            format!(
                "warning: requests came at {came:.3} a second over {span_s:.0} s, not at the {asked:.3} its arrivals make in the long run: later turns of \
                 sessions wait for answers and think times, and the last ones trail behind the last session; ask for more \
                 requests, and take rates and percentiles of the early part for those of the load asked"
            )
        })
    }
}

/// What was left out of a trace, in a sentence.
pub(crate) fn left_out(skipped: &Skipped) -> Option<String> {
    let counts = [(skipped.bad_rows, "malformed"), (skipped.failed_requests, "of failed requests")];
    let counts: Vec<_> =
        counts.iter().filter(|(rows, _)| *rows > 0).map(|(rows, what)| format!("{rows} {what}")).collect();
    let mut lines = vec![format!("warning: rows of the trace left out: {}", counts.join(", "))];
    lines.extend_from_slice(&skipped.examples);
    (!counts.is_empty()).then(|| lines.join("\n  "))
}

/// The rows of a trace; what is left out of them is told when they are dropped.
pub(super) struct Watched {
    pub(super) rows: TraceReader,
    pub(super) left_out: Arc<Mutex<Skipped>>,
}

impl Iterator for Watched {
    type Item = Result<TraceRow, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Ok(mut left_out) = self.left_out.lock() {
            left_out.clone_from(self.rows.skipped());
        }
    }
}
