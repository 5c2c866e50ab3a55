//! Values laid over those of the file: `--set key=value` on the command line, and the points of a sweep.

use std::path::Path;

use super::document::{self, Entry, Node, Table, Value};
use super::keys::system;
use crate::diagnostic::{Problem, Problems, SourceId, Sources, Span, nearest};

/// Lays one `--set` argument over the tree.
///
/// The key is a path with dots: `workload.rate`, `system.KEY` for every system, `system.NAME.KEY` for one. The value is
/// TOML; what is not TOML is taken as a string, so that quotes need not be typed in a shell.
pub(crate) fn apply(root: &mut Table, argument: &str, sources: &mut Sources, problems: &mut Problems) {
    let base = std::env::current_dir().unwrap_or_else(|_| Path::new("").to_owned());
    let source = sources.add("--set", argument, &base);
    if let Some((path, node)) = problems.keep(read(source, argument)) {
        lay(root, &Laid { path, node }, problems);
    }
}

/// A value, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Laid {
    /// The words of its key, as [`apply`] takes them.
    pub(crate) path: Vec<(String, Span)>,
    /// The value.
    pub(crate) node: Node,
}

/// Lays one value over the tree.
pub(crate) fn lay(root: &mut Table, laid: &Laid, problems: &mut Problems) {
    let Laid { path, node } = laid;
    let systems: Vec<usize>;
    let mut inner = path.as_slice();
    if path.len() > 1 && path[0].0 == "system" {
        match select(root, &path[1..]) {
            Ok((_, used)) if path.len() == 1 + used => {
                let (name, span) = &path[used];
                let problem = Problem::at(*span, format!("`{name}` is a whole system"));
                return problems.push(problem.label("expected one of its keys behind it, such as `.gpu`"));
            }
            Ok((chosen, used)) => {
                systems = chosen;
                inner = &path[1 + used..];
            }
            Err(problem) => return problems.push(problem),
        }
        if let Some(Node { value: Value::List(items), .. }) = root.get_mut("system") {
            for n in systems {
                if let Value::Table(table) = &mut items[n].value {
                    problems.keep(put(table, inner, node));
                }
            }
        }
        return;
    }
    problems.keep(put(root, inner, node));
}

/// The words of a key with dots between, as they stand in TOML; all of them written at `span`.
pub(crate) fn words(key: &str, span: Span) -> Result<Vec<(String, Span)>, Problem> {
    let not_a_key =
        || Problem::at(span, format!("`{key}` is not a key")).label("expected a path such as \"workload.rate\"");
    let mut table = document::parse(span.source, &format!("{key} = 0")).map_err(|_| not_a_key())?;
    let mut words = Vec::new();
    loop {
        let entry = table.entries.pop().ok_or_else(not_a_key)?;
        words.push((entry.key, span));
        match entry.node.value {
            Value::Table(inner) => table = inner,
            _ => return Ok(words),
        }
    }
}

/// Key path and value of an argument.
fn read(source: SourceId, argument: &str) -> Result<(Vec<(String, Span)>, Node), Problem> {
    let whole = Span { source, start: 0, end: argument.len() };
    let Some(equals) = argument.find('=') else {
        return Err(Problem::at(whole, "a setting has no value").label("expected KEY=VALUE, such as workload.rate=4"));
    };
    let table = document::parse(source, argument).or_else(|_| {
        let key = &argument[..equals];
        let mut table = document::parse(source, &format!("{key}=0")).map_err(|_| {
            Problem::at(Span { end: equals, ..whole }, "this is not a key")
                .label("expected a path such as workload.rate")
        })?;
        let text = argument[equals + 1..].trim();
        let span = Span { source, start: argument.len() - text.len(), end: argument.len() };
        *leaf(&mut table, equals) = Node { span, value: Value::Text(text.to_owned()) };
        Ok(table)
    })?;
    let mut path = Vec::new();
    let mut table = table;
    loop {
        let entry = table.entries.pop().ok_or_else(|| Problem::at(whole, "a setting has no key"))?;
        path.push((entry.key, entry.key_span));
        match entry.node.value {
            Value::Table(inner) if inner.entries.first().is_some_and(|entry| entry.key_span.end <= equals) => {
                table = inner;
            }
            _ => return Ok((path, entry.node)),
        }
    }
}

/// The value at the end of the dotted key that ends before byte `equals`.
fn leaf(table: &mut Table, equals: usize) -> &mut Node {
    let entry = table.entries.first_mut().expect("a key was parsed");
    if let Value::Table(inner) = &entry.node.value
        && inner.entries.first().is_some_and(|entry| entry.key_span.end <= equals)
    {
        let Value::Table(inner) = &mut entry.node.value else { unreachable!("it was one a line ago") };
        return leaf(inner, equals);
    }
    &mut entry.node
}

/// Which systems `system.…` means, and how many words of the path say so.
fn select(root: &Table, path: &[(String, Span)]) -> Result<(Vec<usize>, usize), Problem> {
    let Some(Node { value: Value::List(items), .. }) = root.get("system") else { return Ok((Vec::new(), 0)) };
    let name_of = |node: &Node| match &node.value {
        Value::Table(table) => match table.get(system::NAME.name).map(|node| &node.value) {
            Some(Value::Text(name)) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    };
    let names: Vec<Option<String>> = items.iter().map(name_of).collect();
    let (word, span) = &path[0];
    if let Some(n) = names.iter().position(|name| name.as_deref() == Some(word)) {
        return Ok((vec![n], 1));
    }
    if system::TABLE.key(word).is_some() {
        return Ok(((0..items.len()).collect(), 0));
    }
    let known = names.iter().flatten().map(String::as_str).chain(system::TABLE.keys.iter().map(|key| key.name));
    let problem = Problem::at(*span, format!("`{word}` is neither a system of this file nor a key of `[[system]]`"));
    Err(match nearest(word, known) {
        Some(meant) => problem.label(format!("did you mean `{meant}`?")),
        None => problem
            .label(format!("systems: {}", names.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", "))),
    })
}

/// Puts the value at the end of the path, making tables on the way.
fn put(table: &mut Table, path: &[(String, Span)], node: &Node) -> Result<(), Problem> {
    let ((key, key_span), rest) = path.split_first().expect("a path has a word");
    if rest.is_empty() {
        table.put(Entry { key: key.clone(), key_span: *key_span, node: node.clone() });
        return Ok(());
    }
    if table.get(key).is_none() {
        let empty = Node { span: *key_span, value: Value::Table(Table::default()) };
        table.put(Entry { key: key.clone(), key_span: *key_span, node: empty });
    }
    match &mut table.get_mut(key).expect("just put there").value {
        Value::Table(inner) => put(inner, rest, node),
        other => {
            let what = other.describe();
            Err(Problem::at(*key_span, format!("`{key}` has no keys inside")).label(format!("it is {what}")))
        }
    }
}
