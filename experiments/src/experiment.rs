//! An experiment, resolved: no default is open, every name has become what it names.

mod constants;
mod demand;
mod distributions;
mod engine;
mod handover;
mod kernels;
mod lengths;
mod measuring;
mod memory;
mod mix;
mod mixing;
mod offered;
mod offload;
mod plan;
mod pool;
mod prefix_cache;
mod pricing;
mod profile;
mod requests;
mod schedule;
mod scheduler;
mod servers;
mod step_cost;
mod system;
mod workload;

use std::path::Path;

use sim::Slos;

pub(crate) use constants::EngineConstants;
pub(crate) use demand::{Demand, Limit};
pub(crate) use kernels::Library as KernelLibrary;
pub(crate) use measuring::Measuring;
pub(crate) use plan::{Algorithm, DeploymentSearch, Objective, PlanSpec};
pub(crate) use pool::Pool;
pub(crate) use profile::{file_sha256, model as named_model, sha256};
pub(crate) use requests::{Requests, left_out};
pub(crate) use system::System;
pub(crate) use workload::{Origin, Workload, read as read_workload};

use crate::diagnostic::{Problem, Problems, Sources, Span};
use crate::file::document::Table;
use crate::file::keys::{self, goodput, output};
use crate::file::reader::Reader;
use crate::file::resolved::{Resolved, ResolvedValue, quoted};

/// What `servesim run` runs.
pub(crate) struct Experiment {
    /// Its name.
    pub(crate) name: String,
    /// Every system runs once under each.
    pub(crate) seeds: Vec<u64>,
    /// What counts as good service.
    pub(crate) slos: Slos,
    /// For how many requests: one demand for all limits together, or one for each.
    pub(crate) demands: Vec<Demand>,
    /// How the highest rate is searched.
    pub(crate) search: SearchLimits,
    /// Which part of each run is measured.
    pub(crate) measuring: Measuring,
    /// The requests.
    pub(crate) workload: Workload,
    /// The deployments, in the order of the file.
    pub(crate) systems: Vec<System>,
    /// Which placements are searched, if the file says.
    pub(crate) plan: Option<PlanSpec>,
    /// What is written.
    pub(crate) output: Output,
    /// What a lock file demands, if this was one.
    pub(crate) lock: Option<Lock>,
    /// Where the tables are written that messages point at.
    pub(crate) places: Places,
    /// The file with every default written out.
    pub(crate) resolved: Resolved,
}

/// Where tables are written, or the whole file where they are not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    /// `[slo]`.
    pub(crate) slo: Span,
    /// `[workload]`.
    pub(crate) workload: Span,
    /// `[plan]`.
    pub(crate) plan: Span,
}

/// Between which rates the highest one is searched, and how closely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SearchLimits {
    /// Lowest rate that is tried, in requests per second.
    pub(crate) lowest_rate: f64,
    /// Highest rate that is tried, in requests per second.
    pub(crate) highest_rate: f64,
    /// How far a rate that holds and one that fails may lie apart in the end, relative to the former.
    pub(crate) tolerance: f64,
    /// At rates at which the requests arrive sooner, more are made, in seconds.
    pub(crate) least_duration_s: f64,
    /// How many times as many requests a rate may get where noise leaves it open.
    pub(crate) most_extension: u32,
}

/// How the runs of an experiment are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// What counts as good service.
    pub(crate) slos: Slos,
    /// Which part of each run is measured.
    pub(crate) measuring: Measuring,
}

/// Which files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each file is asked for independently")]
pub(crate) struct Output {
    /// `steps.csv`.
    pub(crate) steps: bool,
    /// `power.csv`.
    pub(crate) power: bool,
    /// `trace.json.gz`.
    pub(crate) perfetto: bool,
    /// `schedule.jsonl.gz`.
    pub(crate) record_steps: bool,
    /// Tables as Parquet files.
    pub(crate) parquet: bool,
    /// Figures.
    pub(crate) figures: bool,
}

/// What a lock file remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    /// Version of servesim that wrote it.
    pub(crate) servesim: String,
    /// Digests, and where each is written.
    pub(crate) digests: Vec<(Digest, Span)>,
}

/// SHA-256 of something the results stand on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    /// What it is of.
    pub(crate) of: String,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

