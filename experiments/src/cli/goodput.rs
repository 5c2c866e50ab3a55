//! `servesim goodput`

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::goodput::{GoodputRequest, run as run_goodput};
use crate::terminal::Terminal;

/// What can be said to `servesim goodput`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim goodput experiments/quickstart.toml\n  servesim goodput experiments/quickstart.toml --set \
                  goodput.tolerance=0.01 --set slo.attainment=0.99\n\nWrites goodput.csv, probes.csv (every rate that was tried, every \
                  seed and measure), a figure of attainment over the rate, and experiment.lock.toml. While it searches, what is \
                  done lies in probes.csv.part and survives Ctrl-C."
)]
pub(super) struct GoodputArgs {
    /// The experiment file (TOML); its `rate` is replaced by those that are tried
    experiment: PathBuf,
    /// Folder for the results [default: results/, the name of the experiment file and -goodput]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace a value of the file, such as slo.attainment=0.95 or goodput.tolerance=0.01 (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Replace results that are there already
    #[arg(long)]
    force: bool,
    /// Runs at a time [default: one per processor]; results do not depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Draw no figure, whatever the file says
    #[arg(long)]
    no_figures: bool,
    /// Print the results as JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(args: GoodputArgs, terminal: Terminal) -> Result<(), Failure> {
    let GoodputArgs { experiment, output, settings, force, jobs, no_figures, json } = args;
    let request = GoodputRequest {
        file: experiment,
        settings,
        directory: output,
        force,
        jobs: jobs.map(usize::from),
        figures: no_figures.then_some(false),
        json,
    };
    run_goodput(&request, terminal)
}
