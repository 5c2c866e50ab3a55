//! The two parts of steps: reading the KV cache for generating requests, and everything else on the GPUs.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Times of both parts, each as if it were alone, over steps. The host's gap is in neither.
///
/// How far they vary from step to step says how evenly work that needs compute and work that needs memory are mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepParts {
    /// Steps; 0 where a cost model does not tell the parts apart.
    pub steps: u64,
    /// Everything but decode attention.
    pub compute: Moments,
    /// Decode attention.
    pub memory: Moments,
}

/// Sum and sum of squares of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Nanoseconds.
    pub sum_ns: f64,
    /// Squared nanoseconds.
    pub squares_ns2: f64,
}

impl Moments {
    #[inline]
    fn add(&mut self, ns: f64) {
        self.sum_ns += ns;
        self.squares_ns2 += ns * ns;
    }

    /// Mean over `steps` steps in nanoseconds.
    pub fn mean_ns(&self, steps: u64) -> f64 {
        self.sum_ns / steps as f64
    }

    /// Standard deviation over `steps` steps in nanoseconds.
    pub fn sd_ns(&self, steps: u64) -> f64 {
        let mean_ns = self.mean_ns(steps);
        (self.squares_ns2 / steps as f64 - mean_ns * mean_ns).max(0.0).sqrt()
    }
}

impl StepParts {
    #[inline]
    pub(super) fn add(&mut self, compute_ns: f64, memory_ns: f64) {
        self.steps += 1;
        self.compute.add(compute_ns);
        self.memory.add(memory_ns);
    }
}

impl AddAssign<&Self> for StepParts {
    fn add_assign(&mut self, other: &Self) {
        self.steps += other.steps;
        for (sum, term) in [(&mut self.compute, other.compute), (&mut self.memory, other.memory)] {
            sum.sum_ns += term.sum_ns;
            sum.squares_ns2 += term.squares_ns2;
        }
    }
}

/// Times of both parts that passed beside the other one and took no time of their own, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hidden {
    pub(super) compute_ns: f64,
    pub(super) memory_ns: f64,
}
