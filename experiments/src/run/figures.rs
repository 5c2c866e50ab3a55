//! The figures of `run`: distributions of TTFT and TBT of all systems, and what the steps of the first system's pools did.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sim::{Distribution, WeightedHistogram};
use workloads::SimDuration;

use super::Finished;
use crate::experiment::{Experiment, Pool, System};
use crate::figures::{CdfFigure, CdfSeries, FigureSet, Format, TimelineCollector, Width};
use crate::output::OutputError;

/// Removes the figures of earlier results from a folder, and nothing else.
pub(super) fn remove(directory: &Path) -> Result<(), OutputError> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let ours =
            ["ttft_cdf", "tbt_cdf"].contains(&stem.as_str()) || stem.starts_with("steps_") || stem.starts_with("run_");
        if ours && path.extension().is_some_and(|extension| extension == "svg" || extension == "png") {
            std::fs::remove_file(&path).map_err(OutputError::write(&path))?;
        }
    }
    Ok(())
}

/// Draws and writes them. Distributions are over the requests of all seeds together.
pub(super) fn draw(
    experiment: &Experiment,
    finished: Vec<Finished>,
    directory: &Path,
) -> Result<Vec<PathBuf>, OutputError> {
    let timelines = finished.first().map_or(Vec::new(), |run| run.timelines.clone());
    let mut pooled: Vec<(&str, Distribution, WeightedHistogram)> = Vec::new();
    for (run, finished) in finished.into_iter().enumerate() {
        let mut measures = finished.measures;
        let name = experiment.systems[run / experiment.seeds.len()].name.as_str();
        if run % experiment.seeds.len() == 0 {
            pooled.push((name, Distribution::new(), WeightedHistogram::new()));
        }
        let (_, ttft, gaps) = pooled.last_mut().expect("just pushed");
        ttft.merge(measures.ttft());
        gaps.merge(measures.gaps());
    }
    let seconds = |limit: Option<SimDuration>| limit.map(SimDuration::as_secs_f64);
    let ttft = pooled
        .iter_mut()
        .map(|(name, ttft, _)| CdfSeries::new(name, ttft.count(), |quantiles| ttft.quantiles_ns(quantiles)));
    let ttft = CdfFigure {
        quantity: "TTFT",
        counted: "Requests",
        series: ttft.collect(),
        slo_s: seconds(experiment.slos.ttft),
        width: Width::Column,
    }
    .draw();
    let tbt = pooled
        .iter()
        .map(|(name, _, gaps)| CdfSeries::new(name, gaps.count(), |quantiles| gaps.quantiles_ns(quantiles)));
    let tbt = CdfFigure {
        quantity: "TBT",
        counted: "Gaps between tokens",
        series: tbt.collect(),
        slo_s: seconds(experiment.slos.tbt),
        width: Width::Column,
    }
    .draw();
    let mut figures = FigureSet::default();
    figures.add("ttft_cdf", ttft);
    figures.add("tbt_cdf", tbt);
    add_timelines(&mut figures, &experiment.systems[0], &timelines);
    figures.write(directory, &Format::ALL)
}

/// The first replica of each pool, which stands for the others.
fn add_timelines(figures: &mut FigureSet, system: &System, timelines: &[TimelineCollector]) {
    let layers = system.model.layers.len() as u32;
    for (timeline, (engine, pool)) in timelines.iter().zip(system.first_engines()) {
        let kv_blocks = system.kv_blocks(engine);
        let (file, title) = names(system, engine, pool);
        figures.add(&format!("steps_{file}"), timeline.draw_steps(&title, kv_blocks, layers));
        figures.add(&format!("run_{file}"), timeline.draw_run(&title, kv_blocks));
    }
}

/// What the timelines of an engine are called, as files and in words: the system, and of several pools and replicas which one.
fn names(system: &System, engine: u32, pool: &Pool) -> (String, String) {
    let mut title = system.name.clone();
    let (mut file, mut role) = (title.clone(), String::new());
    if system.pools.len() > 1 {
        file = format!("{file}_{}", pool.role.name());
        role = format!("{} ", pool.role.name());
    }
    if system.engines() > 1 {
        let _ = write!(title, ", {role}replica {engine}");
    }
    if pool.engines > 1 {
        let _ = write!(title, " of {} alike", pool.engines);
    }
    (file, title)
}
