//! Sarathi-Serve (OSDI 2024, algorithm 3): decodes, then prompt pieces, then new requests whose whole prompt has blocks.
//!
//! `BatchLLM` composes its steps alike (`core/scheduler.py` of its public code, in chunked mode), with some blocks left free. What
//! makes it `BatchLLM` is what waits: groups of requests in an order of their own, behind the prefix that they share
//! (`replica/prefixes.rs`).

use super::{Action, Admission, Reserve, Scheduler, StepView};
use crate::offline::Side;

pub(super) struct Sarathi {
    /// Blocks that stay free when a request is let in.
    watermark_blocks: u32,
}

impl Sarathi {
    pub(super) fn new(watermark_blocks: u32) -> Self {
        Sarathi { watermark_blocks }
    }
}

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
                keep_free: self.watermark_blocks,
            });
        }
        Action::Run
    }

    fn watermark_blocks(&self) -> u32 {
        self.watermark_blocks
    }
}
