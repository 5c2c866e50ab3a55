//! Sarathi-Serve: decodes, then pieces of running prompts, then waiting prompts with all their blocks reserved.

use super::job::Phase;
use super::replica::Replica;
use super::scheduling::Plan;

pub(super) fn plan(replica: &mut Replica, plan: &mut Plan) {
    replica.decode_part(plan);
    for id in replica.running.clone() {
        let job = &replica.jobs[&id];
        let n = job.left().min(plan.budget);
        if job.phase == Phase::Prefilling && n > 0 && (job.in_flight == 0 || replica.spec.engine.async_scheduling) {
            let given = replica.give_piece(plan, id, n);
            assert!(given, "the blocks of its whole prompt were reserved");
        }
    }
    while plan.preempted == 0 && !plan.kept_blocks && plan.budget > 0 {
        let Some(head) = replica.head(plan) else { break };
        if !replica.fits(&head, head.total, 0) {
            break;
        }
        let (n, reserve) = (head.remaining().min(plan.budget), head.total);
        replica.let_in(plan, head, n, reserve);
    }
}
