//! Which part of a run is measured.

use crate::file::keys::measure as k;
use crate::file::reader::Reader;

/// Which part of a run is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Measuring {
    /// All of it.
    Whole,
    /// From where MSER-5 takes it for steady up to the last arrival.
    Auto,
    /// A stated part.
    Stated {
        /// What is left out at the beginning, in seconds.
        warm_up_s: f64,
        /// How long before the last arrival measuring ends, in seconds; `None`: with the run.
        cooldown_s: Option<f64>,
    },
}

/// Reads `[measure]`.
pub(super) fn read(reader: &mut Reader<'_>) -> Measuring {
    match reader.get::<String>(&k::WINDOW).as_str() {
        "whole" => Measuring::Whole,
        "auto" => Measuring::Auto,
        _ => Measuring::Stated { warm_up_s: reader.get(&k::WARMUP), cooldown_s: reader.maybe(&k::COOLDOWN) },
    }
}
