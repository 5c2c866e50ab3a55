//! What a deployment must be before anything is simulated.

mod checkpoints;
mod roles;

use workloads::SimDuration;

use crate::error::SimError;
use crate::offline::Demand;
use crate::spec::{DeploymentSpec, LayerGroups, Policy, QueueOrder, ReplicaSpec, Role, RouterSpec};
use checkpoints::check_checkpoints;
use roles::check_roles;

/// Whether the deployment makes sense.
pub(super) fn check(spec: &DeploymentSpec) -> Result<(), SimError> {
    if spec.replicas.is_empty() {
        return Err(SimError::NoReplicas);
    }
    check_roles(spec)?;
    spec.replicas.iter().enumerate().try_for_each(|(number, replica)| check_replica(number, replica))?;
    let blends = |replica: &ReplicaSpec| matches!(replica.scheduler.policy, Policy::BlendServe { .. });
    match spec.replicas.iter().position(|replica| !blends(replica)) {
        Some(replica) if spec.router == RouterSpec::DensityCut => Err(SimError::Spec {
            replica,
            field: "policy",
            value: "another".to_owned(),
            expected: "blendserve: the router density-cut cuts batches by its tree".to_owned(),
        }),
        _ => Ok(()),
    }
}

fn check_replica(replica: usize, spec: &ReplicaSpec) -> Result<(), SimError> {
    let wrong = |field, value: &dyn ToString, expected: &str| {
        Err(SimError::Spec { replica, field, value: value.to_string(), expected: expected.to_owned() })
    };
    if spec.kv.block_size == 0 {
        return wrong("block_size", &0, "a block holds at least one token");
    }
    if spec.kv.blocks == 0 {
        return wrong("blocks", &0, "the KV cache has at least one block");
    }
    if spec.scheduler.max_num_seqs == 0 {
        return wrong("max_num_seqs", &0, "at least one request must be able to run");
    }
    if let Policy::LayeredPrefill { groups, .. } = spec.scheduler.policy {
        check_layered(replica, spec, groups)?;
    } else if spec.scheduler.max_num_batched_tokens < spec.scheduler.seats() {
        let names = if let Policy::BatchLlm { .. } = spec.scheduler.policy { " + token_batching_degree" } else { "" };
        return wrong(
            "max_num_batched_tokens",
            &spec.scheduler.max_num_batched_tokens,
            &format!(
                "at least max_num_seqs{names} = {}, so that every running request can decode",
                spec.scheduler.seats()
            ),
        );
    }
    if spec.scheduler.policy.groups_prefixes() {
        check_grouped(replica, spec)?;
    }
    check_blended(replica, spec)?;
    check_checkpoints(replica, spec)?;
    if spec.max_model_len < 2 {
        return wrong("max_model_len", &spec.max_model_len, "at least 2: a prompt token and an output token");
    }
    if spec.sliding_window == Some(0) {
        return wrong("sliding_window", &0, "a window holds at least one token");
    }
    if spec.cost.offloaded_batches() == Some(0) {
        return wrong("cost", &"0 batches", "at least one batch");
    }
    if spec.cost.stages() == 0 {
        return wrong("cost", &"0 stages", "at least one pipeline stage");
    }
    check_engine(replica, spec)?;
    if !(spec.idle_power_w.is_finite() && spec.idle_power_w >= 0.0) {
        return wrong("idle_power_w", &spec.idle_power_w, "a finite power, not negative");
    }
    Ok(())
}

fn check_blended(replica: usize, spec: &ReplicaSpec) -> Result<(), SimError> {
    let wrong = |field, value: String, expected: &str| {
        Err(SimError::Spec { replica, field, value, expected: expected.to_owned() })
    };
    let order = spec.scheduler.order;
    let Policy::BlendServe { sample_permille, kept_sharing_permille, .. } = spec.scheduler.policy else {
        if order == QueueOrder::Density {
            return wrong("order", "density".to_owned(), "another one: only blendserve takes requests from both ends");
        }
        return Ok(());
    };
    let changing = match order {
        QueueOrder::LongestPrefixMatch { .. } => Some("longest-prefix-match"),
        QueueOrder::ByKey(key) => Some(key.name),
        _ => None,
    };
    if let Some(name) = changing {
        return wrong("order", name.to_owned(), "an order that is settled before the batch runs");
    }
    for (field, permille) in [("sample_permille", sample_permille), ("kept_sharing_permille", kept_sharing_permille)] {
        if permille > 1000 {
            return wrong(field, permille.to_string(), "at most 1000");
        }
    }
    if spec.role != Role::Serve {
        return wrong("policy", "blendserve".to_owned(), "another one on replicas that prefill or decode alone");
    }
    if spec.cost.stages() > 1 || spec.cost.offloaded_batches().is_some() {
        return wrong("stages", spec.cost.stages().to_string(), "one pipeline stage, and no offloaded attention");
    }
    if Demand::of_cost(&*spec.cost).is_none() {
        return wrong(
            "cost",
            "a price of whole steps".to_owned(),
            "one that tells reads of the KV cache from the rest",
        );
    }
    Ok(())
}

