//! The window a run is measured in, and what has to be said of how steady runs were.

use std::collections::BTreeMap;

use sim::{Measures, Slos, Steadiness, Summary, WarmUp, Window};
use workloads::{SimDuration, SimTime, Source as _};

use super::{failed, unreadable};
use crate::experiment::{Measuring, System, Workload};
use crate::failure::Failure;

/// The window in which a run is measured, `None` for all of it; and what has to be said of it.
///
/// # Errors
/// A run that fails, and a window that leaves nothing.
pub(crate) fn window(
    measuring: Measuring,
    workload: &Workload,
    system: &System,
    seed: u64,
) -> Result<(Option<Window>, Option<String>), Failure> {
    match measuring {
        Measuring::Whole => Ok((None, None)),
        Measuring::Auto => {
            let before = Before::of(workload, system, seed)?;
            match before.warm_up.filter(|warm_up| !warm_up.beyond_half) {
                Some(warm_up) => Ok((Some(after_warm_up(warm_up, before.first, before.last)), None)),
                None => Ok((None, Some(no_cut(&system.name, seed, before.warm_up)))),
            }
        }
        Measuring::Stated { warm_up_s, cooldown_s } => {
            let warm_up = SimDuration::from_secs_f64(warm_up_s);
            let (first, end) = match cooldown_s {
                None => {
                    let mut requests = workload.requests(seed).map_err(|error| unreadable(&error))?;
                    let first = requests.next_arrival().map_err(|error| unreadable(&error))?;
                    (first.unwrap_or(SimTime::ZERO), SimTime::MAX)
                }
                Some(cooldown_s) => {
                    let before = Before::of(workload, system, seed)?;
                    let cooldown = SimDuration::from_secs_f64(cooldown_s).as_nanos();
                    (before.first, SimTime::from_nanos((before.last.as_nanos() + 1).saturating_sub(cooldown)))
                }
            };
            let start = first + warm_up;
            if start >= end {
                return Err(Failure::Run(format!(
                    "system `{}`, seed {seed}: measure.warmup and measure.cooldown leave nothing: requests arrive for {} only",
                    system.name,
                    end - first
                )));
            }
            Ok((Some(Window { start, end }), None))
        }
    }
}

fn after_warm_up(warm_up: WarmUp, first: SimTime, last: SimTime) -> Window {
    Window { start: first + warm_up.time, end: SimTime::from_nanos(last.as_nanos() + 1) }
}

fn no_cut(system: &str, seed: u64, warm_up: Option<WarmUp>) -> String {
    let why = match warm_up {
        None => "is too short to tell where it became steady",
        Some(_) => "never became steady: MSER-5 would leave out more than half of it",
    };
    format!("warning: `{system}`, seed {seed}, {why}, so all of it was measured; ask for more requests")
}

/// What a run without a window tells of it.
struct Before {
    first: SimTime,
    last: SimTime,
    warm_up: Option<WarmUp>,
}

impl Before {
    fn of(workload: &Workload, system: &System, seed: u64) -> Result<Self, Failure> {
        let mut requests = workload.requests(seed).map_err(|error| unreadable(&error))?;
        let mut measures = Measures::new(Slos::default(), None);
        let outcome = sim::simulate(system.deployment(seed), &mut requests, &mut measures)
            .map_err(|error| failed(&system.name, seed, &error))?;
        let (first, last) = measures.series().arrivals().unwrap_or((outcome.first_arrival, outcome.first_arrival));
        Ok(Before { first, last, warm_up: measures.series().warm_up() })
    }
}

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
