//! Finds the cases below some paths.

use std::path::{Path, PathBuf};

use super::case::Case;
use super::error::NotScored;
use super::{folder, tables};
use crate::failure::Failure;

/// A case, or why it is none.
pub(super) struct Loaded {
    /// Its name.
    pub(super) name: String,
    /// It.
    pub(super) case: Result<Case, NotScored>,
}

/// The cases of all paths: each is the folder of a case, or holds such folders. In the order of the paths, and within
/// one in that of their names.
///
/// # Errors
/// A path that is no folder, or in which there is no case.
pub(super) fn load(paths: &[PathBuf]) -> Result<Vec<Loaded>, Failure> {
    let mut loaded = Vec::new();
    for path in paths {
        let folders = folders(path)?;
        if folders.is_empty() {
            return Err(Failure::Request(format!(
                "{} holds no case: neither meta.json, requests.csv or cases.csv, nor folders with these (docs/ground-truth.md)",
                path.display()
            )));
        }
        for folder in folders {
            loaded.extend(cases(&folder));
        }
    }
    Ok(loaded)
}

fn cases(folder: &Path) -> Vec<Loaded> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = absolute.file_name().map_or_else(|| "case".to_owned(), |name| name.to_string_lossy().into_owned());
    if folder.join("requests.csv").is_file() || !folder.join("cases.csv").is_file() {
        return vec![Loaded { case: folder::read(folder, &name), name }];
    }
    match tables::read(folder, &name) {
        Ok(rows) => rows.into_iter().map(|(name, case)| Loaded { name, case }).collect(),
        Err(why) => vec![Loaded { name, case: Err(why) }],
    }
}

fn is_case(folder: &Path) -> bool {
    ["meta.json", "requests.csv", "cases.csv"].iter().any(|name| folder.join(name).is_file())
}

fn folders(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if is_case(path) {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable =
        |error: std::io::Error| Failure::Request(format!("cannot read the case {}: {error}", path.display()));
    let mut inner = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        if entry.is_dir() && is_case(&entry) {
            inner.push(entry);
        }
    }
    inner.sort();
    Ok(inner)
}
