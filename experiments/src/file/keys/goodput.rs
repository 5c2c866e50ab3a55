//! `[goodput]`

use crate::file::key::{Bounds, Key, Kind, NOT_NEGATIVE, RATE, TableDef, Tag, time};

/// Lowest rate.
pub(crate) static LOWEST_RATE: Key = Key::new(
    "lowest_rate",
    RATE,
    "Lowest rate that is tried, of a whole system. A system that misses the objectives there has no goodput.",
)
.value("0.01");
/// Highest rate.
pub(crate) static HIGHEST_RATE: Key =
    Key::new("highest_rate", RATE, "Highest rate that is tried, of a whole system.").value("10000");
/// Tolerance.
pub(crate) static TOLERANCE: Key = Key::new(
    "tolerance",
    Kind::Number(Bounds { min: 0.0001, above: false, max: 1.0 }),
    "How exactly the rate is found: one that holds and one that fails lie within this share of each other, and both ends of the 95 % \
     interval within this share of their middle, unless `most_extension` is reached before.",
)
.value("0.02");
/// Least duration.
pub(crate) static LEAST_DURATION: Key = Key::new(
    "least_duration",
    time(NOT_NEGATIVE),
    "At rates at which `workload.requests` all arrive sooner than this, more requests are made, so that a system has to keep up \
     and not only to swallow a burst. Traces cannot be made longer.",
)
.value("\"0 s\"");

/// Most extension.
pub(crate) static MOST_EXTENSION: Key = Key::new(
    "most_extension",
    Kind::Integer(1, 1024),
    "How many times as many requests a rate may get: as many as it takes for noise to move the rate that is found by no more than \
     `tolerance`, and more where objectives hold only because all requests come before a queue can show, or although latencies grow \
     through the whole run. A rate under which every run is overloaded even so does not count as one that holds. 1: never more. Traces \
     cannot be made longer.",
)
.value("64");

/// The table.
pub(crate) static TABLE: TableDef = TableDef {
    path: "goodput",
    doc: "How `servesim goodput` searches the highest rate at which the objectives of `[slo]` hold: it doubles or halves the rate \
          from one request per second and GPU until one holds and one fails, and closes in on where the objectives start to \
          fail. Every seed plays the same requests at every rate, faster or slower, and then as many more as it takes for the \
          95 % interval of the rate to be as narrow as the tolerance.",
    tag: Tag::None,
    keys: &[&LOWEST_RATE, &HIGHEST_RATE, &TOLERANCE, &LEAST_DURATION, &MOST_EXTENSION],
};
