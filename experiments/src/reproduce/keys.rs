//! Every key of `paper.toml` and of the claims beside an experiment.

use crate::file::key::{ANY, Key, Kind, NOT_NEGATIVE, TableDef, Tag};

/// What the paper is called.
pub(super) static TITLE: Key = Key::new("title", Kind::Text, "Title of the paper.");
/// Who published it.
pub(super) static CITE: Key = Key::new("cite", Kind::Text, "Authors, venue and year, or a link.");
/// Claims that tests hold.
pub(super) static TEST: Key =
    Key::new("test", Kind::Tables(&TEST_TABLE), "Claims that a test of this repository checks, not an experiment.")
        .nothing("there are none");

/// `paper.toml`.
pub(super) static PAPER: TableDef =
    TableDef { path: "", doc: "A paper whose claims are reproduced.", tag: Tag::None, keys: &[&TITLE, &CITE, &TEST] };

/// Its name in lists.
pub(super) static ID: Key = Key::new("id", Kind::Text, "Short name of the claim, unique in its paper.");
/// What is claimed.
pub(super) static CLAIM: Key = Key::new("claim", Kind::Text, "What is claimed, in words.");
/// The test.
pub(super) static TEST_NAME: Key =
    Key::new("name", Kind::Text, "Crate and path of the test, such as `sim::queueing::NAME`.");
/// How far off the test lets it be.
pub(super) static TEST_TOLERANCE: Key =
    Key::new("tolerance", Kind::Text, "How far off the test lets it be, such as `1 %`, `exact` or `ordering`.")
        .nothing("the claim says it");
/// What the test measured.
pub(super) static TEST_MEASURED: Key =
    Key::new("measured", Kind::Text, "What the test measured when this was written; it prints it.")
        .nothing("nothing but that it holds");
static TEST_TABLE: TableDef = TableDef {
    path: "test",
    doc: "A claim that a test checks.",
    tag: Tag::None,
    keys: &[&ID, &CLAIM, &TEST_NAME, &TEST_TOLERANCE, &TEST_MEASURED],
};

/// What is reproduced.
pub(super) static FIGURE: Key = Key::new("figure", Kind::Text, "Which figure or table of the paper this is.");
/// How.
pub(super) static CONDITIONS: Key =
    Key::new("conditions", Kind::Text, "What the paper ran as far as it says, and what had to be assumed.");
/// The swept key.
pub(super) static VARY: Key =
    Key::new("vary", Kind::Table(&VARY_TABLE), "A key of the experiment that takes several values.")
        .nothing("one run per seed");
/// Which.
pub(super) static VARY_KEY: Key = Key::new("key", Kind::Text, "The key, as `run --set` takes it: `workload.rate`.");
/// Its values.
pub(super) static VARY_VALUES: Key = Key::new("values", Kind::List(&Kind::Number(ANY)), "Its values, ascending.");
static VARY_TABLE: TableDef =
    TableDef { path: "vary", doc: "A swept key.", tag: Tag::None, keys: &[&VARY_KEY, &VARY_VALUES] };
/// The claims.
pub(super) static CLAIMS: Key = Key::new("claim", Kind::Tables(&CLAIM_TABLE), "The claims.");

/// `NAME.claims.toml`.
pub(super) static ROOT: TableDef = TableDef {
    path: "",
    doc: "Claims about the experiment of the same name.",
    tag: Tag::None,
    keys: &[&FIGURE, &CONDITIONS, &VARY, &CLAIMS],
};

/// Where it was published.
pub(super) static PUBLISHED_IN: Key = Key::new("published_in", Kind::Text, "Section, figure or table.");
/// The published value.
pub(super) static PUBLISHED: Key = Key::new("published", Kind::Number(ANY), "The published value.");
/// Its other end.
pub(super) static PUBLISHED_TO: Key =
    Key::new("published_to", Kind::Number(ANY), "Upper end, where a range was published.").nothing("a single value");
