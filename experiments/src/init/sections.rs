//! Comments in an experiment file about keys that it does not set.

use std::fmt::Write as _;

use crate::file::check::tag_of;
use crate::file::document::{Node, Table, Value};
use crate::file::key::{Fallback, Key, Kind, TableDef};

/// What stands before a key that may be written as it is: taking this out sets it.
const OFFERED: &str = "#: ";

/// A table of the file, written under a header of its own.
struct Section<'a> {
    def: &'static TableDef,
    table: &'a Table,
    /// What stands above it: `[system.decode]`; nothing above the top of the file.
    header: String,
    /// Where its last key ends.
    end: usize,
}

/// `text`, with the keys that it leaves out behind the last key of each table that stands under a header.
pub(super) fn explained(text: &str, root: &Table, def: &'static TableDef) -> String {
    let mut sections = Vec::new();
    collect(root, def, String::new(), text, &mut sections);
    let mut added: Vec<(usize, String)> =
        sections.iter().map(|section| (line_end(text, section.end), comment(section))).collect();
    added.sort_by_key(|(end, _)| *end);
    let mut text = text.to_owned();
    for (end, comment) in added.iter().rev() {
        text.insert_str(*end, comment);
    }
    text
}

/// The tables under headers: of several systems the first that inherits nothing, for the others take the same keys.
fn collect<'a>(table: &'a Table, def: &'static TableDef, header: String, text: &str, into: &mut Vec<Section<'a>>) {
    let plain = table.entries.iter().filter(|entry| !under_header(text, &entry.node));
    let end = plain.map(|entry| entry.node.span.end).max();
    if let Some(end) = end {
        into.push(Section { def, table, header, end });
    }
    for entry in &table.entries {
        let Some(key) = def.key(&entry.key) else { continue };
        match (&entry.node.value, key.kind) {
            (Value::Table(inner), Kind::Table(def)) if under_header(text, &entry.node) => {
                collect(inner, def, format!("[{}]", def.path), text, into);
            }
            (Value::List(items), Kind::Tables(def)) => {
                if let Some(Node { value: Value::Table(first), .. }) = items.first() {
                    collect(first, def, format!("[[{}]]", def.path), text, into);
                }
            }
            _ => {}
        }
    }
}

/// Whether a value is what follows a header rather than what follows an equals sign.
fn under_header(text: &str, node: &Node) -> bool {
    let header = |node: &Node| text[node.span.start..].starts_with('[');
    match &node.value {
        Value::Table(_) => header(node),
        Value::List(items) => items.iter().any(|item| matches!(item.value, Value::Table(_)) && header(item)),
        _ => false,
    }
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length)
}

fn comment(section: &Section<'_>) -> String {
    let Section { def, table, header, .. } = section;
    let place = if header.is_empty() { "the top of the file" } else { header };
    let tag = tag_of(table, def);
    let left: Vec<&Key> = def
        .keys
        .iter()
        .copied()
        .filter(|key| table.get(key.name).is_none() && key.applies(tag) && key.name != "lock")
        .collect();
    let mut comment = String::new();
    if !left.is_empty() {
        let _ = write!(comment, "\n#\n# What else {place} takes, and what holds without it (servesim explain KEY):");
    }
    for key in left {
        let doc = key.doc.split(". ").next().unwrap_or_default().trim_end_matches('.');
        match (key.fallback, key.kind) {
            (_, Kind::Table(inner) | Kind::Tables(inner)) => {
                let _ = write!(comment, "\n# [{}]  {doc}.", inner.path);
            }
            (Fallback::Value(toml), _) => {
                let _ = write!(comment, "\n{OFFERED}{} = {toml}  # {doc}.", key.name);
            }
            (Fallback::Computed(says) | Fallback::Nothing(says), _) => {
                let _ = write!(comment, "\n# {}: {doc}. Without it: {says}.", key.name);
            }
            (Fallback::Required, _) => {
                let _ = write!(comment, "\n# {}: {doc}.", key.name);
            }
        }
    }
    comment
}
