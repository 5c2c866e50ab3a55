//! What a synthetic workload promises to whoever simulates it.

use std::collections::BTreeMap;

use workloads::{
    Arrivals, Cut, Durations, Lengths, Popularity, PrefixLength, PrefixSpec, PromptLengths, RatePiece, Request,
    RequestLengths, SessionSpec, SimDuration, SimTime, Source, Span, Synthetic, Unserved, WorkloadSpec,
};

fn load_a(requests: u64) -> WorkloadSpec {
    let lengths = RequestLengths::Independent {
        input: Lengths::normal(512.0, 256.0, 16, 4096).unwrap(),
        output: Lengths::normal(128.0, 64.0, 2, 1024).unwrap(),
    };
    WorkloadSpec::new(Arrivals::poisson(10.0).unwrap(), lengths, requests)
}

fn chat(requests: u64, arrivals: Arrivals) -> WorkloadSpec {
    WorkloadSpec {
        arrivals,
        prefix: PrefixSpec::SystemPrompts {
            prompts: PromptLengths::Given(vec![100, 300]),
            popularity: Popularity::Zipf { exponent: 1.0 },
            length: PrefixLength::OnTop,
        },
        sessions: Some(SessionSpec {
            turns: Lengths::Uniform { min: 1, max: 6 },
            think: Durations::Exponential { mean_s: 5.0 },
            followup: Some(Lengths::Uniform { min: 5, max: 50 }),
            max_context: Some(2500),
            kept_messages: None,
        }),
        ..load_a(requests)
    }
}

fn requests(spec: &WorkloadSpec, seed: u64) -> Vec<Request> {
    Unserved::new(Synthetic::new(spec, seed).unwrap()).map(Result::unwrap).collect()
}

/// A toy system: the k-th request to arrive takes as long as `service` says for k. Returns requests and their ends.
fn serve(mut source: Synthetic, service: impl Fn(u64) -> f64) -> Vec<(Request, SimTime)> {
    let mut running: BTreeMap<(SimTime, u64), Request> = BTreeMap::new();
    let (mut done, mut last) = (Vec::new(), SimTime::ZERO);
    loop {
        let next_end = running.first_key_value().map(|(&(time, _), _)| time);
        match (source.next_arrival().unwrap(), next_end) {
            (None, None) => return done,
            (Some(arrival), end) if end.is_none_or(|end| arrival <= end) => {
                assert!(arrival >= last, "{arrival} lies before {last}");
                last = arrival;
                let request = source.take();
                assert_eq!((request.arrival, request.id.0), (arrival, (done.len() + running.len()) as u64));
                let end = arrival + SimDuration::from_secs_f64(service(request.id.0));
                running.insert((end, request.id.0), request);
            }
            (_, Some(_)) => {
                let ((end, _), request) = running.pop_first().unwrap();
                last = end;
                source.ended(request.id, end);
                done.push((request, end));
            }
            (Some(_), None) => unreachable!("an arrival without a later end was taken"),
        }
    }
}

/// Prompts and answer lengths of each session, turn by turn.
fn conversations(served: &[(Request, SimTime)]) -> BTreeMap<u64, Vec<(Vec<Span>, u32)>> {
    let mut sessions: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for (request, _) in served {
        let turns = sessions.entry(request.session.unwrap().0).or_default();
        turns.push((request.prompt.spans().to_vec(), request.output_tokens));
    }
    for turns in sessions.values_mut() {
        turns.sort_by_key(|(spans, _)| spans.len());
    }
    sessions
}

#[test]
fn load_a_has_the_arrivals_and_lengths_it_names() {
    let all = requests(&load_a(100_000), 7);
    assert_eq!(all.len(), 100_000);
    let mean = |f: fn(&Request) -> u32| all.iter().map(|r| f64::from(f(r))).sum::<f64>() / all.len() as f64;
    let rate = all.len() as f64 / all.last().unwrap().arrival.as_secs_f64();
    assert!((rate - 10.0).abs() < 0.1, "rate {rate}");
    // Clamping at 16 lifts the mean of normal(512, 256) by 256 (φ(z) + z Φ(z)) at z = -1.94: 2.4 tokens.
    assert!((mean(|r| r.prompt.tokens()) - 514.4).abs() < 3.0);
    assert!((mean(|r| r.output_tokens) - 128.6).abs() < 1.0);
    assert!(all.iter().all(|r| (16..=4096).contains(&r.prompt.tokens()) && (2..=1024).contains(&r.output_tokens)));
    assert!(all.windows(2).all(|w| w[0].arrival <= w[1].arrival && w[0].id < w[1].id));
}

