//! `servesim plan`: the placement of a model on GPUs that serves most for its keep.

mod candidates;
mod choose;
mod deployments;
mod judge;
mod placement;
mod report;

use sim::Role;

use crate::diagnostic::Problem;
use crate::experiment::{DeploymentSearch, Experiment, KernelLibrary, PlanSpec};
use crate::failure::Failure;
use crate::goodput::{Progress, in_parallel, searchable};
use crate::output::{OutputError, claim, write_whole};
use crate::request::Request;
use crate::run::{LOCK_FILE, Loaded, check_lock, load};
use crate::terminal::Terminal;
use judge::Planner;

const TABLE: &str = "plan.csv";
const WINNER: &str = "plan.toml";
const CONFIRMED: &str = "confirmed.csv";

/// Searches, and writes what was found. `confirm` is how many of the deployments that were found are simulated again, for longer.
pub(crate) fn run(request: &Request, confirm: Option<usize>, terminal: Terminal) -> Result<(), Failure> {
    let Loaded { experiment, sources } = load_base(request)?;
    if let Err(problem) = searchable(&experiment).and_then(|()| plannable(&experiment)) {
        return Err(Failure::input(problem, sources));
    }
    let digests = experiment
        .digests()
        .map_err(|error| Failure::Request(format!("cannot read what the experiment stands on: {error}")))?;
    if let Err(problem) = check_lock(&experiment, &digests, terminal) {
        return Err(Failure::input(problem, sources));
    }
    let lock = experiment.lock_file(&digests);
    let spec = experiment.plan.as_ref().expect("it was found missing otherwise");
    if confirm.is_some() && spec.deployments.is_none() {
        let message = "--confirm is for whole deployments: `plan.deployments` names the systems to deploy";
        return Err(Failure::Request(message.to_owned()));
    }
    let directory = request.directory("-plan");
    claim(&directory, &[TABLE, WINNER, CONFIRMED, LOCK_FILE], request.force)
        .map_err(|error| Failure::before_run(&error))?;
    let on_rates = experiment.workload.notes_on_rates().into_iter().map(str::to_owned);
    for note in experiment.workload.notes().into_iter().chain(on_rates) {
        terminal.note(&note);
    }
    let what = if spec.deployments.is_some() { "kinds of deployments" } else { "candidates" };
    let planner = Planner {
        file: &request.file,
        settings: &request.settings,
        base: &experiment,
        spec,
        library: KernelLibrary::default(),
        progress: Progress::new(0, what, terminal),
    };
    if let Some(search) = &spec.deployments {
        let figures = request.figures.unwrap_or(experiment.output.figures);
        let output = deployments::Output { directory: &directory, lock: &lock, figures, json: request.json };
        return deployments::run(&planner, search, confirm, request.jobs, output, terminal);
    }
    let found = in_parallel(request.jobs, || choose::choose(&planner))?;
    planner.progress.finish();
    let found = found?;
    let table = write_whole(&directory, TABLE, &report::table_csv(&found));
    let mut paths = vec![table.map_err(|error| Failure::while_writing(&error))?];
    paths.push(write_whole(&directory, LOCK_FILE, &lock).map_err(|error| Failure::while_writing(&error))?);
    if let Some(winner) = found.winner() {
        let file = planner.build(&winner.placement, winner.name()).map_err(Failure::Run)?;
        let head = report::head(spec, winner);
        paths.push(write_whole(&directory, WINNER, &file.file(&head)).map_err(|error| Failure::while_writing(&error))?);
    }
    let stale = directory.join(WINNER);
    if found.winner().is_none() && stale.exists() {
        std::fs::remove_file(&stale).map_err(|error| Failure::while_writing(&OutputError::write(&stale)(error)))?;
    }
    let of_winner = found.winner().and_then(judge::Row::limited).map(|limited| limited.remarks(&experiment));
    for remark in of_winner.unwrap_or_default() {
        terminal.note(&remark);
    }
    report::show(request.json, &experiment, spec, &found, &paths, terminal);
    if found.winner().is_none() {
        return Err(Failure::Run("no placement that was searched meets the objectives; plan.csv says why".to_owned()));
    }
    Ok(())
}

