//! `servesim reference`

mod kernel_tables;

use clap::{Args, ValueEnum};

use crate::caches;
use crate::file::reference;
use crate::output::metric_reference;
use crate::terminal;

/// What can be said to `servesim reference`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  servesim reference experiment-file > docs/experiment-file.md")]
pub(super) struct ReferenceArgs {
    /// Which page
    #[arg(value_enum)]
    page: Page,
}

/// A page that is written from the code.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Every key of the experiment file
    ExperimentFile,
    /// Every key and measure of a cache study
    CacheStudy,
    /// Every measure, as in summary.csv
    Measures,
    /// The format of kernel tables, and every column
    KernelTables,
}

/// Prints it.
pub(super) fn run(args: &ReferenceArgs) {
    terminal::print(&match args.page {
        Page::ExperimentFile => reference::page(),
        Page::CacheStudy => caches::reference(),
        Page::Measures => metric_reference(),
        Page::KernelTables => kernel_tables::page(),
    });
}
