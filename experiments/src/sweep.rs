//! `servesim sweep` and `servesim merge`: every system under every seed at every point of `[sweep]`, on one machine or many.
//!
//! A sweep is a flat list of runs, each with an address, a digest of all that it depends on. What is the same run at several
//! points is run once. Results are kept one by one as they come (`store`), in a file for each part of the sweep, and the
//! tables are made of what is kept when every run is there (`collect`, `finish`): so they are the same bytes however often
//! the sweep was interrupted and on however many machines it ran.

mod collect;
mod finish;
mod grid;
mod launch;
mod manifest;
mod progress;
mod resolve;
mod shard;
mod slurm;
mod store;
mod trials;
mod work;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::failure::Failure;
use crate::goodput::in_parallel;
use crate::output::{OutputError, SWEEP_TABLES, claim, part_path};
use crate::plot::drawn;
use crate::request::Request;
use crate::run::{LOCK_FILE, check_digests};
use crate::terminal::{self, Terminal, short};
use collect::{Collected, collect};
pub(crate) use launch::Launch;
use manifest::{MANIFEST, Manifest, build_digest};
use progress::Progress;
use resolve::{Job, Sweep, resolve};
pub(crate) use shard::Shard;
use store::Store;

/// What `servesim sweep` was asked for.
#[derive(Clone, Debug)]
pub(crate) struct SweepRequest {
    /// As of every command that simulates.
    pub(crate) request: Request,
    /// Whether a sweep that was begun goes on.
    pub(crate) resume: bool,
    /// Which part of it this process runs.
    pub(crate) shard: Shard,
    /// Whether other machines run it.
    pub(crate) launch: Option<Launch>,
}

/// Runs a sweep, or a part of it, or has it run.
pub(crate) fn run(asked: &SweepRequest, terminal: Terminal) -> Result<(), Failure> {
    let request = &asked.request;
    let mut sweep = in_parallel(request.jobs, || resolve(request))??;
    if let Some(lock) = &sweep.lock
        && let Err(problem) = check_digests(lock, &sweep.digests, terminal)
    {
        return Err(Failure::input(problem, sweep.sources));
    }
    sweep.manifest.build = build_digest()
        .map_err(|error| Failure::Request(format!("cannot read the program itself, to tell its build: {error}")))?;
    let directory = request.directory("-sweep");
    begin(&directory, &sweep.manifest, asked)?;
    sweep.descriptions.iter().for_each(|line| terminal.detail(line));
    sweep.notes.iter().for_each(|note| terminal.note(note));
    if let Some(launch) = &asked.launch {
        return slurm::submit(&directory, request, &sweep.manifest, launch, terminal);
    }
    let ran = part(&directory, &sweep, asked, terminal)?;
    let collected = collected(&sweep.manifest, &[&directory])?;
    if asked.shard != Shard::WHOLE {
        return finish::part(&directory, asked.shard, &ran, &collected, terminal);
    }
    finish::tables(&directory, &sweep.manifest, &collected, request.json, terminal)
}

/// Makes the tables of a sweep that ran in parts, in these folders.
pub(crate) fn merge(
    directories: &[PathBuf],
    output: Option<&Path>,
    force: bool,
    json: bool,
    terminal: Terminal,
) -> Result<(), Failure> {
    let (first, rest) = directories.split_first().expect("the command line demands a folder");
    let manifest = manifest_of(first)?;
    for other in rest {
        if let Some(what) = manifest.difference(&manifest_of(other)?) {
            let (first, other) = (first.display(), other.display());
            return Err(Failure::Request(format!(
                "{first} and {other} are of different sweeps: they differ in {what}"
            )));
        }
    }
    let target = match output {
        Some(output) => output,
        None if rest.is_empty() => first,
        None => return Err(Failure::Request("say with -o into which folder several are merged".to_owned())),
    };
    let directories: Vec<&Path> = directories.iter().map(PathBuf::as_path).collect();
    let collected = collected(&manifest, &directories)?;
    if let Err(error) = collected.rows(&manifest) {
        return Err(Failure::Run(error.to_string()));
    }
    if !directories.iter().any(|directory| is_same(directory, target)) {
        refuse_another(target, &manifest, force)?;
        refuse_tables(target, force).map_err(|error| Failure::before_run(&error))?;
        manifest.write(target).map_err(|error| Failure::Run(error.to_string()))?;
    }
    finish::tables(target, &manifest, &collected, json, terminal)
}

/// Whether two paths name the same folder or file, however they are written.
fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| std::fs::canonicalize(path).ok();
    one == other || whole(one).is_some_and(|one| whole(other) == Some(one))
}

/// Refuses to merge into a folder that holds another sweep, whose `sweep.json` and runs would stand beside these tables;
/// with `force` takes that sweep away.
fn refuse_another(target: &Path, manifest: &Manifest, force: bool) -> Result<(), Failure> {
    let what = match Manifest::read(target) {
        Ok(held) => held.and_then(|held| manifest.difference(&held)),
        Err(_) if force => Some("all"),
        Err(error) => return Err(Failure::Request(error.to_string())),
    };
    match what {
        None => Ok(()),
        Some(_) if force => clear(target, None).map_err(|error| Failure::before_run(&error)),
        Some(what) => Err(Failure::Request(format!(
            "{} holds another sweep, which differs in {what}; merge elsewhere with -o, or replace it with --force",
            target.display()
        ))),
    }
}