/// The file as it is, or, where its systems do not fit as they are, on more GPUs: candidates replace their number anyway.
fn load_base(request: &Request) -> Result<Loaded, Failure> {
    let error = match load(&request.file, &request.settings) {
        Ok(loaded) => return Ok(loaded),
        Err(error) => error,
    };
    // More than a server's GPUs need a network, of whatever kind: nothing is simulated on it.
    for network in [None, Some("system.network=100 Gbit/s Ethernet")] {
        for tensor in [2, 4, 8] {
            for pipeline in [1, 2, 4, 8] {
                let sizes = [("tensor_parallel_size", tensor), ("pipeline_parallel_size", pipeline)];
                let mut settings = request.settings.clone();
                settings.extend(sizes.map(|(key, size)| format!("system.{key}={size}")));
                settings.extend(network.map(str::to_owned));
                if let Ok(loaded) = load(&request.file, &settings) {
                    return Ok(loaded);
                }
            }
        }
    }
    Err(error)
}

/// Refuses files that do not say what to plan.
fn plannable(experiment: &Experiment) -> Result<(), Problem> {
    let Some(spec) = &experiment.plan else {
        return Err(Problem::at(experiment.places.plan, "`[plan]` is missing: there is nothing to search")
            .label("expected a table `[plan]`")
            .help("[plan]\nnodes = 1\ngpus_per_node = 8"));
    };
    if let Some(search) = &spec.deployments {
        return deployable(experiment, spec, search);
    }
    let base = base_system(experiment, spec)?;
    if base.pools.len() > 1 || base.pools.iter().any(|pool| pool.role != Role::Serve) {
        return Err(Problem::at(experiment.places.plan, format!("`{}` has pools already", base.name))
            .label("plans start from a system of replicas that serve whole requests, and make the pools themselves")
            .help("name another one with plan.system"));
    }
    Ok(())
}

/// Refuses systems that the file does not have, and one price for all types of GPU.
fn deployable(experiment: &Experiment, spec: &PlanSpec, search: &DeploymentSearch) -> Result<(), Problem> {
    for name in &search.systems {
        let system = system_named(experiment, name, "deployments")?;
        let priced = system.pools.iter().any(|pool| pool.price_given);
        if priced && spec.gpus.len() > 1 && spec.prices.is_empty() {
            let message = format!("`{name}` has one `price` for {} types of GPU", spec.gpus.len());
            return Err(Problem::at(experiment.places.plan, message)
                .label("expected `prices`, one for each of `gpus`, or no `price` in the system"));
        }
        if system.pools.iter().any(|pool| pool.offload.is_some()) {
            return Err(Problem::at(experiment.places.plan, format!("`{name}` offloads attention"))
                .label("its attention workers would have to be planned too, and are not yet"));
        }
    }
    Ok(())
}

/// The system that candidates are made of.
fn base_system<'a>(experiment: &'a Experiment, spec: &PlanSpec) -> Result<&'a crate::experiment::System, Problem> {
    let Some(name) = &spec.system else { return Ok(&experiment.systems[0]) };
    system_named(experiment, name, "system")
}

/// The system of this name, which `key` asks for.
fn system_named<'a>(
    experiment: &'a Experiment,
    name: &str,
    key: &str,
) -> Result<&'a crate::experiment::System, Problem> {
    experiment.systems.iter().find(|system| system.name == name).ok_or_else(|| {
        let names: Vec<_> = experiment.systems.iter().map(|system| system.name.as_str()).collect();
        Problem::at(experiment.places.plan, format!("there is no system `{name}` to plan with"))
            .label(format!("`{key}` must be one of: {}", names.join(", ")))
    })
}
