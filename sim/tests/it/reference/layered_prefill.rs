//! Layered prefill: a cohort of prompts passes one group of layers per step, beside all decodes.

use sim::LayerGroups;
use workloads::RequestId;

use super::job::Phase;
use super::replica::Replica;
use super::scheduling::{Piece, Plan};

/// Prompts on their way through the layers.
pub(super) struct Cohort {
    pieces: Vec<Piece>,
    /// The layers of every group that it has still to pass.
    groups: Vec<Vec<u32>>,
}

pub(super) fn plan(replica: &mut Replica, plan: &mut Plan, rule: LayerGroups, collapse: bool) {
    let budget = std::mem::replace(&mut plan.budget, u32::MAX);
    replica.decode_part(plan);
    plan.budget = budget;
    if replica.cohort.is_none() {
        replica.cohort = gather(replica, plan, rule);
    }
    let Some(mut cohort) = replica.cohort.take() else { return };
    let mut layers = cohort.groups.remove(0);
    if collapse && plan.decode.is_empty() {
        layers.extend(cohort.groups.drain(..).flatten());
    }
    let last = cohort.groups.is_empty();
    for piece in &cohort.pieces {
        plan.pieces.push(Piece { completes: last && piece.completes, branches: last && piece.branches, ..*piece });
        if last {
            replica.learn_prompt(piece.id, piece.context_tokens + piece.new_tokens);
        }
    }
    plan.layers = Some(layers);
    if !last {
        replica.cohort = Some(cohort);
    }
}

/// The next cohort, if there is anybody for it.
fn gather(replica: &mut Replica, plan: &mut Plan, rule: LayerGroups) -> Option<Cohort> {
    let mut pieces = Vec::new();
    for id in replica.running.clone() {
        let job = &replica.jobs[&id];
        let n = job.left().min(plan.budget);
        if job.phase == Phase::Prefilling && n > 0 {
            pieces.push(piece(replica, plan, id, n));
        }
    }
    while plan.preempted == 0 && plan.budget > 0 {
        let Some(head) = replica.head(plan) else { break };
        if !replica.fits(&head, head.total, 0) {
            break;
        }
        let (id, n, reserve) = (head.id, head.remaining().min(plan.budget), head.total);
        replica.start_prefill(plan, head, reserve);
        pieces.push(piece(replica, plan, id, n));
    }
    if pieces.is_empty() {
        return None;
    }
    replica.coverage.shared_cohorts += u64::from(pieces.len() > 1);
    replica.coverage.resumed_prompts += u64::from(plan.admitted < pieces.len() as u32);
    let tokens = pieces.iter().map(|piece| piece.new_tokens).sum();
    let layers = replica.spec.cost.layers().expect("it prices layers");
    Some(Cohort { pieces, groups: split(layers, group_count(rule, tokens, layers)) })
}

/// Books the next tokens of a prompt as computed: its blocks are there.
fn piece(replica: &mut Replica, plan: &mut Plan, id: RequestId, n: u32) -> Piece {
    let job = replica.jobs.get_mut(&id).expect("it is running");
    let context_tokens = job.computed;
    job.computed += n;
    plan.budget -= n;
    let (completes, branches) = (job.computed == job.total(), job.passes_branch(context_tokens));
    Piece { id, new_tokens: n, context_tokens, completes, opens: false, branches }
}

fn group_count(rule: LayerGroups, tokens: u32, layers: u32) -> u32 {
    let steps = |counts: [u32; 5]| {
        let limits = [512, 1024, 2048, 4096, u32::MAX];
        counts[limits.iter().position(|limit| tokens <= *limit).expect("the last one is the largest number")]
    };
    match rule {
        LayerGroups::PerTokens { reference_chunk } => {
            { (1..layers).find(|groups| u64::from(*groups) * u64::from(reference_chunk) >= u64::from(tokens)) }
                .unwrap_or(layers)
        }
        LayerGroups::Table { num_stages: 16 } => steps([1, 2, 4, 8, 16]),
        LayerGroups::Table { num_stages: 12 } => steps([1, 2, 4, 6, 12]),
        LayerGroups::Table { num_stages: 24 } => steps([1, 2, 4, 8, 24]),
        LayerGroups::Table { num_stages: 4 } => steps([1, 2, 4, 4, 4]),
        LayerGroups::Table { num_stages } => panic!("no table for {num_stages}"),
        LayerGroups::Fixed(groups) => groups,
    }
}

/// As numpy's `array_split`: groups of equal size, the first ones with one layer more where that does not come out even.
fn split(layers: u32, groups: u32) -> Vec<Vec<u32>> {
    let mut left: Vec<u32> = (0..layers).collect();
    (0..groups)
        .map(|group| {
            let size = left.len().div_ceil((groups - group) as usize);
            left.drain(..size).collect()
        })
        .collect()
}
