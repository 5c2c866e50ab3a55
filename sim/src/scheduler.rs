//! Scheduling policies: pure decisions about the next thing a step does.
//!
//! A step is composed by asking the policy [`Scheduler::next`] again and again. Each answer is an [`Action`]; the
//! engine applies it, checks it against memory and limits, and shows the result in the next [`StepView`]. A policy
//! keeps no state of its own and touches nothing.
//!
//! To try one, hand it over as [`Policy::Own`] (`examples/own_scheduler.rs`). To add one: copy the nearest file in
//! `scheduler/`, add a variant to [`Policy`], and name it in [`new`]. To choose it in experiment files, add its name and
//! settings to `experiments/src/file/keys/system/scheduler.rs` and the variant to `experiments/src/experiment/scheduler.rs`;
//! to have it held against the naive reference, write down what it does in `SEMANTICS.md` and once more, plainly, in
//! `tests/it/reference/`.
//!
//! A policy says how many tokens a step takes from where, not whose: which request is the head of the waiting queue is
//! settled by a [`QueueOrder`](crate::QueueOrder), and one of the caller's is a [`QueueKey`](crate::QueueKey).

mod blendserve;
mod chunked_prefill;
mod layered_prefill;
mod orca;
mod prefill_first;
mod sarathi;
mod splitwise;

use crate::offline::{Side, SideView};
use crate::spec::{KvSpec, Policy, SchedulerSpec};

/// What a policy sees while it composes a step.
#[derive(Clone, Copy, Debug)]
pub struct StepView {
    /// Tokens that may still be added to the step, or to the cohort that is gathered.
    pub budget: u32,
    /// Whether the running requests have had their turn: [`Action::Decode`] or [`Action::Running`] was applied.
    pub running_done: bool,
    /// Prefilling requests that were let in before this step.
    pub prefilling: usize,
    /// How many of them have had their turn by [`Action::Continue`].
    pub continued: usize,
    /// Requests let in with this step.
    pub admitted: u32,
    /// Whether somebody was preempted, or nothing could be preempted any more, while this step was composed.
    pub out_of_memory: bool,
    /// Whether the last [`Action::Admit`] from the head was refused for lack of memory or budget.
    pub refused: bool,
    /// Requests that may still be let in: [seats](SchedulerSpec::seats) less those running, and no more than are waiting.
    pub admissible: u32,
    /// Decode rows in the step, once the running requests have had their turn.
    pub decodes: u32,
    /// How both ends of the queue stand, for a policy that takes from both.
    pub sides: Option<SidesView>,
    /// How the cohort stands, for policies that [gather cohorts](Scheduler::gathers_cohorts).
    pub cohort: CohortView,
}

/// How both ends of the queue stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SidesView {
    /// The head and the tail.
    pub ends: [SideView; 2],
    /// The side of the prefilling request that has its turn next.
    pub next: Option<Side>,
}

impl SidesView {
    /// One of them.
    pub fn of(&self, side: Side) -> SideView {
        self.ends[side as usize]
    }
}

/// How a cohort of prompts stands that passes the layers in groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CohortView {
    /// It is gathered, and has so many prompt tokens by now.
    Gathered(u32),
    /// [`Action::Cohort`] was applied, in this step or an earlier one, and it has layers before it.
    UnderWay,
    /// [`Action::Pass`] was applied: it passes layers in this step.
    Passing,
}

impl StepView {
    /// Whether it makes sense to let another request in.
    pub fn may_admit(&self) -> bool {
        self.budget > 0 && self.admissible > 0 && !self.refused
    }
}

/// Blocks that a request takes when it is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// Those of the tokens computed in this step.
    Chunk,
    /// Those of all tokens it has so far.
    Prompt,
    /// Those of all tokens it will ever have.
    Answer,
}

/// How the next request of the waiting queue is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// From which end of it: the left one is the head.
    pub from: Side,
    /// Most tokens of it in this step.
    pub tokens: u32,
    /// Refuse it unless all its tokens that are not cached fit into `tokens`.
    pub whole: bool,
    /// Blocks it takes.
    pub reserve: Reserve,
    /// Refuse it unless the blocks of all tokens it has so far would be available.
    pub require_prompt: bool,
    /// Refuse it unless so many blocks stay free.
    pub keep_free: u32,
}

/// One thing a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Every decoding request gets a token; the last running ones are preempted where blocks run out.
    Decode,
    /// Every running request gets its next tokens in order of admission: decoding ones one, prefilling ones at most
    /// `per_request`; the last running ones are preempted where blocks run out.
    Running {
        /// Most prompt tokens of one request.
        per_request: u32,
    },
    /// The next prefilling request that has not had its turn gets at most `tokens` tokens, or none while a piece of it is
    /// in flight in another micro-batch. Its blocks must be reserved.
    Continue {
        /// Most tokens of it.
        tokens: u32,
    },
    /// A request of the waiting queue is let in.
    Admit(Admission),
    /// The prompt pieces gathered in this step become a cohort, which passes the layers in so many groups.
    Cohort {
        /// From 1 to the number of layers.
        groups: u32,
    },
    /// The cohort passes its next group of layers in this step.
    Pass {
        /// All groups that are left rather than one.
        rest: bool,
    },
    /// The step is complete.
    Run,
}

/// A scheduling policy.
pub trait Scheduler: Send {
    /// What the step does next.
    fn next(&self, view: &StepView) -> Action;

    /// Whether decoding takes blocks: not if they were reserved when the request was let in.
    fn decode_takes_blocks(&self) -> bool {
        true
    }

    /// Whether prompt pieces are gathered for a cohort ([`Action::Cohort`]) rather than computed in the step at hand. Then
    /// decodes cost none of the budget, and requests that are prefilling are not preempted.
    fn gathers_cohorts(&self) -> bool {
        false
    }

    /// Blocks that [`Admission::keep_free`] will ask for.
    fn watermark_blocks(&self) -> u32 {
        0
    }
}

/// The policy that `spec` names, for a model of `layers` layers.
pub(crate) fn new(spec: &SchedulerSpec, kv: &KvSpec, layers: u32) -> Box<dyn Scheduler> {
    match spec.policy {
        Policy::ChunkedPrefill { long_prefill_token_threshold, scheduler_reserve_full_isl } => {
            Box::new(chunked_prefill::ChunkedPrefill::new(long_prefill_token_threshold, scheduler_reserve_full_isl))
        }
        Policy::Sarathi => Box::new(sarathi::Sarathi::new(0)),
        Policy::PrefillFirst { watermark_permille } => {
            Box::new(prefill_first::PrefillFirst::new(kv.share_of_blocks(watermark_permille)))
        }
        Policy::Orca => Box::new(orca::Orca),
        Policy::Splitwise => Box::new(splitwise::Splitwise),
        Policy::LayeredPrefill { groups, collapse_without_decodes } => {
            Box::new(layered_prefill::LayeredPrefill::new(groups, layers, collapse_without_decodes))
        }
        Policy::BlendServe { watermark_permille, .. } => {
            Box::new(blendserve::BlendServe::new(spec.max_num_batched_tokens, kv.share_of_blocks(watermark_permille)))
        }
        Policy::BatchLlm { watermark_permille, .. } => {
            Box::new(sarathi::Sarathi::new(kv.share_of_blocks(watermark_permille)))
        }
        Policy::Own(own) => (own.make)(spec, kv, layers),
    }
}
