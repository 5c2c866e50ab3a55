//! Keys, tables and values of the experiment file and of cache studies.

use super::Entry;
use crate::file::key::{Fallback, Key, Kind, TableDef};
use crate::file::keys::{ROOT, caches};

/// All of them.
pub(super) fn entries() -> impl Iterator<Item = Entry> {
    let mut entries = of(&ROOT, "experiment file");
    // What both have is told once.
    let known: Vec<&'static TableDef> = tables(&ROOT);
    for entry in of_tables(tables(&caches::ROOT).into_iter().filter(|def| !is_in(def, &known)), "cache study") {
        entries.push(entry);
    }
    entries.into_iter()
}

fn is_in(def: &'static TableDef, known: &[&'static TableDef]) -> bool {
    known.iter().any(|other| std::ptr::eq(*other, def))
}

fn tables(root: &'static TableDef) -> Vec<&'static TableDef> {
    let mut tables: Vec<&'static TableDef> = Vec::new();
    root.walk(&mut |def| {
        if !is_in(def, &tables) {
            tables.push(def);
        }
    });
    tables
}

fn of(root: &'static TableDef, file: &str) -> Vec<Entry> {
    of_tables(tables(root), file)
}

fn of_tables(tables: impl IntoIterator<Item = &'static TableDef>, file: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for def in tables {
        if !def.path.is_empty() {
            let keys: Vec<&str> = def.keys.iter().map(|key| key.name).collect();
            entries.push(Entry::new(def.path, format!("table of the {file}"), def.doc).fact("keys", keys.join(", ")));
        }
        for key in def.keys {
            entries.push(entry(def, key, file));
            if let Kind::Choice(choices) = key.kind {
                entries.extend(choices.iter().map(|(name, meaning)| value(def, key, name, meaning)));
            }
        }
    }
    entries
}

fn entry(def: &TableDef, key: &Key, file: &str) -> Entry {
    let name = def.full_name(key);
    let fallback = match key.fallback {
        Fallback::Required => "it has to be written".to_owned(),
        Fallback::Value(toml) => toml.to_owned(),
        Fallback::Computed(says) | Fallback::Nothing(says) => says.to_owned(),
    };
    let values = match key.kind {
        Kind::Choice(choices) => {
            choices.iter().map(|(name, meaning)| format!("\"{name}\": {meaning}")).collect::<Vec<_>>().join("\n")
        }
        Kind::Table(def) | Kind::Tables(def) => format!("{}; servesim explain {}", key.kind.expects(), def.path),
        kind => kind.expects(),
    };
    let only = if key.only.contains(&key.name) { String::new() } else { key.only.join(", ") };
    let set = matches!(key.kind, Kind::Table(_) | Kind::Tables(_));
    let set = if set { String::new() } else { format!("--set {name}=VALUE") };
    Entry::new(name, format!("key of {} ({file})", def.title().trim_matches('`')), key.doc)
        .fact("value", values)
        .fact("if left out", fallback)
        .fact("only with", only)
        .fact("vLLM", key.vllm)
        .fact("to change it", set)
}

fn value(def: &TableDef, key: &Key, name: &str, meaning: &str) -> Entry {
    let with: Vec<&str> = def.keys.iter().filter(|key| key.only.contains(&name)).map(|key| key.name).collect();
    let with = if def.tag.key().is_some_and(|tag| std::ptr::eq(tag, key)) { with.join(", ") } else { String::new() };
    Entry::new(name, format!("value of {}", def.full_name(key)), meaning).fact("has keys", with)
}
