//! `servesim sweep`

use clap::Args;

use super::experiment::ExperimentArgs;
use crate::failure::Failure;
use crate::sweep::{Launch, Shard, SweepRequest, run as run_sweep};
use crate::terminal::Terminal;

/// What can be said to `servesim sweep`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim sweep experiments/sweep.toml\n  servesim sweep experiments/sweep.toml --resume\n  servesim \
                        sweep experiments/sweep.toml -o results/four --shard 1/4\n  servesim merge results/four\n  servesim sweep \
                        experiments/sweep.toml --launcher slurm --shards 4 --jobs 8\n\nHow a sweep is written, interrupted and spread over \
                        machines: docs/sweeps.md"
)]
pub(super) struct SweepArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Format of the tables, whatever the file says
    #[arg(long, value_parser = ["csv", "parquet"])]
    format: Option<String>,
    /// Go on with the sweep that the folder holds: what is done is kept, what failed is tried again
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Run one of several parts: I/N, or `auto` for the part that a task of a Slurm array is to run, or `auto/N` for the one of an
    /// indexed Kubernetes job; then `servesim merge` makes the tables
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    shard: Option<Shard>,
    /// Have it run elsewhere: write the job scripts into DIR/slurm and submit them with sbatch
    #[arg(long, value_parser = ["slurm"], conflicts_with = "shard", requires = "shards")]
    launcher: Option<String>,
    /// In so many parts, each a task of the array job, with as many processors as --jobs says
    #[arg(long, value_name = "N", requires = "launcher", value_parser = clap::value_parser!(u32).range(1..))]
    shards: Option<u32>,
    /// A line of options for Slurm, such as "--partition=cpu --time=60" (may be repeated)
    #[arg(long, value_name = "OPTIONS", requires = "launcher", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// Write the job scripts, and submit nothing
    #[arg(long, requires = "launcher")]
    dry_run: bool,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    Shard::parse(text, |name| std::env::var(name).ok())
}

/// Runs it.
pub(super) fn run(args: SweepArgs, terminal: Terminal) -> Result<(), Failure> {
    let SweepArgs { experiment, format, resume, shard, launcher, shards, sbatch, dry_run } = args;
    let request = experiment.request(format.map(|format| format!("output.format={format}")));
    let launch = launcher.map(|_| Launch {
        shards: shards.expect("it is demanded beside a launcher") as usize,
        options: sbatch,
        dry_run,
    });
    run_sweep(&SweepRequest { request, resume, shard: shard.unwrap_or(Shard::WHOLE), launch }, terminal)
}
