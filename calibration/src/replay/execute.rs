//! Executing steps, several times over.

use std::time::Duration;

use profiles::Operator;

use super::ReplayError;
use super::schedule::ScheduledStep;

/// How closely a step is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// As a whole, undisturbed.
    Whole,
    /// With a mark between any two operators, which takes time of its own.
    ByOperator,
}

/// How long a step took.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTiming {
    /// From the first kernel to the end of the last one, in nanoseconds.
    pub gpu_ns: f64,
    /// From handing the step to the driver to knowing its tokens, in nanoseconds: what a host that does nothing else
    /// sees.
    pub wall_ns: f64,
    /// Rows that were computed: more than the step has if it was padded to a captured graph.
    pub rows: u32,
    /// Whether it ran as a CUDA graph.
    pub graph: bool,
    /// Time by operator in nanoseconds, where asked for.
    pub operators_ns: Vec<(Operator, f64)>,
}

/// Something that executes steps: a GPU, or a stand-in for one.
pub trait StepExecutor {
    /// What it is, in one line: device, layers, formats, graphs or not.
    fn describe(&self) -> String;

    /// Executes one step.
    ///
    /// # Errors
    /// If the step cannot be executed here, or the device fails.
    fn execute(&mut self, step: &ScheduledStep, timing: Timing) -> Result<StepTiming, ReplayError>;
}

/// How steps are replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Times that all steps are executed in order (≥ 1). The difference between two passes is the noise floor.
    pub passes: u32,
    /// Every how many steps one is executed once more with time by operator; `None`: never.
    pub by_operator_every: Option<u32>,
    /// GPU time for which steps are executed before the first pass without being reported, so that clocks and caches are as
    /// in a long run.
    pub warm_up: Duration,
}

/// What all passes say of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredStep {
    /// Its number.
    pub step: u64,
    /// One timing per pass.
    pub passes: Vec<StepTiming>,
    /// Time by operator in nanoseconds, from an execution of its own; empty if it was not asked for.
    pub operators_ns: Vec<(Operator, f64)>,
}

impl MeasuredStep {
    /// GPU time of each pass in nanoseconds.
    pub fn gpu_ns(&self) -> Vec<f64> {
        self.passes.iter().map(|pass| pass.gpu_ns).collect()
    }
}

/// Executes all steps in order, `options.passes` times over; `progress` is told how many of how many executions are done.
///
/// # Errors
/// The first one of the executor.
///
/// # Panics
/// If no pass is asked for.
pub fn replay(
    steps: &[ScheduledStep],
    executor: &mut dyn StepExecutor,
    options: ReplayOptions,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<MeasuredStep>, ReplayError> {
    assert!(options.passes > 0, "a replay has at least one pass");
    warm_up(steps, executor, options.warm_up)?;
    let total = steps.len() as u64 * u64::from(options.passes);
    let mut done = 0;
    let mut measured: Vec<MeasuredStep> = steps
        .iter()
        .map(|step| MeasuredStep { step: step.step, passes: Vec::new(), operators_ns: Vec::new() })
        .collect();
    for pass in 0..options.passes {
        for (place, (step, measured)) in steps.iter().zip(&mut measured).enumerate() {
            measured.passes.push(executor.execute(step, Timing::Whole)?);
            let by_operator = options.by_operator_every.is_some_and(|every| place.is_multiple_of(every as usize));
            if by_operator && pass == 0 {
                measured.operators_ns = executor.execute(step, Timing::ByOperator)?.operators_ns;
            }
            done += 1;
            progress(done, total);
        }
    }
    Ok(measured)
}

/// Executes steps from the first one on, over and over, until the device was busy long enough.
fn warm_up(steps: &[ScheduledStep], executor: &mut dyn StepExecutor, long: Duration) -> Result<(), ReplayError> {
    let mut left_ns = long.as_nanos() as f64;
    for step in steps.iter().cycle() {
        if left_ns <= 0.0 {
            break;
        }
        // A stand-in may take no time at all.
        left_ns -= executor.execute(step, Timing::Whole)?.gpu_ns.max(1_000.0);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
