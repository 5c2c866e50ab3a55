//! `servesim run`: every system under every seed on the same requests.

mod figures;
mod observer;
mod progress;
mod replicas;
mod unsteady;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sim::{Measures, Outcome, SimError, Summary};
use workloads::{Source as _, WorkloadError};

use crate::diagnostic::{Problem, Sources, Span, nearest_file};
use crate::experiment::{self, Conditions, Demand, Digest, Experiment, Limit, Lock, Measuring, System, Workload};
use crate::failure::Failure;
use crate::figures::TimelineCollector;
use crate::file;
use crate::output::{Look, OutputOptions, OutputPlan, REPLICAS, RunLabel, comparison_table, results_json};
use crate::request::Request;
use crate::terminal::{self, Terminal, short};
use observer::RunObserver;
use progress::Progress;
pub(crate) use unsteady::unsteady_remarks;
pub(crate) use window::{Measured, Trial, common, window};

/// Name of the lock file.
pub(crate) const LOCK_FILE: &str = "experiment.lock.toml";

/// An experiment file that has been read.
pub(crate) struct Loaded {
    /// What it says.
    pub(crate) experiment: Experiment,
    /// The texts it was read from.
    pub(crate) sources: Sources,
}

/// One finished run.
struct Finished {
    summary: Summary,
    measures: Measures,
    timelines: Vec<TimelineCollector>,
    remarks: Vec<String>,
}

/// Reads an experiment file.
pub(crate) fn load(path: &Path, settings: &[String]) -> Result<Loaded, Failure> {
    load_varied(path, settings, None, &experiment::KernelLibrary::default())
}

/// As [`load`], with one system of the file, changed, in place of all, and kernel tables that others may have read.
pub(crate) fn load_varied(
    path: &Path,
    settings: &[String],
    variation: Option<&file::Variation>,
    library: &experiment::KernelLibrary,
) -> Result<Loaded, Failure> {
    let text = experiment_text(path)?;
    let base = path.parent().unwrap_or(Path::new(""));
    let mut sources = Sources::default();
    let id = sources.add(path.display().to_string(), text, base);
    let span = Span { source: id, start: 0, end: 0 };
    let read = file::read_varied(id, settings, variation, &mut sources);
    match read.and_then(|root| experiment::resolve_with(&root, path, span, &sources, library)) {
        Ok(experiment) => Ok(Loaded { experiment, sources }),
        Err(problems) => Err(Failure::input(problems, sources)),
    }
}

/// The text of an experiment file.
pub(crate) fn experiment_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let lock = path.join("experiment.lock.toml");
        let meant = if lock.is_file() {
            format!("; the folder's own experiment is {}", lock.display())
        } else if path.exists() {
            String::new()
        } else {
            nearest_file(path)
        };
        Failure::Request(format!("cannot read the experiment file {}: {error}{meant}", path.display()))
    })
}

/// Runs an experiment and writes its results.
pub(crate) fn run(request: &Request, terminal: Terminal) -> Result<(), Failure> {
    let Loaded { mut experiment, sources } = load(&request.file, &request.settings)?;
    experiment.output.figures = request.figures.unwrap_or(experiment.output.figures);
    let digests = experiment
        .digests()
        .map_err(|error| Failure::Request(format!("cannot read what the experiment stands on: {error}")))?;
    if let Err(problem) = check_lock(&experiment, &digests, terminal) {
        return Err(Failure::input(problem, sources));
    }
    let directory = request.directory("");
    let runs = labels(&experiment);
    let options = OutputOptions {
        requests: true,
        handovers: experiment.systems.iter().any(experiment::System::hands_over),
        steps: experiment.output.steps,
        power: experiment.output.power,
        perfetto: experiment.output.perfetto,
        schedule: experiment.output.record_steps,
        parquet: experiment.output.parquet,
        force: request.force,
    };
    let mut plan = OutputPlan::new(&directory, options, runs.clone(), &[LOCK_FILE, REPLICAS])
        .map_err(|error| Failure::before_run(&error))?;
    describe(&experiment, terminal);
    for note in experiment.workload.notes() {
        terminal.note(&note);
    }
    let finished = run_all(&experiment, &plan, request.jobs, terminal)?;
    for remark in finished.iter().flat_map(|run| &run.remarks).collect::<std::collections::BTreeSet<_>>() {
        terminal.note(remark);
    }
    let measured = runs.iter().zip(&finished).map(|(run, finished)| (run.system.as_str(), &finished.summary));
    for remark in unsteady_remarks(measured) {
        terminal.note(&remark);
    }
    if experiment.measuring == Measuring::Auto {
        terminal.note(&window_note(&experiment, &finished));
    }
    let (summaries, drawn) = (finished.iter().map(|run| run.summary.clone()).collect::<Vec<_>>(), finished);
    let mut paths = Vec::new();
    if request.force {
        figures::remove(&directory).map_err(|error| Failure::while_writing(&error))?;
    }
    if experiment.output.figures {
        paths = figures::draw(&experiment, drawn, &directory.join("figures"))
            .map_err(|error| Failure::while_writing(&error))?;
    }
    plan.add_table(REPLICAS, replicas::csv(&experiment));
    let lock = plan.write(LOCK_FILE, experiment.lock_file(&digests).as_bytes());
    let lock = lock.map_err(|error| Failure::while_writing(&error))?;
    let mut tables = plan.finish(&summaries).map_err(|error| Failure::while_writing(&error))?;
    tables.push(lock);
    tables.append(&mut paths);
    show(request, &experiment, &runs, &summaries, &tables, terminal);
    Ok(())
}

