//! `cases.csv`: a table with one measured run per row.

mod described;
mod inferencex;
mod mlenergy;
mod mlperf;
mod own;
mod silicon;
mod sim2real;

use std::path::Path;

use super::case::Case;
use super::error::NotScored;
use super::meta::Meta;
use super::rows::{Row, Table};

/// A case or why it is none, with its name.
type Named = (String, Result<Case, NotScored>);

/// The cases of a table, each with its name, which starts with that of the folder.
///
/// # Errors
/// If metadata or table cannot be read; what is wrong with a row belongs to that row.
pub(super) fn read(folder: &Path, name: &str) -> Result<Vec<Named>, NotScored> {
    let meta = Meta::read(folder)?;
    let table = Table::read(&folder.join("cases.csv"), "it has one row per run")?;
    let one_by_one = |row: fn(Row<'_>) -> Result<described::Described, NotScored>, title: &str| {
        let case = |(index, line): (usize, Row<'_>)| {
            let name = format!("{name}/{}", line.text(title).map_or_else(|| index.to_string(), str::to_owned));
            let case = row(line).and_then(|described| described.case(folder, &name));
            (name, case)
        };
        table.rows().enumerate().map(case).collect()
    };
    let mut cases: Vec<Named> = match meta.text("source_repo")?.unwrap_or_default() {
        "ai-dynamo/aiconfigurator" => one_by_one(silicon::row, "id"),
        "SemiAnalysisAI/InferenceX" => one_by_one(inferencex::row, "file"),
        "ml-energy/leaderboard" => one_by_one(mlenergy::row, ""),
        "inference-sim/sim-to-real-accuracy-validation" => sim2real::cases(&table, folder, name),
        repository if repository.starts_with("mlcommons/") => one_by_one(mlperf::row, ""),
        _ => one_by_one(own::row, "name"),
    };
    // Only now is it known what nobody has read.
    let unread = table.unread();
    for case in cases.iter_mut().filter_map(|(_, case)| case.as_mut().ok()) {
        case.assumptions.extend(unread.iter().cloned());
        case.unread_columns.clone_from(&unread);
    }
    Ok(cases)
}
