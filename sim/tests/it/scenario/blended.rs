//! Batches: requests that wait together, in some order or under `BlendServe`.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use sim::{Policy, QueueKey, QueueOrder, RouterSpec};

use crate::script::Release;

use super::{PolicyKind, Scenario, Timing, pick, price, scheduler};

/// An order that needs all that it is shown: odd requests before even ones, of each the last that came first.
const OTHER_WAY_ROUND: QueueOrder = QueueOrder::ByKey(QueueKey {
    name: "other-way-round",
    of: |waiting| ((1 - waiting.id.0 % 2) << 62) + (1 << 61) - waiting.arrival.as_nanos(),
});

impl Scenario {
    /// The scenario of a seed with requests that wait together, most of them from the beginning on, and an order to let
    /// them in.
    pub(crate) fn draw_ordered(kind: PolicyKind, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let timing = pick(&mut rng, &[Timing::Synchronous, Timing::Asynchronous]);
        let mut scenario = Scenario::draw(kind, timing, seed);
        let at_once = pick(&mut rng, &[0.3, 0.8, 1.0]);
        for request in &mut scenario.requests {
            if let Release::At(ns) = &mut request.release
                && rng.random_bool(at_once)
            {
                *ns = 0;
            }
        }
        for replica in &mut scenario.replicas {
            let by_match = QueueOrder::LongestPrefixMatch { most: pick(&mut rng, &[1, 4, 20, 1000]) };
            let orders = [
                QueueOrder::Random,
                QueueOrder::DepthFirst,
                by_match,
                QueueOrder::SHORTEST_PROMPT_FIRST,
                QueueOrder::SHORTEST_JOB_FIRST,
                OTHER_WAY_ROUND,
            ];
            replica.scheduler.order = pick(&mut rng, &orders);
        }
        scenario
    }

    /// A batch of a seed under `BlendServe`, most of it there from the beginning on, sorted by density or otherwise.
    pub(crate) fn draw_blended(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut scenario = Scenario::draw_ordered(PolicyKind::BlendServe, seed);
        for replica in &mut scenario.replicas {
            let orders = [QueueOrder::Density, QueueOrder::Density, QueueOrder::DepthFirst, QueueOrder::Random];
            replica.scheduler.order = pick(&mut rng, &orders);
        }
        if rng.random_bool(0.4) {
            scenario.router = RouterSpec::DensityCut;
        }
        scenario
    }

    /// Groups of a seed in `BlendServe`'s order.
    pub(crate) fn draw_blended_groups(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
        let timing = pick(&mut rng, &[Timing::Synchronous, Timing::Synchronous, Timing::Asynchronous]);
        let mut scenario = Scenario::draw(PolicyKind::BatchLlm, timing, seed);
        for replica in &mut scenario.replicas {
            let policy = scheduler(&mut rng, PolicyKind::BlendServe, 10, 1).policy;
            let Policy::BlendServe {
                sample_permille,
                known_from_tokens,
                kept_sharing_permille,
                watermark_permille,
                ..
            } = policy
            else {
                unreachable!("it was asked for")
            };
            replica.scheduler.policy = Policy::BlendServe {
                sample_permille,
                known_from_tokens,
                kept_sharing_permille,
                watermark_permille,
                group_prefixes: true,
            };
            replica.scheduler.order = QueueOrder::Density;
            let step_ns = pick(&mut rng, &[1_000, 5_000]);
            replica.price = price(&mut rng, (PolicyKind::BlendServe, timing), 1, step_ns, 1);
        }
        if rng.random_bool(0.3) {
            scenario.router = RouterSpec::DensityCut;
        }
        scenario
    }
}
