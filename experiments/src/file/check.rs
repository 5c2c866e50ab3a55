//! Holds a tree against the definitions of its keys, before anything is made of it.

use super::document::{Entry, Node, Table, Value};
use super::foreign;
use super::key::{Fallback, Key, Kind, TableDef, Tag};
use crate::diagnostic::{Problem, Problems, Span, nearest};

/// Writes `name = "tag"` out as `name = { tag = "…" }` wherever a table has a tag.
pub(crate) fn expand(table: &mut Table, def: &'static TableDef) {
    for entry in &mut table.entries {
        let Some(Key { kind: Kind::Table(inner) | Kind::Tables(inner), .. }) = def.key(&entry.key) else { continue };
        if let (Some(tag), Value::Text(_)) = (inner.tag.key(), &entry.node.value) {
            let node = entry.node.clone();
            let tagged = Entry { key: tag.name.to_owned(), key_span: entry.key_span, node };
            entry.node.value = Value::Table(Table { entries: vec![tagged] });
        }
        match &mut entry.node.value {
            Value::Table(table) => expand(table, inner),
            Value::List(items) => {
                for item in items {
                    if let Value::Table(table) = &mut item.value {
                        expand(table, inner);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Finds unknown keys, and values that their keys cannot take.
pub(crate) fn types(table: &Table, def: &'static TableDef, root: &'static TableDef, problems: &mut Problems) {
    for entry in &table.entries {
        match def.key(&entry.key) {
            None => problems.push(unknown(entry, def, root)),
            Some(key) => value(&entry.node, (def, key), key.kind, root, problems),
        }
    }
}

fn unknown(entry: &Entry, def: &'static TableDef, root: &'static TableDef) -> Problem {
    if entry.key == super::SWEEP && def.path.is_empty() {
        return Problem::at(entry.key_span, "`[sweep]` is for `servesim sweep`")
            .label("this command does not sweep, and would have to ignore it")
            .help("servesim sweep runs every point of it; without it the file can be run as it is");
    }
    let problem = Problem::at(entry.key_span, format!("unknown key `{}` {}", entry.key, def.place()));
    let here = def.keys.iter().map(|key| key.name);
    let elsewhere = |name: &str| {
        let mut homes = Vec::new();
        root.walk(&mut |other| {
            if other.key(name).is_some() && !homes.contains(&other.title()) {
                homes.push(other.title());
            }
        });
        homes
    };
    // What others call it says more than letters that are alike.
    let called = foreign::ours(&entry.key);
    if let Some(meant) = called.filter(|name| def.key(name).is_some()).or_else(|| nearest(&entry.key, here)) {
        return problem.label(format!("did you mean `{meant}`?"));
    }
    let meant = called.unwrap_or(&entry.key);
    match (elsewhere(meant).as_slice(), called) {
        ([], _) => problem.label("there is no such key").help(format!("keys {}: {}", def.place(), def.key_list())),
        (homes, None) => problem.label(format!("`{meant}` belongs to {}", homes.join(" or "))),
        (homes, Some(_)) => problem.label(format!("did you mean `{meant}`? It belongs to {}", homes.join(" or "))),
    }
}

fn value(
    node: &Node,
    (def, key): (&'static TableDef, &'static Key),
    kind: Kind,
    root: &'static TableDef,
    problems: &mut Problems,
) {
    let name = def.full_name(key);
    let wrong = |label: String| Problem::at(node.span, format!("wrong value for `{name}`")).label(label);
    match (kind, &node.value) {
        (Kind::Table(inner), Value::Table(table)) => types(table, inner, root, problems),
        (Kind::Tables(_) | Kind::List(_), Value::List(items)) if items.is_empty() => {
            problems.push(wrong(format!("an empty list; expected {}", kind.expects())));
        }
        (Kind::Tables(inner), Value::List(items)) => {
            for item in items {
                match &item.value {
                    Value::Table(table) => types(table, inner, root, problems),
                    other => {
                        let label = format!("expected a table, found {}", other.describe());
                        problems.push(Problem::at(item.span, format!("`{name}` is a list of tables")).label(label));
                    }
                }
            }
        }
        (Kind::List(item), Value::List(items)) => {
            for node in items {
                value(node, (def, key), *item, root, problems);
            }
        }
        (Kind::Tables(inner), Value::Table(_)) => {
            let label = format!("expected {}, found a table", kind.expects());
            problems.push(wrong(label).help(format!("the header of one table of a list is [[{}]]", inner.path)));
        }
        _ => {
            if let Err(label) = scalar(&node.value, kind) {
                let problem = wrong(label);
                problems.push(match advice(&node.value, kind, &name) {
                    Some(advice) => problem.help(advice),
                    None => problem,
                });
            }
        }
    }
}

/// What to do about a value that is none of the choices, or a number where there may be a distribution.
fn advice(value: &Value, kind: Kind, name: &str) -> Option<String> {
    match (kind, value) {
        (Kind::Choice(_), Value::Text(_)) => Some(format!("servesim explain {name}: what each of them is")),
        (Kind::Table(inner), Value::Integer(number)) => {
            let tag = inner.tag.key()?;
            let of_fixed = |key: &&&Key| key.only == ["fixed"] && matches!(key.kind, Kind::Integer(..));
            let key = inner.keys.iter().find(of_fixed)?;
            Some(format!("always the same is {{ {} = \"fixed\", {} = {number} }}", tag.name, key.name))
        }
        _ => None,
    }
}

/// What is wrong with a single value, to stand beside a caret.
fn scalar(value: &Value, kind: Kind) -> Result<(), String> {
    let mismatch = || Err(format!("expected {}, found {}", kind.expects(), value.describe()));
    match (kind, value) {
        (Kind::Flag, Value::Flag(_)) => Ok(()),
        (Kind::Text | Kind::Path | Kind::NameOrPath(_), Value::Text(text)) => {
            if text.is_empty() {
                Err(format!("expected {}, found an empty string", kind.expects()))
            } else {
                Ok(())
            }
        }
        (Kind::Choice(choices), Value::Text(text)) => {
            if choices.iter().any(|(name, _)| name == text) {
                return Ok(());
            }
            match nearest(text, choices.iter().map(|(name, _)| *name)) {
                Some(meant) => Err(format!("did you mean \"{meant}\"? Expected {}", kind.expects())),
                None => Err(format!("expected {}", kind.expects())),
            }
        }
        (Kind::Integer(min, max), Value::Integer(integer)) => {
            let within = u64::try_from(*integer).is_ok_and(|integer| (min..=max).contains(&integer));
            if within { Ok(()) } else { Err(format!("expected {}", kind.expects())) }
        }
        (Kind::Number(_) | Kind::Quantity { bare: true, .. }, Value::Integer(integer)) => {
            bounded(*integer as f64, kind)
        }
        (Kind::Number(_) | Kind::Quantity { bare: true, .. }, Value::Number(number)) => bounded(*number, kind),
        (Kind::Quantity { dimension, .. }, Value::Integer(_) | Value::Number(_)) => {
            Err(format!("expected a number with its unit ({}), such as {}", dimension.unit_list(), dimension.example()))
        }
        (Kind::Quantity { dimension, .. }, Value::Text(text)) => bounded(dimension.read(text)?, kind),
        _ => mismatch(),
    }
}

fn bounded(number: f64, kind: Kind) -> Result<(), String> {
    let (Kind::Number(bounds) | Kind::Quantity { bounds, .. }) = kind else { unreachable!("only numbers have bounds") };
    if bounds.contain(number) {
        return Ok(());
    }
    let what = match kind {
        Kind::Quantity { dimension, .. } => format!("a {} {bounds}", dimension.name()),
        _ => format!("a number {bounds}"),
    };
    if number.is_finite() { Err(format!("expected {what}")) } else { Err(format!("expected {what}, and a finite one")) }
}

/// Finds keys that are missing, and keys that mean nothing beside the tag of their table.
pub(crate) fn complete(table: &Table, span: Span, def: &'static TableDef, problems: &mut Problems) {
    let tag = tag_of(table, def);
    for entry in &table.entries {
        let Some(key) = def.key(&entry.key) else { continue };
        if let (false, Some(tag)) = (key.applies(tag), tag) {
            let (with, label) = match def.tag.key() {
                Some(tag_key) => {
                    (format!("with {} = \"{tag}\"", tag_key.name), format!("it belongs to {}", quoted(key.only, '"')))
                }
                None if key.only.contains(&key.name) => {
                    (format!("beside `{tag}`"), "take one of the two out".to_owned())
                }
                None => (format!("beside `{tag}`"), format!("it belongs to {}", quoted(key.only, '`'))),
            };
            problems.push(Problem::at(entry.key_span, format!("`{}` has no effect {with}", key.name)).label(label));
        }
        match (key.kind, &entry.node.value) {
            (Kind::Table(inner), Value::Table(table)) => complete(table, entry.node.span, inner, problems),
            (Kind::Tables(inner), Value::List(items)) => {
                for item in items {
                    if let Value::Table(table) = &item.value {
                        complete(table, item.span, inner, problems);
                    }
                }
            }
            _ => {}
        }
    }
    for key in def.keys {
        if matches!(key.fallback, Fallback::Required) && key.applies(tag) && table.get(key.name).is_none() {
            problems.push(missing(span, key, def, tag));
        }
    }
}

pub(super) fn missing(span: Span, key: &'static Key, def: &'static TableDef, tag: Option<&str>) -> Problem {
    let with = match (def.tag.key(), tag) {
        (Some(tag_key), Some(tag)) if !key.only.is_empty() => format!(" with {} = \"{tag}\"", tag_key.name),
        _ => String::new(),
    };
    Problem::at(span, format!("`{}` is missing {}{with}", key.name, def.place()))
        .label(format!("needs `{}`: {}", key.name, key.kind.expects()))
        .help(format!("`{}`: {}", key.name, key.doc))
}

/// The value of a table's tag: written, or the default.
pub(crate) fn tag_of<'a>(table: &'a Table, def: &'static TableDef) -> Option<&'a str> {
    let tag = match def.tag {
        Tag::None => return None,
        Tag::Implied(of) => return of(table),
        Tag::Key(key) => key,
    };
    match table.get(tag.name).map(|node| &node.value) {
        Some(Value::Text(text)) => Some(text),
        Some(_) => None,
        None => match tag.fallback {
            Fallback::Value(toml) => Some(toml.trim_matches('"')),
            _ => None,
        },
    }
}

fn quoted(names: &[&str], quote: char) -> String {
    names.iter().map(|name| format!("{quote}{name}{quote}")).collect::<Vec<_>>().join(", ")
}
