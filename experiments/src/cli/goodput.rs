//! `servesim goodput`

use clap::Args;

use super::experiment::{ExperimentArgs, FigureArgs};
use crate::failure::Failure;
use crate::goodput::run as run_goodput;
use crate::request::Request;
use crate::terminal::Terminal;

/// What can be said to `servesim goodput`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim goodput experiments/quickstart.toml\n  servesim goodput experiments/quickstart.toml --set \
                  goodput.tolerance=0.01 --set slo.attainment=0.99\n\nThe `rate` of the file is replaced by those that are tried. \
                  Writes goodput.csv, probes.csv (every rate that was tried, every seed and measure), a figure of attainment over \
                  the rate, and experiment.lock.toml. While it searches, what is done lies in probes.csv.part and survives Ctrl-C."
)]
pub(super) struct GoodputArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    figures: FigureArgs,
}

/// Runs it.
pub(super) fn run(args: GoodputArgs, terminal: Terminal) -> Result<(), Failure> {
    let request = Request { figures: args.figures.figures(), ..args.experiment.request([]) };
    run_goodput(&request, terminal)
}
