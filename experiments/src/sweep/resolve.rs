//! Every point of a sweep, resolved: what has to be run, and under which address.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::grid::{self, Grid, Point};
use super::manifest::{FORMAT, Manifest};
use crate::diagnostic::{Problem, Problems, SourceId, Sources, Span};
use crate::experiment::{self, Conditions, Digest, Experiment, KernelLibrary, Lock, Measuring, System, Workload};
use crate::failure::Failure;
use crate::file::document::Table;
use crate::file::keys;
use crate::file::resolved::{Resolved, ResolvedValue};
use crate::file::{self, SWEEP};
use crate::request::Request;
use crate::run::experiment_text;

/// What is to be known of windows that are found.
const ONE_WINDOW: &str = "measure = \"auto\": at each point and seed all systems are measured over one window, from where the last of them \
                          is steady on (`measured_from_s` in summary.csv)";

/// Points that are resolved before what they share is put together.
const CHUNK: usize = 256;

/// A sweep, ready to be run.
pub(super) struct Sweep {
    /// What is kept of it.
    pub(super) manifest: Manifest,
    /// Different runs, in the order in which they first occur.
    pub(super) jobs: Vec<Job>,
    /// What the results stand on.
    pub(super) digests: Vec<Digest>,
    /// What a lock file demands, if the file is one, and where it was read.
    pub(super) lock: Option<Lock>,
    /// The texts it was read from.
    pub(super) sources: Sources,
    /// What the readers of the results have to know, each once.
    pub(super) notes: Vec<String>,
    /// What was resolved, for those who want to know all.
    pub(super) descriptions: Vec<String>,
}

/// One run.
pub(super) struct Job {
    /// Its address: a digest of everything it depends on.
    pub(super) address: String,
    /// What it runs, shared with other runs.
    pub(super) setting: Arc<Setting>,
    /// Its seed.
    pub(super) seed: u64,
}

/// A system at a point.
pub(super) struct Setting {
    /// Digest of everything about it.
    address: String,
    /// The system.
    pub(super) system: Arc<System>,
    /// Its requests; points that do not change them share them.
    pub(super) workload: Arc<Workload>,
    /// How runs are measured.
    pub(super) conditions: Conditions,
    /// All systems at the point with their addresses, if they are measured over one window that has to be found; none otherwise.
    pub(super) beside: Vec<(String, Arc<System>)>,
    /// Whether it is measured so that intervals can be had from its run alone: where there is one seed.
    pub(super) intervals: bool,
}

/// Reads a file with a `[sweep]`, and resolves every point of it.
///
/// # Errors
/// Everything that is wrong at any point, with the first point at which it is.
pub(super) fn resolve(request: &Request) -> Result<Sweep, Failure> {
    let mut sources = Sources::default();
    let text = experiment_text(&request.file)?;
    let base = request.file.parent().unwrap_or(Path::new(""));
    let source = sources.add(request.file.display().to_string(), text, base);
    let whole = Span { source, start: 0, end: 0 };
    let read = file::read_unchecked(source, &request.settings, &mut sources).and_then(|root| {
        let root = file::with_absolute_paths(&root, &sources);
        grid::read(&root, whole).map(|grid| (root, grid))
    });
    let (root, grid) = match read {
        Ok(read) => read,
        Err(problems) => return Err(Failure::input(problems, sources)),
    };
    let reading = Reading {
        root: &root,
        path: &request.file,
        source,
        sources: &sources,
        library: KernelLibrary::default(),
        files: FileDigests::default(),
    };
    let mut shared = Shared::default();
    let mut faults = Faults::default();
    for points in grid.points.chunks(CHUNK) {
        let resolved: Vec<_> = points.par_iter().map(|point| reading.point(point, &grid)).collect();
        for (point, resolved) in points.iter().zip(resolved) {
            match resolved {
                Ok(Ok(resolved)) => shared.add(resolved),
                Ok(Err(problems)) => faults.add(point, problems),
                Err(error) => {
                    return Err(Failure::Request(format!("cannot read what the experiment stands on: {error}")));
                }
            }
        }
    }
    if let Some(problems) = faults.problems(grid.points.len()) {
        return Err(Failure::input(problems, sources));
    }
    let digests = shared.digests();
    let manifest = manifest(&root, &grid, &shared, &digests);
    let Shared { jobs, lock, notes, descriptions, .. } = shared;
    Ok(Sweep { manifest, jobs, digests, lock, sources, notes, descriptions })
}

