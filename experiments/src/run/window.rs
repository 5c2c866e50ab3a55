//! The window a run is measured in.

use sim::{Measures, Slos, WarmUp, Window};
use workloads::{SimDuration, SimTime, Source as _};

use super::{failed, unreadable};
use crate::experiment::{Measuring, System, Workload};
use crate::failure::Failure;

/// The window in which a run is measured, `None` for all of it; and what has to be said of it.
pub(crate) type Measured = (Option<Window>, Option<String>);

/// Of a system that is compared with no other. Of several, with [`Measuring::Auto`], see [`common`].
///
/// # Errors
/// A run that fails, and a window that leaves nothing.
pub(crate) fn window(
    measuring: Measuring,
    workload: &Workload,
    system: &System,
    seed: u64,
) -> Result<Measured, Failure> {
    match measuring {
        Measuring::Whole => Ok((None, None)),
        Measuring::Auto => {
            let trial = Trial::of(workload, system, seed)?;
            Ok(common(&[(system.name.as_str(), trial)], seed).swap_remove(0))
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
                    let trial = Trial::of(workload, system, seed)?;
                    let cooldown = SimDuration::from_secs_f64(cooldown_s).as_nanos();
                    (trial.first, SimTime::from_nanos((trial.last.as_nanos() + 1).saturating_sub(cooldown)))
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

/// The windows of systems that are compared under one seed: one for all, from the moment from which the last of them is steady up to
/// the last arrival (of closed loops, the last of the system that has it first), so that differences are over the same requests.
///
/// A system that never becomes steady, or is too short to tell, has no say in where it begins, and is told of. If that leaves no
/// time, each has a window of its own.
pub(crate) fn common(systems: &[(&str, Trial)], seed: u64) -> Vec<Measured> {
    let start = systems.iter().filter_map(|(_, trial)| trial.steady_from()).max();
    let end = systems.iter().map(|(_, trial)| trial.end()).min();
    let (Some(start), Some(end)) = (start, end) else {
        return systems.iter().map(|(system, trial)| (None, Some(trial.no_cut(system, seed, "all of it")))).collect();
    };
    let of = |(system, trial): &(&str, Trial)| {
        let steady_from = trial.steady_from();
        if start < end {
            let what = "what the others were steady in";
            return (Some(Window { start, end }), steady_from.is_none().then(|| trial.no_cut(system, seed, what)));
        }
        let Some(start) = steady_from else { return (None, Some(trial.no_cut(system, seed, "all of it"))) };
        let remark = format!(
            "warning: `{system}`, seed {seed}, was measured over a window of its own, and differences from it are over different requests: \
             some systems have ended before others are steady"
        );
        (Some(Window { start, end: trial.end() }), Some(remark))
    };
    systems.iter().map(of).collect()
}

/// What a run without a window tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    first: SimTime,
    last: SimTime,
    warm_up: Option<WarmUp>,
}

impl Trial {
    /// Makes the run.
    ///
    /// # Errors
    /// A run that fails.
    pub(crate) fn of(workload: &Workload, system: &System, seed: u64) -> Result<Self, Failure> {
        let mut requests = workload.requests(seed).map_err(|error| unreadable(&error))?;
        let mut measures = Measures::new(Slos::default(), None);
        let outcome = sim::simulate(system.deployment(seed), &mut requests, &mut measures)
            .map_err(|error| failed(&system.name, seed, &error))?;
        let (first, last) = measures.series().arrivals().unwrap_or((outcome.first_arrival, outcome.first_arrival));
        Ok(Trial { first, last, warm_up: measures.series().warm_up() })
    }

    /// Where MSER-5 takes it for steady; `None` where it would leave out more than half, or cannot tell.
    fn steady_from(&self) -> Option<SimTime> {
        self.warm_up.filter(|warm_up| !warm_up.beyond_half).map(|warm_up| self.first + warm_up.time)
    }

    /// The first moment after the last arrival.
    fn end(&self) -> SimTime {
        SimTime::from_nanos(self.last.as_nanos() + 1)
    }

    /// Why there is no such moment, and `what` was measured instead.
    fn no_cut(&self, system: &str, seed: u64, what: &str) -> String {
        let why = match self.warm_up {
            None => "is too short to tell where it became steady",
            Some(_) => "never became steady: MSER-5 would leave out more than half of it",
        };
        format!("warning: `{system}`, seed {seed}, {why}, so {what} was measured; ask for more requests")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(last: u64, warm_up: Option<(u64, bool)>) -> Trial {
        let warm_up = warm_up.map(|(nanos, beyond_half)| WarmUp {
            requests: nanos,
            time: SimDuration::from_nanos(nanos),
            beyond_half,
        });
        Trial { first: SimTime::from_nanos(10), last: SimTime::from_nanos(last), warm_up }
    }

    fn window(start: u64, end: u64) -> Window {
        Window { start: SimTime::from_nanos(start), end: SimTime::from_nanos(end) }
    }

    #[test]
    fn systems_that_are_compared_are_measured_from_where_the_last_of_them_is_steady() {
        let both = common(&[("a", trial(100, Some((5, false)))), ("b", trial(100, Some((20, false))))], 1);
        assert_eq!(both, [(Some(window(30, 101)), None), (Some(window(30, 101)), None)]);
        let closed_loop = common(&[("a", trial(80, Some((5, false)))), ("b", trial(100, Some((20, false))))], 1);
        assert_eq!(closed_loop, [(Some(window(30, 81)), None), (Some(window(30, 81)), None)]);
    }

    #[test]
    fn a_system_that_is_never_steady_has_no_say_and_is_told_of() {
        let [steady, odd] = &common(&[("a", trial(100, Some((5, false)))), ("b", trial(100, Some((60, true))))], 7)[..]
        else {
            panic!("two systems")
        };
        assert_eq!((steady, &odd.0), (&(Some(window(15, 101)), None), &Some(window(15, 101))));
        assert_eq!(
            odd.1.as_deref(),
            Some(
                "warning: `b`, seed 7, never became steady: MSER-5 would leave out more than half of it, so what the others were steady in \
                 was measured; ask for more requests"
            )
        );
        let none = common(&[("a", trial(100, None)), ("b", trial(100, Some((60, true))))], 7);
        assert!(none.iter().all(|(window, remark)| window.is_none()
            && remark.as_ref().is_some_and(|remark| remark.contains("so all of it was measured"))));
    }

    #[test]
    fn where_no_time_is_left_each_system_has_a_window_of_its_own_and_says_so() {
        let apart = common(&[("a", trial(30, Some((5, false)))), ("b", trial(100, Some((40, false))))], 1);
        assert_eq!([apart[0].0, apart[1].0], [Some(window(15, 31)), Some(window(50, 101))]);
        assert!(apart.iter().all(|(_, remark)| remark.as_ref().is_some_and(|it| it.contains("different requests"))));
    }
}
