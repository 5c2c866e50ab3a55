//! What is followed of each request.

use serde::{Deserialize, Serialize};

use crate::measures::Verdict;
use crate::record::{Ending, RequestRecord};

/// What is followed of each request: latencies in nanoseconds, and whether objectives were met (0 or 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestFigure {
    /// Time to first token.
    Ttft,
    /// Time from arrival to the last token.
    E2e,
    /// Time before the first step.
    QueueTime,
    /// Time from arrival to the last token per output token.
    NormalizedLatency,
    /// Time per output token after the first; of requests with several.
    Tpot,
    /// Longest gap between two tokens; of requests with several.
    MaxGap,
    /// Gap between two tokens: time from the first to the last, over the gaps in it.
    Gap,
    /// Whether every objective was met.
    Attained,
    /// Whether that on the time to first token was.
    TtftAttained,
    /// Whether that on the time per output token was.
    TpotAttained,
    /// Whether that on the longest gap was.
    TbtAttained,
    /// Whether that on the time to the last token was.
    E2eAttained,
}

/// How many figures there are.
pub(super) const FIGURES: usize = RequestFigure::E2eAttained as usize + 1;

/// How many of them are durations with one value per request, of which percentiles are quoted. They come first.
pub(super) const LATENCIES: usize = RequestFigure::MaxGap as usize + 1;

/// What figures are means over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// Completed requests.
    Completed,
    /// Completed requests of several tokens.
    SeveralTokens,
    /// Gaps between tokens of completed requests.
    Gaps,
    /// All requests, rejected ones included.
    Judged,
}

/// How many bases there are.
pub(super) const BASES: usize = Base::Judged as usize + 1;

impl RequestFigure {
    /// Those of which percentiles are quoted.
    pub(super) const LATENCIES: [Self; LATENCIES] =
        [Self::Ttft, Self::E2e, Self::QueueTime, Self::NormalizedLatency, Self::Tpot, Self::MaxGap];

    /// What it is a mean over.
    pub(super) fn base(self) -> Base {
        match self {
            Self::Ttft | Self::E2e | Self::QueueTime | Self::NormalizedLatency => Base::Completed,
            Self::Tpot | Self::MaxGap => Base::SeveralTokens,
            Self::Gap => Base::Gaps,
            Self::Attained | Self::TtftAttained | Self::TpotAttained | Self::TbtAttained | Self::E2eAttained => {
                Base::Judged
            }
        }
    }
}

/// The latencies of a completed request in nanoseconds, in the order of [`RequestFigure`]; `None` where it has none.
#[inline]
pub(super) fn latencies(record: &RequestRecord) -> [Option<u64>; LATENCIES] {
    let tpot = record.tpot();
    [
        Some(record.ttft()),
        Some(record.e2e()),
        Some(record.queue_time()),
        record.normalized_latency(),
        tpot,
        tpot.map(|_| record.max_gap),
    ]
    .map(|latency| latency.map(workloads::SimDuration::as_nanos))
}

/// All figures of a request as terms of their sums, and what it adds to each base.
#[inline]
pub(super) fn terms(record: &RequestRecord, verdict: Option<Verdict>) -> ([f64; FIGURES], [f64; BASES]) {
    let (mut terms, mut bases) = ([0.0; FIGURES], [0.0; BASES]);
    bases[Base::Judged as usize] = 1.0;
    let (Ending::Completed, Some(verdict)) = (record.ending, verdict) else { return (terms, bases) };
    bases[Base::Completed as usize] = 1.0;
    for (term, latency) in terms.iter_mut().zip(latencies(record)) {
        *term = latency.unwrap_or(0) as f64;
    }
    if record.output_tokens > 1 {
        bases[Base::SeveralTokens as usize] = 1.0;
        bases[Base::Gaps as usize] = f64::from(record.output_tokens - 1);
        terms[RequestFigure::Gap as usize] = (record.last_token - record.first_token).as_nanos() as f64;
    }
    let attained = [verdict.all(), verdict.ttft, verdict.tpot, verdict.tbt, verdict.e2e];
    for (term, met) in terms[RequestFigure::Attained as usize..].iter_mut().zip(attained) {
        *term = f64::from(u8::from(met));
    }
    (terms, bases)
}
