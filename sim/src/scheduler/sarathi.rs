//! Sarathi-Serve (OSDI 2024, algorithm 3): decodes, then prompt pieces, then new requests whose whole prompt has blocks.

use super::{Action, Admission, Reserve, Scheduler, StepView};
use crate::offline::Side;

pub(super) struct Sarathi;

impl Scheduler for Sarathi {
    fn next(&self, view: &StepView) -> Action {
        if !view.running_done {
            return Action::Decode;
        }
        if view.continued < view.prefilling && view.budget > 0 {
            return Action::Continue { tokens: view.budget };
        }
        if view.may_admit() && !view.out_of_memory {
            return Action::Admit(Admission {
                from: Side::Left,
                tokens: view.budget,
                whole: false,
                reserve: Reserve::Prompt,
                require_prompt: false,
                keep_free: 0,
            });
        }
        Action::Run
    }
}
