//! `servesim report`

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::report::{ReportRequest, run as run_report};
use crate::terminal::Terminal;

/// What can be said to `servesim report`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim report results/quickstart\n  servesim report results/quickstart -o quickstart.html --steps \
                  300000\n\nThe page needs no network and no other file. To see single steps in it, run the experiment with --set \
                  output.steps=true."
)]
pub(super) struct ReportArgs {
    /// Folder with the results of run, sweep, goodput, plan or cache
    directory: PathBuf,
    /// The page [default: report.html in the folder]; one that is there is replaced
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Most requests in the page; the tables and distributions are over all of them nevertheless
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    requests: usize,
    /// Most steps in the page
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    steps: usize,
}

/// Runs it.
pub(super) fn run(args: ReportArgs, terminal: Terminal) -> Result<(), Failure> {
    let ReportArgs { directory, output, requests, steps } = args;
    run_report(&ReportRequest { directory, file: output, requests, steps }, terminal)
}
