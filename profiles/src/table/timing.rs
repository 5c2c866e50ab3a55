//! What was recorded about the time of a shape.

use super::error::FieldError;
use super::fields::{Fields, write_optional};
use super::rows::Column;

/// The time of a kernel, and what was recorded beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Median time of one launch in microseconds.
    pub time_us: f64,
    /// Its 10th percentile over repetitions.
    pub p10_us: Option<f64>,
    /// Its 90th percentile.
    pub p90_us: Option<f64>,
    /// Repetitions.
    pub samples: Option<u32>,
    /// Mean board power while the kernel ran, in watts.
    pub power_w: Option<f64>,
    /// Clock of the streaming multiprocessors at that time, in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// NVML's bits of reasons for lower clocks at that time (`nvmlDeviceGetCurrentClocksEventReasons`).
    pub throttle: Option<u32>,
}

/// The columns of [`Timing`]; all but the first may be left out, as a column or in a row.
pub const TIMING_COLUMNS: [Column; 7] = [
    Column { name: "time_us", about: "median time of one launch in microseconds" },
    Column { name: "p10_us", about: "10th percentile over repetitions, in microseconds" },
    Column { name: "p90_us", about: "90th percentile over repetitions, in microseconds" },
    Column { name: "samples", about: "repetitions" },
    Column { name: "power_w", about: "mean board power while the kernel ran, in watts" },
    Column { name: "sm_clock_mhz", about: "clock of the streaming multiprocessors, in MHz" },
    Column { name: "throttle", about: "NVML's bits of reasons for lower clocks" },
];

impl Timing {
    /// A time and nothing beside.
    pub fn of_us(time_us: f64) -> Self {
        Self { time_us, ..Self::default() }
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            time_us: fields.positive("time_us")?,
            p10_us: fields.optional("p10_us", Fields::positive)?,
            p90_us: fields.optional("p90_us", Fields::positive)?,
            samples: fields.optional("samples", |fields, name| fields.count(name, 1))?,
            power_w: fields.optional("power_w", Fields::positive)?,
            sm_clock_mhz: fields.optional("sm_clock_mhz", |fields, name| fields.count(name, 1))?,
            throttle: fields.optional("throttle", |fields, name| fields.count(name, 0))?,
        })
    }

    /// Its fields in the order of [`TIMING_COLUMNS`]; empty where nothing was recorded.
    pub(super) fn write(&self) -> [String; 7] {
        [
            self.time_us.to_string(),
            write_optional(self.p10_us),
            write_optional(self.p90_us),
            write_optional(self.samples),
            write_optional(self.power_w),
            write_optional(self.sm_clock_mhz),
            write_optional(self.throttle),
        ]
    }
}
