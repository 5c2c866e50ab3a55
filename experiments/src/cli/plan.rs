//! `servesim plan`

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::plan::{PlanRequest, run as run_plan};
use crate::terminal::Terminal;

/// What can be said to `servesim plan`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim plan my_experiment.toml\n  servesim plan my_experiment.toml --set plan.nodes=4 --set \
                        plan.objective=goodput-per-usd\n\nThe file's `[plan]` says what to search (servesim reference \
                        experiment-file). Writes plan.csv, every candidate with its highest rate or why it was left out, and \
                        plan.toml, the best plan as an experiment that `servesim run` takes."
)]
pub(super) struct PlanArgs {
    /// The experiment file (TOML), with a table `[plan]`
    experiment: PathBuf,
    /// Folder for the results [default: results/, the name of the experiment file and -plan]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace a value of the file, such as plan.nodes=4 or slo.attainment=0.95 (may be repeated)
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

/// Runs it.
pub(super) fn run(args: PlanArgs, terminal: Terminal) -> Result<(), Failure> {
    let PlanArgs { experiment, output, settings, force, jobs, json } = args;
    let request =
        PlanRequest { file: experiment, settings, directory: output, force, jobs: jobs.map(usize::from), json };
    run_plan(&request, terminal)
}
