//! vLLM v0: steps of whole prompts whenever one can be let in, else decode steps.
//!
//! `vllm/core/scheduler.py` before v1: this order gives the best TTFT and stalls all decodes behind whole prompts.

use super::{Action, Admission, Reserve, Scheduler, StepView};
use crate::offline::Side;

pub(super) struct PrefillFirst {
    watermark_blocks: u32,
}

impl PrefillFirst {
    pub(super) fn new(watermark_blocks: u32) -> Self {
        PrefillFirst { watermark_blocks }
    }
}

impl Scheduler for PrefillFirst {
    fn next(&self, view: &StepView) -> Action {
        if view.running_done {
            return Action::Run;
        }
        if view.may_admit() {
            return Action::Admit(Admission {
                from: Side::Left,
                tokens: view.budget,
                whole: true,
                reserve: Reserve::Prompt,
                require_prompt: false,
                keep_free: self.watermark_blocks,
            });
        }
        if view.admitted > 0 { Action::Run } else { Action::Decode }
    }

    fn watermark_blocks(&self) -> u32 {
        self.watermark_blocks
    }
}
