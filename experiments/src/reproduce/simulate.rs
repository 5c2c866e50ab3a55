//! Every system of every figure under every seed at every point, as many at a time as there are processors.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use sim::{Measures, Summary, Window};

use super::measured::{RunSummary, Study};
use super::paper::{Figure, Paper};
use crate::caches;
use crate::experiment::{Experiment, Measuring, System};
use crate::failure::Failure;
use crate::run::{Trial, common, window};
use crate::terminal::Terminal;

/// What all runs of a figure came to.
pub(super) struct Runs {
    /// Seeds of each point.
    pub(super) seeds: usize,
    points: usize,
    /// System by system, in each point by point, in each seed by seed.
    results: Vec<Result<RunSummary, String>>,
}

impl Runs {
    /// Runs in that order.
    ///
    /// # Panics
    /// If they are not systems × points × seeds.
    pub(super) fn new(seeds: usize, points: usize, results: Vec<Result<RunSummary, String>>) -> Self {
        assert_eq!(results.len() % (seeds * points), 0, "runs are systems × points × seeds");
        Runs { seeds, points, results }
    }

    /// A run.
    ///
    /// # Errors
    /// Why it failed.
    pub(super) fn summary(&self, system: usize, point: usize, seed: usize) -> Result<&RunSummary, String> {
        self.results[(system * self.points + point) * self.seeds + seed].as_ref().map_err(Clone::clone)
    }

    /// Runs of a system that did not fail.
    pub(super) fn of_system(&self, system: usize) -> impl Iterator<Item = &RunSummary> {
        let count = self.points * self.seeds;
        self.results[system * count..(system + 1) * count].iter().filter_map(|run| run.as_ref().ok())
    }

    /// Why runs failed.
    pub(super) fn failures(&self) -> impl Iterator<Item = &str> {
        self.results.iter().filter_map(|run| run.as_ref().err().map(String::as_str))
    }
}

/// One run to be done.
struct Job<'a> {
    study: &'a Study,
    system: usize,
    seed: u64,
}

/// Runs all figures of all papers; what comes back is in their order.
pub(super) fn all(papers: &[Paper], jobs: Option<usize>, terminal: Terminal) -> Result<Vec<Vec<Runs>>, Failure> {
    let figures = || papers.iter().flat_map(|paper| &paper.figures);
    let todo: Vec<Job<'_>> = figures().flat_map(of_figure).collect();
    let bar = progress(todo.len(), terminal);
    let one = |job: &Job<'_>| {
        let result = run(job);
        bar.inc(1);
        result
    };
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = jobs.unwrap_or_else(processors);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let pool = pool.map_err(|error| Failure::Run(format!("cannot start {jobs} threads: {error}")))?;
    let results: Vec<_> = pool.install(|| todo.par_iter().with_max_len(1).map(one).collect());
    bar.finish_and_clear();
    let mut results = results.into_iter();
    let mut take = |figure: &Figure| {
        let (points, seeds) = (figure.points.len(), figure.points[0].seeds().len());
        let count = figure.points[0].systems().len() * points * seeds;
        Runs::new(seeds, points, results.by_ref().take(count).collect())
    };
    Ok(papers.iter().map(|paper| paper.figures.iter().map(&mut take).collect()).collect())
}

fn of_figure(figure: &Figure) -> Vec<Job<'_>> {
    let mut jobs = Vec::new();
    for system in 0..figure.points[0].systems().len() {
        for study in &figure.points {
            jobs.extend(study.seeds().iter().map(|&seed| Job { study, system, seed }));
        }
    }
    jobs
}

fn run(job: &Job<'_>) -> Result<RunSummary, String> {
    let Job { study, system, seed } = *job;
    match study {
        Study::Served(experiment) => {
            serve(experiment, system, seed).map(|summary| RunSummary::Served(Box::new(summary)))
        }
        Study::Cached(study) => cache(study, system, seed).map(RunSummary::Cached),
    }
}

fn cache(study: &caches::CacheStudy, cache: usize, seed: u64) -> Result<caches::CacheSummary, String> {
    let cache = &study.caches[cache];
    let requests = caches::Requests::of(study, seed)
        .map_err(|error| format!("{}, cache `{}`, seed {seed}: {error}", study.name, cache.name))?;
    Ok(caches::Job { study, cache, capacity: study.capacities[0] }.run(&requests))
}

fn serve(experiment: &Experiment, system: usize, seed: u64) -> Result<Summary, String> {
    let system = &experiment.systems[system];
    let failed = |error: String| format!("{}, system `{}`, seed {seed}: {error}", experiment.name, system.name);
    let mut requests = experiment.workload.requests(seed).map_err(|error| failed(error.to_string()))?;
    let window = measured(experiment, system, seed).map_err(|error| match error {
        Failure::Request(why) | Failure::Run(why) => why,
        Failure::Input(_) => unreachable!("the experiment was read before"),
    })?;
    let mut measures = Measures::new(experiment.slos, window);
    let outcome = sim::simulate(system.deployment(seed), &mut requests, &mut measures)
        .map_err(|error| failed(error.to_string()))?;
    Ok(Summary::new(&mut measures, &outcome, &system.facts()))
}

/// The window in which a system is measured: if it is found, that of all systems of the study.
fn measured(experiment: &Experiment, system: &System, seed: u64) -> Result<Option<Window>, Failure> {
    if experiment.measuring != Measuring::Auto {
        return Ok(window(experiment.measuring, &experiment.workload, system, seed)?.0);
    }
    let trial = |other: &System| Trial::of(&experiment.workload, other, seed);
    let trials = experiment.systems.iter().map(|other| Ok((other.name.as_str(), trial(other)?)));
    let windows = common(&trials.collect::<Result<Vec<_>, Failure>>()?, seed);
    let own = experiment.systems.iter().zip(windows).find(|(other, _)| other.name == system.name);
    Ok(own.expect("it is one of them").1.0)
}

fn progress(runs: usize, terminal: Terminal) -> ProgressBar {
    if !terminal.shows_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(runs as u64), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{spinner} {elapsed} [{bar:30}] {pos}/{len} runs, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
