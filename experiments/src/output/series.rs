//! A file that several runs write, in the order of the runs, whoever finishes first.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use flate2::Crc;

use super::error::OutputError;
use super::gzip;
use super::part::{Finished, Part};

/// A file under construction at `NAME.part`.
///
/// The run whose turn it is writes in place. Later ones write files of their own (`NAME.part.3`), which are appended as
/// their turn comes; so a single run, or runs one after the other, copy nothing.
pub(super) struct Series {
    path: PathBuf,
    encoding: Encoding,
    state: Mutex<State>,
}

/// How the file's bytes are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    /// One gzip stream: parts are stretches of deflate blocks, compressed independently of each other.
    Gzip,
}

struct State {
    file: File,
    /// First run that has not been finished and appended.
    next: usize,
    /// Later runs that are finished, waiting to be appended.
    waiting: BTreeMap<usize, Finished>,
    crc: Crc,
    complete: bool,
}

impl Series {
    /// Starts the file with `header`.
    pub(super) fn create(path: PathBuf, encoding: Encoding, header: &[u8]) -> Result<Self, OutputError> {
        let part_path = part_path(&path);
        let write = || -> io::Result<State> {
            let mut file = File::create(&part_path)?;
            let mut crc = Crc::new();
            match encoding {
                Encoding::Plain => file.write_all(header)?,
                Encoding::Gzip => {
                    crc.update(header);
                    file.write_all(&gzip::opening(header))?;
                }
            }
            Ok(State { file, next: 0, waiting: BTreeMap::new(), crc, complete: false })
        };
        let state = write().map_err(OutputError::write(&part_path))?;
        Ok(Series { path, encoding, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds this lock")
    }

    /// What run number `run` writes to; each run asks once.
    pub(super) fn start(&self, run: usize) -> Result<Part, OutputError> {
        let state = self.state();
        let own_path = numbered_path(&self.path, run);
        if state.next == run {
            let file = state.file.try_clone().map_err(OutputError::write(&self.path))?;
            return Ok(Part::new(run, file, part_path(&self.path), false));
        }
        let file = File::create(&own_path).map_err(OutputError::write(&own_path))?;
        Ok(Part::new(run, file, own_path, true))
    }

    /// Takes a part that is written, and appends it and those behind it whose turn has come.
    pub(super) fn finish_part(&self, part: Part) -> Result<(), OutputError> {
        let run = part.run;
        let finished = part.finish()?;
        let mut state = self.state();
        state.waiting.insert(run, finished);
        while let Some(finished) = {
            let next = state.next;
            state.waiting.remove(&next)
        } {
            state.next += 1;
            state.crc.combine(&finished.crc);
            if let Some(own_path) = finished.apart {
                let mut append = || -> io::Result<()> {
                    io::copy(&mut File::open(&own_path)?, &mut state.file)?;
                    fs::remove_file(&own_path)
                };
                append().map_err(OutputError::write(&self.path))?;
            }
        }
        Ok(())
    }

    /// Ends the file with `footer` once all `runs` runs are in it, and gives it its name.
    pub(super) fn complete(self, runs: usize, footer: &[u8]) -> Result<PathBuf, OutputError> {
        let mut state = self.state();
        assert_eq!(state.next, runs, "every run is finished before its files are completed");
        let ending = match self.encoding {
            Encoding::Plain => footer.to_vec(),
            Encoding::Gzip => {
                state.crc.update(footer);
                gzip::ending(footer, &state.crc)
            }
        };
        state.file.write_all(&ending).map_err(OutputError::write(&self.path))?;
        fs::rename(part_path(&self.path), &self.path).map_err(OutputError::write(&self.path))?;
        state.complete = true;
        Ok(self.path.clone())
    }
}

impl Drop for Series {
    /// A file that was given up leaves nothing behind.
    fn drop(&mut self) {
        let state = self.state.get_mut().expect("no thread panics while it holds this lock");
        if state.complete {
            return;
        }
        // Nothing depends on these: the next run overwrites them.
        let _ = fs::remove_file(part_path(&self.path));
        for &run in state.waiting.keys() {
            let _ = fs::remove_file(numbered_path(&self.path, run));
        }
    }
}

/// Where `path` is written before it is complete.
pub(crate) fn part_path(path: &Path) -> PathBuf {
    with_suffix(path, ".part")
}

fn numbered_path(path: &Path, run: usize) -> PathBuf {
    with_suffix(path, &format!(".part.{run}"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .expect("the folder is there")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("plain name"))
            .collect();
        names.sort();
        names
    }

    fn start(series: &Series, run: usize, text: &str) -> Part {
        let mut part = series.start(run).expect("writable");
        part.row().extend_from_slice(text.as_bytes());
        part
    }

    #[test]
    fn parts_stand_in_the_order_of_their_runs_whatever_the_order_they_start_and_finish_in() {
        let orders: [[usize; 4]; 5] = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 0, 3, 1], [3, 0, 1, 2]];
        for (starts, finishes) in orders.iter().flat_map(|starts| orders.iter().map(move |finishes| (starts, finishes)))
        {
            let directory = tempfile::tempdir().expect("a folder");
            let path = directory.path().join("rows.csv");
            let series = Series::create(path.clone(), Encoding::Plain, b"head\n").expect("writable");
            let mut parts: BTreeMap<usize, Part> =
                starts.iter().map(|&run| (run, start(&series, run, &format!("run {run}\n")))).collect();
            for run in finishes {
                assert!(!path.exists(), "an unfinished file does not have its name yet");
                series.finish_part(parts.remove(run).expect("started")).expect("writable");
            }
            series.complete(4, b"foot\n").expect("writable");
            let text = fs::read_to_string(&path).expect("written");
            assert_eq!(text, "head\nrun 0\nrun 1\nrun 2\nrun 3\nfoot\n", "started {starts:?}, finished {finishes:?}");
            assert_eq!(names(directory.path()), ["rows.csv"]);
        }
    }

