//! Prefix caches alone: against published figures, against naive caches, and against what every cache must hold to.

mod golden;
mod naive;
mod random;
mod shapes;
mod toys;

use sim::prefix_cache::{Alpha, CacheModel, CachePolicy, CacheReport, MarconiMode, Turn, replay};
use workloads::{ContentId, Span};

fn span(content: u64, tokens: u32) -> Span {
    Span { content: ContentId(content), tokens }
}

fn marconi(mode: MarconiMode, alpha: f64) -> CachePolicy {
    CachePolicy::Marconi { mode, alpha: Alpha::Fixed(alpha) }
}

/// All requests through an empty cache.
fn run(policy: CachePolicy, model: &CacheModel, capacity: u64, turns: &[Turn]) -> CacheReport {
    let mut cache = policy.build(model, capacity, turns).expect("the policy suits the model");
    replay(cache.as_mut(), model, turns, |_, _| ())
}
