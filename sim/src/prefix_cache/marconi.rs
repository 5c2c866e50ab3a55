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
/// Once `multiplier` times the requests before the first eviction have been seen, those since are replayed from what the
/// cache was then with every alpha of 0, 0.1 … 2, and the best is used from then on (the smallest of equals), beginning with
/// the storing of the request that completed them. The paper's text replays from the state at the first eviction, its
/// artifact everything from the empty cache. In caches alone that is the same, since up to there no alpha makes a
/// difference; a replica, whose caches have holders and change their size, does as the text says.
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

/// What alpha is tuned by: a cache when something had to be forgotten for the first time, and the requests since.
///
/// Up to that moment alpha makes no difference. So a replay from there finds what one of everything through an empty cache
/// would, and nothing has to be remembered before.
#[derive(Debug)]
pub(super) struct Bootstrap {
    cache: RadixCache<FlopAware>,
    /// What it was forgotten for, if that was the storing of a request: matched, and not yet stored.
    pub(super) cause: Option<Turn>,
    /// Requests that have ended since.
    pub(super) since: Vec<Turn>,
}

impl Bootstrap {
    pub(super) fn new(cache: RadixCache<FlopAware>, cause: Option<Turn>) -> Self {
        Bootstrap { cache, cause, since: Vec::new() }
    }

    /// The alpha of 0, 0.1 … 2 that is best for the requests since in a cache of this capacity, the smallest of equals.
    pub(super) fn best_alpha(&self, objective: TuningObjective, capacity: u64) -> f64 {
        let mut best: Option<(i128, f64)> = None;
        for alpha in grid() {
            let score = self.score(objective, capacity, alpha);
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, alpha));
            }
        }
        best.expect("some alphas are tried").1
    }

    fn score(&self, objective: TuningObjective, capacity: u64, alpha: f64) -> i128 {
        let mut cache = self.cache.clone();
        (cache.capacity, cache.eviction.alpha) = (capacity, alpha);
        if let Some(cause) = &self.cause {
            cache.insert(cause.sequence());
        }
        let model = *cache.model();
        let scored_from = match objective {
            TuningObjective::FlopsOfLast500 => self.since.len().saturating_sub(500),
            TuningObjective::HitRate => 0,
        };
        let mut score = 0;
        replay(&mut cache, &model, &self.since, |index, hit| {
            if index >= scored_from {
                score += match objective {
                    TuningObjective::FlopsOfLast500 => model.exact_flops(0, hit.tokens, false),
                    TuningObjective::HitRate => i128::from(hit.tokens),
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
    tuning: AlphaTuning,
    input_spans: usize,
    seen: u64,
    /// From the first eviction, which happens when so many requests have been seen, until alpha is found.
    bootstrap: Option<(u64, Bootstrap)>,
    tuned: Option<Tuned>,
}

impl TunedMarconi {
    pub(super) fn new(model: CacheModel, capacity: u64, mode: MarconiMode, tuning: AlphaTuning) -> Self {
        let cache = with_alpha(model, capacity, mode, 0.0);
        TunedMarconi { cache, tuning, input_spans: 0, seen: 0, bootstrap: None, tuned: None }
    }

    /// A request is about to be stored, and alpha not found yet.
    fn remember(&mut self, sequence: &[Span]) {
        let turn = || Turn::new(sequence.to_vec(), self.input_spans);
        let Some((first_eviction, bootstrap)) = &mut self.bootstrap else {
            if !self.cache.has_room_for(sequence) {
                self.bootstrap = Some((self.seen, Bootstrap::new(self.cache.clone(), Some(turn()))));
            }
            return;
        };
        bootstrap.since.push(turn());
        if self.seen >= *first_eviction * u64::from(self.tuning.multiplier) {
            let alpha = bootstrap.best_alpha(self.tuning.objective, self.cache.capacity);
            self.cache.eviction.alpha = alpha;
            self.tuned = Some(Tuned { alpha, first_eviction: *first_eviction, after: self.seen });
            self.bootstrap = None;
        }
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
            self.remember(sequence);
        }
        self.cache.insert(sequence);
    }

    fn held(&self) -> Held {
        self.cache.held()
    }

    fn tuned(&self) -> Option<Tuned> {
        self.tuned
    }
}
