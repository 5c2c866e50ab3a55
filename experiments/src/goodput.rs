//! `servesim goodput`: the highest rate at which each system meets the objectives.

mod files;
mod known;
mod limit;
mod probe;
mod progress;
mod report;
pub(crate) mod search;

use rayon::prelude::*;

use crate::diagnostic::Problem;
use crate::experiment::{Experiment, Measuring, System};
use crate::failure::Failure;
use crate::request::Request;
use crate::run::{Loaded, check_lock, describe, load};
use crate::terminal::Terminal;
use files::Files;
pub(crate) use limit::{Limited, find};
pub(crate) use probe::{Probe, Question};
pub(crate) use progress::Progress;

/// Searches every system of an experiment and writes what was found.
pub(crate) fn run(request: &Request, terminal: Terminal) -> Result<(), Failure> {
    let Loaded { mut experiment, sources } = load(&request.file, &request.settings)?;
    if let Err(problem) = searchable(&experiment) {
        return Err(Failure::input(problem, sources));
    }
    experiment.output.figures = request.figures.unwrap_or(experiment.output.figures);
    let digests = experiment
        .digests()
        .map_err(|error| Failure::Request(format!("cannot read what the experiment stands on: {error}")))?;
    if let Err(problem) = check_lock(&experiment, &digests, terminal) {
        return Err(Failure::input(problem, sources));
    }
    let directory = request.directory("-goodput");
    let files = Files::claim(&directory, &experiment, request.force).map_err(|error| Failure::before_run(&error))?;
    describe(&experiment, terminal);
    for note in experiment.workload.notes() {
        terminal.note(&note);
    }
    for note in experiment.workload.notes_on_rates() {
        terminal.note(note);
    }
    let progress = Progress::new(experiment.systems.len(), "systems", terminal);
    let question = question(&experiment);
    let one = |system: &System| {
        let found = find(&question, system, experiment.search, &mut |probe| {
            progress.probed();
            files.probed(system, probe).map_err(|error| Failure::while_writing(&error))
        });
        progress.done();
        found
    };
    let found = in_parallel(request.jobs, || experiment.systems.par_iter().map(one).collect::<Vec<_>>())?;
    progress.finish();
    let found = found.into_iter().collect::<Result<Vec<Limited>, Failure>>()?;
    let remarks = found.iter().flat_map(|limited| limited.remarks(&experiment));
    for remark in remarks.collect::<std::collections::BTreeSet<_>>() {
        terminal.note(&remark);
    }
    let paths = files.finish(&found, &digests).map_err(|error| Failure::while_writing(&error))?;
    report::show(request.json, &experiment, &found, &paths, terminal);
    Ok(())
}

/// What the experiment asks at every rate.
pub(crate) fn question(experiment: &Experiment) -> Question<'_> {
    // At high rates requests come within seconds: so that something is measured, no less than is left out.
    let left_out_s = match experiment.measuring {
        Measuring::Stated { warm_up_s, cooldown_s } => warm_up_s + cooldown_s.unwrap_or(0.0),
        Measuring::Whole | Measuring::Auto => 0.0,
    };
    Question {
        workload: &experiment.workload,
        seeds: &experiment.seeds,
        slos: experiment.slos,
        measuring: experiment.measuring,
        first_token_elsewhere: false,
        least_duration_s: experiment.search.least_duration_s.max(2.0 * left_out_s),
        demands: &experiment.demands,
    }
}

/// Refuses experiments without objectives, and workloads without a rate.
pub(crate) fn searchable(experiment: &Experiment) -> Result<(), Problem> {
    if !experiment.slos.any() {
        return Err(Problem::at(experiment.places.slo, "there is no objective that could hold or fail")
            .label("expected limits, such as slo = { ttft = \"2 s\", tpot = \"100 ms\", attainment = 0.9 }"));
    }
    match experiment.workload.has_no_rate() {
        None => Ok(()),
        Some((why, help)) => Err(Problem::at(experiment.places.workload, "this workload cannot be offered at a rate")
            .label(why)
            .help(help)),
    }
}

/// Runs `work` on as many threads as asked.
pub(crate) fn in_parallel<T: Send>(jobs: Option<usize>, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let pool = pool.map_err(|error| Failure::Run(format!("cannot start {jobs} threads: {error}")))?;
    Ok(pool.install(work))
}
