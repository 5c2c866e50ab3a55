//! The engine and the naive simulator agree on random scenarios, to the nanosecond, the token and the block.
//!
//! `SERVESIM_SCENARIOS` sets the number of scenarios per policy and timing (500; 200 with offloaded attention), `SERVESIM_FIRST_SEED` the first seed (0).

mod checkpoints;
mod conservation;
mod deployments;
mod difference;
mod followed;
mod offloaded;
mod tally;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::scenario::{PolicyKind, Scenario, Timing};
use crate::{engine, reference};
use difference::first_difference;
use tally::{Shares, Tally};

/// Compares the simulators on scenarios of `kind`, and demands that the rare things occurred in at least these
/// shares of them.
fn compare(kind: PolicyKind, timing: Timing, least: Shares) {
    compare_drawn((kind, timing), |seed| Scenario::draw(kind, timing, seed), least);
}

/// The same for any way to draw scenarios, called `name`.
fn compare_drawn(name: impl Debug, draw: impl Fn(u64) -> Scenario, least: Shares) {
    compare_some(500, name, draw, least);
}

/// The same for `usual` scenarios, if the environment does not say how many.
fn compare_some(usual: u64, name: impl Debug, draw: impl Fn(u64) -> Scenario, least: Shares) {
    let first = setting("SERVESIM_FIRST_SEED", 0);
    let scenarios = setting("SERVESIM_SCENARIOS", usual);
    let mut tally = Tally::default();
    for seed in first..first + scenarios {
        let scenario = draw(seed);
        match check(&scenario, Some(&mut tally)) {
            Ok(()) => {}
            Err(difference) => panic!("{}", smallest_failure(&name, seed, &scenario, &difference)),
        }
    }
    if scenarios >= usual {
        tally.assert_shares(&least);
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// Runs both simulators; the first thing in which they differ, or that is not conserved.
fn check(scenario: &Scenario, tally: Option<&mut Tally>) -> Result<(), String> {
    let (expected, coverage) =
        caught("reference", || reference::simulate(scenario.deployment(), &mut scenario.source()))?;
    if let Some(tally) = tally {
        tally.add(scenario, &expected, &coverage);
    }
    conservation::check(scenario, &expected).map_err(|problem| format!("reference: {problem}"))?;
    let actual = caught("engine", || engine::simulate(scenario.deployment(), &mut scenario.source()))?
        .map_err(|error| format!("engine: {error}"))?;
    conservation::check(scenario, &actual).map_err(|problem| format!("engine: {problem}"))?;
    first_difference(&expected, &actual).map_or(Ok(()), Err)
}

/// What `run` returns, or its panic as an error.
fn caught<T>(who: &str, run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        format!("{who} panicked: {}", message.unwrap_or_default())
    })
}

/// Drops requests from the end as long as the scenario still fails, and describes what is left.
fn smallest_failure(name: &impl Debug, seed: u64, scenario: &Scenario, difference: &str) -> String {
    let (mut smallest, mut last) = (scenario.clone(), difference.to_string());
    let mut drop = smallest.requests.len() / 2;
    while drop > 0 {
        let n = smallest.requests.len();
        let shorter = if drop < n { Some(smallest.truncated(n - drop)) } else { None };
        match shorter.map(|shorter| (check(&shorter, None), shorter)) {
            Some((Err(difference), shorter)) => (smallest, last) = (shorter, difference),
            _ => drop /= 2,
        }
    }
    format!(
        "{name:?}, seed {seed}: {difference}\n\nsmallest failing part, {} requests:\n{smallest}\n{last}\n",
        smallest.requests.len()
    )
}

#[test]
fn chunked_prefill_is_exact() {
    compare(
        PolicyKind::ChunkedPrefill,
        Timing::Synchronous,
        Shares { preemptions: 15, overlapping_prefills: 10, chained_chunks: 10, ..Shares::SYNCHRONOUS },
    );
}

#[test]
fn sarathi_is_exact() {
    compare(
        PolicyKind::Sarathi,
        Timing::Synchronous,
        Shares { preemptions: 15, overlapping_prefills: 8, ..Shares::SYNCHRONOUS },
    );
}

#[test]
fn prefill_first_is_exact() {
    compare(
        PolicyKind::PrefillFirst,
        Timing::Synchronous,
        Shares { preemptions: 15, rejected_batch: 1, ..Shares::SYNCHRONOUS },
    );
}

#[test]
fn orca_is_exact() {
    compare(PolicyKind::Orca, Timing::Synchronous, Shares { rejected_batch: 1, ..Shares::SYNCHRONOUS });
}

#[test]
fn splitwise_is_exact() {
    compare(PolicyKind::Splitwise, Timing::Synchronous, Shares { loosened: 5, ..Shares::SYNCHRONOUS });
}

