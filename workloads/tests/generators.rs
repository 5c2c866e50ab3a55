//! The shipped generators against the statistics their originals publish.

use workloads::generators::{GENERATORS, named};
use workloads::stats::{LengthStatistics, Statistics, TraceStatistics};
use workloads::{Synthetic, Unserved, WorkloadSpec};

fn statistics(name: &str, requests: u64) -> TraceStatistics {
    let spec = named(name).unwrap().spec(requests);
    let mut statistics = Statistics::new();
    for request in Unserved::new(Synthetic::new(&spec, 1).unwrap()) {
        statistics.add_request(&request.unwrap());
    }
    statistics.finish().unwrap()
}

#[track_caller]
fn near(what: &str, got: f64, published: f64, tolerance: f64) {
    let error = got / published - 1.0;
    assert!(error.abs() <= tolerance, "{what}: {got:.1}, published {published}, off by {:.1} %", 100.0 * error);
}

/// Published mean, p50, p90 and p99.
#[track_caller]
fn lengths_near(what: &str, got: LengthStatistics, published: [f64; 4], tolerance: f64) {
    for (name, got, published) in [
        ("mean", got.mean, published[0]),
        ("p50", got.p50, published[1]),
        ("p90", got.p90, published[2]),
        ("p99", got.p99, published[3]),
    ] {
        near(&format!("{what} {name}"), got, published, tolerance);
    }
}

/// Requests per second while sessions start at their full rate and earlier ones go on: in the second half of the time
/// until the last session (or request) starts.
fn steady_rate(spec: &WorkloadSpec) -> f64 {
    let all = Unserved::new(Synthetic::new(spec, 3).unwrap()).map(Result::unwrap);
    let (mut started, mut last_start_s) = (std::collections::BTreeSet::new(), 0.0_f64);
    let mut times = Vec::new();
    for request in all {
        let arrival_s = request.arrival.as_secs_f64();
        times.push(arrival_s);
        if request.session.is_none_or(|session| started.insert(session)) {
            last_start_s = arrival_s;
        }
    }
    let half = last_start_s / 2.0;
    times.iter().filter(|&&s| s > half && s <= last_start_s).count() as f64 / half
}

#[test]
fn azure_conversations_have_the_published_lengths_rate_and_burstiness() {
    let found = statistics("azure-conv-2023", 50_000);
    lengths_near("input", found.input, [1154.7, 1020.0, 2734.5, 4142.0], 0.03);
    lengths_near("output", found.output, [211.1, 129.0, 424.0, 601.0], 0.03);
    near("rate", found.rate_rps.unwrap(), 5.53, 0.02);
    near("CV", found.interarrival_cv.unwrap(), 1.09, 0.02);
}

#[test]
fn azure_code_has_the_published_lengths_rate_and_silences() {
    let found = statistics("azure-code-2023", 50_000);
    lengths_near("input", found.input, [2047.8, 1469.0, 5187.6, 7436.0], 0.03);
    lengths_near("output", found.output, [27.9, 13.0, 55.0, 251.5], 0.05);
    // About 280 silences: rate and CV of one seed scatter by some 8 %.
    near("rate", found.rate_rps.unwrap(), 2.566, 0.2);
    near("CV", found.interarrival_cv.unwrap(), 13.15, 0.2);
}

#[test]
fn mooncake_conversations_have_the_published_lengths_and_hit_ratio() {
    let found = statistics("mooncake-conversation", 50_000);
    lengths_near("input", found.input, [12_035.1, 6909.0, 27_367.0, 85_400.4], 0.05);
    // The 99th percentile of 50,000 such answers has a standard deviation of 3.6 %.
    lengths_near("output", found.output, [342.6, 350.0, 597.0, 1118.5], 0.08);
    near("output mean", found.output.mean, 342.6, 0.03);
    let hit = found.prefix.token_hit_ratio;
    assert!((hit - 0.374).abs() <= 0.02, "hit ratio {hit}");
    near("rate", steady_rate(&named("mooncake-conversation").unwrap().spec(50_000)), 3.401, 0.05);
}

#[test]
fn sharegpt_has_the_published_lengths() {
    let found = statistics("sharegpt-8k", 50_000);
    lengths_near("input", found.input, [2340.0, 1730.0, 5696.0, 7434.0], 0.03);
    lengths_near("output", found.output, [439.0, 415.0, 834.0, 998.0], 0.03);
    assert!(found.input.max <= 8141 && found.output.max <= 1024);
}

#[test]
fn arxiv_has_the_published_means() {
    let found = statistics("arxiv-summarization", 50_000);
    near("input mean", found.input.mean, 9194.0, 0.03);
    near("output mean", found.output.mean, 190.0, 0.03);
    near("output median", found.output.p50, 167.0, 0.03);
    assert!(found.input.max <= 32_768);
}

#[test]
fn sessions_after_the_prefix_cache_study_are_as_long_as_its_histograms_show() {
    let turns = |name: &str| {
        let mut turns = std::collections::BTreeMap::<_, u64>::new();
        let spec = named(name).unwrap().spec(20_000);
        for request in Unserved::new(Synthetic::new(&spec, 1).unwrap()) {
            *turns.entry(request.unwrap().session.unwrap()).or_default() += 1;
        }
        let short = turns.values().filter(|&&turns| turns < 10).count();
        (20_000.0 / turns.len() as f64, short as f64 / turns.len() as f64)
    };
    for (name, below) in [("lmsys-sessions", 10_000.0), ("sharegpt-sessions", 3_000.0)] {
        let found = statistics(name, 20_000);
        assert!(found.input.p90 < below && found.input.max <= 32_768, "{name}: {}", found.input.p90);
        let (mean, short) = turns(name);
        assert!(mean > 12.0 && short < 0.02, "{name}: {mean} turns, {short} of the sessions cut short");
    }
    assert!(statistics("lmsys-sessions", 20_000).output.p99 > 1_000.0);
    let agent = statistics("swe-agent-sessions", 20_000);
    assert!((9_000.0..16_000.0).contains(&agent.input.mean), "{}", agent.input.mean);
    // Of a history that stays whole almost all would be there: collapsed observations part it from the prompt before.
    assert!((0.3..0.6).contains(&agent.prefix.token_hit_ratio), "{}", agent.prefix.token_hit_ratio);
    assert!(statistics("lmsys-sessions", 20_000).prefix.token_hit_ratio > 0.8);
}

#[test]
fn every_generator_can_run_at_another_rate() {
    for generator in GENERATORS {
        let spec = generator.spec(50_000).at_rate(7.0).unwrap();
        let tolerance = if generator.name == "azure-code-2023" { 0.4 } else { 0.08 };
        near(generator.name, steady_rate(&spec), 7.0, tolerance);
        near(generator.name, spec.mean_rate().unwrap(), 7.0, 1e-9);
    }
}

#[test]
fn a_generator_nobody_ships_is_refused_with_the_list_of_those_there_are() {
    assert_eq!(
        named("azure-conv").unwrap_err().to_string(),
        "no generator is named \"azure-conv\"; there are azure-conv-2023, azure-code-2023, mooncake-conversation, \
         sharegpt-8k, arxiv-summarization, lmsys-sessions, sharegpt-sessions, swe-agent-sessions"
    );
}
