//! What the parameters of a workload must satisfy.

use crate::error::WorkloadError;

/// Longest prompt or answer a length distribution may ask for, in tokens. A few such pieces still fit a prompt.
pub const MAX_TOKENS: u32 = 1 << 30;

/// A parameter that is not what it must be.
pub(crate) fn wrong(
    of: &'static str,
    parameter: &'static str,
    value: impl std::fmt::Display,
    expected: impl Into<String>,
) -> WorkloadError {
    WorkloadError::Parameter { of, parameter, value: value.to_string(), expected: expected.into() }
}

/// Finite and above zero.
pub(crate) fn positive(of: &'static str, parameter: &'static str, value: f64) -> Result<(), WorkloadError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(wrong(of, parameter, value, "a finite number above 0"))
}

/// A duration in seconds: not negative, and at most three years, so that times fit the clock.
pub(crate) fn seconds(of: &'static str, parameter: &'static str, value: f64) -> Result<(), WorkloadError> {
    if (0.0..=1e8).contains(&value) {
        return Ok(());
    }
    Err(wrong(of, parameter, value, "a number of seconds between 0 and 1e8"))
}

/// Coefficient of variation of gaps.
pub(crate) fn cv(of: &'static str, value: f64) -> Result<(), WorkloadError> {
    if (0.01..=100.0).contains(&value) {
        return Ok(());
    }
    Err(wrong(of, "cv", value, "between 0.01 and 100"))
}

/// Finite and not negative.
pub(crate) fn not_negative(of: &'static str, parameter: &'static str, value: f64) -> Result<(), WorkloadError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(wrong(of, parameter, value, "a finite number, 0 or above"))
}

/// Requests per second: above zero, and slow or fast enough for a clock of nanoseconds and 584 years.
pub(crate) fn rate(of: &'static str, parameter: &'static str, value: f64) -> Result<(), WorkloadError> {
    if (1e-6..=1e9).contains(&value) {
        return Ok(());
    }
    Err(wrong(of, parameter, value, "a number of requests per second above 0 (between 1e-6 and 1e9)"))
}

/// A probability or share.
pub(crate) fn share(of: &'static str, parameter: &'static str, value: f64) -> Result<(), WorkloadError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(wrong(of, parameter, value, "a share between 0 and 1"))
}

/// At least one, at most [`MAX_TOKENS`].
pub(crate) fn tokens(of: &'static str, parameter: &'static str, value: u32) -> Result<(), WorkloadError> {
    if (1..=MAX_TOKENS).contains(&value) {
        return Ok(());
    }
    Err(wrong(of, parameter, value, format!("between 1 and {MAX_TOKENS} tokens")))
}