#[test]
fn asynchronous_chunked_prefill_is_exact() {
    compare(
        PolicyKind::ChunkedPrefill,
        Timing::Asynchronous,
        Shares { overlapping_prefills: 10, ..Shares::PREEMPTING },
    );
}

#[test]
fn asynchronous_sarathi_is_exact() {
    compare(PolicyKind::Sarathi, Timing::Asynchronous, Shares::PREEMPTING);
}

#[test]
fn asynchronous_prefill_first_is_exact() {
    compare(PolicyKind::PrefillFirst, Timing::Asynchronous, Shares { rejected_batch: 1, ..Shares::PREEMPTING });
}

#[test]
fn asynchronous_orca_is_exact() {
    compare(PolicyKind::Orca, Timing::Asynchronous, Shares { rejected_batch: 1, ..Shares::COMMON });
}

#[test]
fn asynchronous_splitwise_is_exact() {
    compare(PolicyKind::Splitwise, Timing::Asynchronous, Shares { loosened: 5, ..Shares::COMMON });
}

#[test]
fn layered_prefill_is_exact() {
    compare(PolicyKind::LayeredPrefill, Timing::Synchronous, Shares { pumped_again: 0, ..Shares::LAYERED });
}

#[test]
fn asynchronous_layered_prefill_is_exact() {
    compare(PolicyKind::LayeredPrefill, Timing::Asynchronous, Shares { victims_in_flight: 5, ..Shares::LAYERED });
}

#[test]
fn batchllm_is_exact() {
    compare(PolicyKind::BatchLlm, Timing::Synchronous, Shares { pipelined: 35, ..Shares::GROUPED });
}

#[test]
fn asynchronous_batchllm_is_exact() {
    compare(PolicyKind::BatchLlm, Timing::Asynchronous, Shares { victims_in_flight: 5, ..Shares::GROUPED });
}

#[test]
fn disaggregated_chunked_prefill_is_exact() {
    compare_disaggregated(PolicyKind::ChunkedPrefill, Shares::DISAGGREGATED);
}

#[test]
fn disaggregated_sarathi_is_exact() {
    compare_disaggregated(PolicyKind::Sarathi, Shares::DISAGGREGATED);
}

#[test]
fn disaggregated_prefill_first_is_exact() {
    compare_disaggregated(PolicyKind::PrefillFirst, Shares::DISAGGREGATED);
}

#[test]
fn disaggregated_orca_is_exact() {
    compare_disaggregated(PolicyKind::Orca, Shares::DISAGGREGATED);
}

#[test]
fn disaggregated_splitwise_is_exact() {
    compare_disaggregated(PolicyKind::Splitwise, Shares::DISAGGREGATED);
}

#[test]
fn disaggregated_layered_prefill_is_exact() {
    compare_disaggregated(
        PolicyKind::LayeredPrefill,
        Shares {
            hits_in_same_step: 0,
            waited_for_place: 3,
            groups_of_layers: 30,
            pushed_early: 0,
            pushed_by_group: 8,
            ..Shares::DISAGGREGATED
        },
    );
}

#[test]
fn orders_of_the_waiting_queue_are_exact() {
    let kinds = [
        PolicyKind::ChunkedPrefill,
        PolicyKind::Sarathi,
        PolicyKind::PrefillFirst,
        PolicyKind::Orca,
        PolicyKind::LayeredPrefill,
    ];
    let draw = |seed: u64| Scenario::draw_ordered(kinds[seed as usize % kinds.len()], seed);
    compare_drawn("orders", draw, Shares { reordered: 50, preemptions: 10, ..Shares::COMMON });
}

#[test]
fn mixed_pools_of_splitwise_are_exact() {
    compare_mixed(PolicyKind::Splitwise);
}

#[test]
fn mixed_pools_of_orca_are_exact() {
    compare_mixed(PolicyKind::Orca);
}

/// As [`compare`], with prefill and decode replicas that leave their pools for a mixed one.
fn compare_mixed(kind: PolicyKind) {
    compare_drawn((kind, "mixed"), |seed| Scenario::draw_mixed(kind, seed), Shares::MIXED);
}

#[test]
fn blendserve_is_exact() {
    let least = Shares { preemptions: 15, relabelled: 5, paced: 10, reordered: 30, cut_apart: 10, ..Shares::COMMON };
    compare_drawn("blendserve", Scenario::draw_blended, least);
}

#[test]
fn groups_in_blendserves_order_are_exact() {
    let least = Shares { opened_at_the_tail: 15, reordered: 30, relabelled: 3, paced: 10, ..Shares::GROUPED };
    compare_drawn("groups in blendserve's order", Scenario::draw_blended_groups, least);
}

/// As [`compare`], with `kind` on the prefill replicas.
fn compare_disaggregated(kind: PolicyKind, least: Shares) {
    compare_drawn((kind, "disaggregated"), |seed| Scenario::draw_disaggregated(kind, seed), least);
}
