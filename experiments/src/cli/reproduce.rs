//! `servesim reproduce`

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::reproduce::{ReproduceRequest, run as reproduce};
use crate::terminal::Terminal;

/// What can be said to `servesim reproduce`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim reproduce\n  servesim reproduce layered-prefill -o results/reproduction\n  servesim \
                        reproduce sarathi-serve/capacity --seeds 5\n\nA claim that differs is a result, not a failure. Exit \
                        code 1: a run failed."
)]
pub(super) struct ReproduceArgs {
    /// Papers, or single experiments of them (PAPER/EXPERIMENT) [default: all]
    #[arg(value_name = "PAPER")]
    papers: Vec<String>,
    /// Folder for the claims, all runs and a Markdown page [default: print only]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace results that are there already
    #[arg(long, requires = "output")]
    force: bool,
    /// Folder of papers [default: experiments/papers of the clone that the current folder or the program is in]
    #[arg(long = "papers", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Use only the first N seeds of each experiment: sooner done, wider intervals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    seeds: Option<u16>,
    /// Runs at a time [default: one per processor]; results do not depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Print which claims there are, and run nothing
    #[arg(long, conflicts_with_all = ["output", "seeds", "jobs", "json"])]
    list: bool,
    /// Print the claims as JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(args: ReproduceArgs, terminal: Terminal) -> Result<(), Failure> {
    let ReproduceArgs { papers, output, force, folder, seeds, jobs, list, json } = args;
    let request = ReproduceRequest {
        papers,
        folder,
        directory: output,
        force,
        seeds: seeds.map(usize::from),
        jobs: jobs.map(usize::from),
        list,
        json,
    };
    reproduce(&request, terminal)
}
