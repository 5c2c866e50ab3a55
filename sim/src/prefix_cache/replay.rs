//! Requests through a cache, one after the other.

use workloads::Span;

use super::marconi::{grid, with_alpha};
use super::{BlockReuse, CacheModel, Held, Hit, MarconiMode, PrefixCache, Tuned};

/// One request: what it asks and what it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    sequence: Vec<Span>,
    input_spans: usize,
    input_tokens: u32,
}

impl Turn {
    /// A prompt of the first `input_spans` spans of `sequence`, and the rest as its answer.
    ///
    /// # Panics
    /// If there are fewer spans, or the prompt has 2^32 tokens or more.
    pub fn new(sequence: Vec<Span>, input_spans: usize) -> Self {
        let tokens: u64 = sequence[..input_spans].iter().map(|span| u64::from(span.tokens)).sum();
        let input_tokens = u32::try_from(tokens).expect("a prompt has at most 2^32 - 1 tokens");
        Turn { sequence, input_spans, input_tokens }
    }

    /// What it asks.
    pub fn input(&self) -> &[Span] {
        &self.sequence[..self.input_spans]
    }

    /// What it asks and is answered.
    pub fn sequence(&self) -> &[Span] {
        &self.sequence
    }

    /// Tokens of the prompt.
    pub fn input_tokens(&self) -> u32 {
        self.input_tokens
    }
}

/// What a cache did for some requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CacheReport {
    /// Requests.
    pub requests: u64,
    /// Requests with any token reused.
    pub requests_hit: u64,
    /// Tokens of all prompts.
    pub input_tokens: u64,
    /// Prompt tokens reused.
    pub hit_tokens: u64,
    /// Those of them that were fetched from the second tier.
    pub fetched_tokens: u64,
    /// Bytes fetched from the second tier.
    pub fetched_bytes: u64,
    /// FLOPs not spent, by the formulas of the model.
    pub saved_flops: f64,
    /// What the cache holds at the end.
    pub held: Held,
    /// Which blocks were of use, if each has a checkpoint.
    pub block_reuse: Option<BlockReuse>,
    /// The alpha the cache found, if it did.
    pub tuned: Option<Tuned>,
}

impl CacheReport {
    /// Tokens reused of all prompt tokens, 0 to 1; answers count in neither.
    pub fn token_hit_rate(&self) -> f64 {
        if self.input_tokens == 0 { 0.0 } else { self.hit_tokens as f64 / self.input_tokens as f64 }
    }
}

/// Looks up and stores each request in turn; `each` is told what was found, by the number of the request.
pub fn replay(
    cache: &mut dyn PrefixCache,
    model: &CacheModel,
    turns: &[Turn],
    mut each: impl FnMut(usize, Hit),
) -> CacheReport {
    let mut report = CacheReport::default();
    for (index, turn) in turns.iter().enumerate() {
        let hit = cache.lookup(turn.input());
        cache.insert(turn.sequence());
        report.requests += 1;
        report.requests_hit += u64::from(hit.tokens > 0);
        report.input_tokens += u64::from(turn.input_tokens());
        report.hit_tokens += u64::from(hit.tokens);
        report.fetched_tokens += u64::from(hit.fetched_tokens);
        report.fetched_bytes += hit.fetched_bytes;
        report.saved_flops += model.prefill_flops(hit.tokens);
        each(index, hit);
    }
    CacheReport { held: cache.held(), block_reuse: cache.block_reuse(), tuned: cache.tuned(), ..report }
}

/// The alpha of 0, 0.1 … 2 with which Marconi reuses most tokens of these requests, the smallest of equals.
pub fn best_alpha(model: &CacheModel, capacity: u64, mode: MarconiMode, turns: &[Turn]) -> f64 {
    let mut best: Option<(u64, f64)> = None;
    for alpha in grid() {
        let mut cache = with_alpha(*model, capacity, mode, alpha);
        let hit_tokens = replay(&mut cache, model, turns, |_, _| ()).hit_tokens;
        if best.is_none_or(|(most, _)| hit_tokens > most) {
            best = Some((hit_tokens, alpha));
        }
    }
    best.map_or(0.0, |(_, alpha)| alpha)
}
