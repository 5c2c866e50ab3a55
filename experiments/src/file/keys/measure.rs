//! `[measure]`

use crate::file::key::{Key, Kind, NOT_NEGATIVE, TableDef, Tag, time};

const WHOLE: &str = "whole";
const AUTO: &str = "auto";
const STATED: &str = "stated";

/// Which part of a run is measured.
pub(crate) static WINDOW: Key = Key::new(
    "window",
    Kind::Choice(&[
        (WHOLE, "all of it"),
        (
            AUTO,
            "from where MSER-5 takes the run for steady up to the last arrival; systems under the same seed are measured over one window, \
             from where the last of them is steady. A system of which MSER-5 would leave out more than half, or that is too short to \
             tell, has no say in it, and gets a warning; if none has, all of the run is measured. The run is simulated twice",
        ),
        (STATED, "without `warmup` at the beginning and, if it is given, `cooldown` at the end"),
    ]),
    "Which part of a run is measured: latencies, gaps between tokens and attainment are those of requests that arrive in it, throughput \
     and goodput count requests whose last token comes in it. Energy, cost, caches and steps are those of the whole run. The string \
     alone stands for the table: `measure = \"auto\"`.",
);
/// What is left out at the beginning.
pub(crate) static WARMUP: Key =
    Key::new("warmup", time(NOT_NEGATIVE), "What is left out at the beginning, from the first arrival on.")
        .value("\"0 s\"")
        .only(&[STATED]);
/// What is left out at the end.
pub(crate) static COOLDOWN: Key = Key::new(
    "cooldown",
    time(NOT_NEGATIVE),
    "How long before the last arrival measuring ends: \"0 s\" leaves out the time in which the last requests are served and no new ones \
     come. The run is simulated twice, for it is not known before when that is.",
)
.nothing("measuring ends with the run")
.only(&[STATED]);

/// The table.
pub(crate) static TABLE: TableDef = TableDef {
    path: "measure",
    doc: "Which part of each run is measured. Whether a run was steady is said in any case: `steadiness` and `warmup_s` in \
          `summary.csv`.",
    tag: Tag::Key(&WINDOW),
    keys: &[&WINDOW, &WARMUP, &COOLDOWN],
};
