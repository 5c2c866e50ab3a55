//! `servesim plan`

use clap::Args;

use super::experiment::ExperimentArgs;
use crate::failure::Failure;
use crate::plan::run as run_plan;
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
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// With plan.deployments: simulate so many of the cheapest deployments that serve, and those cheaper ones that just do not,
    /// ten times as long and under five seeds of their own, and tell whether the order holds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    confirm: Option<u16>,
}

/// Runs it.
pub(super) fn run(args: PlanArgs, terminal: Terminal) -> Result<(), Failure> {
    run_plan(&args.experiment.request([]), args.confirm.map(usize::from), terminal)
}
