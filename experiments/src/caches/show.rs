//! A cache study on the terminal, and as JSON.

use serde_json::{Map, Value as Json, json};

use super::study::Cache;
use super::{CacheMeasure, CacheRun, CacheStudy};
use crate::cli::{new_table, right_aligned};
use crate::output::four_digits;
use crate::terminal::{self, Terminal};
use sim::half_width;

/// Measures of the table.
const SHOWN: [&str; 5] = ["token_hit_percent", "p50_ttft_ms", "p95_ttft_ms", "over_capacity_bytes", "alpha"];

/// Mean of a measure over seeds, and half of its 95 % interval; `None` if a replay does not have it.
pub(super) fn mean(
    measure: &CacheMeasure,
    cache: &Cache,
    capacity: u64,
    runs: &[CacheRun<'_>],
) -> Option<(f64, Option<f64>)> {
    let of_cache = runs.iter().filter(|run| run.cache.name == cache.name && run.capacity == capacity);
    let values: Option<Vec<f64>> = of_cache.map(|run| measure.value(&run.summary)).collect();
    let values = values?;
    Some((values.iter().sum::<f64>() / values.len() as f64, half_width(&values)))
}

/// Prints one row per cache and capacity.
pub(super) fn table(study: &CacheStudy, runs: &[CacheRun<'_>], terminal: Terminal) {
    terminal::print_line(&study.name);
    let measures = SHOWN.map(|name| CacheMeasure::named(name).expect("it is a measure"));
    let header: Vec<&str> =
        ["cache", "capacity (GB)"].into_iter().chain(measures.iter().map(|measure| measure.name)).collect();
    let mut table = new_table(terminal, &header);
    for cache in &study.caches {
        for &capacity in &study.capacities {
            let mut row = vec![cache.name.clone(), four_digits(capacity as f64 / 1e9)];
            row.extend(measures.map(|measure| match mean(measure, cache, capacity, runs) {
                None => "-".to_owned(),
                Some((value, None)) => four_digits(value),
                Some((value, Some(half))) => format!("{} ± {}", four_digits(value), four_digits(half)),
            }));
            table.add_row(row);
        }
    }
    terminal::print_line(&right_aligned(table).to_string());
}

/// The rows of `caches.csv`; what does not exist is `null`.
pub(super) fn to_json(runs: &[CacheRun<'_>]) -> Json {
    let rows = runs.iter().map(|run| {
        let measures = CacheMeasure::all().iter();
        let values: Map<String, Json> =
            measures.map(|measure| (measure.name.to_owned(), measure.value(&run.summary).into())).collect();
        json!({
            "cache": run.cache.name, "policy": run.cache.policy.name(), "capacity_bytes": run.capacity, "seed": run.seed,
            "measures": values,
        })
    });
    json!({ "runs": rows.collect::<Vec<_>>() })
}
