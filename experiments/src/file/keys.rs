//! Every key of the experiment file.

pub(crate) mod caches;
pub(crate) mod distributions;
pub(crate) mod goodput;
pub(crate) mod measure;
pub(crate) mod offload;
pub(crate) mod output;
pub(crate) mod plan;
pub(crate) mod pools;
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

/// Which part of a run is measured.
pub(crate) static MEASURE: Key =
    Key::new("measure", Kind::Table(&measure::TABLE), "Which part of each run is measured.").value("\"whole\"");

/// How the highest rate is searched.
pub(crate) static GOODPUT: Key = Key::new(
    "goodput",
    Kind::Table(&goodput::TABLE),
    "How `servesim goodput` searches; other commands do not look at it.",
)
.value("{}");

/// Which placements are searched.
pub(crate) static PLAN: Key =
    Key::new("plan", Kind::Table(&plan::TABLE), "What `servesim plan` searches; other commands do not look at it.")
        .nothing("there is nothing to plan");

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
    keys: &[&NAME, &SEEDS, &MODEL, &SLO, &WORKLOAD, &SYSTEM, &MEASURE, &GOODPUT, &PLAN, &OUTPUT, &LOCK],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use workloads::{TraceFormat, generators};

    use super::*;
    use crate::diagnostic::{Problems, Sources};
    use crate::file::key::{Fallback, Tag};
    use crate::file::{check, document};

    /// Every key of every table, with its table.
    fn all() -> Vec<(&'static TableDef, &'static Key)> {
        let mut keys = Vec::new();
        ROOT.walk(&mut |def| keys.extend(def.keys.iter().map(|key| (def, *key))));
        keys
    }

    fn choices(key: &Key) -> BTreeSet<&'static str> {
        let Kind::Choice(choices) = key.kind else { panic!("`{}` is no choice", key.name) };
        choices.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn every_default_is_a_value_its_key_takes() {
        for (def, key) in all() {
            let Fallback::Value(toml) = key.fallback else { continue };
            let mut sources = Sources::default();
            let text = format!("{} = {toml}", key.name);
            let id = sources.add("default", text.as_str(), std::path::Path::new(""));
            let mut table = document::parse(id, &text).expect("TOML");
            check::expand(&mut table, def);
            let mut problems = Problems::default();
            check::types(&table, def, &ROOT, &mut problems);
            let shown = problems.render(&sources, &annotate_snippets::Level::ERROR, false);
            assert!(problems.is_empty(), "the default of `{}`: {shown}", def.full_name(key));
        }
    }

    #[test]
    fn no_table_has_two_keys_of_one_name() {
        ROOT.walk(&mut |def| {
            let names: BTreeSet<_> = def.keys.iter().map(|key| key.name).collect();
            assert_eq!(names.len(), def.keys.len(), "{}", def.title());
        });
    }

    #[test]
    fn keys_belong_to_tags_that_exist() {
        let tags = |def: &TableDef| -> BTreeSet<&str> {
            match def.tag {
                Tag::Key(tag) if matches!(tag.kind, Kind::Choice(_)) => choices(tag),
                // With any text all keys mean something.
                Tag::None | Tag::Key(_) => BTreeSet::new(),
                Tag::Implied(_) => def.keys.iter().map(|key| key.name).collect(),
            }
        };
        for (def, key) in all() {
            // Tables may share a key, and each has some of its tags.
            let shared = all().into_iter().filter(|(_, other)| std::ptr::eq(*other, key));
            let anywhere: BTreeSet<&str> = shared.flat_map(|(def, _)| tags(def)).collect();
            for only in key.only {
                assert!(anywhere.contains(only), "`{}` belongs to `{only}`, which nothing is", def.full_name(key));
            }
            let here = key.only.is_empty() || key.only.iter().any(|only| tags(def).contains(only));
            assert!(here, "`{}` belongs to nothing that its table can be", def.full_name(key));
        }
    }

    #[test]
    fn the_choices_are_those_the_workloads_offer() {
        let formats = TraceFormat::ALL.iter().map(|format| format.name()).collect();
        assert_eq!(choices(&workload::FORMAT), formats);
        let generators = generators::GENERATORS.iter().map(|generator| generator.name).collect();
        assert_eq!(choices(&workload::GENERATOR), generators);
    }
}
