//! `servesim profiles`

mod check;
mod fit;
mod import;
mod list;
mod show;
mod tables;

pub(crate) use show::{device_json, model_json};

use clap::Subcommand;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use crate::failure::Failure;
use crate::terminal::Terminal;

/// Commands about models, devices and kernel tables.
#[derive(Subcommand, Debug)]
pub(super) enum ProfilesCommand {
    /// List the shipped models and devices
    List(list::ListArgs),
    /// Show all figures of one model or device, and where they came from
    Show(show::ShowArgs),
    /// Turn kernel tables that others measured into tables of our own format
    Import(import::ImportArgs),
    /// Distil kernel tables of a device into a compact profile
    Fit(fit::FitArgs),
    /// Print how far a profile is from kernel tables
    Check(check::CheckArgs),
}

/// Runs the command.
pub(super) fn run(command: ProfilesCommand, terminal: Terminal) -> Result<(), Failure> {
    match command {
        ProfilesCommand::List(args) => list::run(&args, terminal),
        ProfilesCommand::Show(args) => show::run(&args),
        ProfilesCommand::Import(args) => import::run(&args, terminal),
        ProfilesCommand::Fit(args) => fit::run(&args, terminal),
        ProfilesCommand::Check(args) => check::run(&args, terminal),
    }
}

/// A plain table as wide as the terminal.
pub(crate) fn new_table(terminal: Terminal, header: &[&str]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line)).set_header(header);
    if let Some(width) = terminal.width() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}

/// The table with every column but the first aligned as numbers are.
pub(crate) fn right_aligned(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
