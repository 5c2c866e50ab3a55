//! Splitwise (ISCA 2024), on one machine: waiting prompts first, whole, then as many decodes as the step has room for.
//!
//! The scheduler of the paper's public simulator (`SplitwiseInstance`), but for one rule: there a request that was left out of
//! four batches goes before the prompts, here those let in first come first. It places requests by the true length of their
//! answers, and so are blocks reserved.

use super::{Action, Admission, Reserve, Scheduler, StepView};
use crate::offline::Side;

pub(super) struct Splitwise;

impl Scheduler for Splitwise {
    fn next(&self, view: &StepView) -> Action {
        if view.running_done {
            return Action::Run;
        }
        if view.may_admit() {
            return Action::Admit(Admission {
                from: Side::Left,
                // A prompt that no step has room for has one to itself.
                tokens: if view.admitted == 0 { u32::MAX } else { view.budget },
                whole: true,
                reserve: Reserve::Answer,
                require_prompt: false,
                keep_free: 0,
            });
        }
        if view.budget == 0 { Action::Run } else { Action::Decode }
    }

    fn decode_takes_blocks(&self) -> bool {
        false
    }
}
