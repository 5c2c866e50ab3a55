//! Predicted against measured time, step by step.

mod bucket;

use super::schedule::ScheduledStep;
pub use bucket::Bucket;
use bucket::{by_context, by_phase, by_tokens, quantile};

/// What kind of step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Prompt tokens only.
    Prefill,
    /// Decode rows only.
    Decode,
    /// Both.
    Mixed,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Prefill, Self::Decode, Self::Mixed];

    /// The phase of a step.
    pub fn of(step: &ScheduledStep) -> Self {
        match (step.prefill.is_empty(), step.decode.is_empty()) {
            (true, _) => Self::Decode,
            (false, true) => Self::Prefill,
            (false, false) => Self::Mixed,
        }
    }

    /// Its name in tables and CSV files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Mixed => "mixed",
        }
    }
}

/// A step with its two times.
#[derive(Clone, Debug, PartialEq)]
pub struct StepPair {
    /// Its number.
    pub step: u64,
    /// What kind it is.
    pub phase: Phase,
    /// Prompt tokens and decode rows.
    pub tokens: u32,
    /// Σ of the tokens whose KV is read.
    pub context_tokens: u64,
    /// Predicted time in nanoseconds (> 0).
    pub predicted_ns: f64,
    /// Measured times in nanoseconds (> 0), one per pass (≥ 1).
    pub measured_ns: Vec<f64>,
}

impl StepPair {
    /// A step with this prediction, in nanoseconds, and these measurements, one per pass.
    pub fn new(step: &ScheduledStep, predicted_ns: f64, measured_ns: Vec<f64>) -> Self {
        StepPair {
            step: step.step,
            phase: Phase::of(step),
            tokens: step.rows(),
            context_tokens: step.context_tokens(),
            predicted_ns,
            measured_ns,
        }
    }

    /// Median of the passes, in nanoseconds.
    pub fn median_ns(&self) -> f64 {
        quantile(&self.measured_ns, 0.5)
    }

    /// Signed relative error of the prediction: positive where it is too long.
    pub fn error(&self) -> f64 {
        self.predicted_ns / self.median_ns() - 1.0
    }
}

/// How far the predicted clock runs from the measured one when steps follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Predicted over measured time of all steps, less 1.
    pub at_end: f64,
    /// The largest distance of the two clocks, over the measured time of all steps, with the sign it has there.
    pub largest: f64,
    /// The step after which that is.
    pub largest_after_step: u64,
}

/// How far two passes over the same steps are from each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseFloor {
    /// Steps that were measured at least twice.
    pub steps: usize,
    /// Median over steps of |first − second| ÷ their mean.
    pub median: f64,
    /// 90th percentile of the same.
    pub p90: f64,
}

/// All that a comparison has to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// All steps.
    pub all: Bucket,
    /// By phase, those that occur.
    pub phases: Vec<Bucket>,
    /// By tokens in the step.
    pub tokens: Vec<Bucket>,
    /// By tokens whose KV is read.
    pub contexts: Vec<Bucket>,
    /// The clocks.
    pub drift: Drift,
    /// The noise floor, if any step was measured twice.
    pub noise: Option<NoiseFloor>,
}

impl Comparison {
    /// Compares steps, given in the order in which they ran; `None` if there is none.
    ///
    /// # Panics
    /// If a time is not positive or a step has no measurement.
    pub fn new(pairs: &[StepPair]) -> Option<Self> {
        if pairs.is_empty() {
            return None;
        }
        let sound = |pair: &StepPair| {
            pair.predicted_ns > 0.0 && !pair.measured_ns.is_empty() && pair.measured_ns.iter().all(|&ns| ns > 0.0)
        };
        assert!(pairs.iter().all(sound), "every step has a predicted and at least one measured time, all positive");
        Some(Comparison {
            all: Bucket::new("all", pairs.iter()),
            phases: by_phase(pairs),
            tokens: by_tokens(pairs),
            contexts: by_context(pairs),
            drift: drift(pairs),
            noise: noise(pairs),
        })
    }

    /// All buckets with the name of what they are by, in the order of tables.
    pub fn buckets(&self) -> impl Iterator<Item = (&'static str, &Bucket)> {
        let all = std::iter::once(("all", &self.all));
        let phases = self.phases.iter().map(|bucket| ("phase", bucket));
        let tokens = self.tokens.iter().map(|bucket| ("tokens", bucket));
        let contexts = self.contexts.iter().map(|bucket| ("context", bucket));
        all.chain(phases).chain(tokens).chain(contexts)
    }
}

fn drift(pairs: &[StepPair]) -> Drift {
    let measured_ns: f64 = pairs.iter().map(StepPair::median_ns).sum();
    let mut drift = Drift { at_end: 0.0, largest: 0.0, largest_after_step: pairs[0].step };
    let mut ahead_ns = 0.0;
    for pair in pairs {
        ahead_ns += pair.predicted_ns - pair.median_ns();
        if (ahead_ns / measured_ns).abs() > drift.largest.abs() {
            (drift.largest, drift.largest_after_step) = (ahead_ns / measured_ns, pair.step);
        }
    }
    drift.at_end = ahead_ns / measured_ns;
    drift
}

fn noise(pairs: &[StepPair]) -> Option<NoiseFloor> {
    let apart: Vec<f64> = pairs
        .iter()
        .filter_map(|pair| match pair.measured_ns[..] {
            [first, second, ..] => Some((first - second).abs() / f64::midpoint(first, second)),
            _ => None,
        })
        .collect();
    let floor = || NoiseFloor { steps: apart.len(), median: quantile(&apart, 0.5), p90: quantile(&apart, 0.9) };
    (!apart.is_empty()).then(floor)
}

#[cfg(test)]
mod tests;
