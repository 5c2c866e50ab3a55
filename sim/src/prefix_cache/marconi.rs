//! Marconi: FLOP-aware eviction whose weight is found by replaying what was served.

use workloads::Span;

use super::flop_aware::{FlopAware, MarconiMode};
use super::radix_cache::RadixCache;
use super::replay::{Turn, replay};
use super::{CacheModel, Held, Hit, PrefixCache, Tuned};

/// Where alpha, the weight of saved FLOPs against recency, comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alpha {
    /// Given (≥ 0).
    Fixed(f64),
    /// 0 until enough requests have been seen, then the best for those.
    TunedOnce(AlphaTuning),
    /// The best single value for all requests, known beforehand.
    Oracle,
}

/// How alpha is found while serving.
///
/// Once `multiplier` times the requests before the first eviction have been seen, all of them are replayed through an
/// empty cache with every alpha of 0, 0.1 … 2, and the best is used from then on (the smallest of equals), beginning with
/// the storing of the request that completed them. The paper's text
/// replays from the state at the first eviction; its artifact, which this follows, from the empty cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlphaTuning {
    /// Window in multiples of the requests before the first eviction (≥ 1; the paper uses 5 to 15).
    pub multiplier: u32,
    /// What is best.
    pub objective: TuningObjective,
}

impl Default for AlphaTuning {
    /// As the artifact does for all but one of its traces.
    fn default() -> Self {
        AlphaTuning { multiplier: 5, objective: TuningObjective::FlopsOfLast500 }
    }
}

/// What makes an alpha the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TuningObjective {
    /// Most FLOPs saved over the last 500 requests replayed, as in the artifact.
    FlopsOfLast500,
    /// Most tokens reused, as in the paper's text.
    HitRate,
}

impl TuningObjective {
    /// The alpha of 0, 0.1 … 2 that is best for these requests in an empty cache, the smallest of equals.
    pub(super) fn best_alpha(self, model: &CacheModel, capacity: u64, mode: MarconiMode, history: &[Turn]) -> f64 {
        let mut best: Option<(f64, f64)> = None;
        for alpha in grid() {
            let score = self.score(model, history, &mut with_alpha(*model, capacity, mode, alpha));
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, alpha));
            }
        }
        best.expect("some alphas are tried").1
    }

    fn score(self, model: &CacheModel, history: &[Turn], cache: &mut RadixCache<FlopAware>) -> f64 {
        let scored_from = match self {
            TuningObjective::FlopsOfLast500 => history.len().saturating_sub(500),
            TuningObjective::HitRate => 0,
        };
        let mut score = 0.0;
        replay(cache, model, history, |index, hit| {
            if index >= scored_from {
                score += match self {
                    TuningObjective::FlopsOfLast500 => model.prefill_flops(hit.tokens),
                    TuningObjective::HitRate => f64::from(hit.tokens),
                };
            }
        });
        score
    }
}

/// Alphas that are tried: 0, 0.1 … 2.
pub(super) fn grid() -> impl Iterator<Item = f64> {
    (0..=20).map(|tenths| f64::from(tenths) / 10.0)
}

/// A radix cache of fixed alpha.
pub(super) fn with_alpha(model: CacheModel, capacity: u64, mode: MarconiMode, alpha: f64) -> RadixCache<FlopAware> {
    RadixCache::new(model, capacity, false, FlopAware::new(alpha, mode))
}

/// A cache that finds its alpha.
#[derive(Debug)]
pub(super) struct TunedMarconi {
    cache: RadixCache<FlopAware>,
    model: CacheModel,
    capacity: u64,
    mode: MarconiMode,
    tuning: AlphaTuning,
    /// Everything served so far, until alpha is found.
    history: Vec<Turn>,
    input_spans: usize,
    seen: u64,
    first_eviction: Option<u64>,
    tuned: Option<Tuned>,
}

impl TunedMarconi {
    pub(super) fn new(model: CacheModel, capacity: u64, mode: MarconiMode, tuning: AlphaTuning) -> Self {
        TunedMarconi {
            cache: with_alpha(model, capacity, mode, 0.0),
            model,
            capacity,
            mode,
            tuning,
            history: Vec::new(),
            input_spans: 0,
            seen: 0,
            first_eviction: None,
            tuned: None,
        }
    }

    fn tune(&mut self, first_eviction: u64) {
        let alpha = self.tuning.objective.best_alpha(&self.model, self.capacity, self.mode, &self.history);
        self.cache.eviction.alpha = alpha;
        self.tuned = Some(Tuned { alpha, first_eviction, after: self.seen });
        self.history = Vec::new();
    }
}

impl PrefixCache for TunedMarconi {
    fn lookup(&mut self, input: &[Span]) -> Hit {
        self.seen += 1;
        self.input_spans = input.len();
        self.cache.lookup(input)
    }

    fn insert(&mut self, sequence: &[Span]) {
        if self.tuned.is_none() {
            self.history.push(Turn::new(sequence.to_vec(), self.input_spans));
            if let Some(first_eviction) = self.first_eviction
                && self.seen >= first_eviction * u64::from(self.tuning.multiplier)
            {
                self.tune(first_eviction);
            }
        }
        self.cache.insert(sequence);
        if self.cache.has_evicted {
            self.first_eviction.get_or_insert(self.seen);
        }
    }

    fn held(&self) -> Held {
        self.cache.held()
    }

    fn tuned(&self) -> Option<Tuned> {
        self.tuned
    }
}
