//! No cache.

use workloads::Span;

use super::{Held, Hit, PrefixCache};

/// Keeps nothing.
#[derive(Debug)]
pub(super) struct NoCache;

impl PrefixCache for NoCache {
    fn lookup(&mut self, _: &[Span]) -> Hit {
        Hit::default()
    }

    fn insert(&mut self, _: &[Span]) {}

    fn held(&self) -> Held {
        Held::default()
    }
}
