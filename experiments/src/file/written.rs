//! A file as it was written, to be kept beside results: with the settings laid over it, and paths that hold anywhere.

use super::SWEEP;
use super::document::{Entry, Node, Table, Value};
use super::key::{Kind, TableDef};
use super::keys::{ROOT, SYSTEM, system};
use super::overrides::{Laid, words};
use crate::diagnostic::Sources;

/// The tree of an experiment file, and of its sweep, with every path in it absolute.
pub(crate) fn with_absolute_paths(root: &Table, sources: &Sources) -> Table {
    let mut root = root.clone();
    in_table(&mut root, &ROOT, sources);
    if let Some(Node { value: Value::Table(sweep), .. }) = root.get_mut(SWEEP) {
        in_sweep(sweep, &[], sources);
    }
    root
}

fn in_table(table: &mut Table, def: &'static TableDef, sources: &Sources) {
    for entry in &mut table.entries {
        if let Some(key) = def.key(&entry.key) {
            in_value(&mut entry.node, key.kind, sources);
        }
    }
}

fn in_value(node: &mut Node, kind: Kind, sources: &Sources) {
    let base = sources.base(node.span);
    match (kind, &mut node.value) {
        (kind, Value::Text(text)) if holds_path(kind, text) => make_absolute(text, base),
        (Kind::List(kind), Value::List(items)) => items.iter_mut().for_each(|item| in_value(item, *kind, sources)),
        (Kind::Table(def) | Kind::Tables(def), Value::Table(table)) => in_table(table, def, sources),
        (Kind::Tables(_), Value::List(items)) => items.iter_mut().for_each(|item| in_value(item, kind, sources)),
        _ => {}
    }
}

/// Whether a value of this kind is a path: what may be a name is one if it ends as files do that describe such things.
fn holds_path(kind: Kind, text: &str) -> bool {
    let ends_so = || [".json", ".toml"].iter().any(|end| text.to_ascii_lowercase().ends_with(end));
    matches!(kind, Kind::Path) || matches!(kind, Kind::NameOrPath(_)) && ends_so()
}

/// Whether a swept value is a path.
pub(crate) fn is_path(laid: &Laid) -> bool {
    let words: Vec<String> = laid.path.iter().map(|(word, _)| word.clone()).collect();
    match (kind_of(&words), &laid.node.value) {
        (Some(kind), Value::Text(text)) => holds_path(kind, text),
        _ => false,
    }
}

fn make_absolute(text: &mut String, base: &std::path::Path) {
    let path = base.join(&*text);
    *text = std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned();
}

/// Lists of values below a key, each of the kind that the key takes; listed points are lists of tables of keys.
fn in_sweep(table: &mut Table, above: &[String], sources: &Sources) {
    for Entry { key, key_span, node } in &mut table.entries {
        let path = words(key, *key_span).unwrap_or_default().into_iter().map(|(word, _)| word);
        let path: Vec<String> = above.iter().cloned().chain(path).collect();
        match &mut node.value {
            Value::Table(inner) => in_sweep(inner, &path, sources),
            Value::List(items) => {
                for item in items {
                    match (kind_of(&path), &mut item.value) {
                        (Some(kind), _) => in_value(item, kind, sources),
                        (None, Value::Table(point)) => in_point(point, sources),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

fn in_point(point: &mut Table, sources: &Sources) {
    for Entry { key, key_span, node } in &mut point.entries {
        let path: Vec<String> = words(key, *key_span).unwrap_or_default().into_iter().map(|(word, _)| word).collect();
        if let Some(kind) = kind_of(&path) {
            in_value(node, kind, sources);
        }
    }
}

/// What the key at the end of a path takes; `system.NAME.…` goes through the name.
fn kind_of(path: &[String]) -> Option<Kind> {
    let mut def = &ROOT;
    let mut words = path.iter().peekable();
    while let Some(word) = words.next() {
        let kind = def.key(word)?.kind;
        if words.peek().is_none() {
            return Some(kind);
        }
        let (Kind::Table(inner) | Kind::Tables(inner)) = kind else { return None };
        def = inner;
        if word == SYSTEM.name && words.peek().is_some_and(|word| system::TABLE.key(word).is_none()) {
            words.next();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::file::document;

    #[test]
    fn paths_are_made_absolute_wherever_they_stand_and_nothing_else_is_touched() {
        let text = "model = \"m.json\"\nname = \"n.json\"\n[workload]\ntrace = \"t.csv\"\n[[system]]\nname = \"a\"\ngpu = \"L40S\"\n\
                    kernel_tables = [\"k\", \"/there\"]\n[sweep]\n\"workload.trace\" = [\"u.csv\"]\n\"system.a.gpu\" = [\"g.toml\", \"L40S\"]\n\
                    points = [{ \"system.gpu\" = \"h.toml\", model = \"Qwen/Qwen3-14B\" }]\n";
        let mut sources = Sources::default();
        let source = sources.add("x.toml", text, Path::new("/base"));
        let root = document::parse(source, text).expect("TOML");
        let written = with_absolute_paths(&root, &sources).to_toml();
        let expected = "model = \"/base/m.json\"\nname = \"n.json\"\n\n[workload]\ntrace = \"/base/t.csv\"\n\n[[system]]\nname = \"a\"\n\
                        gpu = \"L40S\"\nkernel_tables = [\"/base/k\", \"/there\"]\n\n[sweep]\n\"workload.trace\" = [\"/base/u.csv\"]\n\
                        \"system.a.gpu\" = [\"/base/g.toml\", \"L40S\"]\n\
                        points = [{ \"system.gpu\" = \"/base/h.toml\", model = \"Qwen/Qwen3-14B\" }]\n";
        assert_eq!(written, expected);
    }
}
