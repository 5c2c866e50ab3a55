//! Tables that are shown as they are.

use serde::Serialize;

use super::runs::Cell;
use crate::results::{Kind, Results, ResultsError, Values};

/// A table as the folder has it.
#[derive(Serialize)]
pub(super) struct PlainTable {
    title: &'static str,
    pub(super) columns: Vec<String>,
    /// Whether a column is of words.
    text: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

impl PlainTable {
    /// A table whole.
    pub(super) fn read(results: &Results, name: &str, title: &'static str) -> Result<Self, ResultsError> {
        let table = results.table(name)?;
        let columns: Vec<String> = table.names().map(str::to_owned).collect();
        let values: Vec<&Values> = columns.iter().map(|name| table.values(name)).collect::<Result<_, _>>()?;
        Ok(PlainTable {
            title,
            text: values.iter().map(|values| matches!(values, Values::Words(_))).collect(),
            rows: (0..table.len()).map(|row| values.iter().map(|values| Cell::of(values, row)).collect()).collect(),
            columns,
        })
    }
}

/// Tables of a folder beside those that the page makes something of.
pub(super) fn all(results: &Results) -> Result<Vec<PlainTable>, ResultsError> {
    let named: &[(&str, &'static str)] = match results.kind() {
        Kind::Run => &[],
        Kind::Sweep => &[("failures", "Points that failed")],
        Kind::Goodput => &[("goodput", "Highest rate that meets the objectives")],
        Kind::Plan => &[("plan", "Placements"), ("confirmed", "Long runs")],
        Kind::Cache => &[("caches", "Caches")],
    };
    let there = named.iter().filter(|(name, _)| results.path(name).is_some());
    let tables = there.map(|(name, title)| PlainTable::read(results, name, title));
    tables.filter(|table| !table.as_ref().is_ok_and(super::plan::is_of_deployments)).collect()
}