fn manifest(root: &Table, grid: &Grid, shared: &Shared, digests: &[Digest]) -> Manifest {
    let mut written = root.clone();
    written.entries.retain(|entry| entry.key != keys::LOCK.name);
    let lock = Resolved(vec![(keys::LOCK.name, ResolvedValue::Table(experiment::lock_table(digests)))]);
    let head = "# Written by servesim: the sweep as it was asked for, and what its results stand on. Sweeping this file gives the \
                same bytes.\n\n";
    let (name, parquet) = shared.named.clone().expect("a sweep has a point");
    Manifest {
        format: FORMAT,
        servesim: env!("CARGO_PKG_VERSION").to_owned(),
        build: String::new(),
        name,
        parquet,
        keys: grid.points[0].label.iter().map(|(key, _)| key.clone()).collect(),
        points: grid.points.iter().map(|point| point.label.iter().map(|(_, value)| value.clone()).collect()).collect(),
        systems: grid.systems.clone(),
        seeds: shared.seeds.clone(),
        runs: shared.rows.clone(),
        experiment: format!("{head}{}{}", written.to_toml(), lock.to_toml()),
    }
}

/// What all points are read from.
struct Reading<'a> {
    root: &'a Table,
    path: &'a Path,
    source: SourceId,
    sources: &'a Sources,
    library: KernelLibrary,
    files: FileDigests,
}

/// A point, resolved.
struct Resolution {
    experiment: Experiment,
    /// Of each system: digest of everything about it at this point.
    addresses: Vec<String>,
    digests: Vec<Digest>,
}

impl Reading<'_> {
    /// The outer error is a file that could be read and now cannot.
    fn point(&self, point: &Point, grid: &Grid) -> std::io::Result<Result<Resolution, Problems>> {
        let whole = Span { source: self.source, start: 0, end: 0 };
        let read = file::at_point(self.root, &point.laid, self.source, self.sources).and_then(|tree| {
            let experiment = experiment::resolve_with(&tree, self.path, whole, self.sources, &self.library)?;
            self.sweepable(&experiment, whole, grid)?;
            Ok(experiment)
        });
        let experiment = match read {
            Ok(experiment) => experiment,
            Err(problems) => return Ok(Err(problems)),
        };
        let sha256 = |path: &Path| self.files.sha256(path);
        let (common, systems) = parts(&experiment.resolved);
        let (mut addresses, mut digests) = (Vec::new(), Vec::new());
        for (system, resolved) in experiment.systems.iter().zip(&systems) {
            let mut all = format!("servesim {}\n{common}\n{resolved}\n", env!("CARGO_PKG_VERSION"));
            for digest in experiment.digests_of(std::iter::once(system), &sha256)? {
                let _ = writeln!(all, "{} {}", digest.sha256, digest.of);
                digests.push(digest);
            }
            addresses.push(experiment::sha256(&all));
        }
        Ok(Ok(Resolution { experiment, addresses, digests }))
    }

    /// Refuses what a sweep would have to ignore.
    fn sweepable(&self, experiment: &Experiment, whole: Span, grid: &Grid) -> Result<(), Problem> {
        assert!(
            experiment.systems.iter().map(|system| &system.name).eq(&grid.systems),
            "no point changes the names of systems"
        );
        let output = experiment.output;
        let asked = [
            (output.steps, "steps"),
            (output.power, "power"),
            (output.perfetto, "perfetto"),
            (output.record_steps, "record_steps"),
        ];
        let Some((_, key)) = asked.into_iter().find(|(asked, _)| *asked) else { return Ok(()) };
        let span = self.root.get(keys::OUTPUT.name).map_or(whole, |node| node.span);
        Err(Problem::at(span, format!("a sweep does not write what `output.{key}` asks for"))
            .label("it keeps the measures of every run, and nothing of single requests or steps")
            .help(format!("--set output.{key}=false; `servesim run` writes it for a single point")))
    }
}

/// What a resolved experiment says of all its systems, as far as runs depend on it, and what it says of each.
fn parts(resolved: &Resolved) -> (String, Vec<String>) {
    let no_matter =
        [&keys::NAME, &keys::SEEDS, &keys::SYSTEM, &keys::OUTPUT, &keys::GOODPUT, &keys::PLAN].map(|key| key.name);
    let common: Vec<_> = resolved.0.iter().filter(|(key, _)| !no_matter.contains(key)).cloned().collect();
    let systems = resolved.0.iter().find(|(key, _)| *key == keys::SYSTEM.name);
    let Some((_, ResolvedValue::Tables(systems))) = systems else { unreachable!("an experiment has systems") };
    (Resolved(common).to_toml(), systems.iter().map(Resolved::to_toml).collect())
}

/// Digests of files, each read once however many points stand on it.
#[derive(Default)]
struct FileDigests(Mutex<BTreeMap<PathBuf, String>>);

impl FileDigests {
    fn sha256(&self, path: &Path) -> std::io::Result<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = known.get(path) {
            return Ok(digest.clone());
        }
        let digest = experiment::file_sha256(path)?;
        known.insert(path.to_owned(), digest.clone());
        Ok(digest)
    }
}

