//! Caches that spell out every token and search for everything, written from the papers' rules.

mod blocks;
mod radix;

pub(super) use blocks::{NaiveBelady, NaiveBlocks};
pub(super) use radix::{NaiveRadix, Rule};

use sim::prefix_cache::HybridShape;
use workloads::Span;

/// A token: its content and its position in it.
pub(super) type Token = (u64, u32);

pub(super) fn tokens(spans: &[Span]) -> Vec<Token> {
    spans.iter().flat_map(|span| (0..span.tokens).map(|offset| (span.content.0, offset))).collect()
}

pub(super) fn common(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What every naive cache can do.
pub(super) trait Naive {
    /// Tokens reused.
    fn lookup(&mut self, input: &[Token]) -> usize;
    fn insert(&mut self, sequence: &[Token]);
    fn bytes(&self) -> u64;
    fn entries(&self) -> usize;
}

pub(super) fn checkpoint_bytes(shape: &HybridShape) -> u64 {
    let (d, n) = (u64::from(shape.width), u64::from(shape.state));
    u64::from(shape.ssm_layers) * (d * n * 2 + (2 * d + 2 * n) * 4 * 2)
}

pub(super) fn token_bytes(shape: &HybridShape) -> u64 {
    u64::from(shape.attention_layers) * 2 * u64::from(shape.width) * 2
}
