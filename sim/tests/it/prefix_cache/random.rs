//! Random traces through every policy and its naive twin.

use proptest::prelude::*;
use sim::prefix_cache::{Alpha, AlphaTuning, CacheModel, CachePolicy, HybridShape, MarconiMode, TuningObjective, Turn};

use super::naive::{Naive, NaiveBelady, NaiveBlocks, NaiveRadix, Rule, Token, tokens};
use super::{marconi, run, span};

const HYBRID: HybridShape =
    HybridShape { ssm_layers: 2, attention_layers: 1, mlp_layers: 3, width: 8, state: 4, value_bytes: 2 };
const TRANSFORMER: HybridShape = HybridShape { ssm_layers: 0, ..HYBRID };
const BLOCK: u32 = 4;

/// Requests that go on from the first spans of an earlier one, or from nothing, with contents that meet again; answers
/// are their own.
fn trace() -> impl Strategy<Value = Vec<Turn>> {
    let added = prop::collection::vec((0_u64..6, 1_u32..9), 1..4);
    let step = (any::<prop::sample::Index>(), 0_usize..8, added, 1_u32..7);
    prop::collection::vec(step, 1..40).prop_map(|steps| {
        let mut turns: Vec<Turn> = Vec::new();
        for (number, (earlier, kept, added, answer)) in steps.into_iter().enumerate() {
            let mut spans = Vec::new();
            if !turns.is_empty() {
                let before = turns[earlier.index(turns.len())].sequence();
                spans.extend_from_slice(&before[..kept.min(before.len())]);
            }
            spans.extend(added.into_iter().map(|(content, tokens)| span(content, tokens)));
            let input_spans = spans.len();
            spans.push(span(1_000 + number as u64, answer));
            turns.push(Turn::new(spans, input_spans));
        }
        turns
    })
}

/// Marconi that tunes itself once as the published code does: everything so far through empty caches, one per alpha.
struct Tuned {
    naive: NaiveRadix,
    capacity: u64,
    slips: bool,
    tuning: AlphaTuning,
    history: Vec<(Vec<Token>, Vec<Token>)>,
    first_eviction: Option<usize>,
    done: bool,
}

impl Tuned {
    fn new(capacity: u64, slips: bool, tuning: AlphaTuning) -> Self {
        let naive = NaiveRadix::new(HYBRID, capacity, Rule::FlopAware { alpha: 0.0, slips }, false);
        Tuned { naive, capacity, slips, tuning, history: Vec::new(), first_eviction: None, done: false }
    }

    fn score(&self, alpha: f64) -> f64 {
        let rule = Rule::FlopAware { alpha, slips: self.slips };
        let mut cache = NaiveRadix::new(HYBRID, self.capacity, rule, false);
        let mut score = 0.0;
        for (input, sequence) in &self.history {
            let tokens = cache.lookup(input);
            score += match self.tuning.objective {
                TuningObjective::HitRate => tokens as f64,
                TuningObjective::FlopsOfLast500 => CacheModel::of_shape(&HYBRID).prefill_flops(tokens as u32),
            };
            cache.insert(sequence);
        }
        score
    }
}

impl Naive for Tuned {
    fn lookup(&mut self, input: &[Token]) -> usize {
        self.history.push((input.to_vec(), Vec::new()));
        self.naive.lookup(input)
    }

    fn insert(&mut self, sequence: &[Token]) {
        let seen = self.history.len();
        self.history[seen - 1].1 = sequence.to_vec();
        if self.first_eviction.is_some_and(|first| seen >= first * self.tuning.multiplier as usize) && !self.done {
            let scores: Vec<f64> = (0..=20).map(|tenths| self.score(f64::from(tenths) / 10.0)).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let tenths = scores.iter().position(|score| *score >= most).expect("one of them is the most");
            self.naive.set_rule(Rule::FlopAware { alpha: tenths as f64 / 10.0, slips: self.slips });
            self.done = true;
        }
        self.naive.insert(sequence);
        if self.naive.has_evicted() {
            self.first_eviction.get_or_insert(seen);
        }
    }

    fn bytes(&self) -> u64 {
        self.naive.bytes()
    }

    fn entries(&self) -> usize {
        self.naive.entries()
    }
}

/// Hits, bytes and entries after every request are the same.
fn agree(policy: CachePolicy, shape: &HybridShape, capacity: u64, turns: &[Turn], mut naive: impl Naive) {
    let model = CacheModel::of_shape(shape);
    let mut cache = policy.build(&model, capacity, turns).expect("the policy suits the model");
    let mut peak = 0;
    for (number, turn) in turns.iter().enumerate() {
        let hit = cache.lookup(turn.input()).tokens as usize;
        assert_eq!(hit, naive.lookup(&tokens(turn.input())), "hit of request {number}");
        cache.insert(turn.sequence());
        naive.insert(&tokens(turn.sequence()));
        peak = peak.max(naive.bytes());
        assert_eq!(cache.held().bytes, naive.bytes(), "bytes after request {number}");
        if !matches!(policy, CachePolicy::Belady) {
            assert_eq!(cache.held().entries as usize, naive.entries(), "entries after request {number}");
        }
    }
    assert_eq!(cache.held().peak_bytes, peak, "the most that was held is told");
}

