//! Which files a command writes, and who writes them.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use calibration::replay::schedule::RunHeader;
use sim::{Observer, RequestRecord, StepDetails, StepRecord, Summary, WeightedHistogram};
use workloads::SimTime;

use super::comparison::{self, compare};
use super::error::OutputError;
use super::estimate::{estimates, intervals_csv};
use super::gaps::{self, GapsCsv};
use super::label::RunLabel;
use super::parquet::{self, parquet_path};
use super::perfetto::{self, PerfettoTrace};
use super::power::{self, PowerCsv};
use super::requests::{self, RequestsCsv};
use super::schedule::{self, ScheduleFile};
use super::series::{Encoding, Series, part_path};
use super::steps::{self, StepsCsv};
use super::summary::summary_csv;

const REQUESTS: &str = "requests.csv";
const STEPS: &str = "steps.csv";
const GAPS: &str = "gaps.csv";
const POWER: &str = "power.csv";
const PERFETTO: &str = "trace.json.gz";
/// Name of the schedule in a folder of results.
pub(crate) const SCHEDULE: &str = "schedule.jsonl.gz";
const SUMMARY: &str = "summary.csv";
const COMPARISON: &str = "comparison.csv";
/// Name of the table of what the replicas of each system are.
pub(crate) const REPLICAS: &str = "replicas.csv";
const INTERVALS: &str = "intervals.csv";

/// Which files are asked for. `summary.csv` and `intervals.csv` are always written, and `comparison.csv` where there are two systems.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each file is asked for independently")]
pub(crate) struct OutputOptions {
    /// `requests.csv` and `gaps.csv`.
    pub(crate) requests: bool,
    /// Whether that has columns for how requests were handed over.
    pub(crate) handovers: bool,
    /// `steps.csv`.
    pub(crate) steps: bool,
    /// `power.csv`.
    pub(crate) power: bool,
    /// `trace.json.gz`.
    pub(crate) perfetto: bool,
    /// `schedule.jsonl.gz`.
    pub(crate) schedule: bool,
    /// Whether the tables become Parquet files instead of CSV files.
    pub(crate) parquet: bool,
    /// Whether results that are there already are replaced.
    pub(crate) force: bool,
}

/// The files of one command, claimed before anything is simulated.
///
/// A plan that is dropped before [`finish`](Self::finish) leaves what was there before.
pub(crate) struct OutputPlan {
    directory: PathBuf,
    runs: Vec<RunLabel>,
    force: bool,
    requests: Option<Series>,
    handovers: bool,
    steps: Option<Series>,
    gaps: Option<Series>,
    power: Option<Series>,
    perfetto: Option<Series>,
    schedule: Option<Series>,
    parquet: bool,
    /// Whole tables that are written at the end: name and text.
    whole: Vec<(&'static str, String)>,
}

impl OutputPlan {
    /// Makes the folder, refuses to replace results unless told to, and starts every file.
    ///
    /// `runs` are numbered as they come, all of them with the same swept keys; `also` names further files that the
    /// caller will [`write`](Self::write), such as the lock file.
    pub(crate) fn new(
        directory: &Path,
        options: OutputOptions,
        runs: Vec<RunLabel>,
        also: &[&str],
    ) -> Result<Self, OutputError> {
        assert!(
            runs.windows(2).all(|pair| pair[0].header() == pair[1].header()),
            "all runs of a plan have the same leading columns"
        );
        fs::create_dir_all(directory)
            .map_err(|source| OutputError::Directory { directory: directory.to_owned(), source })?;
        let asked = [
            (options.requests, REQUESTS),
            (options.requests, GAPS),
            (options.steps, STEPS),
            (options.power, POWER),
            (options.perfetto, PERFETTO),
            (options.schedule, SCHEDULE),
            (true, SUMMARY),
            (true, INTERVALS),
            (several_systems(&runs), COMPARISON),
        ];
        let names = asked.iter().filter(|(asked, _)| *asked).map(|(_, name)| *name).chain(also.iter().copied());
        if !options.force {
            refuse_existing(directory, options.parquet, names)?;
        }
        // Found out now rather than after hours: whether files can be written here at all.
        let probe = part_path(&directory.join(SUMMARY));
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(OutputError::write(&probe))?;

        let label = runs.first().map(RunLabel::header).unwrap_or_default();
        let csv = |name: &str, columns: &str| {
            let header = [label.as_slice(), columns.as_bytes()].concat();
            Series::create(directory.join(name), Encoding::Plain, &header)
        };
        let gzip = |name: &str, opening: &[u8]| Series::create(directory.join(name), Encoding::Gzip, opening);
        Ok(OutputPlan {
            requests: options.requests.then(|| csv(REQUESTS, &requests::columns(options.handovers))).transpose()?,
            handovers: options.handovers,
            steps: options.steps.then(|| csv(STEPS, steps::COLUMNS)).transpose()?,
            gaps: options.requests.then(|| csv(GAPS, gaps::COLUMNS)).transpose()?,
            power: options.power.then(|| csv(POWER, power::COLUMNS)).transpose()?,
            perfetto: options.perfetto.then(|| gzip(PERFETTO, perfetto::OPENING)).transpose()?,
            schedule: options.schedule.then(|| gzip(SCHEDULE, &schedule::opening())).transpose()?,
            parquet: options.parquet,
            whole: Vec::new(),
            directory: directory.to_owned(),
            runs,
            force: options.force,
        })
    }

