//! `sweep.json`: what a folder of results is the sweep of.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::grid::shown_point;
use crate::experiment;
use crate::output::{OutputError, RunLabel, part_path};

/// Name of the file.
pub(super) const MANIFEST: &str = "sweep.json";
/// Version of its layout.
pub(super) const FORMAT: u32 = 1;

/// What is swept, in which order, and by which program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Version of the layout.
    pub(super) format: u32,
    /// Version of the program.
    pub(super) servesim: String,
    /// SHA-256 of the program itself.
    pub(super) build: String,
    /// Name of the experiment.
    pub(super) name: String,
    /// Whether tables are Parquet files.
    pub(super) parquet: bool,
    /// Swept keys, as they were written.
    pub(super) keys: Vec<String>,
    /// Their values at each point.
    pub(super) points: Vec<Vec<String>>,
    /// Names of the systems; the first is what the others are compared against.
    pub(super) systems: Vec<String>,
    /// Seeds of every point.
    pub(super) seeds: Vec<u64>,
    /// Addresses of the runs, point by point, in each system by system, in each seed by seed. Rows of tables that come from
    /// the same run have the same.
    pub(super) runs: Vec<String>,
    /// The lock file.
    pub(super) experiment: String,
}

/// What can be wrong with it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManifestError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not what this program writes.
    #[error("{} is not the manifest of a sweep: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// It contradicts itself.
    #[error("{} is not the manifest of a sweep: it has {runs} runs for {rows} rows", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// How many it has.
        runs: usize,
        /// How many it should have.
        rows: usize,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] OutputError),
}

impl Manifest {
    /// Reads that of a folder; `None` if it has none.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, ManifestError> {
        let path = directory.join(MANIFEST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ManifestError::Read { path, source }),
        };
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|source| ManifestError::Parse { path: path.clone(), source })?;
        let rows = manifest.points.len() * manifest.systems.len() * manifest.seeds.len();
        if manifest.runs.len() != rows || rows == 0 || manifest.points.iter().any(|p| p.len() != manifest.keys.len()) {
            return Err(ManifestError::Shape { path, runs: manifest.runs.len(), rows });
        }
        Ok(Some(manifest))
    }

    /// Puts it into a folder, whole or not at all, unless there is one: of parts that begin at the same time one is first.
    pub(super) fn write(&self, directory: &Path) -> Result<(), ManifestError> {
        let path = directory.join(MANIFEST);
        let text = serde_json::to_string_pretty(self).expect("a manifest is plain data") + "\n";
        let own = part_path(&directory.join(format!("{MANIFEST}.{}", std::process::id())));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&own)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            match fs::hard_link(&own, &path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                // Where there are no hard links, two that begin at the same time write the same.
                Err(_) => fs::rename(&own, &path),
                Ok(()) => Ok(()),
            }
        };
        let written = write();
        let _ = fs::remove_file(&own);
        written.map_err(OutputError::write(&path))?;
        Ok(())
    }

    /// In what `other` differs, in words; `None` if in nothing.
    pub(super) fn difference(&self, other: &Manifest) -> Option<&'static str> {
        [
            (self.format != other.format, "the layout of its files"),
            (self.servesim != other.servesim, "the version of servesim"),
            (self.keys != other.keys || self.points != other.points, "the swept keys and values"),
            (self.systems != other.systems, "the systems"),
            (self.seeds != other.seeds, "the seeds"),
            (self.experiment != other.experiment, "the experiment file, its settings or what it stands on"),
            (self.build != other.build, "the build of servesim (SHA-256 of the program)"),
            (self != other, "what its runs depend on"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }

    /// Labels of the rows of tables, in their order.
    pub(super) fn labels(&self) -> Vec<RunLabel> {
        let mut labels = Vec::with_capacity(self.runs.len());
        for values in &self.points {
            let point: Vec<(String, String)> = self.keys.iter().cloned().zip(values.iter().cloned()).collect();
            for system in &self.systems {
                labels.extend(
                    self.seeds
                        .iter()
                        .map(|&seed| RunLabel { point: point.clone(), ..RunLabel::new(system.clone(), seed) }),
                );
            }
        }
        labels
    }

    /// `1,000 runs: 50 points × 2 systems × 10 seeds`.
    pub(super) fn size(&self, different: usize) -> String {
        let of = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let rows = self.runs.len();
        let shared = if different < rows { format!(", {different} of them different") } else { String::new() };
        format!(
            "{}: {} × {} × {}{shared}",
            of(rows, "run"),
            of(self.points.len(), "point"),
            of(self.systems.len(), "system"),
            of(self.seeds.len(), "seed")
        )
    }
}

/// A run in words.
pub(super) fn shown_run(label: &RunLabel) -> String {
    format!("{}, system `{}`, seed {}", shown_point(&label.point), label.system, label.seed)
}

/// SHA-256 of the program that runs.
pub(super) fn build_digest() -> std::io::Result<String> {
    experiment::file_sha256(&std::env::current_exe()?)
}
