//! Finds the cases below some paths.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::case::Case;
use super::error::NotScored;
use super::{folder, place, tables};
use crate::failure::Failure;
use crate::terminal::{Terminal, short};

/// A case, or why it is none.
pub(super) struct Loaded {
    /// Its name.
    pub(super) name: String,
    /// It.
    pub(super) case: Result<Case, NotScored>,
}

/// The cases of all paths: each is the folder of a case, or holds such folders. In the order of the paths, and within
/// one in that of their names. A folder that is given twice counts once, and cases of one name are numbered; both is said.
///
/// # Errors
/// A path that is no folder, or in which there is no case.
pub(super) fn load(paths: &[PathBuf], terminal: Terminal) -> Result<Vec<Loaded>, Failure> {
    let mut loaded = Vec::new();
    let (mut known, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for path in paths {
        let folders = folders(path)?;
        if folders.is_empty() {
            return Err(Failure::Request(format!(
                "{} holds no case: neither meta.json, requests.csv or cases.csv, nor folders with these (docs/ground-truth.md)",
                path.display()
            )));
        }
        for folder in folders {
            if !known.insert(std::fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone())) {
                terminal.note(&format!("note: {} is given twice: it counts once", short(&folder)));
                continue;
            }
            for case in cases(&folder) {
                loaded.push(named_apart(case, &folder, &mut taken, terminal));
            }
        }
    }
    Ok(loaded)
}

/// The case under a name that no other has, nor the folder that is made of it.
fn named_apart(mut loaded: Loaded, folder: &Path, taken: &mut BTreeSet<String>, terminal: Terminal) -> Loaded {
    let mut number = 1;
    let mut name = loaded.name.clone();
    while !taken.insert(place::folder_name(&name)) {
        number += 1;
        name = format!("{}_{number}", loaded.name);
    }
    if number > 1 {
        let before = &loaded.name;
        terminal.note(&format!("note: the case {before} of {} is called {name}: another has its name", short(folder)));
        if let Ok(case) = &mut loaded.case {
            case.name.clone_from(&name);
        }
        loaded.name = name;
    }
    loaded
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
