//! `servesim run`

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::run::{RunRequest, run as run_experiment};
use crate::terminal::Terminal;

/// What can be said to `servesim run`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim run experiments/quickstart.toml\n  servesim run experiments/quickstart.toml \
                        --set workload.rate=6 --set system.prefill-first.gpu=A100-SXM-80GB -o results/six\n  servesim run \
                        results/six/experiment.lock.toml -o results/again\n\nEvery key of the file: servesim reference \
                        experiment-file"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct RunArgs {
    /// The experiment file (TOML), or an `experiment.lock.toml` of an earlier run
    experiment: PathBuf,
    /// Folder for the results [default: results/ and the name of the experiment file]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace a value of the file, such as workload.rate=4 or system.NAME.gpu=L40S (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Replace results that are there already
    #[arg(long)]
    force: bool,
    /// Runs at a time [default: one per processor]; results do not depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Format of the tables, whatever the file says
    #[arg(long, value_parser = ["csv", "parquet"])]
    format: Option<String>,
    /// Write `schedule.jsonl.gz`, which `servesim replay` executes on a GPU, whatever the file says
    #[arg(long)]
    record_steps: bool,
    /// Draw no figures, whatever the file says
    #[arg(long)]
    no_figures: bool,
    /// Print the results as JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(args: RunArgs, terminal: Terminal) -> Result<(), Failure> {
    let RunArgs { experiment, output, mut settings, force, jobs, format, record_steps, no_figures, json } = args;
    settings.extend(format.map(|format| format!("output.format={format}")));
    if record_steps {
        settings.push("output.record_steps=true".to_owned());
    }
    let request = RunRequest {
        file: experiment,
        settings,
        directory: output,
        force,
        jobs: jobs.map(usize::from),
        figures: no_figures.then_some(false),
        json,
    };
    run_experiment(&request, terminal)
}
