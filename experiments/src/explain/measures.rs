//! Measures of runs and of cache studies.

use sim::{Better, Summary};

use super::Entry;
use crate::caches::CacheMeasure;

/// All of them.
pub(super) fn entries() -> impl Iterator<Item = Entry> {
    let of_runs = Summary::columns().iter().map(|column| {
        let better = match column.better {
            Better::Lower => "lower is better",
            Better::Higher => "higher is better",
            Better::Neither => "",
        };
        Entry::new(column.name.as_str(), "measure, a column of summary.csv", column.doc.as_str())
            .fact("unit", column.unit)
            .fact("direction", better)
            .fact("belongs to", column.section.title())
    });
    let of_caches = CacheMeasure::all().iter().map(|measure| {
        Entry::new(measure.name, "measure of a cache study, a column of caches.csv", measure.doc)
            .fact("unit", measure.unit)
    });
    of_runs.chain(of_caches)
}
