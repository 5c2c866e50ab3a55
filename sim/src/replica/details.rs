//! Who takes part in a step, one by one, for observers that ask.

use profiles::CostTotals;

use super::{Phase, Replica};
use crate::record::{DecodeMember, Observer, PrefillMember, StepDetails, StepRecord};

impl Replica {
    /// Tells who takes part in the step that was just put into `slot`.
    pub(super) fn tell_details(
        &self,
        slot: usize,
        record: &StepRecord,
        sampled: u32,
        cost: &CostTotals,
        observer: &mut impl Observer,
    ) {
        let batch = &self.slots[slot].batch;
        let prefill: Vec<PrefillMember> = batch
            .pieces
            .iter()
            .zip(&batch.shapes)
            .map(|(piece, &shape)| PrefillMember {
                request: self.lives.get(piece.live).id,
                piece: shape,
                completes: piece.completes,
            })
            .collect();
        let decode = if batch.decodes { self.members(slot) } else { Vec::new() };
        let context_tokens: u64 = decode.iter().map(|member| u64::from(member.context_tokens)).sum();
        assert_eq!(
            (decode.len(), context_tokens),
            (record.decode_requests as usize, record.decode_context_tokens),
            "the sums of a group are not those of its members"
        );
        observer.step_details(&StepDetails {
            record,
            prefill: &prefill,
            decode: &decode,
            sampled,
            stage_ns: &self.stage_ns,
            cost,
        });
    }

    /// The members of a slot's group in order of admission.
    fn members(&self, slot: usize) -> Vec<DecodeMember> {
        let group = &self.slots[slot].group;
        let mut members = Vec::with_capacity(group.members() as usize);
        let mut at = self.lives.first_running();
        while let Some(id) = at {
            let live = self.lives.get(id);
            if matches!(live.phase, Phase::Decoding { slot: its } if its as usize == slot) {
                members.push(DecodeMember { request: live.id, context_tokens: group.computed(live) + 1 });
            }
            at = self.lives.next_running(id);
        }
        members
    }
}
