//! `servesim cache`: prefix caches that see the same requests, one after the other, with nothing served in between.

mod files;
mod measures;
mod page;

mod replay;
mod show;
mod study;

use std::path::PathBuf;

pub(crate) use files::hit_rate_figure;
pub(crate) use measures::{CacheMeasure, CacheSummary};
pub(crate) use page::reference;
pub(crate) use replay::{Job, Requests};
pub(crate) use study::{Cache, CacheStudy, is_study, load};

use crate::failure::Failure;
use crate::terminal::{self, Terminal, short};

/// What `cache` was asked for.
#[derive(Clone, Debug)]
pub(crate) struct CacheRequest {
    /// The study.
    pub(crate) file: PathBuf,
    /// Values laid over it.
    pub(crate) settings: Vec<String>,
    /// Where results go; `None`: `results/` and the name of the file.
    pub(crate) directory: Option<PathBuf>,
    /// Whether results that are there are replaced.
    pub(crate) force: bool,
    /// Replays at a time; `None`: one per processor.
    pub(crate) jobs: Option<usize>,
    /// Whether the results are printed as JSON.
    pub(crate) json: bool,
}

/// What one cache came to at one capacity under one seed.
pub(crate) struct CacheRun<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) capacity: u64,
    pub(crate) seed: u64,
    pub(crate) summary: CacheSummary,
}

/// Replays every cache of a study at every capacity under every seed, and writes the results.
pub(crate) fn run(request: &CacheRequest, terminal: Terminal) -> Result<(), Failure> {
    let study = load(&request.file, &request.settings)?;
    let stem = request.file.file_stem().unwrap_or_default();
    let directory = request.directory.clone().unwrap_or_else(|| PathBuf::from("results").join(stem));
    files::claim(&directory, request.force)?;
    for note in study.workload.notes() {
        terminal.note(&note);
    }
    let runs = replay::all(&study, request.jobs, terminal)?;
    let paths = files::write(&directory, &study, &runs)?;
    if request.json {
        terminal::print_line(&show::to_json(&runs).to_string());
    } else if terminal.talks() {
        show::table(&study, &runs, terminal);
        for path in &paths {
            terminal::print_line(&format!("wrote {}", short(path)));
        }
    }
    Ok(())
}