    /// The observer of run number `run`, whose devices take `idle_power_w` watts together when idle; each run asks once.
    /// While it goes on, others may, on any thread. `header` begins its schedule, where one was asked for.
    pub(crate) fn start(
        &self,
        run: usize,
        idle_power_w: f64,
        header: Option<RunHeader>,
    ) -> Result<RunOutputs<'_>, OutputError> {
        let label = &self.runs[run];
        let part = |series: &Option<Series>| series.as_ref().map(|series| series.start(run)).transpose();
        Ok(RunOutputs {
            plan: self,
            requests: part(&self.requests)?.map(|part| RequestsCsv::new(part, label, self.handovers)),
            steps: part(&self.steps)?.map(|part| StepsCsv::new(part, label)),
            gaps: part(&self.gaps)?.map(|part| GapsCsv::new(part, label)),
            power: part(&self.power)?.map(|part| PowerCsv::new(part, label, idle_power_w)),
            perfetto: part(&self.perfetto)?.map(|part| PerfettoTrace::new(part, label)),
            schedule: part(&self.schedule)?
                .map(|part| ScheduleFile::new(part, header.expect("a run with a schedule has a header for it"))),
        })
    }

    /// Writes a whole file of this name into the folder, complete or not at all, replacing what is there.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, OutputError> {
        let path = self.directory.join(name);
        let part = part_path(&path);
        fs::write(&part, bytes).and_then(|()| fs::rename(&part, &path)).map_err(OutputError::write(&path))?;
        Ok(path)
    }

    /// Adds a table that is written with the others; `name` is among those the plan was told of.
    pub(crate) fn add_table(&mut self, name: &'static str, text: String) {
        self.whole.push((name, text));
    }

    /// Completes every file, once all runs are finished; `summaries` are those of the runs, in their order. Returns the
    /// paths of the files.
    pub(crate) fn finish(mut self, summaries: &[Summary]) -> Result<Vec<PathBuf>, OutputError> {
        assert_eq!(summaries.len(), self.runs.len(), "there is one summary per run");
        let mut paths = vec![self.write(SUMMARY, &summary_csv(&self.runs, summaries))?];
        let rows =
            intervals_csv(self.runs.first().into_iter().flat_map(RunLabel::keys), &estimates(&self.runs, summaries));
        paths.push(self.write(INTERVALS, &rows)?);
        if several_systems(&self.runs) {
            let rows = compare(&self.runs, summaries);
            paths.push(self.write(COMPARISON, &comparison::comparison_csv(self.runs[0].keys(), &rows))?);
        }
        for (name, text) in std::mem::take(&mut self.whole) {
            paths.push(self.write(name, text.as_bytes())?);
        }
        let runs = self.runs.len();
        for (series, footer) in [
            (self.requests.take(), &b""[..]),
            (self.gaps.take(), b""),
            (self.steps.take(), b""),
            (self.power.take(), b""),
            (self.perfetto.take(), perfetto::ENDING),
            (self.schedule.take(), b""),
        ] {
            paths.extend(series.map(|series| series.complete(runs, footer)).transpose()?);
        }
        if self.parquet {
            for path in paths.iter_mut().filter(|path| is_table(path)) {
                *path = parquet::convert(path)?;
            }
        }
        if self.force {
            self.remove_all_but(&paths)?;
        }
        Ok(paths)
    }

    /// Removes tables of earlier results that were not written again, so that all that is left belongs together.
    fn remove_all_but(&self, paths: &[PathBuf]) -> Result<(), OutputError> {
        for name in [REQUESTS, GAPS, REPLICAS, STEPS, POWER, PERFETTO, SCHEDULE, SUMMARY, INTERVALS, COMPARISON] {
            let path = self.directory.join(name);
            let converted = is_table(&path).then(|| parquet_path(&path));
            for stale in std::iter::once(path).chain(converted) {
                if !paths.contains(&stale) && stale.exists() {
                    fs::remove_file(&stale).map_err(OutputError::write(&stale))?;
                }
            }
        }
        Ok(())
    }
}

