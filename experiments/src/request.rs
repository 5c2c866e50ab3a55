//! What commands that simulate an experiment file are asked for.

use std::path::{Path, PathBuf};

/// What one of them was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The experiment file.
    pub(crate) file: PathBuf,
    /// Values laid over it.
    pub(crate) settings: Vec<String>,
    /// Where results go; `None`: where [`directory`](Self::directory) says.
    pub(crate) directory: Option<PathBuf>,
    /// Whether results that are there are replaced.
    pub(crate) force: bool,
    /// Simulations at a time; `None`: one per processor.
    pub(crate) jobs: Option<usize>,
    /// Whether figures are drawn; `None`: as the file says.
    pub(crate) figures: Option<bool>,
    /// Whether results are printed as JSON.
    pub(crate) json: bool,
}

impl Request {
    /// Where results go: the folder that was asked for, or `results/`, the name of the file and `what`.
    pub(crate) fn directory(&self, what: &str) -> PathBuf {
        self.directory.clone().unwrap_or_else(|| {
            let stem = self.file.file_stem().map_or_else(|| "experiment".into(), |stem| stem.to_string_lossy());
            Path::new("results").join(format!("{}{what}", stem.strip_suffix(".lock").unwrap_or(&stem)))
        })
    }
}
