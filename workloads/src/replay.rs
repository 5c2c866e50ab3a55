//! Replay of a trace: its requests, at its own times or at others.

use crate::arrivals::{ArrivalClock, Arrivals};
use crate::check;
use crate::error::WorkloadError;
use crate::request::{ContentId, Prompt, Request, RequestId, Span};
use crate::row::TraceRow;
use crate::source::Source;
use crate::time::SimTime;

/// How a trace is replayed.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplaySpec {
    /// When its requests arrive.
    pub timing: Timing,
    /// At most this many requests, the first ones; `None`: all.
    pub requests: Option<u64>,
    /// Factor on prompt lengths (1: as they are). Shared blocks are scaled alike, so what was shared stays shared.
    pub input_scale: f64,
    /// Factor on answer lengths (1: as they are).
    pub output_scale: f64,
    /// What to do with a row of no input or no output tokens, which no engine serves.
    pub zero_tokens: ZeroTokens,
}

/// When the requests of a trace arrive.
#[derive(Clone, Debug, PartialEq)]
pub enum Timing {
    /// At the trace's own times, the first row at time zero.
    Own,
    /// At the trace's own times, stretched or squeezed so that the mean rate over the replayed rows, gaps per second,
    /// is this. Reads the replayed rows once before.
    Rate(f64),
    /// As a process says; the trace gives only lengths, content and order.
    Process(Arrivals),
}

/// What to do with a row of no input or no output tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroTokens {
    /// Stop with an error that names the row.
    #[default]
    Refuse,
    /// Leave the row out, and count it.
    Skip,
}

impl Default for ReplaySpec {
    /// Everything as the trace has it.
    fn default() -> Self {
        ReplaySpec {
            timing: Timing::Own,
            requests: None,
            input_scale: 1.0,
            output_scale: 1.0,
            zero_tokens: ZeroTokens::Refuse,
        }
    }
}

impl ReplaySpec {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`WorkloadError::Parameter`] names the one that cannot be and what it must be.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        match &self.timing {
            Timing::Own => {}
            Timing::Rate(rate) => check::rate("replay", "rate", *rate)?,
            Timing::Process(arrivals) => arrivals.validate()?,
        }
        if self.requests == Some(0) {
            return Err(check::wrong("replay", "requests", 0, "at least 1"));
        }
        check::positive("replay", "input_scale", self.input_scale)?;
        check::positive("replay", "output_scale", self.output_scale)
    }
}

/// The rows of a trace that are replayed, in order.
#[derive(Debug)]
struct Rows<I> {
    reader: I,
    origin: String,
    zero_tokens: ZeroTokens,
    left: u64,
    skipped: u64,
    /// Arrival of the row before, where the trace's times matter.
    last: Option<SimTime>,
    timed: bool,
}

impl<I: Iterator<Item = Result<TraceRow, WorkloadError>>> Rows<I> {
    fn new(rows: I, origin: &str, spec: &ReplaySpec) -> Self {
        Rows {
            reader: rows,
            origin: origin.to_owned(),
            zero_tokens: spec.zero_tokens,
            left: spec.requests.unwrap_or(u64::MAX),
            skipped: 0,
            last: None,
            timed: !matches!(spec.timing, Timing::Process(_)),
        }
    }

    fn next(&mut self) -> Result<Option<TraceRow>, WorkloadError> {
        if self.left == 0 {
            return Ok(None);
        }
        while let Some(row) = self.reader.next() {
            let row = row?;
            if let Some(field) = row.zero_field() {
                if self.zero_tokens == ZeroTokens::Refuse {
                    return Err(WorkloadError::ZeroTokens { origin: self.origin.clone(), line: row.line, field });
                }
                self.skipped += 1;
                continue;
            }
            if let Some(last) = self.last.filter(|&last| self.timed && row.arrival < last) {
                let (origin, line, now) = (self.origin.clone(), row.line, row.arrival);
                return Err(WorkloadError::ClockBackwards { origin, line, now, last });
            }
            self.last = Some(row.arrival);
            self.left -= 1;
            return Ok(Some(row));
        }
        Ok(None)
    }
}

/// A [`Source`] that replays the rows of a trace.
///
/// Prompts without spans are unique; answers are never part of a later prompt, since the trace's own spans already say
/// what is shared. The conversation of a row is kept, its time is the trace's: it does not wait for the turn before.
#[derive(Debug)]
pub struct Replay<I> {
    rows: Rows<I>,
    /// Row to be sent next.
    row: Option<TraceRow>,
    times: Times,
    input_scale: f64,
    output_scale: f64,
    issued: u64,
    /// Rows to be sent in all, where that is known.
    total: Option<u64>,
}

#[derive(Debug)]
enum Times {
    /// Of the trace, from its first row on, multiplied.
    Trace {
        first: SimTime,
        factor: f64,
    },
    Process(Box<ArrivalClock>),
}

