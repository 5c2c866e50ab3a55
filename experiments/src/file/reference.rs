//! The reference page of the experiment file, written from the definitions of its keys.

use std::fmt::Write as _;

use super::key::{Fallback, Key, Kind, TableDef};
use super::keys::ROOT;

const HEAD: &str = "\
<!-- Written by `servesim reference`; a test compares. Edit the definitions in experiments/src/file/keys/ instead. -->

# The experiment file

An experiment file is TOML. It names a model, a workload and one or more systems; `servesim run` sends every system the
same requests and compares them.

- A quantity is a string with a unit, `\"125 ms\"`. A bare number is taken where the table below says so.
- Paths are relative to the file they are written in; in `--set` on the command line, to the current directory.
- `--set KEY=VALUE` replaces a value: `--set workload.rate=4`, `--set system.max_model_len=8192` (every system),
  `--set system.NAME.gpu=A100-SXM-80GB` (one of them).
- `[sweep]` lists values of keys to try, for `servesim sweep` alone (docs/sweeps.md).
- An unknown key, a key that has no effect beside the others, a wrong unit: all are errors. Nothing is ignored.
- `run` writes `experiment.lock.toml`, in which every default is written out. It is an experiment file itself, and
  running it gives the same bytes.
";

/// The page, in Markdown.
pub(crate) fn page() -> String {
    page_of(HEAD, &ROOT)
}

/// A page of every key below `root`.
pub(crate) fn page_of(head: &str, root: &'static TableDef) -> String {
    let mut page = head.to_owned();
    let mut tables: Vec<&'static TableDef> = Vec::new();
    root.walk(&mut |def| {
        if !tables.iter().any(|seen| std::ptr::eq(*seen, def)) {
            tables.push(def);
        }
    });
    let mut shown: Vec<&'static TableDef> = Vec::new();
    for def in tables {
        let title = match def.path {
            "" => "Top of the file".to_owned(),
            "system" => "`[[system]]`".to_owned(),
            path => format!("`[{path}]`"),
        };
        let _ = write!(page, "\n## {title}\n\n{}\n", def.doc);
        match shown.iter().find(|seen| std::ptr::eq(seen.keys, def.keys)) {
            Some(seen) => {
                let _ = write!(page, "\nKeys: those of `[{}]`.\n", seen.path);
            }
            None => table(&mut page, def),
        }
        shown.push(def);
    }
    page
}

fn table(page: &mut String, def: &'static TableDef) {
    let _ = write!(page, "\n| key | value | if left out | |\n|---|---|---|---|\n");
    for key in def.keys {
        let fallback = match key.fallback {
            Fallback::Required if key.only.is_empty() => "**required**".to_owned(),
            Fallback::Required if key.only.contains(&key.name) => "another origin of requests is named".to_owned(),
            Fallback::Required => format!("**required** with {}", names(key.only)),
            Fallback::Value(toml) => format!("`{toml}`"),
            Fallback::Computed(says) | Fallback::Nothing(says) => says.to_owned(),
        };
        let _ = writeln!(page, "| `{}` | {} | {fallback} | {} |", key.name, kind(key.kind), about(key, def));
    }
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Choice(choices) => choices.iter().map(|(name, _)| format!("`\"{name}\"`")).collect::<Vec<_>>().join(", "),
        Kind::Table(def) => match def.tag.key() {
            Some(tag) => format!("table `[{}]`, or its `{}`", def.path, tag.name),
            None => format!("table `[{}]`", def.path),
        },
        Kind::Tables(def) => format!("list of tables `[{}]`", def.path),
        other => other.expects(),
    }
}

fn about(key: &Key, def: &TableDef) -> String {
    let mut about = key.doc.to_owned();
    if let Kind::Choice(choices) = key.kind {
        for (name, meaning) in choices {
            let _ = write!(about, "<br>`{name}`: {meaning}");
        }
    }
    if !key.only.is_empty() && !key.only.contains(&key.name) {
        let tag = def.tag.key().map_or(String::new(), |tag| format!("`{}` ", tag.name));
        let _ = write!(about, "<br>Only with {tag}{}.", names(key.only));
    }
    if !key.vllm.is_empty() {
        let _ = write!(about, "<br>vLLM: {}.", key.vllm);
    }
    about
}

fn names(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
