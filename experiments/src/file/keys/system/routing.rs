//! `[system.routing]`

use crate::file::key::{Key, Kind, NOT_NEGATIVE, TableDef, Tag};

const ZIPF: &str = "zipf";

/// How tokens choose experts.
pub(crate) static ROUTING_DISTRIBUTION: Key = Key::new(
    "distribution",
    Kind::Choice(&[
        ("uniform", "every expert is as likely as any other"),
        (ZIPF, "some experts are more popular, and prompt tokens agree more than decode tokens"),
        (
            "qwen3-30b-a3b-measured",
            "zipf with the skews measured for that model (Layered Prefill, table 1 and its figure of MoE time over chunk size)",
        ),
    ]),
    "How tokens choose experts.",
)
.value("\"uniform\"");
/// Skew among decode rows.
pub(crate) static DECODE_EXPONENT: Key = Key::new(
    "decode_exponent",
    Kind::Number(NOT_NEGATIVE),
    "Zipf exponent of the experts' popularity among decode tokens.",
)
.only(&[ZIPF]);
/// Skew among prefill rows.
pub(crate) static PREFILL_EXPONENT: Key =
    Key::new("prefill_exponent", Kind::Number(NOT_NEGATIVE), "Zipf exponent among prompt tokens.")
        .only(&[ZIPF])
        .nothing("`prefill_coverage` says it");
/// Measured coverage by prefill rows.
pub(crate) static PREFILL_COVERAGE: Key = Key::new(
    "prefill_coverage",
    Kind::List(&Kind::List(&Kind::Number(NOT_NEGATIVE))),
    "Measured pairs `[prompt tokens in the step, share of the experts they touch]`, tokens ascending.",
)
.only(&[ZIPF])
.nothing("`prefill_exponent` says it");

pub(super) static ROUTING_TABLE: TableDef = TableDef {
    path: "system.routing",
    doc: "How tokens choose experts. `routing = \"uniform\"` is short for `routing = { distribution = \"uniform\" }`.",
    tag: Tag::Key(&ROUTING_DISTRIBUTION),
    keys: &[&ROUTING_DISTRIBUTION, &DECODE_EXPONENT, &PREFILL_EXPONENT, &PREFILL_COVERAGE],
};
