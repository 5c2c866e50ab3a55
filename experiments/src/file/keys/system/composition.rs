//! `[system.composition]`

use crate::file::key::{Bounds, Key, Kind, TableDef, Tag};

const OVERLAPPED: &str = "overlapped";

/// Which composition.
pub(crate) static COMPOSITION_KIND: Key = Key::new(
    "kind",
    Kind::Choice(&[
        ("serial", "one after the other: their times add up"),
        (
            OVERLAPPED,
            "beside each other, as engines do that cut a batch in two (NanoFlow, BlendServe): a step takes the longer time and a \
             share of the shorter one",
        ),
    ]),
    "How decode attention, which reads the KV cache, and everything else in a step go together.",
)
.value("\"serial\"");
/// Interference.
pub(crate) static INTERFERENCE: Key = Key::new(
    "interference",
    Kind::Number(Bounds { min: 0.0, above: false, max: 1.0 }),
    "Share of the shorter time that a step takes on top of the longer one: the share of a GPU's multiprocessors that a kernel \
     keeps busy while it streams the cache. 0: neither is in the other's way; 1: as if serial.",
)
.only(&[OVERLAPPED])
.computed("0.3: fitted to BlendServe's depth-first order on A100, which reaches 71.7 % of its practical optimum");

pub(super) static COMPOSITION_TABLE: TableDef = TableDef {
    path: "system.composition",
    doc: "How the parts of a step go together. `composition = \"overlapped\"` is short for `composition = { kind = \"overlapped\" }`.",
    tag: Tag::Key(&COMPOSITION_KIND),
    keys: &[&COMPOSITION_KIND, &INTERFERENCE],
};
