//! The same with prefixes of hybrid models.

use super::compare_some;
use super::tally::Shares;
use crate::scenario::{PolicyKind, Scenario, Timing};

const SPLITTING: [PolicyKind; 3] = [PolicyKind::ChunkedPrefill, PolicyKind::Sarathi, PolicyKind::ChunkedPrefill];
const WHOLE: [PolicyKind; 3] = [PolicyKind::PrefillFirst, PolicyKind::Orca, PolicyKind::Splitwise];

/// Scenarios of these policies in turn.
fn compare(name: &str, kinds: &[PolicyKind], timing: Timing, least: Shares) {
    let draw = |seed: u64| Scenario::draw_with_checkpoints(kinds[seed as usize % kinds.len()], timing, seed);
    compare_some(150, name, draw, least);
}

#[test]
fn checkpoints_of_cut_prompts_are_exact() {
    compare("checkpoints", &SPLITTING, Timing::Synchronous, Shares { preemptions: 15, ..Shares::CHECKPOINTS });
}

#[test]
fn checkpoints_ahead_of_time_are_exact() {
    let least = Shares { victims_in_flight: 5, preemptions: 15, ..Shares::CHECKPOINTS };
    compare("checkpoints ahead", &SPLITTING, Timing::Asynchronous, least);
}

#[test]
fn checkpoints_of_whole_prompts_are_exact() {
    let least = Shares { given_up_hits: 1, ..Shares::CHECKPOINTS };
    compare("checkpoints, whole prompts", &WHOLE, Timing::Synchronous, least);
}

#[test]
fn checkpoints_of_cohorts_are_exact() {
    let least = Shares { groups_of_layers: 45, ..Shares::CHECKPOINTS };
    compare("checkpoints, layered", &[PolicyKind::LayeredPrefill], Timing::Synchronous, least);
    compare("checkpoints, layered ahead", &[PolicyKind::LayeredPrefill], Timing::Asynchronous, Shares::CHECKPOINTS);
}

#[test]
fn checkpoints_of_prefill_pools_are_exact() {
    let kinds = [PolicyKind::ChunkedPrefill, PolicyKind::Orca, PolicyKind::Sarathi, PolicyKind::LayeredPrefill];
    let draw = |seed: u64| Scenario::draw_pools_with_checkpoints(kinds[seed as usize % kinds.len()], seed);
    compare_some(
        150,
        "checkpoints, pools",
        draw,
        Shares { handed_over: 60, cache_hits: 5, evictions: 5, branches: 5, ..Shares::default() },
    );
}
