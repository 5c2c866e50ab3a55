//! What a prefix cache shares when requests come in no order.

use profiles::CostTotals;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use sim::{KvSpec, Policy, ReplicaSpec};
use workloads::{ContentId, Span};

use crate::cost::ShapeCost;
use crate::deployment::{alone, replica, scheduler};
use crate::reference::Run;
use crate::script::{Planned, Release, Script};

const PREFIX: u32 = 320;
const OWN: u32 = 32;

/// 2000 requests at once, each behind one of `prefixes` prefixes, on a cache of `blocks` blocks of 16 tokens.
fn shuffled(prefixes: u64, blocks: u32) -> Run {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(prefixes + u64::from(blocks));
    let requests: Vec<Planned> = (0..2000)
        .map(|place| {
            let prefix = Span { content: ContentId::shared(rng.random_range(0..prefixes)), tokens: PREFIX };
            let own = Span { content: ContentId::unique(place), tokens: OWN };
            Planned { release: Release::At(0), spans: vec![prefix, own], output_tokens: 16, session: None }
        })
        .collect();
    let cost = ShapeCost {
        stages: 1,
        base_ns: 1000,
        quantum_ns: 1,
        layers: None,
        handover_base_ns: 0,
        handover_row_ns: 0,
        totals: CostTotals::default(),
    };
    let kv = KvSpec { block_size: 16, blocks, prefix_caching: true };
    let spec: ReplicaSpec = replica(scheduler(Policy::Sarathi, 8192, 2000), kv, cost);
    crate::engine::simulate(alone(spec), &mut Script::new(&requests)).expect("a valid run")
}

/// *`BatchLLM`* quotes 6 % of tokens saved with long prefixes and 40 % with short ones, for the same cache and shuffled
/// requests. Both are 1 − (1 − 1/G)^n: the share of requests whose prefix, one of G, one of the n others in flight has too.
/// What has ended leaves the cache before it is asked for again, because whoever waits takes its blocks; so nothing but memory may
/// limit what is in flight.
#[test]
fn a_cache_that_is_used_as_requests_come_shares_what_is_in_flight() {
    for (prefixes, blocks) in [(400, 1000), (400, 4000), (100, 1000), (50, 500)] {
        let run = shuffled(prefixes, blocks);
        let steady = &run.steps[run.steps.len() / 4..run.steps.len() * 3 / 4];
        let running = steady.iter().map(|step| f64::from(step.running)).sum::<f64>() / steady.len() as f64;
        let expected = 1.0 - (1.0 - 1.0 / prefixes as f64).powf(running);
        let books = &run.outcome.replicas[0];
        let hits = books.cached_tokens as f64 / (2000.0 * f64::from(PREFIX));
        assert!(
            (hits / expected - 1.0).abs() < 0.25,
            "{prefixes} prefixes, {running} in flight: {hits}, not {expected}"
        );
    }
}
