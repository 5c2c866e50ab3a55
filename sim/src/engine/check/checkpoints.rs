//! Whether a replica can keep prefixes with checkpoints.

use crate::error::SimError;
use crate::prefix_cache::Alpha;
use crate::spec::{BranchStates, CheckpointEviction, Policy, ReplicaSpec, Role};

pub(super) fn check_checkpoints(replica: usize, spec: &ReplicaSpec) -> Result<(), SimError> {
    let Some(checkpoints) = &spec.checkpoints else { return Ok(()) };
    let wrong = |field, value: String, expected: &str| {
        Err(SimError::Spec { replica, field, value, expected: expected.to_owned() })
    };
    if spec.kv.prefix_caching {
        return wrong("prefix_caching", "true".to_owned(), "false beside checkpoints, which have a cache of their own");
    }
    if spec.role == Role::Decode {
        let expected = "a replica that computes prompts: what is decoded elsewhere goes on from what was handed over";
        return wrong("role", spec.role.name().to_owned(), expected);
    }
    if let Policy::BatchLlm { .. } | Policy::BlendServe { .. } = spec.scheduler.policy {
        let expected = "another one: offline policies share prefixes that they know beforehand, without checkpoints";
        return wrong("policy", format!("{:?}", spec.scheduler.policy), expected);
    }
    if spec.cost.offloaded_batches().is_some() {
        return wrong("batches", "given".to_owned(), "none: attention workers keep no prefixes for others");
    }
    for (field, bytes) in [
        ("kv_bytes_per_token", checkpoints.model.kv_bytes_per_token()),
        ("checkpoint_bytes", checkpoints.model.checkpoint_bytes()),
    ] {
        if bytes == 0 {
            return wrong(field, "0".to_owned(), "a model with attention and recurrent layers");
        }
    }
    if let CheckpointEviction::FlopAware { alpha, .. } = checkpoints.eviction {
        match alpha {
            Alpha::Fixed(alpha) if !(alpha.is_finite() && alpha >= 0.0) => {
                return wrong("alpha", alpha.to_string(), "a finite number, not negative");
            }
            Alpha::TunedOnce(tuning) if tuning.multiplier == 0 => {
                return wrong("tuning_window", "0".to_owned(), "at least 1");
            }
            Alpha::Oracle => {
                let expected = "a number, or one that is tuned: requests are not known beforehand";
                return wrong("alpha", "oracle".to_owned(), expected);
            }
            _ => {}
        }
    }
    match checkpoints.branches {
        BranchStates::Every(0) => wrong("checkpoint_interval", "0".to_owned(), "at least one token"),
        BranchStates::Cut if spec.scheduler.policy.whole_prompts() => {
            let expected = "an interval at which kernels write states: this policy never cuts a prompt";
            wrong("branches", "cut".to_owned(), expected)
        }
        _ => Ok(()),
    }
}
