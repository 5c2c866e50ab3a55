//! Marconi's published code on a trace that needs no tokenizer.
//!
//! The figures are those of the artifact's classes (`radix_cache_hybrid.py`) on this trace.

use sim::prefix_cache::{
    Alpha, AlphaTuning, CacheModel, CachePolicy, HybridShape, MarconiMode, TuningObjective, Turn, best_alpha,
};

use super::{marconi, run, span};

/// 24 sessions of 10 turns over a system text of 40 tokens. User turn t of session s has `50 + (37s + 11t) mod 200`
/// tokens, its answer `20 + (53s + 29t) mod 400`. Requests in the order of 3t + 2s, then s.
fn trace() -> Vec<Turn> {
    let mut order: Vec<(u64, u64)> = (0..24).flat_map(|s| (0..10).map(move |t| (s, t))).collect();
    order.sort_by_key(|&(s, t)| (3 * t + 2 * s, s));
    let turn = |(s, t): (u64, u64)| {
        let mut spans = vec![span(0, 40)];
        for turn in 0..=t {
            let name = 1_000 * (s + 1) + 10 * turn;
            spans.push(span(name, 50 + ((37 * s + 11 * turn) % 200) as u32));
            spans.push(span(name + 5, 20 + ((53 * s + 29 * turn) % 400) as u32));
        }
        let input_spans = spans.len() - 1;
        Turn::new(spans, input_spans)
    };
    order.into_iter().map(turn).collect()
}

fn model() -> CacheModel {
    CacheModel::of_shape(&HybridShape::MARCONI_7B)
}

const UNLIMITED: u64 = u64::MAX / 2;
const ALPHAS: [f64; 4] = [0.0, 0.3, 1.0, 2.0];

#[test]
fn the_trace_is_the_published_one() {
    let turns = trace();
    let inputs: u32 = turns.iter().map(Turn::input_tokens).sum();
    let longest = turns.iter().map(|turn| turn.sequence().iter().map(|span| span.tokens).sum::<u32>()).max();
    assert_eq!((turns.len(), inputs, longest), (240, 429_400, Some(4_640)));
}

#[test]
fn artifact_mode_reuses_the_tokens_that_the_artifact_reuses() {
    let turns = trace();
    for (capacity, expected) in [
        (500_000_000, [14_290, 15_410, 17_000, 14_740]),
        (1_000_000_000, [33_520, 41_940, 47_850, 51_720]),
        (2_000_000_000, [131_660, 237_110, 221_810, 137_840]),
    ] {
        let reused =
            ALPHAS.map(|alpha| run(marconi(MarconiMode::Artifact, alpha), &model(), capacity, &turns).hit_tokens);
        assert_eq!(reused, expected, "{capacity} bytes");
    }
}

#[test]
fn paper_mode_corrects_the_two_slips() {
    let turns = trace();
    for (capacity, expected) in
        [(1_000_000_000, [33_560, 42_420, 45_540, 51_560]), (2_000_000_000, [131_660, 253_040, 248_290, 187_720])]
    {
        let reused = ALPHAS.map(|alpha| run(marconi(MarconiMode::Paper, alpha), &model(), capacity, &turns).hit_tokens);
        assert_eq!(reused, expected, "{capacity} bytes");
    }
}

#[test]
fn lru_over_leaves_reuses_what_sglang_plus_reuses() {
    let turns = trace();
    for (capacity, expected) in [(500_000_000, 14_500), (1_000_000_000, 30_380), (2_000_000_000, 116_770)] {
        assert_eq!(run(CachePolicy::SglangPlus, &model(), capacity, &turns).hit_tokens, expected, "{capacity} bytes");
    }
}

#[test]
fn what_is_held_at_the_end_is_what_the_artifact_holds() {
    let turns = trace();
    let held = |policy, capacity| {
        let held = run(policy, &model(), capacity, &turns).held;
        (held.entries, held.bytes)
    };
    let artifact = marconi(MarconiMode::Artifact, 1.0);
    let of_capacities = |policy| [500_000_000, 1_000_000_000, 2_000_000_000].map(|capacity| held(policy, capacity));
    assert_eq!(of_capacities(artifact), [(3, 495_861_760), (6, 986_480_640), (12, 1_970_995_200)]);
    let sglang_plus = of_capacities(CachePolicy::SglangPlus);
    assert_eq!(sglang_plus, [(3, 292_700_160), (9, 866_304_000), (26, 1_839_431_680)]);
}

#[test]
fn with_room_for_everything_all_policies_are_the_same() {
    let turns = trace();
    let mut policies = vec![CachePolicy::SglangPlus];
    for mode in [MarconiMode::Paper, MarconiMode::Artifact] {
        policies.extend(ALPHAS.map(|alpha| marconi(mode, alpha)));
        policies.push(CachePolicy::Marconi { mode, alpha: Alpha::TunedOnce(AlphaTuning::default()) });
    }
    for policy in policies {
        let report = run(policy, &model(), UNLIMITED, &turns);
        assert_eq!(report.hit_tokens, 393_720, "{policy:?}");
        assert_eq!((report.held.entries, report.held.bytes), (241, 12_147_015_680), "{policy:?}");
        assert_eq!(report.tuned, None, "nothing is evicted, so nothing is tuned");
        assert!((report.token_hit_rate() - 0.9169).abs() < 5e-5);
    }
}

#[test]
fn tuning_finds_the_artifacts_alpha_at_the_artifacts_moment() {
    let turns = trace();
    for (capacity, reused, alpha, first_eviction) in
        [(500_000_000, 10_230, 1.2, 12), (1_000_000_000, 20_730, 1.8, 21), (2_000_000_000, 126_500, 0.4, 41)]
    {
        let policy = CachePolicy::Marconi {
            mode: MarconiMode::Artifact,
            alpha: Alpha::TunedOnce(AlphaTuning { multiplier: 5, objective: TuningObjective::FlopsOfLast500 }),
        };
        let report = run(policy, &model(), capacity, &turns);
        let tuned = report.tuned.expect("240 requests are more than five times the first eviction");
        assert_eq!((tuned.alpha, tuned.first_eviction), (alpha, first_eviction), "{capacity} bytes");
        assert_eq!(report.hit_tokens, reused, "{capacity} bytes");
    }
}

#[test]
fn the_oracle_is_the_best_of_its_grid() {
    let turns = trace();
    let capacity = 1_000_000_000;
    let alpha = best_alpha(&model(), capacity, MarconiMode::Artifact, &turns);
    let oracle = CachePolicy::Marconi { mode: MarconiMode::Artifact, alpha: Alpha::Oracle };
    let reused = run(oracle, &model(), capacity, &turns).hit_tokens;
    assert_eq!(reused, run(marconi(MarconiMode::Artifact, alpha), &model(), capacity, &turns).hit_tokens);
    for tenths in 0..=20 {
        let other = marconi(MarconiMode::Artifact, f64::from(tenths) / 10.0);
        assert!(run(other, &model(), capacity, &turns).hit_tokens <= reused, "alpha {tenths}/10");
    }
}
