//! Where a validation leaves its files, and what an earlier one left there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::output::OutputError;

/// Tables and the page, in the order in which they are written.
pub(super) const TABLES: [&str; 5] = ["errors.csv", "groups.csv", "cases.csv", "assumptions.csv", "validation.md"];
/// Folder of figures.
pub(super) const FIGURES: &str = "figures";
/// Folder with a folder per case.
const CASES: &str = "cases";
/// Name of an experiment in the folder of its case.
pub(super) const EXPERIMENT: &str = "experiment.toml";
/// Name of the trace beside it.
pub(super) const TRACE: &str = "trace.csv";
/// Name of the table of requests beside it.
pub(super) const REQUESTS: &str = "requests.csv";
/// How every experiment begins that was made of a case.
pub(super) const MARK: &str = "# The measured run ";

/// Where the experiments of the cases lie: beside the results, or in a folder that goes when all is done.
pub(super) struct Place {
    folder: PathBuf,
    is_kept: bool,
}

impl Place {
    /// Makes the folder, for cases of these names. With `force`, what an earlier validation left there is removed, and
    /// nothing else.
    ///
    /// # Errors
    /// Without `force`, if an earlier validation left anything there; a folder in which files of a measured run would be
    /// replaced; one that cannot be written.
    pub(super) fn new<'a>(
        directory: Option<&Path>,
        mut names: impl Iterator<Item = &'a str>,
        force: bool,
    ) -> Result<Self, Failure> {
        let Some(directory) = directory else {
            let folder = std::env::temp_dir().join(format!("servesim-validate-{}", std::process::id()));
            return Self::make(folder, false);
        };
        let is_measured = |folder: &Path| folder.join("meta.json").exists();
        let measured = names.find_map(|name| Some(folder_of(directory, name)).filter(|folder| is_measured(folder)));
        if let Some(measured) = measured.or_else(|| is_measured(directory).then(|| directory.to_owned())) {
            return Err(Failure::Request(format!(
                "{} is a measured run, whose files would be replaced; write elsewhere with -o",
                measured.display()
            )));
        }
        let earlier = earlier(directory);
        if !force && !earlier.is_empty() {
            let mut names: Vec<String> = earlier.iter().filter_map(|path| top(directory, path)).collect();
            names.dedup();
            let directory = directory.to_owned();
            return Err(Failure::before_run(&OutputError::Exists { directory, names }));
        }
        remove(&earlier).map_err(|error| Failure::before_run(&error))?;
        Self::make(directory.join(CASES), true)
    }

    fn make(folder: PathBuf, is_kept: bool) -> Result<Self, Failure> {
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::Request(format!("cannot create the folder {}: {error}", folder.display())))?;
        Ok(Place { folder, is_kept })
    }

    /// The folder of a case.
    pub(super) fn of(&self, case: &str) -> PathBuf {
        self.folder.join(folder_name(case))
    }

    /// Removes the folder of a case that nobody wants to keep.
    pub(super) fn clear(&self, case: &str) {
        if !self.is_kept {
            // What cannot be removed stays in the temporary folder.
            let _ = fs::remove_dir_all(self.of(case));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The name of a case's folder, which any file system takes.
pub(super) fn folder_name(case: &str) -> String {
    case.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

/// The folder of a case among the results in `directory`.
pub(super) fn folder_of(directory: &Path, case: &str) -> PathBuf {
    directory.join(CASES).join(folder_name(case))
}

/// The part of a path right below a folder.
fn top(directory: &Path, path: &Path) -> Option<String> {
    let below = path.strip_prefix(directory).ok()?;
    below.components().next().map(|name| name.as_os_str().to_string_lossy().into_owned())
}

/// All files that an earlier validation left in a folder, told by their names and, for cases, by how their experiment
/// begins.
fn earlier(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = TABLES.iter().map(|name| directory.join(name)).collect();
    found.extend(entries(&directory.join(FIGURES)).into_iter().filter(|path| is_figure(path)));
    for case in entries(&directory.join(CASES)) {
        let experiment = case.join(EXPERIMENT);
        if fs::read(&experiment).is_ok_and(|text| text.starts_with(MARK.as_bytes())) {
            // The experiment comes last: what is cut short can be removed by the next.
            found.extend([case.join(TRACE), case.join(REQUESTS), experiment]);
        }
    }
    found.retain(|path| path.is_file());
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

/// Whether a file is called as the figures of a validation are.
fn is_figure(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(stem) = name.strip_suffix(".svg") else { return false };
    stem.starts_with("errors_")
        || ["scatter_ttft", "scatter_tpot", "scatter_e2e"].contains(&stem)
        || ["_ttft", "_tpot", "_e2e"].iter().any(|end| stem.ends_with(end))
}

/// Removes files, and the folders that are empty without them.
fn remove(files: &[PathBuf]) -> Result<(), OutputError> {
    for path in files {
        fs::remove_file(path).map_err(OutputError::write(path))?;
        if path.file_name().is_some_and(|name| name == EXPERIMENT) {
            // A folder that holds something else stays.
            let _ = path.parent().map(fs::remove_dir);
        }
    }
    Ok(())
}
