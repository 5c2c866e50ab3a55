//! What a key of the experiment file is: its one definition, from which come the checks, the messages and the
//! reference page.

use std::fmt;

use super::document::Table;
use super::quantity::{Dimension, Plain};

/// A key, defined once.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// What its value may be.
    pub(crate) kind: Kind,
    /// What holds where it is not written.
    pub(crate) fallback: Fallback,
    /// Values of the table's tag with which it means something; empty: all.
    pub(crate) only: &'static [&'static str],
    /// How vLLM calls it, where it has it under another name, or how it differs; empty: the same name or nothing alike.
    pub(crate) vllm: &'static str,
    /// What it does.
    pub(crate) doc: &'static str,
}

/// What holds where a key is not written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fallback {
    /// It has to be written.
    Required,
    /// This value, in TOML.
    Value(&'static str),
    /// A value that depends on others; in words.
    Computed(&'static str),
    /// No value: what that means, in words.
    Nothing(&'static str),
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Flag,
    /// Any string.
    Text,
    /// A path, relative to the file it is written in.
    Path,
    /// The name of something shipped, or the path of a file that describes one.
    NameOrPath(&'static str),
    /// One of these names; each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// A whole number within bounds.
    Integer(u64, u64),
    /// A plain number within bounds.
    Number(Bounds),
    /// A number with a unit; if `bare`, a plain number is taken in base units.
    Quantity {
        /// Of what.
        dimension: Dimension,
        /// Whether a number without unit is taken as one in base units.
        bare: bool,
        /// In base units.
        bounds: Bounds,
    },
    /// A list of at least one value.
    List(&'static Kind),
    /// A table.
    Table(&'static TableDef),
    /// A list of at least one table.
    Tables(&'static TableDef),
}

/// A table, defined once.
#[derive(Debug)]
pub(crate) struct TableDef {
    /// Its full name, `workload.arrivals`; empty for the top of the file.
    pub(crate) path: &'static str,
    /// What it describes.
    pub(crate) doc: &'static str,
    /// What tells which kind of thing is described.
    pub(crate) tag: Tag,
    /// Its keys, the tag among them.
    pub(crate) keys: &'static [&'static Key],
}

/// What tells which kind of thing a table describes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tag {
    /// There is one kind only.
    None,
    /// The value of this key. A string in place of the table is its value.
    Key(&'static Key),
    /// Which of its keys are there.
    Implied(fn(&Table) -> Option<&'static str>),
}

impl Tag {
    /// The key whose value it is.
    pub(crate) fn key(self) -> Option<&'static Key> {
        if let Tag::Key(key) = self { Some(key) } else { None }
    }
}

/// Between which values a number has to lie; never NaN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Least value.
    pub(crate) min: f64,
    /// Whether the least value itself is out.
    pub(crate) above: bool,
    /// Largest value; infinite for none, and then only finite values are in.
    pub(crate) max: f64,
}

/// Above zero.
pub(crate) const POSITIVE: Bounds = Bounds { min: 0.0, above: true, max: f64::INFINITY };
/// Any finite number.
pub(crate) const ANY: Bounds = Bounds { min: f64::NEG_INFINITY, above: false, max: f64::INFINITY };
/// Zero or above.
pub(crate) const NOT_NEGATIVE: Bounds = Bounds { min: 0.0, above: false, max: f64::INFINITY };
/// A share.
pub(crate) const SHARE: Bounds = Bounds { min: 0.0, above: false, max: 1.0 };
/// A share above zero.
pub(crate) const POSITIVE_SHARE: Bounds = Bounds { min: 0.0, above: true, max: 1.0 };
/// Largest count of tokens or requests in flight: they are held in 32 bits, and sums of a few must fit as well.
pub(crate) const MAX_COUNT: u64 = 1 << 30;

/// A time with its unit.
pub(crate) const fn time(bounds: Bounds) -> Kind {
    Kind::Quantity { dimension: Dimension::Time, bare: false, bounds }
}

/// A number of tokens, or of anything counted, from 1.
pub(crate) const COUNT: Kind = Kind::Integer(1, MAX_COUNT);

/// Requests per second; a bare number is one.
pub(crate) const RATE: Kind = Kind::Quantity { dimension: Dimension::Rate, bare: true, bounds: POSITIVE };

impl Bounds {
    /// Whether the value is within.
    pub(crate) fn contain(self, value: f64) -> bool {
        value.is_finite() && value <= self.max && if self.above { value > self.min } else { value >= self.min }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.above, self.max.is_finite()) {
            (false, false) if self.min == f64::NEG_INFINITY => f.write_str("of either sign"),
            (true, false) => write!(f, "above {}", Plain(self.min)),
            (false, false) => write!(f, "{} or above", Plain(self.min)),
            (true, true) => write!(f, "above {} and at most {}", Plain(self.min), Plain(self.max)),
            (false, true) => write!(f, "between {} and {}", Plain(self.min), Plain(self.max)),
        }
    }
}

impl Key {
    /// A key that has to be written.
    pub(crate) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Key { name, kind, fallback: Fallback::Required, only: &[], vllm: "", doc }
    }

    /// The value, in TOML, where it is not written.
    pub(crate) const fn value(mut self, toml: &'static str) -> Self {
        self.fallback = Fallback::Value(toml);
        self
    }

    /// A default that depends on other keys.
    pub(crate) const fn computed(mut self, says: &'static str) -> Self {
        self.fallback = Fallback::Computed(says);
        self
    }

    /// May be left out.
    pub(crate) const fn nothing(mut self, says: &'static str) -> Self {
        self.fallback = Fallback::Nothing(says);
        self
    }

    /// Means something only with these values of the table's tag.
    pub(crate) const fn only(mut self, tags: &'static [&'static str]) -> Self {
        self.only = tags;
        self
    }

    /// What vLLM calls it, or where vLLM differs.
    pub(crate) const fn vllm(mut self, says: &'static str) -> Self {
        self.vllm = says;
        self
    }

    /// Whether it means something in a table whose tag has this value.
    pub(crate) fn applies(&self, tag: Option<&str>) -> bool {
        self.only.is_empty() || tag.is_some_and(|tag| self.only.contains(&tag))
    }
}

impl TableDef {
    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().copied().find(|key| key.name == name)
    }

    /// How the table is called in messages.
    pub(crate) fn title(&self) -> String {
        match self.path {
            "" => "the top of the file".to_owned(),
            "system" | "cache" => format!("`[[{}]]`", self.path),
            path => format!("`[{path}]`"),
        }
    }

    /// Where its keys stand, for messages.
    pub(crate) fn place(&self) -> String {
        let preposition = if self.path.is_empty() { "at" } else { "in" };
        format!("{preposition} {}", self.title())
    }

    /// The full name of one of its keys.
    pub(crate) fn full_name(&self, key: &Key) -> String {
        if self.path.is_empty() { key.name.to_owned() } else { format!("{}.{}", self.path, key.name) }
    }

    /// The names of its keys in one line.
    pub(crate) fn key_list(&self) -> String {
        self.keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
    }

    /// Calls `visit` with this table and all tables inside it.
    pub(crate) fn walk(&'static self, visit: &mut impl FnMut(&'static TableDef)) {
        visit(self);
        for key in self.keys {
            if let Kind::Table(def) | Kind::Tables(def) = key.kind {
                def.walk(visit);
            }
        }
    }
}

