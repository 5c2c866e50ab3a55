//! `servesim validate`: measured runs simulated, and the errors of it.

mod case;
mod engine;
mod error;
mod experiment;
mod figure;
mod figures;
mod folder;
mod import;
mod kernel_tables;
mod load;
mod meta;
mod names;
mod page;
mod place;
mod requests;
mod routing;
mod rows;
mod score;
mod series;
mod show;
mod simulate;
mod sources;
mod system;
mod tables;
mod vary;
mod write;

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;

use crate::experiment::{KernelLibrary, System};
use crate::failure::Failure;
use crate::terminal::{self, Terminal};
use case::Case;
use error::{NotScored, Rejections};
use kernel_tables::KernelTables;
use place::Place;
use score::Compared;
use simulate::Simulated;

pub(crate) use import::{ImportFormat, ImportRequest, import};

/// What `validate` was asked for.
#[derive(Clone, Debug)]
pub(crate) struct ValidateRequest {
    /// Folders of cases, or folders of such.
    pub(crate) cases: Vec<PathBuf>,
    /// Where results go; `None`: only to the terminal.
    pub(crate) directory: Option<PathBuf>,
    /// Whether what an earlier validation left there is replaced.
    pub(crate) force: bool,
    /// Kernel tables, of any devices.
    pub(crate) kernel_tables: Vec<PathBuf>,
    /// Values laid over the experiment of every case.
    pub(crate) settings: Vec<String>,
    /// Values to choose from, `KEY=V1,V2,…`: they are cross-validated by model.
    pub(crate) vary: Vec<String>,
    /// Cases at a time; `None`: one per processor.
    pub(crate) jobs: Option<usize>,
    /// Whether figures are drawn into the folder of results.
    pub(crate) figures: bool,
    /// Whether the errors are printed as JSON.
    pub(crate) json: bool,
}

/// A case that was simulated.
pub(crate) struct Scored {
    case: Case,
    simulated: Simulated,
    compared: Vec<Compared>,
    /// In sentences: of the data, and of the simulation.
    assumptions: Vec<String>,
}

/// What became of a case.
pub(crate) struct Verdict {
    name: String,
    /// What everybody has to know who reads its figures, in sentences.
    remarks: Vec<String>,
    result: Result<Scored, NotScored>,
}

impl Verdict {
    /// What the simulated engine rejected though the real one served it; `None` if it was not simulated.
    fn rejections(&self) -> Option<Rejections> {
        match &self.result {
            Ok(scored) => Some(scored.simulated.rejections),
            Err(NotScored::Rejected { rejections }) => Some(*rejections),
            Err(_) => None,
        }
    }
}

/// Simulates the cases, and prints and writes their errors.
pub(crate) fn run(request: &ValidateRequest, terminal: Terminal) -> Result<(), Failure> {
    let loaded = load::load(&request.cases, terminal)?;
    let tables = KernelTables::read(&request.kernel_tables)?;
    tables.check_use(loaded.iter().filter_map(|loaded| Some(loaded.case.as_ref().ok()?.gpu.as_str())), terminal)?;
    show::unread_columns(&loaded, terminal);
    let place =
        Place::new(request.directory.as_deref(), loaded.iter().map(|loaded| loaded.name.as_str()), request.force)?;
    if !request.vary.is_empty() {
        return vary::run(request, &loaded, &tables, &place, terminal);
    }
    let library = KernelLibrary::default();
    let verdicts = simulate_all(request, &loaded, &request.settings, (&tables, &place, &library), terminal)?;
    let files = match &request.directory {
        Some(directory) => write::all(directory, &verdicts, request.figures)?,
        None => Vec::new(),
    };
    show::remarks(&verdicts, terminal);
    show::all(&verdicts, &files, request.json, terminal);
    if verdicts.iter().all(|verdict| verdict.result.is_err()) {
        return Err(Failure::Request("no case could be scored".to_owned()));
    }
    Ok(())
}

/// What the cases are simulated with and in.
type Surroundings<'a> = (&'a KernelTables, &'a Place, &'a KernelLibrary);

/// Simulates all cases under some settings, in the order of the cases.
fn simulate_all(
    request: &ValidateRequest,
    loaded: &[load::Loaded],
    settings: &[String],
    surroundings: Surroundings<'_>,
    terminal: Terminal,
) -> Result<Vec<Verdict>, Failure> {
    let bar = progress(loaded.len(), terminal);
    let one = |loaded: &load::Loaded| {
        let mut remarks = Vec::new();
        let result = loaded.case.clone().and_then(|case| score(case, settings, surroundings, &mut remarks));
        bar.inc(1);
        Verdict { name: loaded.name.clone(), remarks, result }
    };
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = request.jobs.unwrap_or_else(processors);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let pool = pool.map_err(|error| Failure::Run(format!("cannot start {jobs} threads: {error}")))?;
    let verdicts = pool.install(|| loaded.par_iter().map(one).collect());
    bar.finish_and_clear();
    Ok(verdicts)
}

fn score(
    mut case: Case,
    settings: &[String],
    surroundings: Surroundings<'_>,
    remarks: &mut Vec<String>,
) -> Result<Scored, NotScored> {
    let (tables, place, library) = surroundings;
    let own_tables = tables.of(&case.gpu);
    if own_tables.is_empty() && !tables.is_empty() {
        case.assumptions.push(format!("none of the kernel tables is of {}: fitted curves alone", case.gpu));
    }
    let folder = place.of(&case.name);
    let experiment = experiment::make(&case, &own_tables, settings, &folder, library)?;
    remarks.extend(experiment.workload.notes());
    remarks.extend(experiment.systems.iter().flat_map(System::notes));
    let simulated = simulate::run(&case, &experiment)?;
    let rejections = simulated.rejections;
    if rejections.are_too_many() {
        return Err(NotScored::Rejected { rejections });
    }
    let mut compared = Vec::new();
    let mut assumptions = case.assumptions.clone();
    if rejections.count() > 0 {
        remarks.push(format!("warning: {}: {rejections}: only the others are scored", case.name));
        assumptions.push(format!("{rejections}: only the others are scored"));
    }
    for part in &case.parts {
        let pairs = score::pair(&part.measured, &simulated.figures(&case, part));
        let series = series::compare(&case.series, &simulated.series);
        compared.extend(pairs.into_iter().chain(series).map(|(measured, simulated)| Compared {
            case: case.name.clone(),
            part: part.name.clone(),
            group: part.group.clone(),
            metric: measured.metric,
            statistic: measured.statistic,
            measured: measured.value,
            simulated: simulated.value,
        }));
    }
    if compared.is_empty() {
        return Err(NotScored::Nothing("no figure is both measured and simulated".to_owned()));
    }
    place.clear(&case.name);
    Ok(Scored { case, simulated, compared, assumptions })
}

fn progress(cases: usize, terminal: Terminal) -> ProgressBar {
    let target = if terminal.shows_progress() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} cases, {elapsed}").expect("the template is right");
    ProgressBar::with_draw_target(Some(cases as u64), target).with_style(style)
}

/// Prints a table whose columns but the first are numbers.
fn print_table(table: comfy_table::Table) {
    terminal::print_line(&crate::cli::right_aligned(table).to_string());
}
