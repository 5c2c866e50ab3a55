//! Tables as files, none of them replaced unless that was asked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use calibration::import::ImportError;

use crate::failure::Failure;

/// A folder of tables.
pub(super) struct Output {
    folder: PathBuf,
    force: bool,
    /// What was written, and from which source.
    written: BTreeMap<String, String>,
}

impl Output {
    /// Makes the folder.
    pub(super) fn new(folder: &Path, force: bool) -> Result<Self, Failure> {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::Request(format!("cannot create the folder {}: {error}", folder.display())))?;
        Ok(Self { folder: folder.to_owned(), force, written: BTreeMap::new() })
    }

    /// Writes a file whole or not at all.
    pub(super) fn write(&mut self, stem: &str, end: &str, text: &str, source: &str) -> Result<PathBuf, ImportError> {
        let name = format!("{stem}.{end}");
        let wrong = |problem: String| ImportError::Unreadable { file: source.to_owned(), line: None, problem };
        if let Some(other) = self.written.get(&name) {
            return Err(wrong(format!("{name} was written from {other}; import one of them into another folder")));
        }
        let path = self.folder.join(&name);
        if path.exists() && !self.force {
            return Err(wrong(format!(
                "{} is there already; import elsewhere, or replace it with --force",
                path.display()
            )));
        }
        let part = self.folder.join(format!("{name}.part"));
        let written = fs::write(&part, text).and_then(|()| fs::rename(&part, &path));
        written.map_err(|error| wrong(format!("cannot write {}: {error}", path.display())))?;
        self.written.insert(name, source.to_owned());
        Ok(path)
    }
}