fn check_layered(replica: usize, spec: &ReplicaSpec, groups: LayerGroups) -> Result<(), SimError> {
    let wrong = |field, value: String, expected: String| Err(SimError::Spec { replica, field, value, expected });
    if spec.scheduler.max_num_batched_tokens == 0 {
        return wrong("max_num_batched_tokens", "0".to_owned(), "a cohort has at least one token".to_owned());
    }
    if let Some(batches) = spec.cost.offloaded_batches() {
        let expected = "none: batches pass layer by layer where attention is offloaded, prompts with decodes";
        return wrong("batches", batches.to_string(), expected.to_owned());
    }
    if spec.cost.stages() > 1 {
        let expected = "one pipeline stage: a cohort passes one group of layers while nothing else is in flight, so the other \
                        stages would stand still";
        return wrong("stages", spec.cost.stages().to_string(), expected.to_owned());
    }
    let Some(layers) = spec.cost.layers() else {
        let expected = "one that prices layers: this one knows whole passes alone, and layered prefill makes none";
        return wrong("cost", "a price of whole steps".to_owned(), expected.to_owned());
    };
    groups.problem(layers).map_or(Ok(()), |(value, expected)| wrong("groups", value.to_string(), expected))
}

fn check_grouped(replica: usize, spec: &ReplicaSpec) -> Result<(), SimError> {
    let wrong = |field, value: &str, expected: &str| {
        Err(SimError::Spec { replica, field, value: value.to_owned(), expected: expected.to_owned() })
    };
    if spec.role != Role::Serve {
        return wrong(
            "role",
            "prefill or decode",
            "replicas that serve whole requests: a group's prefix stays with its members",
        );
    }
    if spec.kv.prefix_caching {
        return wrong("prefix_caching", "true", "false: prefixes are shared by groups that are known beforehand");
    }
    if let Policy::BlendServe { .. } = spec.scheduler.policy {
        if spec.scheduler.order != QueueOrder::Density {
            return wrong("order", "another", "density: groups of requests are taken from both ends");
        }
    } else if spec.scheduler.order != QueueOrder::Fcfs {
        return wrong("order", "another", "first come, first served: BatchLLM orders groups");
    }
    if spec.cost.offloaded_batches().is_some() {
        return wrong("batches", "given", "none: prefix groups where attention is offloaded have never been built");
    }
    Ok(())
}

/// Longer than any engine takes for anything but its steps: whoever gets here has lost a unit prefix.
const LONGEST_OVERHEAD: SimDuration = SimDuration::from_nanos(60_000_000_000);

fn check_engine(replica: usize, spec: &ReplicaSpec) -> Result<(), SimError> {
    let engine = &spec.engine;
    let wrong = |field, value: String, expected: &str| {
        Err(SimError::Spec { replica, field, value, expected: expected.to_owned() })
    };
    for (field, time) in engine.times() {
        if time > LONGEST_OVERHEAD {
            return wrong(field, time.to_string(), "at most a minute");
        }
    }
    let requests = u64::from(spec.scheduler.seats());
    let largest_ns = engine.host_per_request.as_nanos().checked_mul(requests);
    if largest_ns.is_none_or(|nanos| nanos > LONGEST_OVERHEAD.as_nanos()) {
        let expected = format!("at most a minute for max_num_seqs = {requests} together");
        return wrong("host_per_request", engine.host_per_request.to_string(), &expected);
    }
    if engine.async_scheduling && spec.cost.offloaded_batches().is_some() {
        let expected = "false where attention is offloaded: several batches keep the workers busy instead";
        return wrong("async_scheduling", "true".to_owned(), expected);
    }
    if engine.async_scheduling && spec.cost.stages() > 1 {
        let expected = format!(
            "false with {} pipeline stages: vLLM turns it off there, and the stages keep several steps in flight anyway",
            spec.cost.stages()
        );
        return wrong("async_scheduling", "true".to_owned(), &expected);
    }
    Ok(())
}