/// How the two are to relate.
pub(super) static RELATION: Key = Key::new(
    "relation",
    Kind::Choice(&[
        ("equal", "the published value is reproduced"),
        ("above", "what is simulated lies above it"),
        ("below", "what is simulated lies below it"),
    ]),
    "How simulated and published value relate if the claim holds.",
)
.value("\"equal\"");
/// How far off a plain value may be.
pub(super) static TOLERANCE: Key = Key::new(
    "tolerance",
    Kind::Number(NOT_NEGATIVE),
    "Share of the published value by which a plain value may differ. Comparisons have the rule of a quarter of the change.",
)
.nothing("the interval has to contain the published value");
/// The measure.
pub(super) static MEASURE: Key = Key::new("measure", Kind::Text, "A column of `summary.csv`.")
    .nothing("the highest value of the swept key `within` limits");
/// What it is divided by.
pub(super) static PER: Key =
    Key::new("per", Kind::Text, "Another column, by which it is divided.").nothing("by nothing");
/// Limits.
pub(super) static WITHIN: Key = Key::new(
    "within",
    Kind::List(&Kind::Text),
    "Limits such as `slo_attainment >= 0.9`: the swept key is taken at the highest value up to which all hold, found between \
     points by straight lines.",
)
.nothing("`at` says the point");
/// The point.
pub(super) static AT: Key =
    Key::new("at", Kind::Number(ANY), "Value of the swept key.").nothing("nothing is swept, or `within` finds it");
/// Of which system.
pub(super) static SYSTEM: Key = Key::new("system", Kind::Text, "A system of the experiment.");
/// Against which system.
pub(super) static AGAINST: Key =
    Key::new("against", Kind::Text, "The system it is compared with.").nothing("with none");
/// At which point of the other.
pub(super) static AGAINST_AT: Key =
    Key::new("against_at", Kind::Number(ANY), "Value of the swept key for the other system.").nothing("the same");
/// How they are compared.
pub(super) static COMPARE: Key = Key::new(
    "compare",
    Kind::Choice(&[
        ("value", "the value of the system itself"),
        ("difference", "system minus `against`"),
        ("ratio", "system divided by `against`"),
        ("change", "difference in percent of `against`"),
    ]),
    "What is computed of it, seed by seed.",
)
.value("\"value\"");
/// Factor.
pub(super) static SCALE: Key =
    Key::new("scale", Kind::Number(NOT_NEGATIVE), "Factor from the measure's unit to `unit`.").value("1");
/// Factor on one side.
pub(super) static TIMES: Key = Key::new(
    "times",
    Kind::Number(NOT_NEGATIVE),
    "Factor on the value of `system` alone, such as the batches that are on their way beside the one that is measured.",
)
.value("1");
/// Unit.
pub(super) static UNIT: Key = Key::new("unit", Kind::Text, "Unit of the value.").nothing("that of the measure");
/// What agreement would mean.
pub(super) static STATUS: Key = Key::new(
    "status",
    Kind::Choice(&[
        ("predicted", "nothing was chosen to meet it"),
        ("fitted", "a named engine profile was fitted to it, so that agreement says nothing"),
        ("undetermined", "public facts do not determine it: reported, not judged"),
    ]),
    "What agreement would mean.",
);
/// The profile fitted to it.
pub(super) static FITTED_BY: Key =
    Key::new("fitted_by", Kind::Text, "The calibration that was fitted to it.").only(&["fitted"]);
/// Why it differs, or cannot be told.
pub(super) static REASON: Key =
    Key::new("reason", Kind::Text, "Why it differs, or why it cannot be told.").nothing("it holds, or nobody knows");

static CLAIM_TABLE: TableDef = TableDef {
    path: "claim",
    doc: "A claim, and how it is computed.",
    tag: Tag::Key(&STATUS),
    keys: &[
        &ID,
        &CLAIM,
        &PUBLISHED_IN,
        &PUBLISHED,
        &PUBLISHED_TO,
        &RELATION,
        &TOLERANCE,
        &MEASURE,
        &PER,
        &WITHIN,
        &SYSTEM,
        &AT,
        &AGAINST,
        &AGAINST_AT,
        &COMPARE,
        &SCALE,
        &TIMES,
        &UNIT,
        &STATUS,
        &FITTED_BY,
        &REASON,
    ],
};
