//! Steps that have something in common, and how far their predictions are off.

use super::{Phase, StepPair};

/// Bounds of the buckets by tokens: a bucket ends with the number, the next one begins after it.
const TOKENS: [u64; 5] = [8, 64, 256, 1024, 4096];
/// The same by context.
const CONTEXTS: [u64; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// The errors of a set of steps. Errors are predicted ÷ measured − 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// What its steps have in common.
    pub label: String,
    /// Steps.
    pub count: usize,
    /// Median of |error|.
    pub median: f64,
    /// 90th percentile of |error|.
    pub p90: f64,
    /// Largest |error|.
    pub largest: f64,
    /// Mean of the errors with their signs: what is left when errors of both signs even out.
    pub bias: f64,
    /// Predicted ÷ measured time of all steps together, less 1.
    pub time_bias: f64,
    /// Measured time of all steps together in nanoseconds.
    pub measured_ns: f64,
}

impl Bucket {
    /// The bucket of these steps.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn new<'a>(label: impl Into<String>, pairs: impl Iterator<Item = &'a StepPair>) -> Self {
        let (mut signed, mut sizes) = (0.0, Vec::new());
        let (mut predicted_ns, mut measured_ns) = (0.0, 0.0);
        for pair in pairs {
            signed += pair.error();
            sizes.push(pair.error().abs());
            predicted_ns += pair.predicted_ns;
            measured_ns += pair.median_ns();
        }
        assert!(!sizes.is_empty(), "a bucket holds at least one step");
        Bucket {
            label: label.into(),
            count: sizes.len(),
            median: quantile(&sizes, 0.5),
            p90: quantile(&sizes, 0.9),
            largest: quantile(&sizes, 1.0),
            bias: signed / sizes.len() as f64,
            time_bias: predicted_ns / measured_ns - 1.0,
            measured_ns,
        }
    }
}

/// Buckets by phase, those that occur.
pub(super) fn by_phase(pairs: &[StepPair]) -> Vec<Bucket> {
    let bucket = |phase: Phase| non_empty(phase.name().to_owned(), pairs, |pair| pair.phase == phase);
    Phase::ALL.into_iter().filter_map(bucket).collect()
}

/// Buckets by tokens in the step, those that occur.
pub(super) fn by_tokens(pairs: &[StepPair]) -> Vec<Bucket> {
    by_size(&TOKENS, pairs, |pair| u64::from(pair.tokens))
}

/// Buckets by tokens whose KV is read, those that occur.
pub(super) fn by_context(pairs: &[StepPair]) -> Vec<Bucket> {
    by_size(&CONTEXTS, pairs, |pair| pair.context_tokens)
}

fn by_size(bounds: &[u64], pairs: &[StepPair], size: impl Fn(&StepPair) -> u64) -> Vec<Bucket> {
    let bucket = |index: usize| {
        let above = if index == 0 { 0 } else { bounds[index - 1] };
        let most = bounds.get(index).copied().unwrap_or(u64::MAX);
        let label = match bounds.get(index) {
            Some(most) => format!("{}-{most}", above + 1),
            None => format!("> {above}"),
        };
        non_empty(label, pairs, |pair| (above + 1..=most).contains(&size(pair)))
    };
    (0..=bounds.len()).filter_map(bucket).collect()
}

fn non_empty(label: String, pairs: &[StepPair], holds: impl Fn(&StepPair) -> bool) -> Option<Bucket> {
    let mut inside = pairs.iter().filter(|pair| holds(pair)).peekable();
    inside.peek()?;
    Some(Bucket::new(label, inside))
}

/// The value that a share `q` (0 to 1) of the values does not exceed, linear between order statistics.
///
/// # Panics
/// If there is no value.
pub(super) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}
