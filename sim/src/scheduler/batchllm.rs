//! `BatchLLM`: decodes, then prompt pieces, then prefixes and requests whose whole prompt has blocks.
//!
//! `core/scheduler.py` of its public code, in chunked mode. What makes it `BatchLLM` is what waits: groups of requests in an
//! order of their own, behind the prefix that they share (`replica/prefixes.rs`).

use super::{Action, Admission, Reserve, Scheduler, StepView};
use crate::offline::Side;

pub(super) struct BatchLlm {
    watermark_blocks: u32,
}

impl BatchLlm {
    pub(super) fn new(watermark_blocks: u32) -> Self {
        BatchLlm { watermark_blocks }
    }
}

impl Scheduler for BatchLlm {
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
                keep_free: self.watermark_blocks,
            });
        }
        Action::Run
    }

    fn watermark_blocks(&self) -> u32 {
        self.watermark_blocks
    }
}
