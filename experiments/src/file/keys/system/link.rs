//! `[system.link]`

use crate::file::key::{Key, Kind, NOT_NEGATIVE, POSITIVE, TableDef, Tag, time};
use crate::file::quantity::Dimension;

/// Bandwidth.
pub(crate) static BANDWIDTH: Key = Key::new(
    "bandwidth",
    Kind::Quantity { dimension: Dimension::Bandwidth, bare: false, bounds: POSITIVE },
    "Bandwidth in one direction, as a datasheet states it.",
)
.computed("the device's");
/// Latency.
pub(crate) static LATENCY: Key =
    Key::new("latency", time(NOT_NEGATIVE), "Time before the first byte of a message arrives.")
        .computed("4.3 us, as measured between two H100");

pub(super) static LINK_TABLE: TableDef = TableDef {
    path: "system.link",
    doc: "The link between the GPUs of a replica.",
    tag: Tag::None,
    keys: &[&BANDWIDTH, &LATENCY],
};
