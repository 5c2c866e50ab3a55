//! `servesim plot`

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::figures::{Format, Width};
use crate::plot::{Asked, PlotRequest, run as run_plot};
use crate::terminal::Terminal;

/// What can be said to `servesim plot`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim plot results/quickstart\n  servesim plot results/quickstart --list\n  servesim plot \
                  results/quickstart ttft_cdf energy_breakdown --format pdf -o paper/figures\n  servesim plot results/rates --x \
                  workload.rate --y p99_itl_ms\n\nFigures are drawn from the tables of a folder of results, of whichever command. \
                  Text is outlined, so that PDF and SVG files need no fonts; .vl.json files are Vega-Lite specifications."
)]
pub(super) struct PlotArgs {
    /// A folder of results of run, sweep, goodput, plan or cache
    directory: PathBuf,
    /// Figures by name [default: all that the folder can give]
    figures: Vec<String>,
    /// Folder for the figures [default: figures in the folder of results]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Formats, with commas between
    #[arg(long, value_delimiter = ',', value_parser = ["svg", "pdf", "png", "vega"], default_value = "svg,pdf,png,vega")]
    format: Vec<String>,
    /// Width in print: a column (3.33 in) or a page (7 in) [default: what suits the figure]
    #[arg(long, value_parser = ["column", "page"])]
    width: Option<String>,
    /// Swept key for the horizontal axis; a heat map takes two (may be repeated)
    #[arg(long = "x", value_name = "KEY")]
    keys: Vec<String>,
    /// Measure for the vertical axis; a frontier takes two (may be repeated)
    #[arg(long = "y", value_name = "MEASURE")]
    measures: Vec<String>,
    /// Show only runs where a swept key has this value (may be repeated)
    #[arg(long = "where", value_name = "KEY=VALUE")]
    held: Vec<String>,
    /// Say which figures the folder can give, and why not the others
    #[arg(long)]
    list: bool,
}

/// Runs it.
pub(super) fn run(args: PlotArgs, terminal: Terminal) -> Result<(), Failure> {
    let format = |name: &String| match name.as_str() {
        "svg" => Format::Svg,
        "pdf" => Format::Pdf,
        "png" => Format::Png,
        _ => Format::Vega,
    };
    let held = |text: &String| {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Failure::Request(format!(
                "`--where {text}` has no `=`; expected a swept key and its value, as in workload.rate=4"
            ))
        })?;
        Ok((key.trim().to_owned(), value.trim().to_owned()))
    };
    let request = PlotRequest {
        directory: args.directory,
        figures: args.figures,
        output: args.output,
        formats: args.format.iter().map(format).collect(),
        list: args.list,
        asked: Asked {
            width: args.width.map(|width| if width == "page" { Width::Page } else { Width::Column }),
            keys: args.keys,
            measures: args.measures,
            held: args.held.iter().map(held).collect::<Result<_, Failure>>()?,
        },
    };
    run_plot(&request, terminal)
}
