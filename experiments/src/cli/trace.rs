//! `servesim trace`

mod convert;
mod generate;
mod stats;
mod target;

use clap::Subcommand;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// Commands about workloads.
#[derive(Subcommand, Debug)]
pub(super) enum TraceCommand {
    /// Say what is in a trace, a generator or the workload of an experiment
    Stats(stats::StatsArgs),
    /// Translate a trace into another format
    Convert(convert::ConvertArgs),
    /// Make a trace from a generator or the workload of an experiment
    Generate(generate::GenerateArgs),
}

/// Runs the command.
pub(super) fn run(command: TraceCommand, terminal: Terminal) -> Result<(), Failure> {
    match command {
        TraceCommand::Stats(args) => stats::run(&args, terminal),
        TraceCommand::Convert(args) => convert::run(&args, terminal),
        TraceCommand::Generate(args) => generate::run(&args, terminal),
    }
}
