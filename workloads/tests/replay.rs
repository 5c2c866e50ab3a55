//! Replay of trace rows: whose times they get, and which traces are refused.

use proptest::prelude::*;
use workloads::{
    Arrivals, ContentId, Replay, ReplaySpec, Request, RequestLengths, SessionId, SimTime, Source, Span, Timing,
    TraceRow, Unserved, WorkloadError, ZeroTokens,
};

fn row(line: u64, arrival_s: f64, input_tokens: u32, output_tokens: u32) -> TraceRow {
    let arrival = SimTime::from_secs_f64(arrival_s);
    TraceRow { arrival, input_tokens, output_tokens, spans: None, session: None, line }
}

/// Five requests in 8 seconds, the first at 2 s.
fn five() -> Vec<TraceRow> {
    [2.0, 3.0, 3.0, 7.0, 10.0].into_iter().zip(2..).map(|(s, line)| row(line, s, 100 * line as u32, 10)).collect()
}

type Rows = std::iter::Map<std::vec::IntoIter<TraceRow>, fn(TraceRow) -> Result<TraceRow, WorkloadError>>;

fn replay(rows: &[TraceRow], spec: &ReplaySpec) -> Result<Replay<Rows>, WorkloadError> {
    let rows = rows.to_vec();
    Replay::new("trace.csv", move || Ok(rows.clone().into_iter().map(Ok as fn(_) -> _)), spec, 1)
}

fn all(rows: &[TraceRow], spec: &ReplaySpec) -> Vec<Request> {
    Unserved::new(replay(rows, spec).unwrap()).map(Result::unwrap).collect()
}

fn message(rows: &[TraceRow], spec: &ReplaySpec) -> String {
    match replay(rows, spec) {
        Err(error) => error.to_string(),
        Ok(replay) => Unserved::new(replay).find_map(Result::err).expect("an error").to_string(),
    }
}

fn timed(timing: Timing) -> ReplaySpec {
    ReplaySpec { timing, ..ReplaySpec::default() }
}

fn arrivals(requests: &[Request]) -> Vec<f64> {
    requests.iter().map(|request| request.arrival.as_secs_f64()).collect()
}

#[test]
fn rows_come_at_their_own_times_from_zero_on() {
    let requests = all(&five(), &ReplaySpec::default());
    assert_eq!(arrivals(&requests), [0.0, 1.0, 1.0, 5.0, 8.0]);
    assert_eq!(requests.iter().map(|r| r.prompt.tokens()).collect::<Vec<_>>(), [200, 300, 400, 500, 600]);
    let mut contents: Vec<u64> = requests.iter().map(|r| r.prompt.spans()[0].content.0).collect();
    contents.dedup();
    assert_eq!(contents.len(), 5, "prompts without spans share nothing");
}

#[test]
fn rescaling_keeps_the_pattern_and_meets_the_rate() {
    let requests = all(&five(), &timed(Timing::Rate(4.0)));
    assert_eq!(arrivals(&requests), [0.0, 0.125, 0.125, 0.625, 1.0], "four gaps in one second");
    let first_three = ReplaySpec { requests: Some(3), ..timed(Timing::Rate(4.0)) };
    assert_eq!(arrivals(&all(&five(), &first_three)), [0.0, 0.5, 0.5], "the rate is that of the replayed rows");
    assert_eq!(replay(&five(), &first_three).unwrap().remaining_hint(), Some(3));
}

#[test]
fn a_process_replaces_the_times_and_nothing_else() {
    let requests = all(&five(), &timed(Timing::Process(Arrivals::Constant { rate: 2.0 })));
    assert_eq!(arrivals(&requests), [0.0, 0.5, 1.0, 1.5, 2.0]);
    let mut closed = replay(&five(), &timed(Timing::Process(Arrivals::closed_loop(2).unwrap()))).unwrap();
    let (first, _) = (closed.take(), closed.take());
    assert_eq!(closed.next_arrival().unwrap(), None);
    closed.ended(first.id, SimTime::from_secs_f64(9.0));
    assert_eq!(closed.take().arrival, SimTime::from_secs_f64(9.0));
}

#[test]
fn spans_and_sessions_of_the_trace_are_kept_and_scaled_alike() {
    let span = |content, tokens| Span { content: ContentId::from_trace(content).unwrap(), tokens };
    let mut rows = vec![row(1, 0.0, 1100, 7), row(2, 1.0, 1030, 1)];
    rows[0].spans = Some(vec![span(0, 512), span(1, 512), span(2, 76)]);
    rows[1].spans = Some(vec![span(0, 512), span(1, 512), span(3, 6)]);
    rows[1].session = Some(SessionId(77));
    let halved = ReplaySpec { input_scale: 0.3, output_scale: 0.1, ..ReplaySpec::default() };
    let requests = all(&rows, &halved);
    assert_eq!(requests[0].prompt.spans(), [span(0, 154), span(1, 153), span(2, 23)], "ends at 153.6, 307.2, 330");
    assert_eq!(requests[1].prompt.spans()[..2], requests[0].prompt.spans()[..2], "what was shared stays shared");
    assert_eq!((requests[0].output_tokens, requests[1].output_tokens), (1, 1), "an answer has a token at least");
    assert_eq!(requests[1].session, Some(SessionId(77)));
}