/// Makes an experiment of a checked tree. `path` is the file it came from; kernel tables in `library`, which other experiments
/// have read, are not read again.
///
/// # Errors
/// What makes no sense although every single value does.
pub(crate) fn resolve_with(
    root: &Table,
    path: &Path,
    span: Span,
    sources: &Sources,
    library: &KernelLibrary,
) -> Result<Experiment, Problems> {
    let mut problems = Problems::default();
    let mut reader = Reader::new(root, span, &keys::ROOT);
    let name = reader.or(&keys::NAME, || {
        let stem = path.file_stem().map_or_else(|| "experiment".to_owned(), |stem| stem.to_string_lossy().into_owned());
        stem.strip_suffix(".lock").map_or(stem.clone(), str::to_owned)
    });
    let seeds = problems.keep(seeds(&mut reader));
    let model = if reader.has(&keys::MODEL) {
        Some(profile::model(&mut reader, &keys::MODEL, sources).map_err(Problems::from)?)
    } else {
        None
    };
    let slo = problems.keep(reader.table(&keys::SLO, demand::read)).flatten();
    let workload =
        problems.keep(reader.table(&keys::WORKLOAD, |table| workload::read(table, model.as_ref(), sources))).flatten();
    let systems = reader.each(&keys::SYSTEM, |table| system::read(table, model.as_ref(), sources, library));
    let measuring = problems.keep(reader.table(&keys::MEASURE, |table| Ok(measuring::read(table)))).flatten();
    let search = problems.keep(reader.table(&keys::GOODPUT, search_limits)).flatten();
    let plan = problems.keep(reader.table(&keys::PLAN, |table| plan::read(table, sources))).flatten();
    let output = problems.keep(reader.table(&keys::OUTPUT, |table| Ok(self::output(table)))).flatten();
    let lock = problems.keep(reader.table(&keys::LOCK, lock)).flatten();
    let mut good = Vec::new();
    for system in systems {
        good.extend(problems.keep(system));
    }
    if let Some(output) = &output {
        problems.keep(one_schedule(&reader, *output, &good));
    }
    match (seeds, slo, workload, measuring.zip(search), output) {
        (Some(seeds), Some((slos, demands)), Some(workload), Some((measuring, search)), Some(output))
            if problems.is_empty() =>
        {
            let places = Places {
                slo: reader.span(&keys::SLO),
                workload: reader.span(&keys::WORKLOAD),
                plan: reader.span(&keys::PLAN),
            };
            let mut resolved = reader.finish();
            resolved.0.retain(|(key, _)| *key != keys::LOCK.name);
            Ok(Experiment {
                name,
                seeds,
                slos,
                demands,
                search,
                measuring,
                workload,
                systems: good,
                plan,
                output,
                lock,
                places,
                resolved,
            })
        }
        _ => Err(problems),
    }
}

/// Whether each system has replicas of one kind, if its steps are to be recorded.
fn one_schedule(reader: &Reader<'_>, output: Output, systems: &[System]) -> Result<(), Problem> {
    let Some(system) = systems.iter().find(|system| output.record_steps && !system.can_be_replayed()) else {
        return Ok(());
    };
    let problem = Problem::at(reader.span(&keys::OUTPUT), "`record_steps` is for systems of one kind of replica");
    let label = if system.hands_over() {
        format!("`{}` has prefill and decode replicas, and a schedule has one head", system.name)
    } else if system.groups_prefixes() {
        format!("`{}` computes prefixes that are no requests, and a schedule is of requests", system.name)
    } else {
        format!(
            "`{}` computes attention on GPUs of their own, and a schedule is of steps of one kind of GPU",
            system.name
        )
    };
    Err(problem.label(label))
}

fn seeds(reader: &mut Reader<'_>) -> Result<Vec<u64>, Problem> {
    let seeds: Vec<u64> = reader.get(&keys::SEEDS);
    for (n, seed) in seeds.iter().enumerate() {
        if seeds[..n].contains(seed) {
            let problem = reader.problem(&keys::SEEDS, format!("seed {seed} is listed twice"));
            return Err(problem.label("the same seed gives the same run again"));
        }
    }
    Ok(seeds)
}

