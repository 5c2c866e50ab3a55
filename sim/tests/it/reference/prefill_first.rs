//! vLLM v0: whole prompts alone, whenever one fits; else decodes.

use super::replica::Replica;
use super::scheduling::Plan;

pub(super) fn plan(replica: &mut Replica, plan: &mut Plan) {
    while let Some(head) = replica.head(plan) {
        if head.remaining() > plan.budget || !replica.fits(&head, head.total, replica.watermark()) {
            break;
        }
        let (n, reserve) = (head.remaining(), head.total);
        replica.let_in(plan, head, n, reserve);
    }
    if plan.admitted == 0 {
        replica.decode_part(plan);
    }
}
