//! `servesim run`

use clap::Args;

use super::experiment::{ExperimentArgs, FigureArgs};
use crate::failure::Failure;
use crate::request::Request;
use crate::run::run as run_experiment;
use crate::terminal::Terminal;

/// What can be said to `servesim run`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim run experiments/quickstart.toml\n  servesim run experiments/quickstart.toml \
                        --set workload.rate=6 --set system.prefill-first.gpu=A100-SXM-80GB -o results/six\n  servesim run \
                        results/six/experiment.lock.toml -o results/again\n\nEvery key of the file: servesim reference \
                        experiment-file"
)]
pub(super) struct RunArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    figures: FigureArgs,
    /// Format of the tables, whatever the file says
    #[arg(long, value_parser = ["csv", "parquet"])]
    format: Option<String>,
    /// Write `schedule.jsonl.gz`, which `servesim replay` executes on a GPU, whatever the file says
    #[arg(long)]
    record_steps: bool,
}

/// Runs it.
pub(super) fn run(args: RunArgs, terminal: Terminal) -> Result<(), Failure> {
    let RunArgs { experiment, figures, format, record_steps } = args;
    let format = format.map(|format| format!("output.format={format}"));
    let record_steps = record_steps.then(|| "output.record_steps=true".to_owned());
    let settings = format.into_iter().chain(record_steps);
    let request = Request { figures: figures.figures(), ..experiment.request(settings) };
    run_experiment(&request, terminal)
}
