//! Kernel tables named on the command line.

use std::path::{Path, PathBuf};

use profiles::table::KernelTable;

use crate::failure::Failure;
use crate::terminal;

/// A table and its file.
pub(super) struct NamedTable {
    pub(super) file: String,
    pub(super) table: KernelTable,
}

/// Reads tables, with their warnings on the way: of each file the first, and how many more.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<NamedTable>, Failure> {
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> Result<NamedTable, Failure> {
    let file = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::Request(format!("cannot read {file}: {error}")))?;
    let (table, warnings) = KernelTable::read(&text, &file).map_err(|error| Failure::Request(error.to_string()))?;
    if let Some(first) = warnings.first() {
        let more = if warnings.len() > 1 { format!(", and {} more", warnings.len() - 1) } else { String::new() };
        terminal::complain(&format!("warning: {first}{more}"));
    }
    Ok(NamedTable { file, table })
}
