//! `BlendServe`: decodes, then prompt pieces, then requests from both ends of a queue that is sorted by density.
//!
//! *`BlendServe`*, algorithm 3. What each end may do is settled when a step begins (`offline/dual_scan.rs`); here it becomes a
//! step: the memory-heavy end first, whose prompts are few and short, and as many rows in all as are a multiple of 128.

use super::{Action, Admission, Reserve, Scheduler, StepView};
use crate::offline::{QUANTUM, Side};

pub(super) struct BlendServe {
    max_num_batched_tokens: u32,
    watermark_blocks: u32,
}

impl BlendServe {
    pub(super) fn new(max_num_batched_tokens: u32, watermark_blocks: u32) -> Self {
        BlendServe { max_num_batched_tokens, watermark_blocks }
    }

    /// Prompt tokens that still fit: up to the largest multiple of the quantum that both ends can fill.
    fn quota(&self, view: &StepView, allowed: u32) -> u32 {
        let rows = self.max_num_batched_tokens - view.budget;
        let most = (rows + allowed).min(self.max_num_batched_tokens);
        // A budget below one quantum is filled as it is.
        let whole = if most < QUANTUM { most } else { most / QUANTUM * QUANTUM };
        whole.saturating_sub(rows)
    }
}

impl Scheduler for BlendServe {
    fn next(&self, view: &StepView) -> Action {
        if !view.running_done {
            return Action::Decode;
        }
        let sides = view.sides.expect("the engine keeps both sides");
        let [left, right] = sides.ends;
        let quota = self.quota(view, left.tokens + right.tokens);
        if quota == 0 {
            return Action::Run;
        }
        if view.continued < view.prefilling {
            let side = sides.next.expect("somebody is to be continued");
            return Action::Continue { tokens: sides.of(side).tokens.min(quota) };
        }
        if view.admissible > 0 && !view.out_of_memory {
            for side in [Side::Right, Side::Left] {
                let end = sides.of(side);
                if end.open && !end.refused && end.tokens > 0 {
                    return Action::Admit(Admission {
                        from: side,
                        tokens: end.tokens.min(quota),
                        whole: false,
                        reserve: Reserve::Prompt,
                        require_prompt: false,
                        keep_free: self.watermark_blocks,
                    });
                }
            }
        }
        Action::Run
    }

    fn watermark_blocks(&self) -> u32 {
        self.watermark_blocks
    }
}
