//! Splitwise on one machine: whole prompts, then decodes while there is room for them.

use super::job::Phase;
use super::replica::Replica;
use super::scheduling::Plan;

pub(super) fn plan(replica: &mut Replica, plan: &mut Plan) {
    while plan.budget > 0 {
        let Some(head) = replica.head(plan) else { break };
        let alone = plan.pieces.is_empty();
        if !(alone || head.remaining() <= plan.budget) || !replica.fits(&head, head.longest, 0) {
            break;
        }
        let (n, reserve) = (head.remaining(), head.longest);
        replica.let_in(plan, head, n, reserve);
    }
    if plan.budget == 0 {
        return;
    }
    replica.share_out(plan.slot);
    for id in replica.running.clone() {
        if !replica.decodes_in(id, plan.slot) {
            continue;
        }
        if plan.budget > 0 {
            let given = replica.give_token(plan, id);
            assert!(given, "decoding needs no blocks");
        } else {
            replica.coverage.loosened += 1;
            replica.set_phase(id, Phase::Decoding(None));
        }
    }
}
