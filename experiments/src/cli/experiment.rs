//! What commands that simulate an experiment file have in common.

use std::path::PathBuf;

use clap::Args;

use crate::request::Request;

/// What can be said to each of them.
#[derive(Args, Debug)]
pub(super) struct ExperimentArgs {
    /// The experiment file (TOML), or an `experiment.lock.toml` of an earlier run
    experiment: PathBuf,
    /// Folder for the results [default: results/ and the name of the experiment file, then -sweep, -goodput or -plan for
    /// these commands]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace a value of the file, such as workload.rate=4 or system.NAME.gpu=L40S (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Replace results that are there already
    #[arg(long)]
    force: bool,
    /// Simulations at a time [default: one per processor]; results do not depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Print the results as JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl ExperimentArgs {
    /// The request they make, with `more` settings after those given.
    pub(super) fn request(mut self, more: impl IntoIterator<Item = String>) -> Request {
        self.settings.extend(more);
        Request {
            file: self.experiment,
            settings: self.settings,
            directory: self.output,
            force: self.force,
            jobs: self.jobs.map(usize::from),
            figures: None,
            json: self.json,
        }
    }
}

/// Whether figures are drawn.
#[derive(Args, Debug)]
pub(super) struct FigureArgs {
    /// Draw no figures, whatever the file says
    #[arg(long)]
    no_figures: bool,
}

impl FigureArgs {
    /// As [`Request::figures`].
    pub(super) fn figures(&self) -> Option<bool> {
        self.no_figures.then_some(false)
    }
}
