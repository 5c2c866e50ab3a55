//! vLLM v1: running requests first, in order of admission, then the waiting ones, all from one budget.

use super::job::Phase;
use super::replica::Replica;
use super::scheduling::Plan;

pub(super) fn plan(replica: &mut Replica, plan: &mut Plan, threshold: u32, reserve_full_isl: bool) {
    let threshold = if threshold == 0 { u32::MAX } else { threshold };
    let reached_end = walk_running(replica, plan, threshold);
    if reached_end && plan.preempted == 0 {
        admit(replica, plan, threshold, reserve_full_isl);
    }
}

/// Whether the walk came to the end of the running list.
fn walk_running(replica: &mut Replica, plan: &mut Plan, threshold: u32) -> bool {
    let mut stopped = false;
    replica.share_out(plan.slot);
    for id in replica.running.clone() {
        let job = &replica.jobs[&id];
        let left = job.left();
        if replica.decodes_in(id, plan.slot) {
            if stopped || plan.budget == 0 {
                replica.coverage.loosened += 1;
                replica.set_phase(id, Phase::Decoding(None));
            } else {
                stopped = !replica.give_token(plan, id);
            }
        } else if job.phase == Phase::Prefilling && !stopped && !replica.waits_for_its_piece(id) {
            let n = left.min(threshold).min(plan.budget);
            if n > 0 {
                stopped = !replica.give_piece(plan, id, n);
            }
        }
    }
    !stopped
}

fn admit(replica: &mut Replica, plan: &mut Plan, threshold: u32, reserve_full_isl: bool) {
    while plan.budget > 0 {
        let Some(head) = replica.head(plan) else { break };
        let n = head.remaining().min(threshold).min(plan.budget);
        let whole_fits = !reserve_full_isl || replica.fits(&head, head.total, 0);
        if !whole_fits || !replica.fits(&head, head.cached + n, 0) {
            break;
        }
        let reserve = head.cached + n;
        replica.let_in(plan, head, n, reserve);
    }
}
