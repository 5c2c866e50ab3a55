//! Kernel tables on disk: files and folders of them, compressed or not.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use profiles::kernels::NamedTable;
use profiles::table::{KernelTable, TableWarning};

/// Reads a table, or all tables of a folder in the order of their names.
///
/// # Errors
/// What is wrong with the first that cannot be used, in words that name the file; a folder without tables.
pub(crate) fn read(path: &Path) -> Result<(Vec<NamedTable>, Vec<TableWarning>), String> {
    let mut tables = Vec::new();
    let mut warnings = Vec::new();
    for file in files(path)? {
        let name = file.display().to_string();
        let (table, found) = KernelTable::read(&text(&file)?, &name).map_err(|error| error.to_string())?;
        tables.push(NamedTable { file: name, table });
        warnings.extend(found);
    }
    Ok((tables, warnings))
}

/// Whether a file is a table, by its name.
fn is_table(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    path.is_file() && [".csv", ".csv.gz"].iter().any(|end| name.ends_with(end))
}

/// The path itself, or the tables in it.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    let entries: Result<Vec<PathBuf>, _> =
        std::fs::read_dir(path).map_err(unreadable)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files: Vec<PathBuf> = entries.map_err(unreadable)?.into_iter().filter(|path| is_table(path)).collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: holds no kernel table (no file that ends in .csv or .csv.gz)", path.display()));
    }
    Ok(files)
}

/// The text of a file, uncompressed.
fn text(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz")) {
        MultiGzDecoder::new(file).read_to_string(&mut text).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                format!("{}: the compressed file ends in the middle: it was cut; fetch it again", path.display())
            }
            _ => unreadable(error),
        })?;
    } else {
        file.read_to_string(&mut text).map_err(unreadable)?;
    }
    Ok(text)
}
