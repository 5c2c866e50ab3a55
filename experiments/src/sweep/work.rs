//! Runs the runs: as many at a time as there are processors, each result kept as soon as it is there.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::progress::Progress;
use super::resolve::Job;
use super::store::{Store, StoreError, Stored};
use super::trials::Trials;
use crate::failure::Failure;
use crate::run::measure;

/// Runs `jobs` on `threads` threads. One that fails is kept as such, and does not stop the others.
///
/// Threads take the next job each, in order: points that share a trace read it at about the same time, and at the end at most
/// one run per thread is under way.
///
/// # Errors
/// The first result that could not be kept; no run is begun after it.
pub(super) fn all(jobs: &[&Job], threads: usize, store: &Store, progress: &Progress) -> Result<(), Failure> {
    remember_panics();
    let trials = Trials::default();
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let broken: Mutex<Option<StoreError>> = Mutex::new(None);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let stored = run(job, &trials);
            if let Err(error) = store.append(&stored) {
                stop.store(true, Ordering::Relaxed);
                broken.lock().expect("no thread panics while it holds this lock").get_or_insert(error);
                break;
            }
            progress.done(stored.result.is_err());
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.clamp(1, jobs.len().max(1))).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().expect("panics of runs are caught");
        }
    });
    progress.finish();
    match broken.into_inner().expect("no thread panics while it holds this lock") {
        Some(error) => Err(Failure::Run(error.to_string())),
        None => Ok(()),
    }
}

fn run(job: &Job, trials: &Trials) -> Stored {
    let setting = &job.setting;
    let result = attempt(|| {
        let window = trials.window(setting, job.seed)?;
        measure(setting.conditions, &setting.workload, &setting.system, job.seed, window, setting.intervals)
    });
    let (result, remarks) = match result {
        Ok((summary, remarks)) => (Ok(Box::new(summary)), remarks),
        Err(why) => (Err(why), Vec::new()),
    };
    Stored { run: job.address.clone(), result, remarks }
}

/// What came of `work`, or why it failed; a panic, which is a bug of ours, is a failure of this run alone.
fn attempt<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, String> {
    PANIC.with_borrow_mut(|panic| *panic = Panic::Awaited);
    let result = catch_unwind(AssertUnwindSafe(work));
    let panic = PANIC.replace(Panic::Elsewhere);
    match (result, panic) {
        (Ok(result), _) => result.map_err(|failure| failure.brief()),
        (Err(_), Panic::Came(what)) => Err(format!("a bug of servesim: {what}")),
        (Err(_), _) => Err("a bug of servesim".to_owned()),
    }
}

/// What the panic hook has to do with a panic on this thread.
enum Panic {
    /// It is not in a run: print it as ever.
    Elsewhere,
    /// Keep it.
    Awaited,
    /// It is kept.
    Came(String),
}

thread_local! {
    static PANIC: RefCell<Panic> = const { RefCell::new(Panic::Elsewhere) };
}

/// From now on, panics in runs are kept rather than printed.
fn remember_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let in_a_run = PANIC.with_borrow_mut(|panic| {
            let awaited = matches!(panic, Panic::Awaited);
            if awaited {
                let message = info.payload_as_str().unwrap_or("of an unknown kind");
                let place = info.location().map(|place| format!("{}:{}: ", place.file(), place.line()));
                *panic = Panic::Came(format!("{}{message}", place.unwrap_or_default()));
            }
            awaited
        });
        if !in_a_run {
            usual(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_run_is_a_failure_that_says_where_and_the_next_run_goes_on() {
        remember_panics();
        let blocks: Vec<u32> = Vec::new();
        let why = attempt(|| Ok(blocks[3])).expect_err("there is no block 3");
        assert!(why.contains("work.rs:") && why.contains("index out of bounds: the len is 0"), "{why}");
        assert_eq!(attempt(|| Ok(7)), Ok(7));
        assert_eq!(attempt(|| Err::<(), _>(Failure::Run("stuck".to_owned()))), Err("stuck".to_owned()));
    }
}
