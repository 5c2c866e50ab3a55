//! `servesim report`: results as one HTML page.
//!
//! The page is a script, a style sheet (`page/`) and the results as JSON, in one file that needs no network. What goes into
//! it is gathered here: tables whole, requests and steps in packed columns up to a limit that the page tells.

mod distributions;
mod document;
mod evidence;
mod figures;
mod packed;
mod palette;
mod participation;
mod plan;
mod requests;
mod runs;
mod settings;
mod steps;
mod tables;
mod warnings;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;
use crate::output::OutputError;
use crate::results::{Kind, Results, ResultsError};
use crate::run::LOCK_FILE;
use crate::terminal::{self, Terminal, short};
use runs::RunsData;
use settings::{Lock, Settings, SystemWords};

/// What the page is to be made of, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct ReportRequest {
    /// The folder of results.
    pub(crate) directory: PathBuf,
    /// The file; `None`: `report.html` in the folder.
    pub(crate) file: Option<PathBuf>,
    /// Most requests in the page.
    pub(crate) requests: usize,
    /// Most steps in the page.
    pub(crate) steps: usize,
}

/// All that the page's script is given.
#[derive(Serialize)]
struct PageData {
    title: String,
    kind: &'static str,
    /// By what and of what the page was made.
    made: String,
    facts: Vec<(String, String)>,
    warnings: Vec<String>,
    systems: Vec<SystemWords>,
    settings: Settings,
    #[serde(flatten)]
    runs: RunsData,
    evidence: Option<evidence::Evidence>,
    cdfs: Vec<distributions::Cdf>,
    cdf_note: String,
    tables: Vec<tables::PlainTable>,
    figures: Vec<figures::Figure>,
    requests: requests::Requests,
    statuses: Vec<String>,
    steps: steps::Steps,
    participation: participation::Participation,
    plan: Option<plan::Plan>,
    lock: Option<String>,
}

/// Makes the page and writes it.
pub(crate) fn run(request: &ReportRequest, terminal: Terminal) -> Result<(), Failure> {
    let results = Results::open(&request.directory).map_err(|error| wrong(&error))?;
    let data = gather(&results, request)?;
    let page = document::page(&data.title, &data);
    let file = request.file.clone().unwrap_or_else(|| request.directory.join("report.html"));
    write(&file, page.as_bytes()).map_err(|error| Failure::while_writing(&error))?;
    for warning in &data.warnings {
        terminal.note(&format!("warning: {warning}"));
    }
    for note in [&data.requests.note, &data.steps.note].into_iter().filter(|note| !note.is_empty()) {
        terminal.note(note);
    }
    if terminal.talks() {
        terminal::print_line(&format!("Wrote {} ({:.1} MB)", short(&file), page.len() as f64 / 1e6));
    }
    Ok(())
}

fn gather(results: &Results, request: &ReportRequest) -> Result<PageData, Failure> {
    let read = |error: ResultsError| wrong(&error);
    let lock = read_lock(results.directory())?;
    let (runs, summary) = RunsData::read(results).map_err(read)?;
    let names = runs.system_names.clone();
    let systems = match &lock {
        Some(lock) => names.iter().map(|name| lock.words(name)).collect(),
        None => names.iter().map(|name| SystemWords::unknown(name)).collect(),
    };
    let evidence =
        summary.as_ref().map(|summary| evidence::Evidence::read(summary, &runs)).transpose().map_err(read)?;
    let is_run = results.kind() == Kind::Run;
    let table = if is_run { requests::table(results).map_err(read)? } else { None };
    let objective = |name: &str| lock.as_ref().and_then(|lock| lock.objective_s(name));
    let gaps = results.path("gaps").filter(|_| is_run).map(|_| results.table("gaps")).transpose().map_err(read)?;
    let cdfs = table
        .as_ref()
        .map(|table| distributions::of(table, gaps.as_ref(), &names, objective))
        .transpose()
        .map_err(read)?;
    let statuses = table.as_ref().map(|table| table.words("status")).transpose().map_err(read)?;
    let warnings = warnings::all(results, lock.as_ref(), &runs, summary.as_ref(), evidence.as_ref()).map_err(read)?;
    let name = lock.as_ref().and_then(Lock::name);
    let requests = if is_run {
        requests::Requests::pack(table.as_ref(), &names, request.requests).map_err(read)?
    } else {
        requests::Requests::default()
    };
    let participation = if is_run {
        let is_shown = |system: usize, seed: &str| requests.has(system, seed);
        participation::Participation::read(results.directory(), &names, is_shown)
            .map_err(|error| Failure::Request(error.to_string()))?
    } else {
        participation::Participation::default()
    };
    Ok(PageData {
        title: name.map_or_else(|| folder_name(results.directory()), str::to_owned),
        kind: results.kind().name(),
        made: format!(
            "servesim {} report of {}, written by servesim {} {}",
            env!("CARGO_PKG_VERSION"),
            folder_name(results.directory()),
            results.kind().name(),
            lock.as_ref().and_then(Lock::version).unwrap_or("of an unknown version"),
        ),
        facts: lock.as_ref().map(Lock::facts).unwrap_or_default(),
        warnings,
        settings: lock.as_ref().map(|lock| lock.settings(&names)).unwrap_or_default(),
        systems,
        evidence: evidence.filter(evidence::Evidence::is_known),
        cdfs: cdfs.unwrap_or_default(),
        cdf_note: distributions::NOTE.to_owned(),
        tables: tables::all(results).map_err(read)?,
        figures: figures::all(results.directory()).map_err(read)?,
        requests,
        participation,
        plan: plan::Plan::read(results).map_err(read)?,
        statuses: statuses.map(|words| words.names().to_vec()).unwrap_or_default(),
        steps: if is_run {
            steps::Steps::read(results, &names, request.steps).map_err(read)?
        } else {
            steps::Steps::default()
        },
        lock: lock.map(|lock| lock.text),
        runs,
    })
}

fn wrong(error: &ResultsError) -> Failure {
    Failure::Request(error.to_string())
}

/// The lock file of a folder, if it has one.
fn read_lock(directory: &Path) -> Result<Option<Lock>, Failure> {
    let path = directory.join(LOCK_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::Request(format!("cannot read {}: {error}", path.display())))?;
    Lock::read(text).map(Some).map_err(|error| Failure::Request(format!("{}: {error}", path.display())))
}

fn folder_name(directory: &Path) -> String {
    let absolute = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    absolute.file_name().map_or_else(|| "results".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Writes the whole file, or leaves what was there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let part = crate::output::part_path(path);
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).map_err(OutputError::write(path))
}
