//! Every key of the experiment file.

pub(crate) mod distributions;
pub(crate) mod output;
pub(crate) mod slo;
pub(crate) mod system;
pub(crate) mod workload;

use super::key::{Key, Kind, TableDef, Tag};

/// Name of the experiment.
pub(crate) static NAME: Key = Key::new("name", Kind::Text, "What the experiment is called in tables and figures.")
    .computed("the file's name without `.toml`");

/// Seeds.
pub(crate) static SEEDS: Key = Key::new(
    "seeds",
    Kind::List(&Kind::Integer(0, i64::MAX as u64)),
    "One run per system and seed. All systems see the same requests under the same seed; comparisons pair them.",
)
.value("[1]");

/// The model.
pub(crate) static MODEL: Key = Key::new(
    "model",
    Kind::NameOrPath("shipped model (`servesim profiles list`)"),
    "What is served: a shipped model, or a Hugging Face `config.json`.",
)
.computed("each system names its own")
.vllm("`--model`");

/// Service level objectives.
pub(crate) static SLO: Key = Key::new("slo", Kind::Table(&slo::TABLE), "What counts as good service.").value("{}");

/// The workload.
pub(crate) static WORKLOAD: Key = Key::new("workload", Kind::Table(&workload::TABLE), "The requests.");

/// The systems.
pub(crate) static SYSTEM: Key = Key::new("system", Kind::Tables(&system::TABLE), "The deployments to compare.");

/// What is written.
pub(crate) static OUTPUT: Key = Key::new("output", Kind::Table(&output::TABLE), "Which files are written.").value("{}");

/// What a lock file remembers.
pub(crate) static LOCK: Key = Key::new(
    "lock",
    Kind::Table(&output::LOCK),
    "Written by `run` into `experiment.lock.toml`, not by hand: what the results were made with. A run whose inputs have other \
     digests is refused.",
)
.nothing("nothing is compared");

/// The top of the file.
pub(crate) static ROOT: TableDef = TableDef {
    path: "",
    doc: "An experiment: systems that serve the same requests.",
    tag: Tag::None,
    keys: &[&NAME, &SEEDS, &MODEL, &SLO, &WORKLOAD, &SYSTEM, &OUTPUT, &LOCK],
};
