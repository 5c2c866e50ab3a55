//! Orca (OSDI 2022): whole prompts join the decodes; room for the longest answer is reserved at admission.
//!
//! Orca reserves for the longest answer a request may have. The simulator takes the answer's true length for that, as
//! if every client asked for exactly the tokens it gets.

use super::{Action, Admission, Reserve, Scheduler, StepView};
use crate::offline::Side;

pub(super) struct Orca;

impl Scheduler for Orca {
    fn next(&self, view: &StepView) -> Action {
        if !view.running_done {
            return Action::Decode;
        }
        if view.may_admit() {
            return Action::Admit(Admission {
                from: Side::Left,
                tokens: view.budget,
                whole: true,
                reserve: Reserve::Answer,
                require_prompt: false,
                keep_free: 0,
            });
        }
        Action::Run
    }

    fn decode_takes_blocks(&self) -> bool {
        false
    }
}
