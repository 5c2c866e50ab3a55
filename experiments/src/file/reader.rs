//! Reads a table that has been held against its definition, and keeps what it came to.
//!
//! What is read is at the same time written into the resolved form, defaults included: so the lock file cannot miss a
//! key, and a key that was written but never read is found.

use std::path::PathBuf;

use super::document::{self, Entry, Node, Table, Value};
use super::key::{Fallback, Key, Kind, TableDef};
use super::quantity::Plain;
use super::resolved::{Resolved, ResolvedValue, quoted};
use crate::diagnostic::{Problem, Sources, Span};

/// A type that values are read into.
pub(crate) trait Read: Sized {
    /// The value, if it is of this type.
    fn read(value: &Value, kind: Kind) -> Option<Self>;
    /// As TOML that reads back the same.
    fn write(&self, kind: Kind) -> String;
}

impl Read for bool {
    fn read(value: &Value, _: Kind) -> Option<Self> {
        if let Value::Flag(flag) = value { Some(*flag) } else { None }
    }
    fn write(&self, _: Kind) -> String {
        self.to_string()
    }
}

impl Read for u64 {
    fn read(value: &Value, _: Kind) -> Option<Self> {
        if let Value::Integer(integer) = value { (*integer).try_into().ok() } else { None }
    }
    fn write(&self, _: Kind) -> String {
        self.to_string()
    }
}

impl Read for u32 {
    fn read(value: &Value, kind: Kind) -> Option<Self> {
        u64::read(value, kind)?.try_into().ok()
    }
    fn write(&self, _: Kind) -> String {
        self.to_string()
    }
}

impl Read for f64 {
    fn read(value: &Value, kind: Kind) -> Option<Self> {
        match (value, kind) {
            (Value::Integer(integer), _) => Some(*integer as f64),
            (Value::Number(number), _) => Some(*number),
            (Value::Text(text), Kind::Quantity { dimension, .. }) => dimension.read(text).ok(),
            _ => None,
        }
    }
    fn write(&self, kind: Kind) -> String {
        match kind {
            Kind::Quantity { dimension, .. } => quoted(&dimension.write(*self)),
            _ => Plain(*self).to_string(),
        }
    }
}

impl Read for String {
    fn read(value: &Value, _: Kind) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }
    fn write(&self, _: Kind) -> String {
        quoted(self)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: &Value, kind: Kind) -> Option<Self> {
        let (Value::List(items), Kind::List(item)) = (value, kind) else { return None };
        items.iter().map(|node| T::read(&node.value, *item)).collect()
    }
    fn write(&self, kind: Kind) -> String {
        let Kind::List(item) = kind else { unreachable!("only lists are read into vectors") };
        format!("[{}]", self.iter().map(|value| value.write(*item)).collect::<Vec<_>>().join(", "))
    }
}

/// A table being read.
pub(crate) struct Reader<'a> {
    table: &'a Table,
    span: Span,
    def: &'static TableDef,
    resolved: Resolved,
}

impl<'a> Reader<'a> {
    /// Reads `table`, which [`super::check`] found no fault with.
    pub(crate) fn new(table: &'a Table, span: Span, def: &'static TableDef) -> Self {
        Reader { table, span, def, resolved: Resolved::default() }
    }

    /// Whether the key is written.
    pub(crate) fn has(&self, key: &'static Key) -> bool {
        self.table.get(key.name).is_some()
    }

    /// Where the key's value is written; where it is not, where the table is.
    pub(crate) fn span(&self, key: &'static Key) -> Span {
        self.table.get(key.name).map_or(self.span, |node| node.span)
    }

    /// Where the key itself is written; where it is not, where the table is.
    pub(crate) fn key_span(&self, key: &'static Key) -> Span {
        self.table.entry(key.name).map_or(self.span, |entry| entry.key_span)
    }

    /// A problem with the value of a key.
    pub(crate) fn problem(&self, key: &'static Key, message: impl Into<String>) -> Problem {
        Problem::at(self.span(key), message)
    }

    fn written<T: Read>(&self, key: &'static Key) -> Option<T> {
        let node = self.table.get(key.name)?;
        let value = T::read(&node.value, key.kind);
        Some(value.unwrap_or_else(|| panic!("`{}` was checked and is {:?}", key.name, node.value)))
    }

    /// The value of a key that has one in any case.
    pub(crate) fn get<T: Read>(&mut self, key: &'static Key) -> T {
        let value: T = self.written(key).unwrap_or_else(|| default(key));
        self.note(key, value.write(key.kind));
        value
    }

    /// The value of a key that may be left out.
    pub(crate) fn maybe<T: Read>(&mut self, key: &'static Key) -> Option<T> {
        let value: T = self.written(key)?;
        self.note(key, value.write(key.kind));
        Some(value)
    }

    /// The value of a key whose default depends on others.
    pub(crate) fn or<T: Read>(&mut self, key: &'static Key, computed: impl FnOnce() -> T) -> T {
        let value: T = self.written(key).unwrap_or_else(computed);
        self.note(key, value.write(key.kind));
        value
    }

    /// The path that a key names; relative ones start where the text lies in which they are written.
    pub(crate) fn path(&mut self, key: &'static Key, sources: &Sources) -> Option<PathBuf> {
        let written: String = self.written(key)?;
        let path = sources.base(self.span(key)).join(written);
        let path = std::path::absolute(&path).unwrap_or(path);
        self.note(key, quoted(&path.to_string_lossy()));
        Some(path)
    }

