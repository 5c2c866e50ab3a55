//! `servesim cache`

use std::path::PathBuf;

use clap::Args;

use crate::caches::{CacheRequest, run as run_caches};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// What can be said to `servesim cache`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim cache experiments/caches.toml\n  servesim cache experiments/caches.toml --set \
                  capacity=\"40 GB\" --set workload.requests=500\n\nRequests are looked up and stored one after the other, in order of \
                  arrival, as if each was answered at once: nothing is served and nothing queues. Writes caches.csv (one row per \
                  cache, capacity and seed) and a figure of the hit rate over the capacity."
)]
pub(super) struct CacheArgs {
    /// The cache study (TOML); its keys: docs/cache-study.md
    study: PathBuf,
    /// Folder for the results [default: results/ and the name of the study]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace a value of the file, such as model.state=64 (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Replace results that are there already
    #[arg(long)]
    force: bool,
    /// Replays at a time [default: one per processor]; results do not depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Print the results as JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(args: CacheArgs, terminal: Terminal) -> Result<(), Failure> {
    let request = CacheRequest {
        file: args.study,
        settings: args.settings,
        directory: args.output,
        force: args.force,
        jobs: args.jobs.map(usize::from),
        json: args.json,
    };
    run_caches(&request, terminal)
}