    #[test]
    fn a_series_that_is_given_up_leaves_no_file() {
        let directory = tempfile::tempdir().expect("a folder");
        let series = Series::create(directory.path().join("rows.csv"), Encoding::Plain, b"head\n").expect("writable");
        let (first, second, third) = (start(&series, 0, "a"), start(&series, 1, "b"), start(&series, 2, "c"));
        series.finish_part(second).expect("writable");
        assert_eq!(names(directory.path()), ["rows.csv.part", "rows.csv.part.1", "rows.csv.part.2"]);
        drop((first, third, series));
        assert_eq!(names(directory.path()), Vec::<String>::new());
    }

    #[test]
    fn compressed_parts_make_one_gzip_stream_with_the_right_checksum() {
        for order in [[0, 1, 2], [2, 1, 0]] {
            let directory = tempfile::tempdir().expect("a folder");
            let path = directory.path().join("trace.json.gz");
            let series = Series::create(path.clone(), Encoding::Gzip, b"[0").expect("writable");
            let parts: Vec<_> = (0..3).map(|run| gzip::GzipPart::new(series.start(run).expect("writable"))).collect();
            let mut parts: BTreeMap<usize, _> = parts.into_iter().enumerate().collect();
            let mut expected = "[0".to_owned();
            for (run, part) in &mut parts {
                for number in 0..30_000 {
                    let text = format!(",{run}{number}");
                    part.row().extend_from_slice(text.as_bytes());
                    expected += &text;
                }
            }
            for run in order {
                series.finish_part(parts.remove(&run).expect("started").into_part()).expect("writable");
            }
            series.complete(3, b"]").expect("writable");
            let compressed = fs::read(&path).expect("written");
            let mut text = String::new();
            // Not the multi-member decoder: all of it must be in the first member.
            GzDecoder::new(compressed.as_slice()).read_to_string(&mut text).expect("the checksum is right");
            assert_eq!(text, expected + "]");
            assert!(compressed.len() < text.len() / 3);
        }
    }
}
