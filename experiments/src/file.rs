//! The experiment file: TOML in, one checked tree out, every key defined in one place.

pub(crate) mod check;
mod compatibility;
pub(crate) mod document;
mod foreign;
mod inherit;
pub(crate) mod key;
pub(crate) mod keys;
mod overrides;
mod pools;
pub(crate) mod quantity;
pub(crate) mod reader;
pub(crate) mod reference;
pub(crate) mod resolved;
mod vary;
mod written;

use document::{Node, Table, Value};
use key::TableDef;
pub(crate) use overrides::{Laid, words};
pub(crate) use vary::Variation;
pub(crate) use written::{is_path, with_absolute_paths};

use crate::diagnostic::{Problems, SourceId, Sources, Span};

/// The table of swept values, which is no key of an experiment: `servesim sweep` makes many experiments of it.
pub(crate) const SWEEP: &str = "sweep";

/// Reads an experiment file and the settings laid over it, and holds the result against the definitions of its keys.
/// What comes back has known keys only, values of the right type and range, nothing missing and nothing without effect,
/// and systems that say all they inherit.
///
/// # Errors
/// Everything that is wrong with it, as far as one look can tell.
pub(crate) fn read(source: SourceId, settings: &[String], sources: &mut Sources) -> Result<Table, Problems> {
    read_varied(source, settings, None, sources)
}

/// As [`read`], with one system of the file, changed, in place of all.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_varied(
    source: SourceId,
    settings: &[String],
    variation: Option<&Variation>,
    sources: &mut Sources,
) -> Result<Table, Problems> {
    let root = read_unchecked(source, settings, sources)?;
    complete(root, source, variation, sources)
}

/// The file and the settings laid over it as a tree, before anything is checked.
///
/// # Errors
/// What is not TOML, and settings that do not fit.
pub(crate) fn read_unchecked(source: SourceId, settings: &[String], sources: &mut Sources) -> Result<Table, Problems> {
    let mut problems = Problems::default();
    let mut root = document::parse(source, sources.text(source)).map_err(Problems::from)?;
    check::expand(&mut root, &keys::ROOT);
    for setting in settings {
        overrides::apply(&mut root, setting, sources, &mut problems);
    }
    if problems.is_empty() { Ok(root) } else { Err(problems) }
}

/// A point of a sweep: the tree of [`read_unchecked`] without `[sweep]`, with these values in its place, checked.
///
/// # Errors
/// As [`read`].
pub(crate) fn at_point(root: &Table, point: &[Laid], source: SourceId, sources: &Sources) -> Result<Table, Problems> {
    let mut problems = Problems::default();
    let mut root = root.clone();
    root.entries.retain(|entry| entry.key != SWEEP);
    for laid in point {
        overrides::lay(&mut root, laid, &mut problems);
    }
    if problems.is_empty() { complete(root, source, None, sources) } else { Err(problems) }
}

/// Checks a tree, and writes out what its systems inherit.
fn complete(
    mut root: Table,
    source: SourceId,
    variation: Option<&Variation>,
    sources: &Sources,
) -> Result<Table, Problems> {
    let mut problems = Problems::default();
    check::expand(&mut root, &keys::ROOT);
    check::types(&root, &keys::ROOT, &keys::ROOT, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let is_lock = root.get(keys::LOCK.name).is_some();
    if let Some(Node { value: Value::List(systems), .. }) = root.get_mut(keys::SYSTEM.name) {
        inherit::resolve(systems, &mut problems);
        if let Some(variation) = variation {
            vary::vary(systems, variation, is_lock);
        }
        if problems.is_empty() {
            compatibility::resolve(systems, &mut problems);
        }
        if problems.is_empty() {
            pools::resolve(systems, &mut problems);
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let end = sources.text(source).len();
    let whole = Span { source, start: 0, end };
    check::complete(&root, whole, &keys::ROOT, &mut problems);
    if problems.is_empty() { Ok(root) } else { Err(problems) }
}

/// Reads a file of another kind and holds it against `root`, the definitions of its keys: as [`read`], without settings and
/// without systems that inherit.
///
/// # Errors
/// Everything that is wrong with it, as far as one look can tell.
pub(crate) fn read_as(source: SourceId, root: &'static TableDef, sources: &Sources) -> Result<Table, Problems> {
    let table = document::parse(source, sources.text(source)).map_err(Problems::from)?;
    checked(table, source, root, sources, Problems::default())
}

/// As [`read_as`], with settings laid over the file.
///
/// # Errors
/// As [`read_as`].
pub(crate) fn read_with_settings(
    source: SourceId,
    root: &'static TableDef,
    settings: &[String],
    sources: &mut Sources,
) -> Result<Table, Problems> {
    let mut problems = Problems::default();
    let mut table = document::parse(source, sources.text(source)).map_err(Problems::from)?;
    check::expand(&mut table, root);
    for setting in settings {
        overrides::apply(&mut table, setting, sources, &mut problems);
    }
    checked(table, source, root, sources, problems)
}

fn checked(
    mut table: Table,
    source: SourceId,
    root: &'static TableDef,
    sources: &Sources,
    mut problems: Problems,
) -> Result<Table, Problems> {
    check::expand(&mut table, root);
    check::types(&table, root, root, &mut problems);
    if problems.is_empty() {
        let whole = Span { source, start: 0, end: sources.text(source).len() };
        check::complete(&table, whole, root, &mut problems);
    }
    if problems.is_empty() { Ok(table) } else { Err(problems) }
}
