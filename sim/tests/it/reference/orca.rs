//! Orca: whole prompts join the decodes; blocks for prompt and answer are reserved.

use super::replica::Replica;
use super::scheduling::Plan;

pub(super) fn plan(replica: &mut Replica, plan: &mut Plan) {
    replica.decode_part(plan);
    assert_eq!(plan.preempted, 0, "decoding needs no blocks");
    while let Some(head) = replica.head(plan) {
        if head.remaining() > plan.budget || !replica.fits(&head, head.longest, 0) {
            break;
        }
        let (n, reserve) = (head.remaining(), head.longest);
        replica.let_in(plan, head, n, reserve);
    }
}
