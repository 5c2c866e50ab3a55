//! `servesim validate`

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::terminal::Terminal;
use crate::validate::{ValidateRequest, run as validate};

/// What can be said to `servesim validate`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim validate runs/my-run\n  servesim validate runs -o results/validation --kernel-tables \
                        tables/h100\n\nThe format of a case: docs/ground-truth.md"
)]
pub(super) struct ValidateArgs {
    /// Folders of measured runs (`meta.json` with `requests.csv` or `cases.csv`), or folders of such folders
    #[arg(required = true, value_name = "CASE")]
    cases: Vec<PathBuf>,
    /// Folder for tables, figures and the experiments that were made of the cases [default: print only]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Kernel tables, or folders of them; each case takes those of its device
    #[arg(long, value_name = "PATH", num_args = 1..)]
    kernel_tables: Vec<PathBuf>,
    /// Replace a value of the experiment of every case, such as `system.engine.step_gap="0.2 ms"` (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Cases at a time [default: one per processor]; results do not depend on it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Draw no figures
    #[arg(long)]
    no_figures: bool,
    /// Print the errors as JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(args: ValidateArgs, terminal: Terminal) -> Result<(), Failure> {
    let ValidateArgs { cases, output, kernel_tables, settings, jobs, no_figures, json } = args;
    let request = ValidateRequest {
        cases,
        directory: output,
        kernel_tables,
        settings,
        jobs: jobs.map(usize::from),
        figures: !no_figures,
        json,
    };
    validate(&request, terminal)
}