#[test]
fn a_clock_that_goes_backwards_is_refused_with_its_line() {
    let mut rows = five();
    rows[3].arrival = SimTime::from_secs_f64(2.5);
    let expected = "trace.csv, line 5: this request arrives at 2.500000000 s, before the one above it at 3.000000000 \
                    s; sort the trace by time";
    assert_eq!(message(&rows, &ReplaySpec::default()), expected);
    assert_eq!(message(&rows, &timed(Timing::Rate(1.0))), expected);
    let other_times = timed(Timing::Process(Arrivals::AllAtOnce));
    assert_eq!(all(&rows, &other_times).len(), 5, "times that are not used may be anything");
}

#[test]
fn a_row_without_tokens_is_refused_or_left_out_and_counted() {
    let mut rows = five();
    rows[1].output_tokens = 0;
    rows[4].input_tokens = 0;
    assert_eq!(
        message(&rows, &ReplaySpec::default()),
        "trace.csv, line 3: output tokens are 0, and a request has at least 1; leave such rows out"
    );
    let skip = ReplaySpec { zero_tokens: ZeroTokens::Skip, ..ReplaySpec::default() };
    let mut source = replay(&rows, &skip).unwrap();
    let mut sent = 0;
    while source.next_arrival().unwrap().is_some() {
        source.take();
        sent += 1;
    }
    assert_eq!((sent, source.skipped()), (3, 2));
    for row in &mut rows {
        row.output_tokens = 0;
    }
    assert_eq!(
        message(&rows, &skip),
        "trace.csv: the trace has no request but 5 of no input or no output tokens, which were left out"
    );
}

#[test]
fn the_pairs_of_a_trace_can_be_drawn_from() {
    let mut rows = five();
    rows[1].output_tokens = 0;
    let lengths = |rule| RequestLengths::resampled("trace.csv", rows.clone().into_iter().map(Ok), rule);
    let pairs = vec![(200, 10), (400, 10), (500, 10), (600, 10)];
    assert_eq!(lengths(ZeroTokens::Skip).unwrap(), RequestLengths::Resampled { pairs });
    assert_eq!(
        lengths(ZeroTokens::Refuse).unwrap_err().to_string(),
        "trace.csv, line 3: output tokens are 0, and a request has at least 1; leave such rows out"
    );
    assert_eq!(
        RequestLengths::resampled("trace.csv", std::iter::empty(), ZeroTokens::Skip).unwrap_err().to_string(),
        "trace.csv: the trace has no request"
    );
}

#[test]
fn traces_that_cannot_be_replayed_are_refused_with_the_reason() {
    assert_eq!(message(&[], &ReplaySpec::default()), "trace.csv: the trace has no request");
    assert_eq!(message(&[], &timed(Timing::Rate(1.0))), "trace.csv: the trace has no request");
    assert_eq!(
        message(&five()[1..3], &timed(Timing::Rate(1.0))),
        "trace.csv: cannot be rescaled to a rate, since its 2 request(s) all arrive at one time; replace its arrivals \
         by a process"
    );
    assert_eq!(
        message(&five(), &timed(Timing::Rate(f64::NAN))),
        "replay: rate is NaN, but it must be a number of requests per second above 0 (between 1e-6 and 1e9)"
    );
    assert_eq!(
        message(&five(), &ReplaySpec { requests: Some(0), ..ReplaySpec::default() }),
        "replay: requests is 0, but it must be at least 1"
    );
    assert_eq!(
        message(&five(), &ReplaySpec { input_scale: 0.0, ..ReplaySpec::default() }),
        "replay: input_scale is 0, but it must be a finite number above 0"
    );
}

#[test]
fn an_error_of_the_reader_reaches_the_simulator_at_its_row() {
    let broken = || WorkloadError::Io { path: "x".into(), source: std::io::Error::other("torn") };
    let rows = || vec![Ok(row(1, 0.0, 5, 5)), Err(broken()), Ok(row(3, 1.0, 5, 5))].into_iter();
    let mut source = Replay::new("x", || Ok(rows()), &ReplaySpec::default(), 0).unwrap();
    source.next_arrival().unwrap();
    source.take();
    assert_eq!(source.next_arrival().unwrap_err().to_string(), "x: torn");
}

proptest! {
    #[test]
    fn scaling_meets_the_length_and_drops_no_more_than_empty_spans(
        lengths in proptest::collection::vec(1_u32..2000, 1..20), factor in 0.01..3.0_f64,
    ) {
        let spans = (0..).zip(&lengths);
        let spans = spans.map(|(c, &tokens)| Span { content: ContentId::from_trace(c).unwrap(), tokens }).collect();
        let total: u32 = lengths.iter().sum();
        let mut rows = vec![row(1, 0.0, total, 1)];
        rows[0].spans = Some(spans);
        let scaled = all(&rows, &ReplaySpec { input_scale: factor, ..ReplaySpec::default() });
        let expected = (f64::from(total) * factor).round().max(1.0);
        prop_assert!((f64::from(scaled[0].prompt.tokens()) - expected).abs() < 0.5);
    }
}