#[test]
fn the_same_seed_gives_the_same_requests_and_another_seed_others() {
    for spec in [load_a(500), chat(500, Arrivals::Poisson { rate: 2.0 })] {
        assert_eq!(requests(&spec, 1), requests(&spec, 1));
        assert_ne!(requests(&spec, 1), requests(&spec, 2));
    }
}

#[test]
fn changing_one_rule_leaves_the_draws_of_the_others_alone() {
    let before = requests(&load_a(500), 1);
    let mut spec = load_a(500);
    spec.arrivals = Arrivals::Gamma { rate: 3.0, cv: 4.0 };
    spec.prefix = chat(1, Arrivals::AllAtOnce).prefix;
    let RequestLengths::Independent { output, .. } = &mut spec.lengths else { unreachable!() };
    *output = Lengths::Zipf { exponent: 1.1, min: 1, max: 99 };
    for (a, b) in before.iter().zip(requests(&spec, 1)) {
        let own = b.prompt.spans().last().unwrap();
        assert_eq!(a.prompt.tokens(), own.tokens, "inputs are drawn apart from everything else");
        assert_ne!(a.arrival, b.arrival);
    }
    let mut longer = load_a(500);
    let RequestLengths::Independent { output: Lengths::Normal { mean, bounds, .. }, .. } = &mut longer.lengths else {
        unreachable!()
    };
    (*mean, bounds.cut) = (200.0, Cut::Resample);
    for (a, b) in before.iter().zip(requests(&longer, 1)) {
        assert_eq!((a.arrival, &a.prompt), (b.arrival, &b.prompt));
        assert!(a.output_tokens <= b.output_tokens, "a larger mean makes every answer longer, none shorter");
    }
}

#[test]
fn sessions_are_the_same_whatever_the_system_does_with_them() {
    let source = || Synthetic::new(&chat(2000, Arrivals::Poisson { rate: 2.0 }), 5).unwrap();
    let fast = serve(source(), |_| 0.01);
    let erratic = serve(source(), |k| (k.wrapping_mul(2_654_435_761) % 1000) as f64 / 20.0);
    assert_eq!((fast.len(), erratic.len()), (2000, 2000), "the last session is cut to meet the number of requests");
    assert_eq!(conversations(&fast), conversations(&erratic));
    assert_ne!(fast.iter().map(|(r, _)| r.session).collect::<Vec<_>>(), {
        erratic.iter().map(|(r, _)| r.session).collect::<Vec<_>>()
    });
}

#[test]
fn a_turn_carries_the_whole_history_and_comes_when_its_user_has_thought() {
    let served = serve(Synthetic::new(&chat(2000, Arrivals::Poisson { rate: 2.0 }), 5).unwrap(), |_| 3.0);
    let mut previous: BTreeMap<u64, (Request, SimTime)> = BTreeMap::new();
    let (mut later_turns, mut thought_s) = (0, 0.0);
    for (request, end) in served {
        let spans = request.prompt.spans();
        let session = request.session.unwrap().0;
        if let Some((before, before_end)) = previous.get(&session) {
            let mut history = before.prompt.spans().to_vec();
            history.push(Span { content: before.answer, tokens: before.output_tokens });
            assert_eq!(spans[..spans.len() - 1], history);
            assert!((5..=50).contains(&spans.last().unwrap().tokens));
            assert!(request.prompt.tokens() + request.output_tokens <= 2500, "beyond the longest context");
            later_turns += 1;
            thought_s += request.arrival.since(*before_end).as_secs_f64();
        } else {
            assert_eq!(spans.len(), 2, "a first turn is a system prompt and a question");
        }
        previous.insert(session, (request, end));
    }
    assert!(later_turns > 1000);
    let mean_s = thought_s / f64::from(later_turns);
    assert!((mean_s - 5.0).abs() < 0.5, "people think 5 s on average, here {mean_s}");
}

#[test]
fn a_context_limit_ends_sessions_and_nothing_else() {
    let unlimited = |limit| {
        let mut spec = chat(1000, Arrivals::Poisson { rate: 2.0 });
        spec.sessions.as_mut().unwrap().max_context = limit;
        conversations(&serve(Synthetic::new(&spec, 5).unwrap(), |_| 0.1))
    };
    let (short, long) = (unlimited(Some(800)), unlimited(None));
    assert!(short.len() > long.len(), "shorter sessions, hence more of them");
    for (number, turns) in long.iter().take(long.len() - 1) {
        let kept: Vec<u32> = short[number].iter().map(|(_, output)| *output).collect();
        let all: Vec<u32> = turns.iter().map(|(_, output)| *output).collect();
        assert!(!kept.is_empty() && all.starts_with(&kept));
    }
}

