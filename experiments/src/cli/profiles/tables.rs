//! Kernel tables named on the command line.

use std::path::PathBuf;

use profiles::kernels::NamedTable;

use crate::failure::Failure;
use crate::tables;
use crate::terminal;

/// Reads tables, and all tables of folders, with their warnings on the way: of each file the first, and how many more.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<NamedTable>, Failure> {
    let mut read = Vec::new();
    for file in
        paths.iter().map(|path| tables::files(path)).collect::<Result<Vec<_>, _>>().map_err(Failure::Request)?.concat()
    {
        let (tables, warnings) = tables::read(&file).map_err(Failure::Request)?;
        if let Some(first) = warnings.first() {
            let more = if warnings.len() > 1 { format!(", and {} more", warnings.len() - 1) } else { String::new() };
            terminal::complain(&format!("warning: {first}{more}"));
        }
        read.extend(tables);
    }
    Ok(read)
}
