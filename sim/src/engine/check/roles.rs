//! Whether the roles of replicas go together, and with how requests are handed over.

use crate::error::SimError;
use crate::spec::{
    DecodeChoice, DeploymentSpec, HandoverSpec, QueueOrder, ReplicaSpec, Role, RouterSpec, TransferMode,
};

/// Whether the roles of the replicas go together.
pub(super) fn check_roles(spec: &DeploymentSpec) -> Result<(), SimError> {
    let wrong = |problem: &str| Err(SimError::Roles { problem: problem.to_owned() });
    let offloads = |replica: &&ReplicaSpec| replica.cost.offloaded_batches().is_some();
    if spec.replicas.iter().filter(offloads).any(|replica| replica.role == Role::Prefill) {
        return wrong("prefill replicas cannot offload attention: it is decoding that attention workers are for");
    }
    let has = |role| spec.replicas.iter().any(|replica| replica.role == role);
    match (has(Role::Serve), has(Role::Prefill), has(Role::Decode), &spec.handover) {
        (true, false, false, None) | (false, false, true, None) => Ok(()),
        (true, true, ..) | (true, _, true, _) => {
            wrong("replicas that serve whole requests cannot stand beside ones that prefill or decode for others")
        }
        (_, true, false, _) => wrong("prefill replicas have no decode replica to hand requests over to"),
        (_, true, true, None) => {
            wrong("there are prefill replicas, and `handover` does not say how they hand requests over")
        }
        (_, false, _, Some(_)) => wrong("`handover` says how prefill replicas hand requests over, and there are none"),
        (_, true, true, Some(handover)) => check_handover(spec, handover),
        (false, false, false, None) => unreachable!("a deployment has replicas"),
    }
}

fn check_handover(spec: &DeploymentSpec, handover: &HandoverSpec) -> Result<(), SimError> {
    let wrong = |problem: String| Err(SimError::Roles { problem });
    let of = |role| (0..).zip(&spec.replicas).filter(move |(_, replica)| replica.role == role);
    let to_client = spec.replicas[0].engine.engine_to_client;
    if let Some(other) = spec.replicas.iter().find(|replica| replica.engine.engine_to_client != to_client) {
        return wrong(format!(
            "engine_to_client is {to_client} on one replica and {} on another: one client gets the tokens of both",
            other.engine.engine_to_client
        ));
    }
    if handover.router == RouterSpec::DensityCut {
        return wrong("requests are handed over one by one: density-cut is no router for them".to_owned());
    }
    if let Some(problem) = handover.mixing.is_some().then(|| mixing_problem(spec, handover)).flatten() {
        return wrong(problem);
    }
    for (from, _) in of(Role::Prefill) {
        if let Some((to, _)) = of(Role::Decode).find(|(to, _)| !handover.routes.contains_key(&(from, *to))) {
            return wrong(format!("there is no route from prefill replica {from} to decode replica {to}"));
        }
    }
    match handover.mode {
        TransferMode::Pull { max_unbatched_permille: 0, .. } => {
            wrong("max_unbatched_permille is 0: nothing could ever be fetched; at least 1".to_owned())
        }
        TransferMode::Pull { awaited: true, .. }
            if of(Role::Decode).any(|(_, replica)| replica.engine.async_scheduling) =>
        {
            wrong(
                "decode replicas that await what they fetch between two steps cannot have async_scheduling".to_owned(),
            )
        }
        TransferMode::Pull { .. } if handover.state_bytes > 0 => wrong(
            "what is fetched waits beside the max_num_seqs requests that have states: expected AfterPrefill".to_owned(),
        ),
        TransferMode::PushByLayer { layers: 0 } => wrong("layers is 0: a model has at least 1".to_owned()),
        TransferMode::PushByLayer { .. } if handover.choice == DecodeChoice::AfterPrefill => wrong(
            "layers are pushed while a prompt is computed: its decode replica must be chosen at arrival".to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Why replicas cannot leave their pools for a mixed one.
fn mixing_problem(spec: &DeploymentSpec, handover: &HandoverSpec) -> Option<String> {
    if let TransferMode::Pull { .. } = handover.mode {
        return Some(
            "with a mixed pool KV caches are pushed: what is fetched waits for places that prompts may take".to_owned(),
        );
    }
    if handover.state_bytes > 0 {
        return Some("with a mixed pool no replica has seats for the states of requests that leave".to_owned());
    }
    if handover.choice == DecodeChoice::AfterPrefill {
        return Some("with a mixed pool prefill and decode replica are chosen together, at arrival".to_owned());
    }
    for (number, replica) in spec.replicas.iter().enumerate() {
        if !replica.scheduler.policy.reserves_answers() {
            return Some(format!(
                "replica {number} of a mixed pool takes blocks as it goes: two that wait for each other's would never go \
                 on; expected a policy that reserves those of the answer, orca or splitwise"
            ));
        }
        if replica.scheduler.order != QueueOrder::Fcfs {
            return Some(format!(
                "replica {number} of a mixed pool serves prompts out of order: two that wait behind each other's would never \
                 go on; expected as they come"
            ));
        }
        if replica.kv.prefix_caching || replica.checkpoints.is_some() {
            return Some(format!(
                "replica {number} of a mixed pool has prefix caching: what a request owns beside its reserved blocks was \
                 promised to others"
            ));
        }
        if replica.cost.offloaded_batches().is_some() {
            return Some(format!(
                "replica {number} of a mixed pool offloads attention, and any of them may have to compute prompts"
            ));
        }
    }
    let all = 0..spec.replicas.len() as u32;
    let mut pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to))).filter(|(from, to)| from != to);
    pairs.find(|pair| !handover.routes.contains_key(pair)).map(|(from, to)| {
        format!("there is no route from replica {from} to replica {to}, and with a mixed pool any may hand over to any")
    })
}
