//! Gaps between tokens are told of the requests that an observer asks for, and of no others.

use std::collections::BTreeMap;

use sim::{Ending, Measures, RequestFigure, Slos, Summary, Window, WithinRun};
use workloads::SimTime;

use crate::coverage::FACTS;
use crate::engine;
use crate::scenario::{PolicyKind, Scenario, Timing};

/// By when the client saw it and how long it was: how often.
type Gaps = BTreeMap<(u64, u64), u64>;

/// The scenario's gaps of requests that arrive in `window`, held against what the records of these requests say.
fn gaps_of(scenario: &Scenario, window: Option<Window>, seed: u64) -> Gaps {
    let run = engine::simulate_followed(scenario.deployment(), &mut scenario.source(), window).expect("it runs");
    let arrives = |arrival: SimTime| window.is_none_or(|window| window.contains(arrival));
    let followed: Vec<_> =
        run.records.iter().filter(|record| record.ending == Ending::Completed && arrives(record.arrival)).collect();
    let count: u64 = followed.iter().map(|record| u64::from(record.output_tokens - 1)).sum();
    let nanos: u64 = followed.iter().map(|record| (record.last_token - record.first_token).as_nanos()).sum();
    let longest = followed.iter().map(|record| record.max_gap.as_nanos()).max().unwrap_or(0);
    let told = (
        run.gaps.values().sum::<u64>(),
        run.gaps.iter().map(|((_, gap), times)| gap * times).sum::<u64>(),
        run.gaps.keys().map(|(_, gap)| *gap).max().unwrap_or(0),
    );
    assert_eq!(told, (count, nanos, longest), "seed {seed}, {window:?}: number of gaps, their sum and the longest");
    run.gaps
}

/// Whether all gaps are those of requests that arrive before a window, in it, and after it; returns how many are in it.
fn split(scenario: &Scenario, seed: u64) -> u64 {
    let mut arrivals: Vec<SimTime> = engine::simulate(scenario.deployment(), &mut scenario.source())
        .expect("it runs")
        .records
        .iter()
        .map(|record| record.arrival)
        .collect();
    arrivals.sort_unstable();
    let (start, end) = (arrivals[arrivals.len() / 4], arrivals[arrivals.len() * 3 / 4]);
    let parts = [(SimTime::ZERO, start), (start, end), (end, SimTime::MAX)];
    let parts = parts.map(|(start, end)| gaps_of(scenario, Some(Window { start, end }), seed));
    let mut sum = Gaps::new();
    for (gap, times) in parts.iter().flatten() {
        *sum.entry(*gap).or_default() += times;
    }
    assert_eq!(sum, gaps_of(scenario, None, seed), "seed {seed}: the parts are not the whole");
    parts[1].values().sum()
}

#[test]
fn the_gaps_of_a_window_are_those_of_the_requests_that_arrive_in_it() {
    let mut inside = 0;
    for seed in 0..120 {
        inside += split(&Scenario::draw_any(seed), seed);
        inside += split(&Scenario::draw(PolicyKind::PrefillFirst, Timing::Asynchronous, seed), seed);
        inside += split(&Scenario::draw(PolicyKind::ChunkedPrefill, Timing::Asynchronous, seed), seed);
    }
    assert!(inside > 10_000, "windows hold few gaps: {inside}");
}

#[test]
fn the_mean_gap_of_a_window_and_its_interval_are_over_the_same_gaps() {
    let mut compared = 0;
    for seed in 0..60 {
        let scenario = Scenario::draw_any(seed);
        let arrivals = engine::simulate(scenario.deployment(), &mut scenario.source()).expect("it runs").records;
        let middle = arrivals[arrivals.len() / 2].arrival;
        let mut measures = Measures::new(Slos::default(), Some(Window { start: middle, end: SimTime::MAX }));
        let outcome = sim::simulate(scenario.deployment(), &mut scenario.source(), &mut measures).expect("it runs");
        let summary = Summary::new(&mut measures, &outcome, &FACTS);
        let of_requests = WithinRun::pooled_mean(&[&summary.within_run], RequestFigure::Gap, 0.95);
        let (of_gaps, of_requests) = (summary.itl.map(|itl| itl.mean_ns), of_requests.map(|(mean, _)| mean));
        assert_eq!(of_gaps.is_some(), of_requests.is_some(), "seed {seed}");
        let (Some(of_gaps), Some(of_requests)) = (of_gaps, of_requests) else { continue };
        assert!((of_gaps / of_requests - 1.0).abs() < 1e-12, "seed {seed}: {of_gaps} and {of_requests}");
        compared += 1;
    }
    assert!(compared > 30, "{compared} scenarios have gaps after their middle");
}
