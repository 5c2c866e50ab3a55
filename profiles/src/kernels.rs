//! What was measured on a device: tables put together, checked, and made ready to predict from.

mod join;
mod plausible;

pub use join::{Joined, NamedTable};

/// Why tables cannot be used together, or not for a device.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelsError {
    /// The table is of another device.
    #[error("{file}: measured on `{measured}`, but the device is `{device}`")]
    OtherDevice {
        /// The file.
        file: String,
        /// Whose table it is.
        measured: String,
        /// What it was to be used for.
        device: String,
    },
    /// The times cannot be microseconds.
    #[error("{file}: {problem}; times must be in microseconds")]
    Unit {
        /// The file.
        file: String,
        /// Which times cannot be.
        problem: String,
    },
}
