use super::*;
use crate::replay::schedule::RunChoice;
use crate::replay::testing::{file, lines, run, steps};
use crate::replay::{Comparison, StepPair, select};

/// Takes the predicted time times a factor, and a little more on each execution.
struct Fake {
    factor: f64,
    executed: Vec<(u64, Timing)>,
}

impl StepExecutor for Fake {
    fn describe(&self) -> String {
        "a stand-in".to_owned()
    }

    fn execute(&mut self, step: &ScheduledStep, timing: Timing) -> Result<StepTiming, ReplayError> {
        self.executed.push((step.step, timing));
        let gpu_ns = step.kernels_ns() as f64 * self.factor * (1.0 + 1e-4 * self.executed.len() as f64);
        let operators_ns = match timing {
            Timing::Whole => Vec::new(),
            Timing::ByOperator => step.operators_ns.iter().map(|(&operator, &ns)| (operator, ns as f64)).collect(),
        };
        Ok(StepTiming { gpu_ns, wall_ns: gpu_ns + 1e4, rows: step.rows(), graph: false, operators_ns })
    }
}

fn fake(factor: f64) -> Fake {
    Fake { factor, executed: Vec::new() }
}

#[test]
fn every_step_is_executed_in_order_in_every_pass_and_some_by_operator() {
    let mut executor = fake(1.0);
    let options = ReplayOptions { passes: 2, by_operator_every: Some(3), warm_up: Duration::ZERO };
    let mut told = Vec::new();
    let measured = replay(&steps(4), &mut executor, options, |done, total| told.push((done, total))).expect("it runs");
    let whole: Vec<u64> =
        executor.executed.iter().filter(|(_, t)| *t == Timing::Whole).map(|(step, _)| *step).collect();
    assert_eq!(whole, [0, 1, 2, 3, 0, 1, 2, 3]);
    assert_eq!(told.last(), Some(&(8, 8)));
    let detailed: Vec<u64> =
        measured.iter().filter(|step| !step.operators_ns.is_empty()).map(|step| step.step).collect();
    assert_eq!(detailed, [0, 3]);
    assert!(measured.iter().all(|step| step.passes.len() == 2));
}

#[test]
fn the_device_is_warmed_up_for_as_long_as_asked_and_that_is_not_reported() {
    let mut executor = fake(1.0);
    let options = ReplayOptions { passes: 1, by_operator_every: None, warm_up: Duration::from_millis(100) };
    let measured = replay(&steps(2), &mut executor, options, |_, _| ()).expect("it runs");
    assert_eq!(measured.len(), 2);
    let busy_ns: u64 = executor.executed.iter().map(|(step, _)| steps(2)[*step as usize].kernels_ns()).sum();
    assert!((100_000_000..160_000_000).contains(&busy_ns), "{busy_ns}");
}

/// The whole way from a file to the figures, with a device that is 10 % slower than predicted.
#[test]
fn a_device_slower_than_predicted_is_found_to_be_so() {
    let (_folder, path) = file(&lines(&[(run("a", 1), steps(40))]));
    let (_, chosen) = select(&path, &RunChoice::default(), Some(10)).expect("sound");
    assert_eq!(chosen.len(), 10);
    let options = ReplayOptions { passes: 2, by_operator_every: None, warm_up: Duration::ZERO };
    let measured = replay(&chosen, &mut fake(1.1), options, |_, _| ()).expect("it runs");
    let pairs: Vec<StepPair> = chosen
        .iter()
        .zip(&measured)
        .map(|(step, measured)| StepPair::new(step, step.kernels_ns() as f64, measured.gpu_ns()))
        .collect();
    let comparison = Comparison::new(&pairs).expect("there are steps");
    let expected = 1.0 / 1.1 - 1.0;
    assert!((comparison.all.bias - expected).abs() < 2e-3, "{:?}", comparison.all);
    assert!((comparison.drift.at_end - expected).abs() < 2e-3, "{:?}", comparison.drift);
    let noise = comparison.noise.expect("two passes");
    assert!((noise.median - 1e-3).abs() < 1e-4, "each pass is 10 executions later: {noise:?}");
}

#[test]
fn more_steps_than_there_are_cannot_be_chosen() {
    let (_folder, path) = file(&lines(&[(run("a", 1), steps(3))]));
    let error = select(&path, &RunChoice::default(), Some(4)).expect_err("too many").to_string();
    assert!(error.ends_with("4 steps are asked for, and the run has 3"), "{error}");
}
