//! Reading a schedule, step by step, so that it need not fit into memory.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::check::{check_run, check_step};
use super::{Line, RunEnd, RunHeader, ScheduledStep, VERSION};
use crate::replay::ReplayError;

/// Which run of a file is meant; what is left open must be the same for all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunChoice {
    /// Name of its system.
    pub system: Option<String>,
    /// Its seed.
    pub seed: Option<u64>,
}

impl RunChoice {
    fn fits(&self, run: &RunHeader) -> bool {
        self.system.as_ref().is_none_or(|system| *system == run.system) && self.seed.is_none_or(|seed| seed == run.seed)
    }
}

/// The system and seed of every run in the file, in order.
///
/// # Errors
/// If the file cannot be read, is no schedule, or a line that begins a run is not as it should be.
pub fn list_runs(path: &Path) -> Result<Vec<(String, u64)>, ReplayError> {
    let mut lines = Lines::open(path)?;
    let mut runs = Vec::new();
    while lines.read()? {
        if lines.text.starts_with("{\"run\"") {
            let Line::Run(run) = lines.parse()? else { unreachable!("the line has the key of a run") };
            runs.push((run.system, run.seed));
        }
    }
    Ok(runs)
}

/// The steps of one run, in order.
///
/// The first error ends the iteration.
pub struct ScheduleReader {
    lines: Lines,
    header: RunHeader,
    seen: RunEnd,
    done: bool,
}

impl ScheduleReader {
    /// Opens the run that `choice` means.
    ///
    /// # Errors
    /// If the file cannot be read, is no schedule of a version known here, or holds none or several such runs.
    pub fn open(path: &Path, choice: &RunChoice) -> Result<Self, ReplayError> {
        let runs = list_runs(path)?;
        let mut lines = Lines::open(path)?;
        let mut found = None;
        let mut matches = 0;
        for (system, seed) in &runs {
            let fits = choice.system.as_ref().is_none_or(|wanted| wanted == system)
                && choice.seed.is_none_or(|wanted| wanted == *seed);
            matches += usize::from(fits);
        }
        if matches != 1 {
            return Err(ReplayError::Run { path: path.to_owned(), message: not_one(matches, &runs) });
        }
        while lines.read()? {
            if lines.text.starts_with("{\"run\"")
                && let Line::Run(run) = lines.parse()?
                && choice.fits(&run)
            {
                found = Some(run);
                break;
            }
        }
        let Some(header) = found else { unreachable!("the run was found a moment ago in the same file") };
        check_run(&header).map_err(|message| lines.wrong(message))?;
        Ok(Self { lines, header: *header, seen: RunEnd::default(), done: false })
    }

    /// What all steps have in common.
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    fn next_step(&mut self) -> Result<Option<ScheduledStep>, ReplayError> {
        if !self.lines.read()? {
            return Err(self.lines.wrong("the file ends inside a run: it was cut off".to_owned()));
        }
        match self.lines.parse()? {
            Line::Step(step) => {
                check_step(&step, self.seen.steps, &self.header).map_err(|message| self.lines.wrong(message))?;
                self.seen.add(&step);
                Ok(Some(*step))
            }
            Line::End(end) if end == self.seen => Ok(None),
            Line::End(end) => {
                Err(self.lines.wrong(format!("the run ends with {end:?}, but its steps are {:?}", self.seen)))
            }
            Line::Run(_) | Line::Schedule(_) => {
                Err(self.lines.wrong("expected a `step` or the `end` of the run".to_owned()))
            }
        }
    }
}

impl Iterator for ScheduleReader {
    type Item = Result<ScheduledStep, ReplayError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.next_step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }
}

fn not_one(matches: usize, runs: &[(String, u64)]) -> String {
    let mut message = match (runs.len(), matches) {
        (0, _) => return "the schedule holds no run".to_owned(),
        (_, 0) => "no run is of that system and seed; there are".to_owned(),
        _ => format!("{matches} runs fit; choose one by system and seed:"),
    };
    for (place, (system, seed)) in runs.iter().enumerate() {
        let _ = write!(message, "{} `{system}` with seed {seed}", if place > 0 { "," } else { "" });
    }
    message
}

/// The lines of a schedule whose first line is right.
struct Lines {
    path: PathBuf,
    input: Box<dyn BufRead>,
    number: u64,
    text: String,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, ReplayError> {
        let unreadable = |source| ReplayError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
        let bytes: Box<dyn Read> = if is_gzip { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        let mut lines =
            Lines { path: path.to_owned(), input: Box::new(BufReader::new(bytes)), number: 0, text: String::new() };
        if !lines.read()? {
            return Err(lines.wrong("the file is empty".to_owned()));
        }
        match lines.parse()? {
            Line::Schedule(header) if header.version == VERSION => Ok(lines),
            Line::Schedule(header) => {
                let version = header.version;
                Err(lines.wrong(format!("a schedule of version {version}; this program reads version {VERSION}")))
            }
            _ => Err(lines.wrong("expected `{\"schedule\":{\"version\":1}}`: this is no schedule".to_owned())),
        }
    }

    /// Reads the next line; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, ReplayError> {
        self.text.clear();
        self.number += 1;
        let read = self.input.read_line(&mut self.text);
        match read {
            Ok(bytes) => Ok(bytes > 0),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(self
                    .wrong("the compressed file ends in the middle: it was cut; fetch or record it again".to_owned()))
            }
            Err(source) => Err(ReplayError::Read { path: self.path.clone(), source }),
        }
    }

    fn parse(&self) -> Result<Line, ReplayError> {
        serde_json::from_str(&self.text).map_err(|error| self.wrong(format!("not a line of a schedule: {error}")))
    }

    fn wrong(&self, message: String) -> ReplayError {
        ReplayError::Line { path: self.path.clone(), line: self.number, message }
    }
}
