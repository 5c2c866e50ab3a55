//! `cases.csv`: a table with one measured run per row.

use std::path::Path;

use super::case::Case;
use super::error::NotScored;
use super::meta::Meta;

/// The cases of a table, each with its name.
pub(super) fn read(folder: &Path, name: &str) -> Result<Vec<(String, Result<Case, NotScored>)>, NotScored> {
    let meta = Meta::read(folder)?;
    let _ = (&meta, name);
    Err(NotScored::NotSimulated("tables of cases".to_owned()))
}
