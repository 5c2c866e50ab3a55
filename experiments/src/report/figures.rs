//! The figures that the folder has.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::packed::base64;
use crate::results::ResultsError;

/// Figures larger than this are left to the folder: a page of ten of them would no longer be a page.
const LARGEST: u64 = 1 << 20;

/// A figure.
#[derive(Serialize)]
pub(super) struct Figure {
    name: String,
    /// The SVG file in base64.
    svg: String,
}

/// Every SVG file below `figures/`, by name.
pub(super) fn all(directory: &Path) -> Result<Vec<Figure>, ResultsError> {
    let folder = directory.join("figures");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "svg"));
    paths.retain(|path| fs::metadata(path).is_ok_and(|file| file.len() <= LARGEST));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let svg = fs::read(path).map_err(|source| ResultsError::Unreadable { path: path.clone(), source })?;
        Ok(Figure { name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), svg: base64(&svg) })
    };
    paths.iter().map(read).collect()
}
