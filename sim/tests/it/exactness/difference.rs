//! Where two runs differ first.

use std::fmt::Debug;

use sim::ReplicaOutcome;

use crate::reference::Run;

/// The first difference, steps first: whatever differs, it began with a step.
pub(super) fn first_difference(expected: &Run, actual: &Run) -> Option<String> {
    in_list("step", &expected.steps, &actual.steps)
        .or_else(|| in_list("members of step", &expected.members, &actual.members))
        .or_else(|| in_list("record", &expected.records, &actual.records))
        .or_else(|| {
            let list = |run: &Run| run.gaps.iter().map(|(gap, count)| (*gap, *count)).collect::<Vec<_>>();
            in_list("gap (when and how long in nanoseconds, how often)", &list(expected), &list(actual))
        })
        .or_else(|| in_value("first arrival", &expected.outcome.first_arrival, &actual.outcome.first_arrival))
        .or_else(|| in_value("end", &expected.outcome.end, &actual.outcome.end))
        .or_else(|| in_value("request counts", &expected.outcome.requests, &actual.outcome.requests))
        .or_else(|| in_value("transfers", &expected.outcome.transfers, &actual.outcome.transfers))
        .or_else(|| in_value("mixed pool", &expected.outcome.mixed, &actual.outcome.mixed))
        .or_else(|| in_value("replicas", &expected.outcome.replicas.len(), &actual.outcome.replicas.len()))
        .or_else(|| {
            let pairs = expected.outcome.replicas.iter().zip(&actual.outcome.replicas);
            pairs.enumerate().find_map(|(number, (expected, actual))| in_books(number, expected, actual))
        })
}

fn in_books(number: usize, expected: &ReplicaOutcome, actual: &ReplicaOutcome) -> Option<String> {
    let counts = |books: &ReplicaOutcome| {
        [
            ("requests", books.requests),
            ("steps", books.steps),
            ("preemptions", books.preemptions),
            ("prefill_tokens", books.prefill_tokens),
            ("decode_tokens", books.decode_tokens),
            ("prompt_tokens", books.prompt_tokens),
            ("cached_tokens", books.cached_tokens),
            ("handed_over", books.handed_over),
            ("taken_over", books.taken_over),
            ("kv_blocks", u64::from(books.kv_blocks)),
            ("kv_blocks_peak", u64::from(books.kv_blocks_peak)),
            ("devices", u64::from(books.devices)),
        ]
    };
    let name = |what: &str| format!("replica {number}: {what}");
    let pairs = counts(expected).into_iter().zip(counts(actual));
    pairs
        .into_iter()
        .find_map(|((what, expected), (_, actual))| in_value(&name(what), &expected, &actual))
        .or_else(|| in_value(&name("stage_busy"), &expected.stage_busy, &actual.stage_busy))
        .or_else(|| in_value(&name("stage_idle"), &expected.stage_idle, &actual.stage_idle))
        .or_else(|| in_value(&name("attention_busy"), &expected.attention_busy, &actual.attention_busy))
        .or_else(|| in_value(&name("optimum_ns"), &expected.optimum_ns, &actual.optimum_ns))
        .or_else(|| in_value(&name("cost"), &expected.cost, &actual.cost))
        .or_else(|| in_value(&name("dynamic_energy_j"), &expected.dynamic_energy_j, &actual.dynamic_energy_j))
        .or_else(|| {
            let close = (expected.idle_energy_j - actual.idle_energy_j).abs() <= 1e-12 * expected.idle_energy_j;
            if close { None } else { in_value(&name("idle_energy_j"), &expected.idle_energy_j, &actual.idle_energy_j) }
        })
}

fn in_value<T: Debug + PartialEq>(name: &str, expected: &T, actual: &T) -> Option<String> {
    (expected != actual).then(|| format!("{name}:\n  reference {expected:?}\n  engine    {actual:?}"))
}

fn in_list<T: Debug + PartialEq>(name: &str, expected: &[T], actual: &[T]) -> Option<String> {
    for place in 0..expected.len().max(actual.len()) {
        let (wanted, got) = (expected.get(place), actual.get(place));
        if wanted != got {
            let before = expected[..place.min(expected.len())].last();
            return Some(format!(
                "{name} {place}:\n  before    {before:?}\n  reference {wanted:?}\n  engine    {got:?}"
            ));
        }
    }
    None
}