impl Kind {
    /// What the value has to be, to stand beside a caret.
    pub(crate) fn expects(self) -> String {
        match self {
            Kind::Flag => "true or false".to_owned(),
            Kind::Text => "a string".to_owned(),
            Kind::Path => "the path of a file, in quotes".to_owned(),
            Kind::NameOrPath(what) => format!("the name of a {what}, or the path of a file that describes one"),
            Kind::Choice(choices) => {
                let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                match names.as_slice() {
                    [one] => one.clone(),
                    [head @ .., last] => format!("{} or {last}", head.join(", ")),
                    [] => unreachable!("a choice offers something"),
                }
            }
            Kind::Integer(min, max) if max >= 1 << 40 => format!("a whole number, {min} or above"),
            Kind::Integer(min, MAX_COUNT) => format!("a whole number, {min} or above (at most 2^30)"),
            Kind::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Number(bounds) => format!("a number {bounds}"),
            Kind::Quantity { dimension, bare, bounds } => {
                let bare = if bare { format!(", or a number of {}", dimension.base_unit()) } else { String::new() };
                let bounds = if bounds.max.is_finite() || bounds.above { format!(" {bounds}") } else { String::new() };
                format!("a {}{bounds} with its unit, such as {}{bare}", dimension.name(), dimension.example())
            }
            Kind::List(item) => format!("a list, each item {}", item.expects()),
            Kind::Table(def) => match def.tag.key() {
                Some(tag) => format!("a table, or {}", tag.kind.expects()),
                None => "a table".to_owned(),
            },
            Kind::Tables(_) => "a list of tables".to_owned(),
        }
    }
}
