//! Results of single runs, as they come: a file that is only ever appended to, a line for each run.
//!
//! A line is written in one piece once its run has ended. Whatever ends the process, what is lost is the runs under way,
//! and at most the last line is torn, which is cut off before the file is continued. A crash of the machine itself can lose
//! more: lines are forced to the disk at most once in [`SYNC`], so that waiting for disks costs no time that matters.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sim::Summary;

use super::shard::Shard;

/// Folder of these files in the folder of a sweep.
pub(super) const RUNS: &str = "runs";

/// Longest time that finished lines are left to the operating system alone, as long as others finish.
const SYNC: Duration = Duration::from_secs(1);

/// What came of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    /// Address of the run.
    pub(super) run: String,
    /// Its figures, or why it failed.
    pub(super) result: Result<Box<Summary>, String>,
    /// What has to be said of it.
    pub(super) remarks: Vec<String>,
}

/// What is wrong with such a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// It cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process writes it.
    #[error("{} is being written by another process: one part of a sweep is for one process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A line before the last is not what this program writes.
    #[error("{}, line {line}: not a result of a run ({source}); the file was changed, or a crash of the machine damaged it: without the lines from \
         there on, these runs are done again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// The file of one part of a sweep, open to be continued.
pub(super) struct Store {
    path: PathBuf,
    end: Mutex<End>,
}

/// Where the next line goes.
struct End {
    file: File,
    /// Up to here the file holds whole lines.
    whole: u64,
    /// When it was last forced to the disk.
    synced: Instant,
}

/// A result, and where it stands.
pub(super) struct Line {
    /// The result.
    pub(super) stored: Stored,
    /// Index of its file among those that were read.
    pub(super) file: usize,
    /// From 1.
    pub(super) number: usize,
}

/// Where a part's results are.
pub(super) fn path_of(directory: &Path, shard: Shard) -> PathBuf {
    directory.join(RUNS).join(format!("{}-of-{}.jsonl", shard.number, shard.of))
}

/// For `map_err`: what was tried with which file.
fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}

impl Store {
    /// Opens or makes a part's file, and cuts a torn last line off.
    pub(super) fn open(directory: &Path, shard: Shard) -> Result<Self, StoreError> {
        let path = path_of(directory, shard);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed("open", &path))?;
        match file.try_lock() {
            // Some network file systems know no locks.
            Err(std::fs::TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::Locked { path }),
            Err(std::fs::TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
        }
        let whole = parse(&file, &path, |_, _| {})?;
        file.set_len(whole)
            .and_then(|()| file.seek(SeekFrom::Start(whole)))
            .and_then(|_| file.sync_all())
            .map_err(failed("continue", &path))?;
        let end = Mutex::new(End { file, whole, synced: Instant::now() });
        Ok(Store { path, end })
    }

    /// Appends a result. If that fails, such as on a full disk, the file ends where it ended before.
    pub(super) fn append(&self, stored: &Stored) -> Result<(), StoreError> {
        let mut line = serde_json::to_vec(stored).expect("figures are plain data");
        line.push(b'\n');
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = end.whole;
        if let Err(source) = end.file.write_all(&line) {
            // If that fails too, the torn line is cut off when the file is next opened.
            let _ = end.file.set_len(whole).and_then(|()| end.file.seek(SeekFrom::Start(whole)));
            return Err(failed("write", &self.path)(source));
        }
        end.whole += line.len() as u64;
        if end.synced.elapsed() >= SYNC {
            end.file.sync_data().map_err(failed("write", &self.path))?;
            end.synced = Instant::now();
        }
        Ok(())
    }

    /// Forces everything to the disk.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let end = self.end.into_inner().unwrap_or_else(PoisonError::into_inner);
        end.file.sync_all().map_err(failed("write", &self.path))
    }
}

/// Files of all parts in a folder, in the order of their names.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let runs = directory.join(RUNS);
    let entries = match fs::read_dir(&runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed("read", &runs)(source)),
    };
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files = paths.map_err(failed("read", &runs))?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    Ok(files)
}

/// The results in these files, line by line; torn last lines, which others may be writing, are left out.
pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<Line>, StoreError> {
    let mut all = Vec::new();
    for (index, path) in files.iter().enumerate() {
        let file = File::open(path).map_err(failed("read", path))?;
        parse(&file, path, |number, stored| all.push(Line { stored, file: index, number }))?;
    }
    Ok(all)
}

