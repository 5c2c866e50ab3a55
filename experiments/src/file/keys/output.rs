//! `[output]` and `[lock]`

use crate::file::key::{Key, Kind, TableDef, Tag};

/// Whether `steps.csv` is written.
pub(crate) static STEPS: Key =
    Key::new("steps", Kind::Flag, "Write `steps.csv`: one row per step of the engine.").value("false");
/// Whether `power.csv` is written.
pub(crate) static POWER: Key = Key::new(
    "power",
    Kind::Flag,
    "Write `power.csv`: power over time, one row per second (longer for runs over 4,096 s); the first and the last row are cut \
     to the run.",
)
.value("false");
/// Whether `trace.json.gz` is written.
pub(crate) static PERFETTO: Key = Key::new(
    "perfetto",
    Kind::Flag,
    "Write `trace.json.gz`: steps and requests on a time line that <https://ui.perfetto.dev> opens.",
)
.value("false");
/// Whether `schedule.jsonl.gz` is written.
pub(crate) static RECORD_STEPS: Key = Key::new(
    "record_steps",
    Kind::Flag,
    "Write `schedule.jsonl.gz`: every request in every step and the predicted time by operator, for `servesim replay`. It grows \
     with steps times requests.",
)
.value("false");
/// Whether figures are drawn.
pub(crate) static FIGURES: Key = Key::new(
    "figures",
    Kind::Flag,
    "Draw `figures/*.svg` and `*.png`: TTFT and TBT distributions, and the steps of the first replica of each pool of the first system.",
)
.value("true");
/// In which format tables are written.
pub(crate) static FORMAT: Key = Key::new(
    "format",
    Kind::Choice(&[
        ("csv", "comma-separated values"),
        ("parquet", "Parquet, as `NAME.parquet` instead of `NAME.csv`; what is empty in CSV is null"),
    ]),
    "Format of the tables.",
)
.value("\"csv\"");

/// The table.
pub(crate) static TABLE: TableDef = TableDef {
    path: "output",
    doc: "Which files are written beside `summary.csv`, `intervals.csv`, `comparison.csv`, `requests.csv` and `experiment.lock.toml`.",
    tag: Tag::None,
    keys: &[&STEPS, &POWER, &PERFETTO, &RECORD_STEPS, &FIGURES, &FORMAT],
};

/// Version of the program.
pub(crate) static SERVESIM: Key =
    Key::new("servesim", Kind::Text, "Version of servesim that wrote the file. Another one warns.");
/// Digests.
pub(crate) static DIGESTS: Key =
    Key::new("digests", Kind::Tables(&DIGEST), "SHA-256 of everything the results stand on.")
        .nothing("nothing is compared");
/// What a digest is of.
pub(crate) static OF: Key = Key::new("of", Kind::Text, "A trace, a model or a device.");
/// The digest.
pub(crate) static SHA256: Key = Key::new("sha256", Kind::Text, "The digest, in hexadecimal.");

/// The table of the lock.
pub(crate) static LOCK: TableDef =
    TableDef { path: "lock", doc: "What a lock file remembers.", tag: Tag::None, keys: &[&SERVESIM, &DIGESTS] };

static DIGEST: TableDef = TableDef { path: "lock.digests", doc: "One digest.", tag: Tag::None, keys: &[&OF, &SHA256] };
