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
}

/// Runs it.
pub(super) fn run(args: PlanArgs, terminal: Terminal) -> Result<(), Failure> {
    run_plan(&args.experiment.request([]), terminal)
}