/// What points come to together: each thing once.
#[derive(Default)]
struct Shared {
    /// Name of the experiment, and whether its tables are Parquet files.
    named: Option<(String, bool)>,
    seeds: Vec<u64>,
    lock: Option<Lock>,
    settings: BTreeMap<String, Arc<Setting>>,
    /// By what the file says of them.
    workloads: BTreeMap<String, Arc<Workload>>,
    jobs: Vec<Job>,
    /// Addresses, point × system × seed.
    rows: Vec<String>,
    notes: Vec<String>,
    descriptions: Vec<String>,
    /// By what they are of, in the order in which they first occur.
    digests: Vec<(String, Vec<String>)>,
}

impl Shared {
    fn add(&mut self, resolution: Resolution) {
        let Resolution { experiment, addresses, digests } = resolution;
        for digest in digests {
            match self.digests.iter_mut().find(|(of, _)| *of == digest.of) {
                Some((_, known)) if known.contains(&digest.sha256) => {}
                Some((_, known)) => known.push(digest.sha256),
                None => self.digests.push((digest.of, vec![digest.sha256])),
            }
        }
        let said = experiment.resolved.0.iter().find(|(key, _)| *key == keys::WORKLOAD.name);
        let said = said.map(|said| Resolved(vec![said.clone()]).to_toml()).unwrap_or_default();
        let conditions = experiment.conditions();
        let Experiment { name, seeds, systems, workload, output, lock, .. } = experiment;
        self.named.get_or_insert((name, output.parquet));
        self.lock = self.lock.take().or(lock);
        let workload = self.workloads.entry(said).or_insert_with(|| {
            self.notes.extend(workload.notes());
            Arc::new(workload)
        });
        let systems: Vec<Arc<System>> = systems.into_iter().map(Arc::new).collect();
        let mut beside = Vec::new();
        if conditions.measuring == Measuring::Auto {
            self.notes.push(ONE_WINDOW.to_owned());
            beside = addresses.iter().cloned().zip(systems.iter().cloned()).collect();
        }
        let all = addresses.join(" ");
        for (system, address) in systems.into_iter().zip(addresses) {
            // A run whose window is that of all is another one where they are others.
            let address =
                if beside.is_empty() { address } else { experiment::sha256(&format!("{address} beside {all}")) };
            let setting = if let Some(known) = self.settings.get(&address) {
                Arc::clone(known)
            } else {
                self.notes.extend(system.notes());
                self.descriptions.push(system.describe());
                let workload = Arc::clone(workload);
                let (beside, intervals) = (beside.clone(), seeds.len() == 1);
                let setting =
                    Arc::new(Setting { address: address.clone(), system, workload, conditions, beside, intervals });
                self.jobs.extend(seeds.iter().map(|&seed| Job::new(&setting, seed)));
                self.settings.insert(address, Arc::clone(&setting));
                setting
            };
            self.rows.extend(seeds.iter().map(|&seed| Job::address(&setting, seed)));
        }
        self.seeds = seeds;
    }

    /// One digest of each thing. Of what differs between points, such as the step costs of a system that is swept, it is the
    /// digest of all its digests.
    fn digests(&mut self) -> Vec<Digest> {
        let one = |(of, all): &(String, Vec<String>)| {
            let sha256 = if let [only] = all.as_slice() { only.clone() } else { experiment::sha256(&all.concat()) };
            Digest { of: of.clone(), sha256 }
        };
        let mut seen = std::collections::BTreeSet::new();
        for said in [&mut self.notes, &mut self.descriptions] {
            said.retain(|line| seen.insert(line.clone()));
        }
        self.digests.iter().map(one).collect()
    }
}

impl Job {
    fn new(setting: &Arc<Setting>, seed: u64) -> Self {
        Job { address: Job::address(setting, seed), setting: Arc::clone(setting), seed }
    }

    /// The first 128 bits of a digest of what the run depends on.
    fn address(setting: &Setting, seed: u64) -> String {
        let mut digest = experiment::sha256(&format!("{} {seed}", setting.address));
        digest.truncate(32);
        digest
    }
}

/// What is wrong, each thing once, with the first point at which it is and at how many.
#[derive(Default)]
struct Faults(Vec<(Problem, String, usize)>);

impl Faults {
    fn add(&mut self, point: &Point, problems: Problems) {
        for problem in problems.into_each() {
            match self.0.iter_mut().find(|(known, ..)| *known == problem) {
                Some((.., points)) => *points += 1,
                None => self.0.push((problem, point.shown(), 1)),
            }
        }
    }

    fn problems(self, of: usize) -> Option<Problems> {
        let mut problems = Problems::default();
        for (problem, first, points) in self.0 {
            problems.push(match points {
                // The file is wrong, not the point.
                points if points == of && of > 1 => problem,
                1 => problem.help(format!("at the point {first} of `[{SWEEP}]`; nothing was run")),
                _ => problem
                    .help(format!("at {points} of {of} points of `[{SWEEP}]`, the first {first}; nothing was run")),
            });
        }
        (!problems.is_empty()).then_some(problems)
    }
}