#[test]
fn a_closed_loop_of_sessions_keeps_as_many_under_way_as_it_has_clients() {
    let served = serve(Synthetic::new(&chat(1000, Arrivals::closed_loop(8).unwrap()), 5).unwrap(), |k| (k % 7) as f64);
    let mut spans: BTreeMap<u64, (SimTime, SimTime)> = BTreeMap::new();
    for (request, end) in &served {
        let span = spans.entry(request.session.unwrap().0).or_insert((request.arrival, *end));
        *span = (span.0.min(request.arrival), span.1.max(*end));
    }
    let mut changes: Vec<(SimTime, i32)> = spans.values().flat_map(|&(from, to)| [(from, 1), (to, -1)]).collect();
    changes.sort();
    let (mut running, mut most) = (0, 0);
    for (_, change) in changes {
        running += change;
        most = most.max(running);
    }
    assert_eq!(most, 8);
    assert_eq!(served.len(), 1000);
}

#[test]
fn a_closed_loop_is_never_beyond_its_concurrency_and_offline_requests_are_all_there_at_once() {
    let mut spec = load_a(200);
    spec.arrivals = Arrivals::closed_loop(4).unwrap();
    let served = serve(Synthetic::new(&spec, 1).unwrap(), |k| 1.0 + (k % 3) as f64);
    for (request, _) in &served {
        let now = request.arrival;
        let in_flight = served.iter().filter(|(other, end)| other.arrival <= now && *end > now).count();
        assert!(in_flight <= 4, "{in_flight} in flight at {now}");
    }
    spec.arrivals = Arrivals::AllAtOnce;
    assert!(requests(&spec, 1).iter().all(|request| request.arrival == SimTime::ZERO));
}

#[test]
fn what_is_still_to_come_is_known() {
    let mut source = Synthetic::new(&chat(50, Arrivals::Poisson { rate: 2.0 }), 5).unwrap();
    for left in (0..50).rev() {
        assert!(source.next_arrival().unwrap().is_some());
        let request = source.take();
        source.ended(request.id, request.arrival);
        assert_eq!(source.remaining_hint(), Some(left));
    }
    assert_eq!(source.next_arrival().unwrap(), None);
}

#[test]
fn a_schedule_that_ends_sends_no_more_and_says_so() {
    let mut spec = load_a(1_000_000);
    spec.arrivals = Arrivals::Piecewise { pieces: vec![RatePiece { duration_s: 10.0, rate: 20.0 }], repeat: false };
    let mut source = Synthetic::new(&spec, 1).unwrap();
    while source.next_arrival().unwrap().is_some() {
        source.take();
    }
    assert_eq!((source.next_arrival().unwrap(), source.remaining_hint()), (None, Some(0)));
}

#[test]
fn no_requests_and_no_context_are_refused() {
    let message = |spec: &WorkloadSpec| Synthetic::new(spec, 0).unwrap_err().to_string();
    assert_eq!(message(&load_a(0)), "workload: requests is 0, but it must be at least 1");
    let mut spec = chat(10, Arrivals::AllAtOnce);
    spec.sessions.as_mut().unwrap().max_context = Some(0);
    assert_eq!(message(&spec), "sessions: max_context is 0, but it must be at least 1 token");
}

#[test]
fn an_agent_that_keeps_four_observations_leaves_out_the_fifth_from_last_and_never_the_task() {
    let mut spec = chat(400, Arrivals::Constant { rate: 1.0 });
    let sessions = spec.sessions.as_mut().unwrap();
    sessions.turns = Lengths::Fixed { tokens: 10 };
    sessions.kept_messages = Some(4);
    sessions.max_context = None;
    spec.prefix = PrefixSpec::None;
    let mut by_session: BTreeMap<u64, Vec<Request>> = BTreeMap::new();
    for request in requests(&spec, 3) {
        by_session.entry(request.session.unwrap().0).or_default().push(request);
    }
    for turns in by_session.values() {
        let asked: Vec<Span> = turns.iter().map(|turn| *turn.prompt.spans().last().unwrap()).collect();
        for (number, turn) in turns.iter().enumerate() {
            let mut expected = Vec::new();
            for earlier in 0..number {
                if earlier == 0 || earlier + 4 >= number {
                    expected.push(asked[earlier]);
                }
                expected.push(Span { content: turns[earlier].answer, tokens: turns[earlier].output_tokens });
            }
            expected.push(asked[number]);
            assert_eq!(turn.prompt.spans(), expected, "turn {number}: six exchanges are whole, of seven one is not");
        }
    }
    spec.sessions.as_mut().unwrap().max_context = Some(6_000);
    for request in requests(&spec, 3) {
        let whole = request.prompt.tokens() + request.output_tokens;
        assert!(request.prompt.spans().len() == 1 || whole <= 6_000, "the limit counts what is in the prompt");
    }
}
