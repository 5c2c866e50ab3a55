//! A TOML text as a tree whose every key and value knows where it was written.

use toml::de::{DeTable, DeValue};

use super::resolved::quoted;
use crate::diagnostic::{Problem, SourceId, Span};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where.
    pub(crate) span: Span,
    /// What.
    pub(crate) value: Value,
}

/// What can be written.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a point or exponent, or `inf` or `nan`.
    Number(f64),
    /// A string.
    Text(String),
    /// A date or a time: no key of ours takes one.
    Date,
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

impl Value {
    /// What this is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Value::Flag(_) => "true or false",
            Value::Integer(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::Date => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// As TOML on one line that reads back the same; numbers in their shortest form. A date, which no key takes, is a string.
    pub(crate) fn to_toml(&self) -> String {
        match self {
            Value::Flag(flag) => flag.to_string(),
            Value::Integer(integer) => integer.to_string(),
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
            Value::Number(number) => toml::Value::Float(*number).to_string(),
            Value::Text(text) => quoted(text),
            Value::Date => quoted("a date"),
            Value::List(items) => {
                format!("[{}]", items.iter().map(|item| item.value.to_toml()).collect::<Vec<_>>().join(", "))
            }
            Value::Table(table) if table.entries.is_empty() => "{}".to_owned(),
            Value::Table(table) => {
                let pair = |entry: &Entry| format!("{} = {}", key_toml(&entry.key), entry.node.value.to_toml());
                format!("{{ {} }}", table.entries.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A key as TOML: in quotes where it has to be.
fn key_toml(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare { key.to_owned() } else { quoted(key) }
}

/// Keys and values in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// The entries; no key occurs twice.
    pub(crate) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key was written.
    pub(crate) key_span: Span,
    /// Its value.
    pub(crate) node: Node,
}

impl Table {
    /// The value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The entry of `key`.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of `key`, to be changed.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    /// Replaces the entry of the same key, or adds it.
    pub(crate) fn put(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|old| old.key == entry.key) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }
}

impl Table {
    /// As a TOML file that reads back the same: values first, then tables, and lists of tables, under headings.
    pub(crate) fn to_toml(&self) -> String {
        let has_heading = |entry: &&Entry| match &entry.node.value {
            Value::Table(_) => true,
            Value::List(items) => !items.is_empty() && items.iter().all(|item| matches!(item.value, Value::Table(_))),
            _ => false,
        };
        let line = |entry: &Entry| format!("{} = {}\n", key_toml(&entry.key), entry.node.value.to_toml());
        let mut text: String = self.entries.iter().filter(|entry| !has_heading(entry)).map(line).collect();
        for entry in self.entries.iter().filter(has_heading) {
            let key = key_toml(&entry.key);
            let (tables, heading): (Vec<&Value>, String) = match &entry.node.value {
                Value::List(items) => (items.iter().map(|item| &item.value).collect(), format!("\n[[{key}]]\n")),
                value => (vec![value], format!("\n[{key}]\n")),
            };
            for table in tables {
                let Value::Table(table) = table else { unreachable!("it was found to be one") };
                text += &heading;
                text.extend(table.entries.iter().map(line));
            }
        }
        text
    }
}

/// Reads a whole TOML text.
///
/// # Errors
/// The first place where it is not TOML.
pub(crate) fn parse(source: SourceId, text: &str) -> Result<Table, Problem> {
    let parsed = DeTable::parse(text).map_err(|error| {
        let range = error.span().unwrap_or(0..0);
        let span = Span { source, start: range.start, end: range.end };
        Problem::at(span, "this is not TOML").label(error.message())
    })?;
    table(source, parsed.get_ref())
}

fn table(source: SourceId, from: &DeTable<'_>) -> Result<Table, Problem> {
    let mut entries = Vec::with_capacity(from.len());
    for (key, value) in from {
        let range = key.span();
        let key_span = Span { source, start: range.start, end: range.end };
        let node = node(source, value.span(), value.get_ref())?;
        entries.push(Entry { key: key.get_ref().to_string(), key_span, node });
    }
    entries.sort_by_key(|entry| entry.key_span.start);
    Ok(Table { entries })
}

fn node(source: SourceId, range: std::ops::Range<usize>, from: &DeValue<'_>) -> Result<Node, Problem> {
    let span = Span { source, start: range.start, end: range.end };
    let value = match from {
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(integer) => Value::Integer(integer),
            Err(_) => return Err(Problem::at(span, "this whole number is too large").label("at most 2^63 - 1")),
        },
        DeValue::Float(text) => match text.as_str().parse() {
            Ok(number) => Value::Number(number),
            Err(_) => return Err(Problem::at(span, "this is not a number")),
        },
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => Value::List(
            items.iter().map(|item| self::node(source, item.span(), item.get_ref())).collect::<Result<_, _>>()?,
        ),
        DeValue::Table(inner) => Value::Table(table(source, inner)?),
    };
    Ok(Node { span, value })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::diagnostic::Sources;

    #[test]
    fn a_tree_written_out_reads_back_the_same() {
        let text = "a = 1\nb = -2.50\nsmall = 0.0010\nc = \"x\\\"y\"\nd = [1, [true, inf]]\n\n[t]\n\"u.v\" = [{ w = {} }]\ninner.key = 1\n\n\
                    [[s]]\nname = \"é\"\n[s.deep]\nx = 0x10\n[[s]]\nname = \"b\"\n";
        let mut sources = Sources::default();
        let source = sources.add("x", text, Path::new(""));
        let once = parse(source, text).expect("TOML").to_toml();
        assert_eq!(
            once,
            format!(
                "a = 1\nb = -2.5\nsmall = {}\nc = '{}'\nd = [1, [true, inf]]\n\n[t]\n\"u.v\" = [{{ w = {{}} }}]\n\
                 inner = {{ key = 1 }}\n\n[[s]]\nname = \"é\"\ndeep = {{ x = 16 }}\n\n[[s]]\nname = \"b\"\n",
                "0.001", "x\"y"
            )
        );
        assert_eq!(parse(source, &once).expect("TOML").to_toml(), once);
    }
}