fn search_limits(reader: &mut Reader<'_>) -> Result<SearchLimits, Problem> {
    let limits = SearchLimits {
        lowest_rate: reader.get(&goodput::LOWEST_RATE),
        highest_rate: reader.get(&goodput::HIGHEST_RATE),
        tolerance: reader.get(&goodput::TOLERANCE),
        least_duration_s: reader.get(&goodput::LEAST_DURATION),
        most_extension: reader.get(&goodput::MOST_EXTENSION),
    };
    if limits.lowest_rate >= limits.highest_rate {
        let problem =
            reader.problem(&goodput::HIGHEST_RATE, "there is nothing between the lowest and the highest rate");
        return Err(problem.label(format!("expected more than lowest_rate = {}", limits.lowest_rate)));
    }
    Ok(limits)
}

fn output(reader: &mut Reader<'_>) -> Output {
    let format: String = reader.get(&output::FORMAT);
    Output {
        steps: reader.get(&output::STEPS),
        power: reader.get(&output::POWER),
        perfetto: reader.get(&output::PERFETTO),
        record_steps: reader.get(&output::RECORD_STEPS),
        parquet: format == "parquet",
        figures: reader.get(&output::FIGURES),
    }
}

fn lock(reader: &mut Reader<'_>) -> Result<Lock, Problem> {
    let servesim = reader.get(&output::SERVESIM);
    let digests = reader.tables(&output::DIGESTS, |table| {
        let digest = Digest { of: table.get(&output::OF), sha256: table.get(&output::SHA256) };
        Ok((digest, table.span(&output::SHA256)))
    })?;
    Ok(Lock { servesim, digests })
}

impl Experiment {
    /// How its runs are measured.
    pub(crate) fn conditions(&self) -> Conditions {
        Conditions { slos: self.slos, measuring: self.measuring }
    }

    /// The lock file: the experiment with every default written out, what made it and what it stands on.
    pub(crate) fn lock_file(&self, digests: &[Digest]) -> String {
        let mut resolved = self.resolved.clone();
        resolved.0.push((keys::LOCK.name, ResolvedValue::Table(lock_table(digests))));
        let head = "# Written by servesim: the experiment with every default written out. Running this file gives the same bytes.\n\n";
        format!("{head}{}", resolved.to_toml())
    }

    /// The experiment as a file to be run, every default written out, under `head`, whose lines are comments.
    pub(crate) fn file(&self, head: &str) -> String {
        let mut resolved = self.resolved.clone();
        resolved.0.retain(|(key, _)| *key != keys::PLAN.name);
        format!("{head}\n{}", resolved.to_toml())
    }

    /// What the results stand on.
    pub(crate) fn digests(&self) -> std::io::Result<Vec<Digest>> {
        self.digests_of(self.systems.iter(), &profile::file_sha256)
    }

    /// What the results of these systems stand on; `sha256` gives the digest of a file.
    pub(crate) fn digests_of<'a>(
        &self,
        systems: impl Iterator<Item = &'a System> + Clone,
        sha256: &impl Fn(&Path) -> std::io::Result<String>,
    ) -> std::io::Result<Vec<Digest>> {
        let mut digests: Vec<Digest> = Vec::new();
        // Files first: what has changed is then named by what a user can look at.
        let mut files: Vec<_> = systems.clone().flat_map(System::files).collect();
        files.sort();
        files.dedup();
        for path in files {
            let what = if path.extension().is_some_and(|end| end == "toml") { "profile" } else { "kernel table" };
            let of = format!("{what} {}", path.display());
            digests.push(Digest { of, sha256: sha256(path)? });
        }
        for system in systems {
            for digest in system.digests() {
                if !digests.contains(&digest) {
                    digests.push(digest);
                }
            }
        }
        if let Some(path) = self.workload.file() {
            digests.push(Digest { of: format!("trace {}", path.display()), sha256: sha256(path)? });
        }
        Ok(digests)
    }
}

/// `[lock]`: what made the results, and what they stand on.
pub(crate) fn lock_table(digests: &[Digest]) -> Resolved {
    let value = |text: &str| ResolvedValue::Value(quoted(text));
    let digest = |digest: &Digest| {
        Resolved(vec![(output::OF.name, value(&digest.of)), (output::SHA256.name, value(&digest.sha256))])
    };
    Resolved(vec![
        (output::SERVESIM.name, value(env!("CARGO_PKG_VERSION"))),
        (output::DIGESTS.name, ResolvedValue::Tables(digests.iter().map(digest).collect())),
    ])
}
