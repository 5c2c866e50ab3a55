//! Scenarios with prefixes of hybrid models.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use sim::prefix_cache::{Alpha, AlphaTuning, CacheModel, HybridShape, MarconiMode, TuningObjective};
use sim::{BranchStates, CheckpointEviction, CheckpointSpec, Policy, Role, TransferMode};

use super::{PolicyKind, Scenario, Timing, pick};

impl Scenario {
    /// The scenario of a seed with prefixes that have checkpoints, most of it conversations.
    pub(crate) fn draw_with_checkpoints(kind: PolicyKind, timing: Timing, seed: u64) -> Self {
        let mut scenario = if seed.is_multiple_of(5) && timing == Timing::Synchronous {
            Scenario::draw_ordered(kind, seed)
        } else {
            Scenario::draw(kind, timing, seed)
        };
        scenario.shorten();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
        for replica in &mut scenario.replicas {
            replica.kv.prefix_caching = false;
            replica.checkpoints = Some(checkpoints(&mut rng, replica.scheduler.policy));
            if rng.random_bool(0.6) {
                replica.kv.blocks += pick(&mut rng, &[1, 2, 8, 40]);
            }
        }
        scenario
    }
}

impl Scenario {
    /// The scenario of a seed whose prefill replicas keep prefixes that have checkpoints, and hand over states beside KV.
    pub(crate) fn draw_pools_with_checkpoints(kind: PolicyKind, seed: u64) -> Self {
        let mut scenario = Scenario::draw_disaggregated(kind, seed);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
        if let Some(handover) = &mut scenario.handover {
            handover.state_bytes = pick(&mut rng, &[0, 1, 300, 10_000]);
            if let (TransferMode::Pull { .. }, 1..) = (handover.mode, handover.state_bytes) {
                handover.mode = TransferMode::AfterPrefill;
            }
        }
        scenario.shorten();
        for replica in &mut scenario.replicas {
            replica.kv.prefix_caching = false;
            if replica.role == Role::Prefill {
                replica.checkpoints = Some(checkpoints(&mut rng, replica.scheduler.policy));
                replica.kv.blocks += pick(&mut rng, &[0, 1, 8, 40]);
            }
        }
        scenario
    }

    /// Leaves out requests from the end: the naive tree spells out every token.
    fn shorten(&mut self) {
        let mut left = 6000_u32;
        self.requests.retain(|request| {
            let tokens = request.output_tokens + request.spans.iter().map(|span| span.tokens).sum::<u32>();
            left = left.saturating_sub(tokens);
            left > 0
        });
    }
}

/// Checkpoints that weigh as much as a few tokens or as many.
fn checkpoints(rng: &mut Xoshiro256PlusPlus, policy: Policy) -> CheckpointSpec {
    let shape = HybridShape {
        ssm_layers: pick(rng, &[1, 2, 6]),
        attention_layers: pick(rng, &[1, 2]),
        mlp_layers: 3,
        width: 4,
        state: pick(rng, &[1, 8]),
        value_bytes: 2,
    };
    let marconi = CheckpointEviction::FlopAware {
        mode: pick(rng, &[MarconiMode::Paper, MarconiMode::Artifact]),
        alpha: match rng.random_range(0..6) {
            0 | 1 => {
                let objective = pick(rng, &[TuningObjective::FlopsOfLast500, TuningObjective::HitRate]);
                Alpha::TunedOnce(AlphaTuning { multiplier: rng.random_range(1..=4), objective })
            }
            _ => Alpha::Fixed(pick(rng, &[0.0, 0.3, 1.0, 2.0])),
        },
    };
    let eviction = pick(rng, &[CheckpointEviction::LeafLru, marconi, marconi]);
    let every = BranchStates::Every(pick(rng, &[1, 2, 5, 16]));
    let branches =
        if policy.whole_prompts() { every } else { pick(rng, &[BranchStates::Cut, BranchStates::Cut, every]) };
    CheckpointSpec { model: CacheModel::of_shape(&shape), eviction, branches }
}