/// Over which windows the runs were measured.
fn window_note(experiment: &Experiment, finished: &[Finished]) -> String {
    let of_seed = |(place, seed): (usize, &u64)| {
        let starts = finished.iter().skip(place).step_by(experiment.seeds.len()).map(|run| run.summary.measured_from_s);
        let mut starts: Vec<String> = starts.map(|start| format!("{start:.1} s")).collect();
        starts.dedup();
        format!("{} (seed {seed})", starts.join(", "))
    };
    let starts: Vec<String> = experiment.seeds.iter().enumerate().map(of_seed).collect();
    let whose = if experiment.systems.len() > 1 { "all systems" } else { "requests" };
    format!("measured from the end of the warm-up on, {whose} in one window per seed: from {}", starts.join(", "))
}

/// Refuses inputs that are not those a lock file was made with, and says which of those are not used any more.
pub(crate) fn check_lock(experiment: &Experiment, digests: &[Digest], terminal: Terminal) -> Result<(), Problem> {
    experiment.lock.as_ref().map_or(Ok(()), |lock| check_digests(lock, digests, terminal))
}

/// As [`check_lock`], of what the lock file itself says.
pub(crate) fn check_digests(lock: &Lock, digests: &[Digest], terminal: Terminal) -> Result<(), Problem> {
    let version = env!("CARGO_PKG_VERSION");
    if lock.servesim != version {
        terminal.note(&format!(
            "warning: this file was written by servesim {}, and this is {version}: results may differ",
            lock.servesim
        ));
    }
    for (wanted, span) in &lock.digests {
        let Some(found) = digests.iter().find(|digest| digest.of == wanted.of) else {
            terminal.note(&format!("warning: the digest of {} was not checked: this run does not use it", wanted.of));
            continue;
        };
        if found.sha256 != wanted.sha256 {
            return Err(Problem::at(*span, format!("{} is not the one this lock file was made with", wanted.of))
                .label(format!("it has {}", found.sha256))
                .help("take this digest out of the file to run with it nevertheless"));
        }
    }
    Ok(())
}

/// One label per system and seed, system by system.
fn labels(experiment: &Experiment) -> Vec<RunLabel> {
    let runs = experiment
        .systems
        .iter()
        .flat_map(|system| experiment.seeds.iter().map(move |&seed| RunLabel::new(system.name.clone(), seed)));
    runs.collect()
}

pub(crate) fn describe(experiment: &Experiment, terminal: Terminal) {
    for system in &experiment.systems {
        if terminal.is_verbose() {
            terminal.detail(&system.describe());
        }
        for note in system.notes() {
            terminal.note(&note);
        }
    }
}

