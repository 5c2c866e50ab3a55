//! The figures of `run`: distributions of TTFT and TBT of all systems, and what the first system's steps did.

use std::path::{Path, PathBuf};

use sim::{Distribution, WeightedHistogram};
use workloads::SimDuration;

use super::Finished;
use crate::experiment::Experiment;
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
    let timeline = finished.first().and_then(|run| run.timeline.clone());
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
    if let Some(timeline) = timeline {
        add_timelines(&mut figures, experiment, &timeline);
    }
    figures.write(directory, &Format::ALL)
}

fn add_timelines(figures: &mut FigureSet, experiment: &Experiment, timeline: &TimelineCollector) {
    let system = &experiment.systems[0];
    let layers = system.model.layers.len() as u32;
    let kv_blocks = system.kv_blocks(timeline.replica());
    figures.add(&format!("steps_{}", system.name), timeline.draw_steps(&system.name, kv_blocks, layers));
    figures.add(&format!("run_{}", system.name), timeline.draw_run(&system.name, kv_blocks));
}