impl<I: Iterator<Item = Result<TraceRow, WorkloadError>>> Replay<I> {
    /// Replays the rows that `open` yields; `origin` names the trace in errors. `open` is called twice for
    /// [`Timing::Rate`], which needs the trace's own rate first, and once otherwise.
    ///
    /// # Errors
    /// A parameter that cannot be; a trace that is empty, or has no rate to rescale; whatever reading its first row (for
    /// [`Timing::Rate`], every replayed row) finds.
    pub fn new(
        origin: impl Into<String>,
        mut open: impl FnMut() -> Result<I, WorkloadError>,
        spec: &ReplaySpec,
        seed: u64,
    ) -> Result<Self, WorkloadError> {
        spec.validate()?;
        let origin = origin.into();
        let mut total = None;
        let mut factor = 1.0;
        if let Timing::Rate(rate) = spec.timing {
            let (rows, own_rate) = own_rate(Rows::new(open()?, &origin, spec))?;
            total = Some(rows);
            factor = own_rate / rate;
        }
        let mut rows = Rows::new(open()?, &origin, spec);
        let Some(row) = rows.next()? else { return Err(WorkloadError::EmptyTrace { origin, skipped: rows.skipped }) };
        let times = match &spec.timing {
            Timing::Own | Timing::Rate(_) => Times::Trace { first: row.arrival, factor },
            Timing::Process(arrivals) => Times::Process(Box::new(ArrivalClock::new(arrivals, seed)?)),
        };
        let (input_scale, output_scale) = (spec.input_scale, spec.output_scale);
        Ok(Replay { rows, row: Some(row), times, input_scale, output_scale, issued: 0, total })
    }

    /// Rows left out so far because they had no input or no output tokens.
    pub fn skipped(&self) -> u64 {
        self.rows.skipped
    }

    fn prompt(&self, row: TraceRow) -> Prompt {
        let spans = row
            .spans
            .unwrap_or_else(|| vec![Span { content: ContentId::unique(self.issued), tokens: row.input_tokens }]);
        Prompt::new(scale_spans(spans, self.input_scale))
    }
}

/// Rows, and gaps per second between them.
fn own_rate<I>(mut rows: Rows<I>) -> Result<(u64, f64), WorkloadError>
where
    I: Iterator<Item = Result<TraceRow, WorkloadError>>,
{
    let (mut count, mut first) = (0_u64, SimTime::ZERO);
    while let Some(row) = rows.next()? {
        if count == 0 {
            first = row.arrival;
        }
        count += 1;
    }
    if count == 0 {
        return Err(WorkloadError::EmptyTrace { origin: rows.origin, skipped: rows.skipped });
    }
    let span_s = rows.last.map_or(0.0, |last| last.since(first).as_secs_f64());
    if span_s == 0.0 {
        return Err(WorkloadError::NoRate { origin: rows.origin, rows: count });
    }
    Ok((count, (count - 1) as f64 / span_s))
}

/// Scales where spans end, not how long each is: rounding neither adds up nor separates what two prompts share.
fn scale_spans(mut spans: Vec<Span>, factor: f64) -> Vec<Span> {
    let (mut end, mut scaled_end) = (0_u64, 0_u64);
    for span in &mut spans {
        end += u64::from(span.tokens);
        let scaled = ((end as f64 * factor).round() as u64).min(u64::from(u32::MAX));
        span.tokens = (scaled - scaled_end) as u32;
        scaled_end = scaled;
    }
    if scaled_end == 0
        && let Some(first) = spans.first_mut()
    {
        first.tokens = 1;
    }
    spans
}

impl<I: Iterator<Item = Result<TraceRow, WorkloadError>>> Source for Replay<I> {
    fn next_arrival(&mut self) -> Result<Option<SimTime>, WorkloadError> {
        if self.row.is_none() {
            self.row = self.rows.next()?;
        }
        let Some(row) = &self.row else { return Ok(None) };
        Ok(match &mut self.times {
            Times::Trace { first, factor } => {
                let nanos = row.arrival.since(*first).as_nanos();
                // Exact for a factor of 1 below 2^53 ns, 104 days.
                Some(SimTime::from_nanos((nanos as f64 * *factor).round() as u64))
            }
            Times::Process(clock) => clock.peek(),
        })
    }

    fn take(&mut self) -> Request {
        let arrival = self.next_arrival().ok().flatten().expect("a request was announced");
        if let Times::Process(clock) = &mut self.times {
            clock.take();
        }
        let row = self.row.take().expect("the announced request has a row");
        let output_tokens = (f64::from(row.output_tokens) * self.output_scale).round().max(1.0) as u32;
        let session = row.session;
        let prompt = self.prompt(row);
        let number = self.issued;
        self.issued += 1;
        let (id, answer) = (RequestId(number), ContentId::answer(number));
        Request { id, arrival, prompt, output_tokens, answer, session }
    }

    fn ended(&mut self, request: RequestId, now: SimTime) {
        if let Times::Process(clock) = &mut self.times {
            clock.ended(request.0, now);
        }
    }

    fn remaining_hint(&self) -> Option<u64> {
        self.total.map(|total| total - self.issued)
    }
}