fn run_all(
    experiment: &Experiment,
    plan: &OutputPlan,
    jobs: Option<usize>,
    terminal: Terminal,
) -> Result<Vec<Finished>, Failure> {
    let count = experiment.systems.len() * experiment.seeds.len();
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = jobs.unwrap_or_else(processors).clamp(1, count);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let pool = pool.map_err(|error| Failure::Run(format!("cannot start {jobs} threads: {error}")))?;
    let windows = windows(experiment, &pool)?;
    let progress = Progress::new(count, terminal);
    let one = |(run, measured)| run_one(experiment, plan, run, measured, &progress);
    // All runs end before the first failure, in their order, is reported: so it does not depend on who was faster.
    let all: Vec<_> = pool.install(|| windows.into_par_iter().enumerate().map(one).collect());
    progress.finish();
    all.into_iter().collect()
}

/// In which window each run is measured, in the order of the runs.
fn windows(experiment: &Experiment, pool: &rayon::ThreadPool) -> Result<Vec<Measured>, Failure> {
    let seeds = &experiment.seeds;
    let runs: Vec<(&System, u64)> =
        experiment.systems.iter().flat_map(|system| seeds.iter().map(move |&seed| (system, seed))).collect();
    if experiment.measuring != Measuring::Auto {
        let one = |(system, seed): &(&System, u64)| window(experiment.measuring, &experiment.workload, system, *seed);
        let all: Vec<_> = pool.install(|| runs.par_iter().map(one).collect());
        return all.into_iter().collect();
    }
    let one = |(system, seed): &(&System, u64)| Trial::of(&experiment.workload, system, *seed);
    let trials: Vec<_> = pool.install(|| runs.par_iter().map(one).collect());
    let trials: Vec<Trial> = trials.into_iter().collect::<Result<_, _>>()?;
    let mut windows: Vec<Measured> = vec![(None, None); runs.len()];
    for (place, &seed) in seeds.iter().enumerate() {
        let own = (place..runs.len()).step_by(seeds.len());
        let systems: Vec<_> = own.clone().map(|run| (runs[run].0.name.as_str(), trials[run])).collect();
        own.zip(common(&systems, seed)).for_each(|(run, measured)| windows[run] = measured);
    }
    Ok(windows)
}

fn run_one(
    experiment: &Experiment,
    plan: &OutputPlan,
    run: usize,
    (window, remark): Measured,
    progress: &Progress,
) -> Result<Finished, Failure> {
    let system = &experiment.systems[run / experiment.seeds.len()];
    let seed = experiment.seeds[run % experiment.seeds.len()];
    let mut requests = experiment.workload.requests(seed).map_err(|error| unreadable(&error))?;
    let drawn = experiment.output.figures && run == 0;
    let watched = system.first_engines().filter(|_| drawn);
    let header = experiment.output.record_steps.then(|| system.schedule_header(seed));
    let mut observer = RunObserver {
        files: plan.start(run, system.idle_power_w(), header).map_err(|error| Failure::while_writing(&error))?,
        measures: Measures::new(experiment.slos, window).with_samples(),
        timelines: watched.map(|(engine, _)| TimelineCollector::new(engine)).collect(),
        progress: progress.of_run(requests.remaining_hint()),
    };
    let outcome: Outcome = sim::simulate(system.deployment(seed), &mut requests, &mut observer)
        .map_err(|error| failed(&system.name, seed, &error))?;
    let RunObserver { files, mut measures, timelines, .. } = observer;
    files
        .finish(outcome.first_arrival..outcome.end, measures.gaps())
        .map_err(|error| Failure::while_writing(&error))?;
    let summary = Summary::new(&mut measures, &outcome, &system.facts());
    let remarks = requests.remarks().into_iter().chain(rejections(&system.name, &outcome)).chain(remark).collect();
    Ok(Finished { summary, measures, timelines, remarks })
}

/// One run of which nothing is kept but its figures, and what has to be said of them; with `intervals`, also what intervals from this
/// run alone are made of, [condensed](Summary::condensed).
pub(crate) fn measure(
    conditions: Conditions,
    workload: &Workload,
    system: &System,
    seed: u64,
    (window, remark): Measured,
    intervals: bool,
) -> Result<(Summary, Vec<String>), Failure> {
    let mut requests = workload.requests(seed).map_err(|error| unreadable(&error))?;
    let mut measures = Measures::new(conditions.slos, window);
    if intervals {
        measures = measures.with_samples();
    }
    let outcome = sim::simulate(system.deployment(seed), &mut requests, &mut measures)
        .map_err(|error| failed(&system.name, seed, &error))?;
    let remarks = requests.remarks().into_iter().chain(rejections(&system.name, &outcome)).chain(remark).collect();
    let summary = Summary::new(&mut measures, &outcome, &system.facts());
    let summary = if intervals { summary.condensed() } else { Summary { within_run: Arc::default(), ..summary } };
    Ok((summary, remarks))
}

