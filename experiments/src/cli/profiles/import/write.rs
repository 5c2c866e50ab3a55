//! Tables as files, none of them replaced unless that was asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use calibration::import::ImportError;

use crate::failure::Failure;

/// A folder of tables.
pub(super) struct Output {
    folder: PathBuf,
    force: bool,
    /// What was written.
    written: BTreeSet<String>,
}

impl Output {
    /// Makes the folder.
    pub(super) fn new(folder: &Path, force: bool) -> Result<Self, Failure> {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::Request(format!("cannot create the folder {}: {error}", folder.display())))?;
        Ok(Self { folder: folder.to_owned(), force, written: BTreeSet::new() })
    }

    /// Writes a file whole or not at all; a second table of one name in the same import gets a number.
    pub(super) fn write(&mut self, stem: &str, end: &str, text: &str, source: &str) -> Result<PathBuf, ImportError> {
        let numbered = (2..).map(|number| format!("{stem}_{number}.{end}"));
        let mut names = std::iter::once(format!("{stem}.{end}")).chain(numbered);
        let Some(name) = names.find(|name| !self.written.contains(name)) else { unreachable!("numbers do not end") };
        let wrong = |problem: String| ImportError::Unreadable { file: source.to_owned(), line: None, problem };
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
        self.written.insert(name);
        Ok(path)
    }
}
