//! The command line.

mod cache;
mod calibrate;
mod experiment;
mod explain;
mod goodput;
mod init;
mod merge;
mod plan;
mod plot;
mod profiles;
mod reference;
mod replay;
mod report;
mod reproduce;
mod run;
mod shell;
mod sweep;
mod trace;
mod validate;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::failure::Failure;
use crate::terminal::Terminal;

pub(crate) use profiles::{device_json, model_json, new_table, right_aligned};

/// Simulates LLM serving deployments and compares them.
///
/// A workload of requests flows into simulated deployments, which ask a cost model what each step costs on real hardware;
/// out flow per-request records that become tables and figures.
#[derive(Parser, Debug)]
#[command(
    name = "servesim",
    version,
    propagate_version = true,
    after_help = "Examples:\n  servesim run experiments/quickstart.toml\n  servesim trace stats azure-conv-2023\n  \
                  servesim profiles list\n\nExit codes: 0 done, 1 the run failed, 2 the input is wrong. \
                  NO_COLOR turns colours off."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say also what was resolved and assumed
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Simulate every system of an experiment file on the same requests, and compare them
    Run(run::RunArgs),
    /// Run every point of the sweep of an experiment file, on one machine or a part of it on each of several
    Sweep(sweep::SweepArgs),
    /// Make the tables of a sweep that ran in parts, and check that no run is missing
    Merge(merge::MergeArgs),
    /// Search the highest rate at which each system of an experiment file meets the objectives
    Goodput(goodput::GoodputArgs),
    /// Search the placement of a model on GPUs that serves most for its keep
    Plan(plan::PlanArgs),
    /// Replay requests through prefix caches alone, and compare what they reuse
    Cache(cache::CacheArgs),
    /// Draw figures from a folder of results
    Plot(plot::PlotArgs),
    /// Simulate measured runs of real engines, and tell the errors
    Validate(validate::ValidateArgs),
    /// Run the experiments of papers, and tell which of their claims hold
    Reproduce(reproduce::ReproduceArgs),
    /// Look at, translate and make workloads
    #[command(subcommand)]
    Trace(trace::TraceCommand),
    /// Models and devices: what there is and where it came from
    #[command(subcommand)]
    Profiles(profiles::ProfilesCommand),
    /// Measure kernels on a machine with an NVIDIA GPU
    Calibrate(calibrate::CalibrateArgs),
    /// Execute the steps of a recorded run on a GPU, and compare the time of each with its prediction
    Replay(replay::ReplayArgs),
    /// Write an experiment file to start from, with the keys that could be set explained in it
    Init(init::InitArgs),
    /// Say what is known about a key, a measure, a policy, a system of a paper, a model, a device or a generator
    Explain(explain::ExplainArgs),
    /// Show a folder of results as one HTML page: tables, figures, steps and requests
    Report(report::ReportArgs),
    /// Print a reference page in Markdown: every key of the experiment file, or every measure
    Reference(reference::ReferenceArgs),
    /// Print what makes a shell complete this program's arguments
    Completions(shell::CompletionsArgs),
    /// Write manual pages
    Man(shell::ManArgs),
}

/// Reads the command line, does what it says, and tells how that went.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.quiet, cli.verbose);
    let result: Result<(), Failure> = match cli.command {
        Command::Run(args) => run::run(args, terminal),
        Command::Sweep(args) => sweep::run(args, terminal),
        Command::Merge(args) => merge::run(&args, terminal),
        Command::Goodput(args) => goodput::run(args, terminal),
        Command::Plan(args) => plan::run(args, terminal),
        Command::Cache(args) => cache::run(args, terminal),
        Command::Plot(args) => plot::run(args, terminal),
        Command::Validate(args) => validate::run(args, terminal),
        Command::Reproduce(args) => reproduce::run(args, terminal),
        Command::Trace(command) => trace::run(command, terminal),
        Command::Profiles(command) => profiles::run(command, terminal),
        Command::Calibrate(args) => calibrate::run(args, terminal),
        Command::Replay(args) => replay::run(&args, terminal),
        Command::Init(args) => init::run(&args, terminal),
        Command::Explain(args) => explain::run(&args),
        Command::Report(args) => report::run(args, terminal),
        Command::Reference(args) => {
            reference::run(&args);
            Ok(())
        }
        Command::Completions(args) => {
            shell::completions(&args, &mut Cli::command());
            Ok(())
        }
        Command::Man(args) => shell::man(&args, Cli::command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(terminal),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_an_example() {
        fn visit(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            let has_subcommands = command.get_subcommands().next().is_some();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(has_subcommands || help.contains("servesim"), "`{path} --help` has no example");
            command.get_subcommands().for_each(|inner| visit(inner, &path));
        }
        super::Cli::command().debug_assert();
        visit(&super::Cli::command(), "");
    }
}
