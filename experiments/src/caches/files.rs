//! The files of a cache study.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::show::mean;
use super::{CacheMeasure, CacheRun, CacheStudy};
use crate::failure::Failure;
use crate::figures::{FigureSet, Format, LinePoint, LineSeries, LinesFigure, Width};
use crate::output::{OutputError, claim as claim_files, write_whole};
use crate::results::over_seeds;

const TABLE: &str = "caches.csv";

/// Claims the folder.
pub(super) fn claim(directory: &Path, force: bool) -> Result<(), Failure> {
    claim_files(directory, &[TABLE], force).map_err(|error| Failure::before_run(&error))
}

/// Writes the table and, where there are several capacities, the figure.
pub(super) fn write(directory: &Path, study: &CacheStudy, runs: &[CacheRun<'_>]) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: OutputError| Failure::while_writing(&error);
    let mut paths = vec![write_whole(directory, TABLE, &csv(runs)).map_err(failed)?];
    if study.capacities.len() > 1 {
        let mut set = FigureSet::default();
        set.add_figure("hit_rate_vs_capacity", &figure(study, runs));
        paths.extend(set.write(&directory.join("figures"), &Format::USUAL).map_err(failed)?);
    }
    Ok(paths)
}

/// One row per replay; what does not exist is empty.
fn csv(runs: &[CacheRun<'_>]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = CacheMeasure::all().iter().map(|measure| measure.name);
    let header = ["cache", "policy", "capacity_bytes", "seed"].into_iter().chain(names);
    writer.write_record(header).expect("a vector takes all that is written to it");
    for run in runs {
        let labels = [
            run.cache.name.clone(),
            run.cache.policy.name().to_owned(),
            run.capacity.to_string(),
            run.seed.to_string(),
        ];
        let values = CacheMeasure::all().iter().map(|measure| number(measure.value(&run.summary)));
        writer.write_record(labels.into_iter().chain(values)).expect("a vector takes all that is written to it");
    }
    let bytes = writer.into_inner().expect("a vector takes all that is written to it");
    String::from_utf8(bytes).expect("text was written")
}

fn number(value: Option<f64>) -> String {
    let mut text = String::new();
    if let Some(value) = value {
        let _ = write!(text, "{value}");
    }
    text
}

/// One curve per cache: the mean over seeds at each capacity.
fn figure(study: &CacheStudy, runs: &[CacheRun<'_>]) -> LinesFigure {
    let rate = CacheMeasure::named("token_hit_rate").expect("it is a measure");
    let series = study.caches.iter().map(|cache| {
        let points = study.capacities.iter().map(|&capacity| {
            let (share, half) = mean(rate, cache, capacity, runs).expect("every replay has a hit rate");
            let interval = half.map(|half| (100.0 * (share - half), 100.0 * (share + half)));
            LinePoint { x: capacity as f64 / 1e9, y: 100.0 * share, interval }
        });
        LineSeries { label: cache.name.clone(), points: points.collect() }
    });
    hit_rate_figure(series.collect(), study.seeds.len(), Width::Column)
}

/// The share of prompt tokens that is reused over capacity, in percent and GB.
pub(crate) fn hit_rate_figure(series: Vec<LineSeries>, seeds: usize, width: Width) -> LinesFigure {
    LinesFigure {
        title: "Prompt tokens that prefix caches reuse over their capacity".to_owned(),
        x_label: "Capacity (GB)".to_owned(),
        y_label: "Prompt tokens reused (%)".to_owned(),
        series,
        limits: Vec::new(),
        varied: String::new(),
        intervals: over_seeds(seeds),
        width,
    }
}