/// Hands out the whole lines of a file with their numbers; returns how many bytes they take.
fn parse(file: &File, path: &Path, mut each: impl FnMut(usize, Stored)) -> Result<u64, StoreError> {
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let (mut whole, mut number, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(failed("read", path))?;
        if line.last() != Some(&b'\n') {
            return Ok(whole);
        }
        number += 1;
        let stored = serde_json::from_slice(&line).map_err(|source| StoreError::Corrupt {
            path: path.to_owned(),
            line: number,
            source,
        })?;
        each(number, stored);
        whole += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::{long_summary, tiny_summary};

    fn result(run: &str) -> Stored {
        Stored {
            run: run.to_owned(),
            result: Ok(Box::new(Summary { within_run: Arc::default(), ..tiny_summary(1_234_567) })),
            remarks: vec!["a".to_owned()],
        }
    }

    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(place.path().join(RUNS)).expect("a folder in it");
        place
    }

    fn kept(place: &tempfile::TempDir) -> Vec<Stored> {
        let lines = read_all(&files(place.path()).expect("a folder")).expect("whole lines");
        lines.into_iter().map(|line| line.stored).collect()
    }

    #[test]
    fn a_result_comes_back_as_it_was_to_the_last_bit() {
        let place = place();
        let store = Store::open(place.path(), Shard::WHOLE).expect("a new file");
        assert!(kept(&place).is_empty());
        let failed = Stored { result: Err("why".to_owned()), ..result("b") };
        for stored in [&result("a"), &failed] {
            store.append(stored).expect("room");
        }
        store.close().expect("room");
        assert_eq!(kept(&place), [result("a"), failed]);
    }

    #[test]
    fn what_intervals_of_one_run_are_made_of_comes_back_too() {
        let place = place();
        let store = Store::open(place.path(), Shard::WHOLE).expect("a new file");
        let whole = long_summary(1_000_000);
        let stored = Stored { result: Ok(Box::new(whole.clone().condensed())), ..result("a") };
        store.append(&stored).expect("room");
        let read = kept(&place).swap_remove(0);
        assert_eq!(read, stored);
        let read = read.result.expect("figures");
        let mut spreads = 0;
        for column in Summary::columns() {
            assert_eq!(column.spread(&read), column.spread(&whole), "{}", column.name);
            spreads += usize::from(column.spread(&whole).is_some());
        }
        assert!(spreads >= 5, "{spreads} measures of a long run have an interval");
    }

    #[test]
    fn wherever_a_process_is_killed_the_whole_lines_survive_and_the_file_goes_on() {
        let place = place();
        let store = Store::open(place.path(), Shard::WHOLE).expect("a new file");
        store.append(&result("a")).expect("room");
        store.append(&result("b")).expect("room");
        drop(store);
        let path = path_of(place.path(), Shard::WHOLE);
        let bytes = std::fs::read(&path).expect("the file");
        let first = bytes.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        for cut in [0, 1, first - 1, first, first + 1, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).expect("room");
            let store = Store::open(place.path(), Shard::WHOLE).expect("the file");
            store.append(&result("c")).expect("room");
            drop(store);
            let expected = if cut >= first { vec![result("a"), result("c")] } else { vec![result("c")] };
            assert_eq!(kept(&place), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_file_that_was_changed_in_the_middle_is_not_continued() {
        let place = place();
        let line = serde_json::to_string(&result("a")).expect("plain data");
        std::fs::write(path_of(place.path(), Shard::WHOLE), format!("{line}\nx{line}\n{line}\n")).expect("room");
        let said = Store::open(place.path(), Shard::WHOLE).err().expect("a corrupt file").to_string();
        assert!(said.contains("1-of-1.jsonl, line 2: not a result"), "{said}");
    }

    #[test]
    fn two_processes_do_not_write_the_same_part() {
        let place = place();
        let _first = Store::open(place.path(), Shard::WHOLE).expect("a new file");
        let said = Store::open(place.path(), Shard::WHOLE).err().expect("a locked file").to_string();
        assert!(said.contains("another process"), "{said}");
    }
}
