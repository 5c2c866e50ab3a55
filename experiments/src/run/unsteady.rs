//! What has to be said of how steady runs were.

use std::collections::BTreeMap;

use sim::{Steadiness, Summary};

/// Which systems were overloaded or never became steady, said aloud: then latencies tell of the length of the run.
pub(crate) fn unsteady_remarks<'a>(runs: impl IntoIterator<Item = (&'a str, &'a Summary)>) -> Vec<String> {
    let mut systems: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (system, summary) in runs {
        if !systems.contains(&system) {
            systems.push(system);
        }
        let [all, overloaded, unsteady] = counts.entry(system).or_default();
        *all += 1;
        *overloaded += usize::from(summary.steadiness == Steadiness::Overloaded);
        *unsteady += usize::from(summary.steadiness == Steadiness::Unsteady);
    }
    let mut remarks = Vec::new();
    for system in systems {
        let [all, overloaded, unsteady] = counts[system];
        let of = |count: usize| if all == 1 { String::new() } else { format!(" in {count} of {all} runs") };
        if overloaded > 0 {
            remarks.push(format!(
                "warning: `{system}` is overloaded{}: requests came faster than it served them and latencies grew through the whole run, \
                 so they tell how long the run was; lower the rate",
                of(overloaded)
            ));
        }
        if unsteady > 0 {
            remarks.push(format!(
                "warning: `{system}` never became steady{}: latencies had a trend and MSER-5 would leave out more than half; ask for more \
                 requests, or say what to measure (measure.warmup)",
                of(unsteady)
            ));
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tiny_summary;

    #[test]
    fn each_system_is_named_once_with_how_many_of_its_runs_were_not_steady() {
        let run = |steadiness| Summary { steadiness, ..tiny_summary(1) };
        let (good, bad, odd) = (run(Steadiness::Steady), run(Steadiness::Overloaded), run(Steadiness::Unsteady));
        let remarks = unsteady_remarks([("a", &good), ("b", &bad), ("b", &bad), ("b", &odd), ("c", &odd)]);
        let [first, second, third] = &remarks[..] else { panic!("{remarks:?}") };
        assert!(first.starts_with("warning: `b` is overloaded in 2 of 3 runs: "), "{first}");
        assert!(second.starts_with("warning: `b` never became steady in 1 of 3 runs: "), "{second}");
        assert!(third.starts_with("warning: `c` never became steady: "), "{third}");
    }
}