pub(crate) fn unreadable(error: &WorkloadError) -> Failure {
    Failure::Request(format!("the workload cannot be read: {error}"))
}

pub(crate) fn failed(system: &str, seed: u64, error: &SimError) -> Failure {
    match error {
        SimError::Workload(error) => unreadable(error),
        other => Failure::Run(format!("system `{system}`, seed {seed}: {other}")),
    }
}

/// What was turned away, said aloud: it is in the tables too, but changes what every other figure means.
pub(crate) fn rejections(system: &str, outcome: &Outcome) -> Option<String> {
    let counts = outcome.requests;
    let reasons = [
        (counts.rejected_model_length, "longer than max_model_len"),
        (counts.rejected_kv_cache, "larger than the KV cache"),
        (counts.rejected_batch, "longer than a step of whole prompts holds (max_num_batched_tokens)"),
    ];
    let reasons: Vec<_> =
        reasons.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
    (!reasons.is_empty()).then(|| {
        format!(
            "warning: `{system}` rejected {} of {} requests: {}",
            counts.rejected(),
            counts.issued,
            reasons.join(", ")
        )
    })
}

fn show(
    request: &Request,
    experiment: &Experiment,
    runs: &[RunLabel],
    summaries: &[Summary],
    paths: &[PathBuf],
    terminal: Terminal,
) {
    if request.json {
        let mut json = results_json(runs, summaries);
        json["name"] = experiment.name.as_str().into();
        json["files"] = paths.iter().map(|path| path.display().to_string()).collect();
        return terminal::print_line(&json.to_string());
    }
    if !terminal.talks() {
        return;
    }
    let look = Look { color: terminal.colour_on_stdout(), width: terminal.width() };
    terminal::print_line(&experiment.name);
    terminal::print(&comparison_table(runs, summaries, look));
    if let Some(verdict) = verdict(experiment, summaries) {
        terminal::print_line(&verdict);
    }
    terminal::print_line("Wrote:");
    for path in paths {
        terminal::print_line(&format!("  {}", short(path)));
    }
}

/// Whether each system meets the objectives for as many requests as asked, on the mean over seeds.
fn verdict(experiment: &Experiment, summaries: &[Summary]) -> Option<String> {
    let of_system = |(system, runs): (&experiment::System, &[Summary])| {
        let shares: Vec<(f64, f64)> = experiment
            .demands
            .iter()
            .map(|demand| {
                let shares: Option<Vec<f64>> = runs.iter().map(|run| demand.limit.share_in(run)).collect();
                let shares = shares?;
                Some((shares.iter().sum::<f64>() / shares.len() as f64, demand.share))
            })
            .collect::<Option<_>>()?;
        let meets = shares.iter().all(|(share, wanted)| share >= wanted);
        let shown: Vec<_> = experiment
            .demands
            .iter()
            .zip(&shares)
            .map(|(demand, (share, _))| match demand.limit {
                Limit::All => format!("{:.1} %", 100.0 * share),
                limit => format!("{} {:.1} %", limit.name(), 100.0 * share),
            })
            .collect();
        Some(format!("{} {} ({})", system.name, if meets { "meets" } else { "misses" }, shown.join(", ")))
    };
    let systems = experiment.systems.iter().zip(summaries.chunks(experiment.seeds.len()));
    let verdicts: Vec<String> = systems.map(of_system).collect::<Option<_>>()?;
    Some(format!("objectives for {}: {}", wanted(&experiment.demands), verdicts.join(", ")))
}

/// What is asked for, in words.
pub(crate) fn wanted(demands: &[Demand]) -> String {
    let of = |demand: &Demand| match demand.limit {
        Limit::All => format!("{} % of requests", percent(demand.share)),
        limit => format!("{} % of requests ({})", percent(demand.share), limit.name()),
    };
    demands.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// A share in percent, without the dust of the multiplication.
fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}
