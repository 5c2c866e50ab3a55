//! The figures of `run`: distributions of TTFT and TBT of all systems, and what the steps of the first system's pools did.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sim::{Distribution, WeightedHistogram};
use workloads::SimDuration;

use super::Finished;
use crate::experiment::{Experiment, Pool, System};
use crate::figures::{CdfSeries, FigureSet, Format, TimelineCollector, Width};
use crate::output::OutputError;
use crate::plot::{Latency, cdf_figure};

/// Removes the figures of earlier results in a folder, those of `servesim plot` too, and nothing else.
pub(super) fn remove(results: &Path) -> Result<(), OutputError> {
    for path in crate::plot::drawn(results) {
        std::fs::remove_file(&path).map_err(OutputError::write(&path))?;
    }
    Ok(())
}

/// Draws and writes them. Distributions are means over seeds.
pub(super) fn draw(
    experiment: &Experiment,
    finished: Vec<Finished>,
    directory: &Path,
) -> Result<Vec<PathBuf>, OutputError> {
    let timelines = finished.first().map_or(Vec::new(), |run| run.timelines.clone());
    // Per system the samples of every seed.
    let mut samples: Vec<(&str, Vec<Distribution>, Vec<WeightedHistogram>)> = Vec::new();
    for (run, finished) in finished.into_iter().enumerate() {
        let mut measures = finished.measures;
        let name = experiment.systems[run / experiment.seeds.len()].name.as_str();
        if run % experiment.seeds.len() == 0 {
            samples.push((name, Vec::new(), Vec::new()));
        }
        let (_, ttft, gaps) = samples.last_mut().expect("just pushed");
        ttft.push(measures.ttft().clone());
        gaps.push(measures.gaps().clone());
    }
    let seconds = |limit: Option<SimDuration>| limit.map(SimDuration::as_secs_f64);
    let mut figures = FigureSet::default();
    let (mut ttft, mut tbt) = (Vec::new(), Vec::new());
    for (name, ttfts, gaps) in &mut samples {
        ttft.push(CdfSeries::of_seeds(*name, ttfts));
        tbt.push(CdfSeries::of_seeds(*name, gaps));
    }
    let slos = &experiment.slos;
    figures.add_figure("ttft_cdf", &cdf_figure(Latency::Ttft, ttft, seconds(slos.ttft), Width::Column));
    figures.add_figure("tbt_cdf", &cdf_figure(Latency::Tbt, tbt, seconds(slos.tbt), Width::Column));
    add_timelines(&mut figures, &experiment.systems[0], &timelines);
    figures.write(directory, &Format::USUAL)
}

/// The first replica of each pool, which stands for the others.
fn add_timelines(figures: &mut FigureSet, system: &System, timelines: &[TimelineCollector]) {
    let layers = system.model.layers.len() as u32;
    for (timeline, (engine, pool)) in timelines.iter().zip(system.first_engines()) {
        let kv_blocks = system.kv_blocks(engine);
        let (file, title) = names(system, engine, pool);
        figures.add_figure(&format!("steps_{file}"), &timeline.steps_figure(&title, kv_blocks, layers, Width::Page));
        figures.add_figure(&format!("run_{file}"), &timeline.run_figure(&title, kv_blocks, Width::Page));
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
