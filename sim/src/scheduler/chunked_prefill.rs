//! vLLM v1: decodes and prompt pieces share one token budget.
//!
//! `vllm/v1/core/sched/scheduler.py`: running requests first, blocks allocated per chunk, LIFO preemption by
//! recomputation, nobody let in while somebody is preempted.

use super::{Action, Admission, Reserve, Scheduler, StepView};
use crate::offline::Side;

pub(super) struct ChunkedPrefill {
    per_request: u32,
    require_prompt: bool,
}

impl ChunkedPrefill {
    pub(super) fn new(long_prefill_token_threshold: u32, scheduler_reserve_full_isl: bool) -> Self {
        let per_request = if long_prefill_token_threshold == 0 { u32::MAX } else { long_prefill_token_threshold };
        ChunkedPrefill { per_request, require_prompt: scheduler_reserve_full_isl }
    }
}

impl Scheduler for ChunkedPrefill {
    fn next(&self, view: &StepView) -> Action {
        if !view.running_done {
            return Action::Running { per_request: self.per_request };
        }
        if view.may_admit() && !view.out_of_memory {
            return Action::Admit(Admission {
                from: Side::Left,
                tokens: view.budget.min(self.per_request),
                whole: false,
                reserve: Reserve::Chunk,
                require_prompt: self.require_prompt,
                keep_free: 0,
            });
        }
        Action::Run
    }
}
