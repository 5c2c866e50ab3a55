//! A measure over two swept keys.

use super::curves::{check_held, combinations, free_keys, in_words, not_swept};
use super::source::Source;
use super::{Asked, Missing, Named, labels, lacks};
use crate::figures::{HeatMap, HeatmapFigure, Width};
use crate::results::{Estimate, Runs};

/// Maps that one figure has room for.
const MOST_MAPS: usize = 6;

/// One map per system: of the measure that is asked for, else of attainment, else of the P99 of TTFT.
pub(super) fn make(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let runs = source.runs()?;
    check_held(runs, asked)?;
    let [across, up] = axes(runs, asked)?;
    let usual = || {
        let has_objectives =
            runs.table().numbers("slo_attainment").is_ok_and(|shares| shares.iter().any(|share| !share.is_nan()));
        if has_objectives { "slo_attainment" } else { "p99_ttft_ms" }
    };
    let measure = asked.measures.first().map_or_else(usual, String::as_str);
    let quantity = labels::measure(measure);
    let (columns, x_unit) = ordered(runs, across);
    let (rows, y_unit) = ordered(runs, up);
    let others: Vec<&str> = free_keys(runs, asked).into_iter().filter(|key| ![across, up].contains(key)).collect();
    let mut maps = Vec::new();
    for system in runs.systems() {
        for point in combinations(runs, system, &others) {
            let mut cells = Vec::new();
            for row in &rows {
                let mut line = Vec::new();
                for column in &columns {
                    let mut all = point.clone();
                    all.extend(asked.held.iter().map(|(key, value)| (key.as_str(), value.as_str())));
                    all.extend([(across, column.as_str()), (up, row.as_str())]);
                    let cell = runs.estimate(measure, system, &all)?;
                    let scaled = cell.map(|cell| cell.scaled(quantity.factor));
                    line.push(scaled.map(|Estimate { mean, interval, .. }| (mean, interval)));
                }
                cells.push(line);
            }
            let words = point.iter().map(|(key, value)| in_words(key, value));
            let label = std::iter::once(system.clone()).chain(words).collect::<Vec<_>>().join(", ");
            maps.push(HeatMap { label, cells });
        }
    }
    if maps.len() > MOST_MAPS {
        return lacks(format!(
            "there would be {} maps, more than {MOST_MAPS}; hold a key with --where KEY=VALUE",
            maps.len()
        ));
    }
    if maps.iter().all(|map| map.cells.iter().flatten().all(Option::is_none)) {
        return lacks(format!("no run has `{measure}`"));
    }
    let usual_width = if maps.len() > 1 { Width::Page } else { Width::Column };
    let figure = HeatmapFigure {
        title: format!("{} over {across} and {up}", quantity.label),
        x_label: labels::key(across, &x_unit),
        y_label: labels::key(up, &y_unit),
        measure: quantity.label,
        columns: columns.iter().map(|value| without(value, &x_unit)).collect(),
        rows: rows.iter().map(|value| without(value, &y_unit)).collect(),
        maps,
        intervals: runs.interval_words(),
        width: asked.width(usual_width),
    };
    Ok(vec![Named::new("heatmap", figure)])
}

/// The keys that are asked for, filled up with the first others that were swept.
fn axes<'a>(runs: &'a Runs, asked: &Asked) -> Result<[&'a str; 2], Missing> {
    let mut keys: Vec<&str> = Vec::new();
    for wanted in &asked.keys {
        match runs.keys().find(|key| key == wanted) {
            Some(key) => keys.push(key),
            None => return lacks(not_swept(runs, wanted)),
        }
    }
    keys.extend(free_keys(runs, asked).into_iter().filter(|key| !asked.keys.iter().any(|wanted| wanted == key)));
    match keys.as_slice() {
        [across, up, ..] => Ok([across, up]),
        _ => lacks("needs two keys that were swept; `servesim sweep` does that"),
    }
}

/// Values of a key in ascending order if they are numbers, else as they came; and their unit.
fn ordered(runs: &Runs, key: &str) -> (Vec<String>, String) {
    let written = runs.values_of(key).to_vec();
    let Some((numbers, unit)) = labels::numbers(&written) else { return (written, String::new()) };
    let mut values: Vec<(String, f64)> = written.into_iter().zip(numbers).collect();
    values.sort_by(|a, b| a.1.total_cmp(&b.1));
    (values.into_iter().map(|(value, _)| value).collect(), unit)
}

/// `40 GB` as `40` where the axis says GB.
fn without(value: &str, unit: &str) -> String {
    value.strip_suffix(unit).unwrap_or(value).trim().to_owned()
}
