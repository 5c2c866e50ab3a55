//! `servesim merge`

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::sweep::merge;
use crate::terminal::Terminal;

/// What can be said to `servesim merge`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim merge results/sweep\n  servesim merge from-node-1 from-node-2 -o results/sweep"
)]
pub(super) struct MergeArgs {
    /// Folders that parts of one sweep wrote into
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Folder for the tables [default: the folder itself, where there is one]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace tables that are there already
    #[arg(long)]
    force: bool,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(args: &MergeArgs, terminal: Terminal) -> Result<(), Failure> {
    merge(&args.directories, args.output.as_deref(), args.force, args.json, terminal)
}
