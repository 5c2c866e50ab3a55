//! What an experiment file came to, every default written out, as TOML again.

use std::fmt::Write as _;

/// A table, in the order in which it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved(pub(crate) Vec<(&'static str, ResolvedValue)>);

/// What a key came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResolvedValue {
    /// A value, in TOML.
    Value(String),
    /// A table.
    Table(Resolved),
    /// A list of tables.
    Tables(Vec<Resolved>),
    /// Nothing: it has done its work and is not needed again.
    Spent,
}

/// A string as TOML.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Resolved {
    /// The whole table as a TOML text: values first, then its tables under headings; lists of tables inside tables are
    /// written inline.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, "");
        text
    }

    fn write(&self, text: &mut String, path: &str) {
        for (key, value) in &self.0 {
            match value {
                ResolvedValue::Value(toml) => {
                    let _ = writeln!(text, "{key} = {toml}");
                }
                ResolvedValue::Tables(tables) if !path.is_empty() => {
                    let items: Vec<_> = tables.iter().map(Resolved::inline).collect();
                    let _ = writeln!(text, "{key} = [{}]", items.join(", "));
                }
                _ => {}
            }
        }
        for (key, value) in &self.0 {
            let full = if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
            match value {
                ResolvedValue::Table(table) => {
                    let _ = write!(text, "\n[{full}]\n");
                    table.write(text, &full);
                }
                ResolvedValue::Tables(tables) if path.is_empty() => {
                    for table in tables {
                        let _ = write!(text, "\n[[{full}]]\n");
                        table.write(text, &full);
                    }
                }
                _ => {}
            }
        }
    }

    fn inline(&self) -> String {
        let pairs = self.0.iter().filter_map(|(key, value)| {
            let value = match value {
                ResolvedValue::Value(toml) => toml.clone(),
                ResolvedValue::Table(table) => table.inline(),
                ResolvedValue::Tables(tables) => {
                    format!("[{}]", tables.iter().map(Resolved::inline).collect::<Vec<_>>().join(", "))
                }
                ResolvedValue::Spent => return None,
            };
            Some(format!("{key} = {value}"))
        });
        format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
    }
}
