//! A system of a file with some of its keys changed, in place of all its systems.

use super::document::{Entry, Node, Table, Value};
use super::keys::system::{self, OF_KERNELS};
use crate::diagnostic::Span;

/// Changes of one system.
#[derive(Clone, Debug)]
pub(crate) struct Variation {
    /// The system's name; `None`: the first.
    pub(crate) system: Option<String>,
    /// The name of the changed one.
    pub(crate) name: String,
    /// Keys of `[[system]]`, tables in them with a dot between (`prefill.replicas`), and their values.
    pub(crate) changes: Vec<(String, Value)>,
}

/// Keeps only the system, and changes it. Its values have to be such as their keys take. In a lock file, keys that a changed one
/// makes meaningless are defaults that were written out, and go.
pub(super) fn vary(systems: &mut Vec<Node>, variation: &Variation, is_lock: bool) {
    let is_it = |node: &Node| match (&node.value, &variation.system) {
        (Value::Table(table), Some(name)) => {
            matches!(table.get(system::NAME.name), Some(Node { value: Value::Text(text), .. }) if text == name)
        }
        (_, wanted) => wanted.is_none(),
    };
    let place = systems.iter().position(is_it).unwrap_or(0);
    let mut chosen = systems.swap_remove(place);
    if let Value::Table(table) = &mut chosen.value {
        table.entries.retain(|entry| entry.key != system::INHERIT.name);
        put(table, &[system::NAME.name], &Value::Text(variation.name.clone()), chosen.span);
        for (path, value) in &variation.changes {
            if is_lock && path.rsplit('.').next() == Some(system::STEP_COST.name) {
                without_kernels(table, path);
            }
            put(table, &path.split('.').collect::<Vec<_>>(), value, chosen.span);
        }
    }
    *systems = vec![chosen];
}

/// Takes out what says how kernels are priced, of the system and of the pool that a path leads into.
fn without_kernels(table: &mut Table, path: &str) {
    let is_kept = |entry: &Entry| !OF_KERNELS.iter().any(|key| key.name == entry.key);
    table.entries.retain(is_kept);
    let pool = path.split_once('.').and_then(|(pool, _)| table.get_mut(pool));
    if let Some(Node { value: Value::Table(inner), .. }) = pool {
        inner.entries.retain(is_kept);
    }
}

/// Puts a value at the end of a path, making tables on the way.
fn put(table: &mut Table, path: &[&str], value: &Value, span: Span) {
    let (key, rest) = path.split_first().expect("a path has a word");
    let key_span = table.entry(key).map_or(span, |entry| entry.key_span);
    if rest.is_empty() {
        let span = table.get(key).map_or(span, |node| node.span);
        table.put(Entry { key: (*key).to_owned(), key_span, node: Node { span, value: value.clone() } });
        return;
    }
    if !matches!(table.get(key), Some(Node { value: Value::Table(_), .. })) {
        let empty = Node { span, value: Value::Table(Table::default()) };
        table.put(Entry { key: (*key).to_owned(), key_span, node: empty });
    }
    if let Some(Node { value: Value::Table(inner), .. }) = table.get_mut(key) {
        put(inner, rest, value, span);
    }
}