proptest! {
    #[test]
    fn sglang_plus_is_its_naive_twin(turns in trace(), capacity in 500_u64..12_000) {
        let naive = NaiveRadix::new(HYBRID, capacity, Rule::LeafLru { uses_partial: true }, false);
        agree(CachePolicy::SglangPlus, &HYBRID, capacity, &turns, naive);
    }

    #[test]
    fn radix_lru_is_its_naive_twin(turns in trace(), capacity in 500_u64..6_000) {
        let naive = NaiveRadix::new(TRANSFORMER, capacity, Rule::LeafLru { uses_partial: false }, true);
        agree(CachePolicy::RadixLru, &TRANSFORMER, capacity, &turns, naive);
    }

    #[test]
    fn marconi_is_its_naive_twin(
        turns in trace(), capacity in 500_u64..12_000, tenths in 0_u32..20, artifact in any::<bool>(),
    ) {
        let alpha = f64::from(tenths) / 10.0;
        let naive = NaiveRadix::new(HYBRID, capacity, Rule::FlopAware { alpha, slips: artifact }, false);
        let mode = if artifact { MarconiMode::Artifact } else { MarconiMode::Paper };
        agree(marconi(mode, alpha), &HYBRID, capacity, &turns, naive);
    }

    /// A replay from the first eviction on is one of everything.
    #[test]
    fn marconi_that_tunes_itself_is_its_naive_twin(
        turns in trace(), capacity in 1_000_u64..6_000, multiplier in 1_u32..4, artifact in any::<bool>(), flops in any::<bool>(),
    ) {
        let objective = if flops { TuningObjective::FlopsOfLast500 } else { TuningObjective::HitRate };
        let tuning = AlphaTuning { multiplier, objective };
        let mode = if artifact { MarconiMode::Artifact } else { MarconiMode::Paper };
        let policy = CachePolicy::Marconi { mode, alpha: Alpha::TunedOnce(tuning) };
        agree(policy, &HYBRID, capacity, &turns, Tuned::new(capacity, artifact, tuning));
    }

    #[test]
    fn vllm_plus_is_its_naive_twin(turns in trace(), capacity in 500_u64..12_000) {
        let naive = NaiveBlocks::new(HYBRID, capacity, BLOCK as usize, true);
        agree(CachePolicy::VllmPlus { block_tokens: BLOCK }, &HYBRID, capacity, &turns, naive);
    }

    #[test]
    fn hash_lru_is_its_naive_twin(turns in trace(), capacity in 500_u64..6_000) {
        let naive = NaiveBlocks::new(TRANSFORMER, capacity, BLOCK as usize, false);
        agree(CachePolicy::HashLru { block_tokens: BLOCK }, &TRANSFORMER, capacity, &turns, naive);
    }

    #[test]
    fn the_bound_is_its_naive_twin(turns in trace(), capacity in 100_u64..3_000) {
        let naive = NaiveBelady::new(HYBRID, capacity, turns.iter().map(|turn| tokens(turn.input())).collect());
        agree(CachePolicy::Belady, &HYBRID, capacity, &turns, naive);
    }

    #[test]
    fn no_cache_within_its_capacity_beats_the_bound(turns in trace(), capacity in 500_u64..6_000) {
        for shape in [HYBRID, TRANSFORMER] {
            let model = CacheModel::of_shape(&shape);
            let bound = run(CachePolicy::Belady, &model, capacity, &turns);
            prop_assert!(bound.held.peak_bytes <= capacity);
            let policies = [
                CachePolicy::HashLru { block_tokens: BLOCK },
                CachePolicy::RadixLru,
                CachePolicy::VllmPlus { block_tokens: BLOCK },
                CachePolicy::SglangPlus,
                marconi(MarconiMode::Paper, 0.5),
                marconi(MarconiMode::Artifact, 0.5),
            ];
            for policy in policies {
                let Ok(mut cache) = policy.build(&model, capacity, &turns) else { continue };
                let report = sim::prefix_cache::replay(cache.as_mut(), &model, &turns, |_, _| ());
                let within = report.held.peak_bytes <= capacity;
                prop_assert!(within || !matches!(policy, CachePolicy::HashLru { .. }), "vLLM stays within its blocks");
                prop_assert!(!within || report.hit_tokens <= bound.hit_tokens, "{policy:?}");
            }
        }
    }
}
