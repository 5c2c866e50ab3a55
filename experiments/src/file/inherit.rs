//! Systems that say only how they differ from another one.

use std::collections::BTreeMap;

use super::check::tag_of;
use super::document::{Entry, Node, Table, Value};
use super::key::{Kind, TableDef};
use super::keys::system;
use crate::diagnostic::{Problem, Problems, Span, nearest};

/// Replaces each system of the list by what it comes to with all it inherits.
///
/// Tables are merged key by key. Where a system names another kind of thing (another scheduling policy, another router),
/// keys that mean nothing beside it are not inherited.
pub(crate) fn resolve(systems: &mut [Node], problems: &mut Problems) {
    let mut names: BTreeMap<String, (usize, Span)> = BTreeMap::new();
    for (n, node) in systems.iter().enumerate() {
        let Some((name, span)) = text(node, system::NAME.name) else { continue };
        if let Some((_, first)) = names.get(name) {
            let problem = Problem::at(span, format!("two systems are named `{name}`"));
            problems.push(problem.label("give this one another name").also(*first, "the first one"));
        } else if system::TABLE.key(name).is_some() {
            let problem = Problem::at(span, format!("a system cannot be named `{name}`"));
            problems.push(problem.label("this is the name of a key, and `--set system.NAME.KEY=…` would be ambiguous"));
        } else {
            names.insert(name.to_owned(), (n, span));
        }
    }
    let merged: Vec<_> = (0..systems.len()).map(|n| chain(systems, n, &names, problems)).collect();
    for (node, chain) in systems.iter_mut().zip(merged) {
        node.value = Value::Table(chain);
    }
}

fn text<'a>(node: &'a Node, key: &str) -> Option<(&'a str, Span)> {
    let Value::Table(table) = &node.value else { return None };
    match table.get(key) {
        Some(Node { span, value: Value::Text(text) }) => Some((text, *span)),
        _ => None,
    }
}

/// System number `start` with all it inherits, the nearest ancestor counting most.
fn chain(systems: &[Node], start: usize, names: &BTreeMap<String, (usize, Span)>, problems: &mut Problems) -> Table {
    let mut path = vec![start];
    while let Some((parent, span)) = text(&systems[*path.last().expect("never empty")], system::INHERIT.name) {
        let Some((next, _)) = names.get(parent) else {
            let problem = Problem::at(span, format!("there is no system `{parent}` to inherit from"));
            problems.push(match nearest(parent, names.keys().map(String::as_str)) {
                Some(meant) => problem.label(format!("did you mean `{meant}`?")),
                None => problem.label("expected the name of another system of this file"),
            });
            break;
        };
        if path.contains(next) {
            // Once per circle: at its first system, not at those after it or those that lead into it.
            if *next == start && path.iter().all(|member| *member >= start) {
                problems.push(
                    Problem::at(span, "systems inherit from each other in a circle")
                        .label(format!("`{parent}` itself inherits, in the end, from here")),
                );
            }
            break;
        }
        path.push(*next);
    }
    let own = |n: usize| match &systems[n].value {
        Value::Table(table) => table,
        other => panic!("systems were checked to be tables, not {other:?}"),
    };
    let mut table = own(path.pop().expect("never empty")).clone();
    while let Some(child) = path.pop() {
        table.entries.retain(|entry| entry.key != system::NAME.name);
        merge(&mut table, own(child), &system::TABLE);
    }
    table
}

/// Lays the child's keys over the parent's.
pub(super) fn merge(parent: &mut Table, child: &Table, def: &'static TableDef) {
    if let Some(tag) = def.tag.key()
        && let Some(Node { value: Value::Text(new), .. }) = child.get(tag.name)
        && tag_of(parent, def) != Some(new)
    {
        parent.entries.retain(|entry| def.key(&entry.key).is_none_or(|key| key.applies(Some(new))));
    }
    for entry in &child.entries {
        let inner = def.key(&entry.key).map(|key| key.kind);
        match (inner, parent.get_mut(&entry.key), &entry.node.value) {
            (Some(Kind::Table(inner)), Some(Node { value: Value::Table(old), span }), Value::Table(new)) => {
                merge(old, new, inner);
                *span = entry.node.span;
            }
            _ => parent.put(Entry::clone(entry)),
        }
    }
}