fn several_systems(runs: &[RunLabel]) -> bool {
    runs.iter().any(|run| run.system != runs[0].system)
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "csv")
}

/// Parquet tables are CSV tables first, so both are in the way of them.
fn refuse_existing<'a>(
    directory: &Path,
    parquet: bool,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), OutputError> {
    let paths = names.map(Path::new).flat_map(|name| {
        let converted = (parquet && is_table(name)).then(|| parquet_path(name));
        [Some(name.to_owned()), converted].into_iter().flatten()
    });
    let there = paths.filter(|name| directory.join(name).exists());
    let names: Vec<String> = there.map(|name| name.display().to_string()).collect();
    if names.is_empty() { Ok(()) } else { Err(OutputError::Exists { directory: directory.to_owned(), names }) }
}

/// Streams what happens in one run to its files.
pub(crate) struct RunOutputs<'a> {
    plan: &'a OutputPlan,
    requests: Option<RequestsCsv>,
    gaps: Option<GapsCsv>,
    steps: Option<StepsCsv>,
    power: Option<PowerCsv>,
    perfetto: Option<PerfettoTrace>,
    schedule: Option<ScheduleFile>,
}

impl RunOutputs<'_> {
    /// Ends the stretch in each file of a run that took this time and had these gaps between tokens. Errors of writing come
    /// out here: observers cannot fail.
    pub(crate) fn finish(self, time: Range<SimTime>, gaps: &WeightedHistogram) -> Result<(), OutputError> {
        let parts = [
            (&self.plan.requests, self.requests.map(RequestsCsv::into_part)),
            (&self.plan.gaps, self.gaps.map(|part| part.into_part(gaps))),
            (&self.plan.steps, self.steps.map(StepsCsv::into_part)),
            (&self.plan.power, self.power.map(|power| power.into_part(&time))),
            (&self.plan.perfetto, self.perfetto.map(PerfettoTrace::into_part)),
            (&self.plan.schedule, self.schedule.map(ScheduleFile::into_part)),
        ];
        for (series, part) in parts {
            if let (Some(series), Some(part)) = (series, part) {
                series.finish_part(part)?;
            }
        }
        Ok(())
    }
}

impl Observer for RunOutputs<'_> {
    fn wants_steps(&self) -> bool {
        self.steps.is_some() || self.power.is_some() || self.perfetto.is_some()
    }

    fn wants_step_work(&self) -> bool {
        self.steps.is_some()
    }

    fn wants_step_details(&self) -> bool {
        self.schedule.is_some()
    }

    fn request(&mut self, record: &RequestRecord) {
        if let Some(requests) = &mut self.requests {
            requests.request(record);
        }
        if let Some(perfetto) = &mut self.perfetto {
            perfetto.request(record);
        }
    }

    fn step(&mut self, record: &StepRecord) {
        if let Some(steps) = &mut self.steps {
            steps.step(record);
        }
        if let Some(power) = &mut self.power {
            power.step(record);
        }
        if let Some(perfetto) = &mut self.perfetto {
            perfetto.step(record);
        }
    }

    fn step_details(&mut self, details: &StepDetails<'_>) {
        if let Some(schedule) = &mut self.schedule {
            schedule.step_details(details);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
