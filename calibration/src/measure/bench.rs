//! What times a point.

use super::point::Point;

/// What a device said while a point was timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Clock of the streaming multiprocessors in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// NVML's bits of reasons for lower clocks.
    pub throttle: Option<u32>,
}

/// Times of one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Microseconds of one launch, one value per repetition.
    pub times_us: Vec<f64>,
    /// Mean board power in watts, where it was measured.
    pub power_w: Option<f64>,
    /// What the device said meanwhile.
    pub conditions: Conditions,
    /// Experts that at least one row chose, where the point has experts.
    pub touched_experts: Option<u32>,
}

/// Why a point was not timed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BenchError {
    /// This device or these kernels do not do this point; others may work.
    #[error("{0}")]
    Unmeasurable(String),
    /// The device failed; nothing further can be trusted.
    #[error("{0}")]
    Failed(String),
}

/// Something that times points.
pub trait Bench {
    /// Times a point.
    ///
    /// # Errors
    ///
    /// If the point cannot be timed, or nothing can any more.
    fn time(&mut self, point: &Point) -> Result<Sample, BenchError>;

    /// Seconds since measuring began.
    fn elapsed_s(&self) -> f64;
}
