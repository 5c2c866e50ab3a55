//! Correctness of the kernels against references in double precision, on any [`Machine`].
//!
//! Shapes are small and uneven: rows that fill no tile, contexts that end inside a page, experts that nobody chose.

mod attention;
mod elementwise;
mod experts;
mod product;
mod setup;
mod state_space;
mod steps;

pub use product::products;

use crate::kernels::LaunchError;
use crate::machine::{Machine, MachineError};

/// What one check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was computed.
    pub name: String,
    /// Largest difference from the reference, over the root mean square of the reference.
    pub error: f64,
    /// How large that may be.
    pub tolerance: f64,
}

impl Check {
    /// Whether the difference is small enough.
    pub fn passes(&self) -> bool {
        self.error <= self.tolerance
    }
}

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The launch cannot be described.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The machine failed.
    #[error(transparent)]
    Machine(#[from] MachineError),
}

/// A family of checks.
pub type Family = fn(&mut dyn Machine) -> Result<Vec<Check>, VerifyError>;

/// All families, by name.
pub const FAMILIES: [(&str, Family); 5] = [
    ("elementwise", elementwise::check),
    ("attention", attention::check),
    ("experts", experts::check),
    ("state space", state_space::check),
    ("whole steps", steps::check),
];

/// Rounding to bfloat16 is off by up to 2^-9 of a value; the largest of many normal values is about 4 deviations, and
/// intermediate roundings add to it.
const BF16_TOLERANCE: f64 = 4.0 / 256.0;

fn compare(name: impl Into<String>, got: &[f32], want: &[f64], tolerance: f64) -> Check {
    let square = want.iter().map(|value| value * value).sum::<f64>() / want.len().max(1) as f64;
    let size = square.sqrt().max(f64::MIN_POSITIVE);
    let worst = |worst: f64, (got, want): (&f32, &f64)| {
        let difference = (f64::from(*got) - want).abs();
        // A NaN is as wrong as can be, and `max` would drop it.
        if difference.is_nan() { f64::INFINITY } else { worst.max(difference) }
    };
    let error = if got.len() == want.len() { got.iter().zip(want).fold(0.0, worst) / size } else { f64::INFINITY };
    Check { name: name.into(), error, tolerance }
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn a_wrong_value_a_nan_and_a_missing_value_do_not_pass() {
        assert!(compare("same", &[1.0, 2.0], &[1.0, 2.0], 0.01).passes());
        assert!(!compare("wrong", &[1.0, 2.1], &[1.0, 2.0], 0.01).passes());
        assert!(!compare("NaN", &[f32::NAN, 2.0], &[1.0, 2.0], 0.01).passes());
        assert!(!compare("NaN last", &[1.0, f32::NAN], &[1.0, 2.0], 0.01).passes());
        assert!(!compare("short", &[1.0], &[1.0, 2.0], 0.01).passes());
    }
}
