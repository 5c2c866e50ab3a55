//! The files of `goodput`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sim::Interval;

use super::limit::Limited;
use super::probe::Probe;
use super::report::table_csv;
use crate::experiment::{Digest, Experiment, Limit, System};
use crate::figures::{AttainmentFigure, AttainmentSeries, FigureSet, Format, SearchLook, Width};
use crate::output::{OutputError, RunLabel, claim, part_path, summary_header, summary_rows, write_whole};
use crate::run::LOCK_FILE;

const GOODPUT: &str = "goodput.csv";
const PROBES: &str = "probes.csv";
const FIGURE: &str = "attainment_vs_rate";

/// Files that are being written. Probes are there as soon as they are done, in `probes.csv.part`; when all are, they are put
/// into order.
pub(super) struct Files<'a> {
    directory: PathBuf,
    experiment: &'a Experiment,
    probes: Mutex<File>,
}

impl<'a> Files<'a> {
    /// Makes the folder and starts the files; refuses to replace results unless told to.
    pub(super) fn claim(directory: &Path, experiment: &'a Experiment, force: bool) -> Result<Self, OutputError> {
        claim(directory, &[GOODPUT, PROBES, LOCK_FILE], force)?;
        let path = part_path(&directory.join(PROBES));
        let header = experiment.systems.first().map(|system| summary_header(&label(&system.name, 0, 0.0)));
        let begun = File::create(&path).and_then(|mut file| file.write_all(&header.unwrap_or_default()).map(|()| file));
        let probes = Mutex::new(begun.map_err(OutputError::write(&path))?);
        Ok(Files { directory: directory.to_owned(), experiment, probes })
    }

    /// Keeps a probe.
    pub(super) fn probed(&self, system: &System, probe: &Probe) -> Result<(), OutputError> {
        let rows = rows(&system.name, &self.experiment.seeds, probe);
        let mut file = self.probes.lock().expect("no thread panics while it holds this lock");
        file.write_all(&rows).map_err(OutputError::write(&part_path(&self.directory.join(PROBES))))
    }

    /// Completes every file.
    pub(super) fn finish(self, found: &[Limited], digests: &[Digest]) -> Result<Vec<PathBuf>, OutputError> {
        let Files { directory, experiment, .. } = self;
        let mut paths = vec![write_whole(&directory, GOODPUT, &table_csv(experiment, found))?];
        let mut probes = summary_header(&label("", 0, 0.0));
        for limited in found {
            for probe in &limited.probes {
                probes.extend(rows(&limited.system, &experiment.seeds, probe));
            }
        }
        paths.push(write_whole(&directory, PROBES, &probes)?);
        paths.push(write_whole(&directory, LOCK_FILE, &experiment.lock_file(digests))?);
        let figures = directory.join("figures");
        if experiment.output.figures {
            let mut set = FigureSet::default();
            set.add_figure(FIGURE, &figure(experiment, found));
            paths.extend(set.write(&figures, &Format::USUAL)?);
        } else {
            for stale in ["svg", "png"].map(|end| figures.join(format!("{FIGURE}.{end}"))) {
                if stale.exists() {
                    fs::remove_file(&stale).map_err(OutputError::write(&stale))?;
                }
            }
        }
        Ok(paths)
    }
}

fn label(system: &str, seed: u64, rate: f64) -> RunLabel {
    RunLabel { point: vec![("rate".to_owned(), rate.to_string())], ..RunLabel::new(system, seed) }
}

fn rows(system: &str, seeds: &[u64], probe: &Probe) -> Vec<u8> {
    let labels: Vec<_> = seeds.iter().map(|&seed| label(system, seed, probe.rate)).collect();
    summary_rows(&labels, &probe.summaries)
}

/// Attainment of the demand that fails first over the rate, system by system.
fn figure(experiment: &Experiment, found: &[Limited]) -> AttainmentFigure {
    let series = found.iter().map(|limited| {
        let look = |probe: &Probe| {
            let issued: u64 = probe.summaries.iter().map(|run| run.requests.issued).sum();
            let requests = issued as f64 / probe.summaries.len() as f64;
            (probe.rate, requests, over_seeds(experiment.demands[limited.tightest].limit, probe))
        };
        let looks: Vec<SearchLook> = limited.probes.iter().map(look).collect();
        AttainmentSeries::searched(limited.system.clone(), &looks, limited.rate())
    });
    let mut wanted: Vec<f64> = found.iter().map(|limited| experiment.demands[limited.tightest].share).collect();
    wanted.sort_by(f64::total_cmp);
    wanted.dedup();
    let intervals = crate::results::over_seeds(experiment.seeds.len());
    AttainmentFigure { series: series.collect(), wanted, varied: String::new(), intervals, width: Width::Column }
}

/// The share and the ends of its interval over seeds, which is what `probes.csv` tells.
fn over_seeds(limit: Limit, probe: &Probe) -> (f64, Option<(f64, f64)>) {
    let shares: Vec<f64> = probe.summaries.iter().filter_map(|run| limit.share_in(run)).collect();
    let interval = Interval::over_seeds(&shares).map(|interval| (interval.low, interval.high));
    (shares.iter().sum::<f64>() / shares.len() as f64, interval)
}