fn manifest_of(directory: &Path) -> Result<Manifest, Failure> {
    let missing = || Failure::Request(format!("{} holds no sweep: there is no {MANIFEST} in it", directory.display()));
    Manifest::read(directory).map_err(|error| Failure::Request(error.to_string()))?.ok_or_else(missing)
}

fn collected(manifest: &Manifest, directories: &[&Path]) -> Result<Collected, Failure> {
    collect(manifest, directories).map_err(|error| Failure::Run(error.to_string()))
}

/// Makes the folder of a sweep, or finds that it holds this one and that it is to go on.
fn begin(directory: &Path, manifest: &Manifest, asked: &SweepRequest) -> Result<(), Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::Request(error.to_string());
    let shown = directory.display();
    let force = asked.request.force;
    if force {
        if asked.shard != Shard::WHOLE {
            return Err(Failure::Request("--force would take away what other parts have done".to_owned()));
        }
        clear(directory, Some(&asked.request.file)).map_err(|error| Failure::before_run(&error))?;
    }
    if Manifest::read(directory).map_err(|error| refused(&error))?.is_none() {
        refuse_tables(directory, force).map_err(|error| Failure::before_run(&error))?;
        manifest.write(directory).map_err(|error| refused(&error))?;
    }
    // Read in any case: another part may have been first.
    if let Some(what) = manifest.difference(&manifest_of(directory)?) {
        return Err(Failure::Request(format!(
            "{shown} holds another sweep, which differs in {what}; write elsewhere with -o, or replace it with --force"
        )));
    }
    let mut files = store::files(directory).map_err(|error| refused(&error))?;
    if asked.shard != Shard::WHOLE {
        files.retain(|path| *path == store::path_of(directory, asked.shard));
    }
    if !asked.resume && !files.is_empty() {
        let done = collected(manifest, &[directory])?.successes();
        return Err(Failure::Request(format!(
            "{shown} holds this sweep already, with {done} runs done; go on with --resume, or replace it with --force"
        )));
    }
    let runs = directory.join(store::RUNS);
    std::fs::create_dir_all(&runs)
        .map_err(|source| Failure::before_run(&OutputError::Directory { directory: runs, source }))
}

/// Refuses a folder that holds tables of something else.
fn refuse_tables(directory: &Path, force: bool) -> Result<(), OutputError> {
    let names = names_of_tables();
    claim(directory, &names.iter().map(String::as_str).collect::<Vec<_>>(), force)
}

/// What the end of a sweep writes: tables in either format, and the lock file.
fn names_of_tables() -> Vec<String> {
    let both = SWEEP_TABLES.iter().flat_map(|name| [(*name).to_owned(), name.replace(".csv", ".parquet")]);
    both.chain([LOCK_FILE.to_owned()]).collect()
}

/// Takes an earlier sweep away, with its tables and figures: if the next is interrupted, they would pass for its own. What
/// was asked to be swept stays, which may be the lock file itself.
fn clear(directory: &Path, swept: Option<&Path>) -> Result<(), OutputError> {
    let mut paths: Vec<PathBuf> = names_of_tables().iter().map(|name| directory.join(name)).collect();
    paths.retain(|path| swept.is_none_or(|swept| !is_same(path, swept)));
    let figures = directory.join("figures");
    paths.extend(drawn(directory));
    paths.extend(store::files(directory).unwrap_or_default());
    paths.extend([directory.join(MANIFEST), part_path(&directory.join(MANIFEST))]);
    for path in paths {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(OutputError::write(&path)(error)),
            _ => {}
        }
    }
    // Unless somebody keeps other files there.
    let _ = std::fs::remove_dir(&figures);
    Ok(())
}

/// Runs what is left of a part. Returns the addresses of the whole part.
fn part<'a>(
    directory: &Path,
    sweep: &'a Sweep,
    asked: &SweepRequest,
    terminal: Terminal,
) -> Result<Vec<&'a str>, Failure> {
    let failed = |error: store::StoreError| Failure::Run(error.to_string());
    let store = Store::open(directory, asked.shard).map_err(failed)?;
    let before = collected(&sweep.manifest, &[directory])?;
    let of_part = sweep.jobs.iter().enumerate().filter(|(place, _)| asked.shard.has(*place)).map(|(_, job)| job);
    let all: Vec<&Job> = of_part.collect();
    let left: Vec<&Job> = all.iter().copied().filter(|job| !before.has(&job.address)).collect();
    let mut begins = sweep.manifest.size(sweep.jobs.len());
    if asked.shard != Shard::WHOLE {
        let _ = write!(begins, "; part {}: {}", asked.shard, all.len());
    }
    if left.len() < all.len() {
        let _ = write!(begins, "; {} are done, {} are left", all.len() - left.len(), left.len());
    }
    terminal.note(&begins);
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = asked.request.jobs.unwrap_or_else(processors);
    let begun = Instant::now();
    let progress = Progress::new(left.len(), terminal);
    let done = work::all(&left, threads, &store, &progress);
    store.close().map_err(failed)?;
    if let Err(error) = done {
        let kept = collected(&sweep.manifest, &[directory])?.successes();
        let what = error.brief();
        return Err(Failure::Run(format!("{what}; {kept} runs are kept, and --resume goes on from there")));
    }
    if !left.is_empty() {
        terminal.note(&format!("{} runs in {:.1} s", left.len(), begun.elapsed().as_secs_f64()));
    }
    Ok(all.iter().map(|job| job.address.as_str()).collect())
}

/// The paths that were written, for a reader.
fn show_paths(paths: &[PathBuf]) {
    terminal::print_line("Wrote:");
    for path in paths {
        terminal::print_line(&format!("  {}", short(path)));
    }
}
