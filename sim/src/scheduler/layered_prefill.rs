//! Layered prefill: a cohort of prompts passes one group of layers per step, beside all decodes.
//!
//! *Layered Prefill*, and `scheduler.py` of its public code: one cohort in flight, decodes outside the token budget,
//! blocks of whole prompts reserved at admission, and a finished cohort followed at once by the next.

use super::{Action, Admission, CohortView, Reserve, Scheduler, StepView};
use crate::offline::Side;
use crate::spec::LayerGroups;

pub(super) struct LayeredPrefill {
    groups: LayerGroups,
    /// Layers of the model.
    layers: u32,
    collapse_without_decodes: bool,
}

impl LayeredPrefill {
    pub(super) fn new(groups: LayerGroups, layers: u32, collapse_without_decodes: bool) -> Self {
        LayeredPrefill { groups, layers, collapse_without_decodes }
    }
}

impl Scheduler for LayeredPrefill {
    fn next(&self, view: &StepView) -> Action {
        if !view.running_done {
            return Action::Decode;
        }
        let gathered = match view.cohort {
            CohortView::Passing => return Action::Run,
            CohortView::UnderWay => {
                return Action::Pass { rest: self.collapse_without_decodes && view.decodes == 0 };
            }
            CohortView::Gathered(tokens) => tokens,
        };
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
        if gathered > 0 {
            return Action::Cohort { groups: self.groups.count(gathered, self.layers) };
        }
        Action::Run
    }

    fn gathers_cohorts(&self) -> bool {
        true
    }
}