    /// The paths that a key lists; relative ones start where the text lies in which the list is written.
    pub(crate) fn paths(&mut self, key: &'static Key, sources: &Sources) -> Vec<PathBuf> {
        let Some(written) = self.written::<Vec<String>>(key) else { return Vec::new() };
        let base = sources.base(self.span(key));
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let paths: Vec<PathBuf> = written.iter().map(|path| absolute(base.join(path))).collect();
        let toml: Vec<_> = paths.iter().map(|path| quoted(&path.to_string_lossy())).collect();
        self.note(key, format!("[{}]", toml.join(", ")));
        paths
    }

    /// Reads the table that a key holds; an absent one is read as an empty one if the key has a default.
    pub(crate) fn table<T>(
        &mut self,
        key: &'static Key,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        let Kind::Table(def) = key.kind else { unreachable!("`{}` is no table", key.name) };
        let empty;
        let (table, span) = match self.table.get(key.name) {
            Some(Node { span, value: Value::Table(table) }) => (table, *span),
            Some(node) => panic!("`{}` was checked and is {:?}", key.name, node.value),
            None => match key.fallback {
                Fallback::Value(tag) => {
                    empty = tagged(def, tag, self.span);
                    (&empty, self.span)
                }
                _ => return Ok(None),
            },
        };
        let mut inner = Reader::new(table, span, def);
        let value = read(&mut inner)?;
        self.resolved.0.push((key.name, ResolvedValue::Table(inner.finish())));
        Ok(Some(value))
    }

    /// Reads the list of tables that a key holds.
    pub(crate) fn tables<T>(
        &mut self,
        key: &'static Key,
        read: impl FnMut(&mut Reader<'_>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        self.each(key, read).into_iter().collect()
    }

    /// As [`Reader::tables`], but goes on after a problem.
    pub(crate) fn each<T>(
        &mut self,
        key: &'static Key,
        mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Problem>,
    ) -> Vec<Result<T, Problem>> {
        let Kind::Tables(def) = key.kind else { unreachable!("`{}` is no list of tables", key.name) };
        let Some(Node { value: Value::List(items), .. }) = self.table.get(key.name) else { return Vec::new() };
        let mut resolved = Vec::new();
        let mut results = Vec::new();
        for item in items {
            let Value::Table(table) = &item.value else { panic!("`{}` was checked and is {item:?}", key.name) };
            let mut inner = Reader::new(table, item.span, def);
            let result = read(&mut inner);
            if result.is_ok() {
                resolved.push(inner.finish());
            }
            results.push(result);
        }
        self.resolved.0.push((key.name, ResolvedValue::Tables(resolved)));
        results
    }

    /// Reads the tables that a key lists without keeping what they came to: to look at them before they are read.
    pub(crate) fn look<T>(
        &self,
        key: &'static Key,
        mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let mut looking = Reader::new(self.table, self.span, self.def);
        looking.tables(key, &mut read)
    }

    /// Reads the table that a key holds, and leaves it out of the resolved form: it has done its work.
    pub(crate) fn spend_table<T>(
        &mut self,
        key: &'static Key,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        let value = self.table(key, read)?;
        if value.is_some() {
            self.resolved.0.retain(|(name, _)| *name != key.name);
            self.spend(key);
        }
        Ok(value)
    }

    /// Says in TOML what a key came to, where that is not what was written.
    pub(crate) fn note(&mut self, key: &'static Key, toml: String) {
        let noted = self.resolved.0.iter_mut().find(|(name, _)| *name == key.name);
        match noted {
            Some((_, value)) => *value = ResolvedValue::Value(toml),
            None => self.resolved.0.push((key.name, ResolvedValue::Value(toml))),
        }
    }

    /// Leaves a key out of the resolved form although it is written: it has done its work.
    pub(crate) fn spend(&mut self, key: &'static Key) {
        self.resolved.0.push((key.name, ResolvedValue::Spent));
    }

    /// What the table came to.
    ///
    /// # Panics
    /// If a key was written and nobody read it, for then it would be silently ignored.
    pub(crate) fn finish(mut self) -> Resolved {
        for Entry { key, .. } in &self.table.entries {
            let read = self.resolved.0.iter().any(|(name, _)| name == key);
            assert!(read, "`{key}` in {} was written, and nobody read it", self.def.title());
        }
        // In the order of the definitions, so that a lock file does not depend on how it came about.
        self.resolved.0.sort_by_key(|(name, _)| self.def.keys.iter().position(|key| key.name == *name));
        self.resolved
    }
}

fn default<T: Read>(key: &'static Key) -> T {
    let Fallback::Value(toml) = key.fallback else {
        panic!("`{}` was checked, is missing and has no default", key.name)
    };
    let mut sources = Sources::default();
    let text = format!("value = {toml}");
    let id = sources.add("default", text.as_str(), std::path::Path::new(""));
    let parsed = document::parse(id, &text).ok();
    let value = parsed.as_ref().and_then(|table| T::read(&table.get("value")?.value, key.kind));
    value.unwrap_or_else(|| panic!("the default of `{}` is not what the key takes: {toml}", key.name))
}

/// A table that holds nothing but the tag named by a default such as `"poisson"`; `{}` is a table that holds nothing.
fn tagged(def: &'static TableDef, tag: &str, span: Span) -> Table {
    let Some(key) = def.tag.key().filter(|_| tag != "{}") else { return Table::default() };
    let node = Node { span, value: Value::Text(tag.trim_matches('"').to_owned()) };
    Table { entries: vec![Entry { key: key.name.to_owned(), key_span: span, node }] }
}
