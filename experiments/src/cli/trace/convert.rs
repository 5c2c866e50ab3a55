//! `servesim trace convert`

use std::path::{Path, PathBuf};

use clap::Args;
use workloads::{TraceFormat, TraceReader, TraceWriter, WorkloadError};

use super::target::{ReadArgs, format, wrong};
use crate::experiment::left_out;
use crate::failure::Failure;
use crate::terminal::{self, Terminal, short};

/// What can be said to `servesim trace convert`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim trace convert conversation_trace.jsonl.gz requests.csv\n  servesim trace convert \
                        requests.csv trace.jsonl.gz --format mooncake"
)]
pub(in crate::cli) struct ConvertArgs {
    /// The trace to read, plain or gzip
    input: PathBuf,
    /// The file to write; compressed if its name ends in .gz
    output: PathBuf,
    #[command(flatten)]
    read: ReadArgs,
    /// Seed of what is drawn at random: the clients of `ServeGen`
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Format to write: csv, jsonl, mooncake or azure [default: by the name of the file]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

/// Translates the trace.
pub(super) fn run(args: &ConvertArgs, terminal: Terminal) -> Result<(), Failure> {
    let wanted = written_format(args.format.as_deref(), &args.output)?;
    let mut rows = TraceReader::open(&args.input, &args.read.options(args.seed)?).map_err(|error| wrong(&error))?;
    for note in rows.info().notes.clone() {
        terminal.note(&format!("note: {note}"));
    }
    let mut writer = TraceWriter::create(&args.output, wanted, args.force).map_err(|error| wrong(&error))?;
    for row in rows.by_ref() {
        row.and_then(|row| writer.write(&row)).map_err(|error| abandoned(&args.output, &error))?;
    }
    if let Some(remark) = left_out(rows.skipped()) {
        terminal.note(&remark);
    }
    finish(writer, wanted, &args.output, terminal)
}

/// Removes what was written before a row was found wrong, so that nobody takes it for a whole trace.
pub(super) fn abandoned(path: &Path, error: &WorkloadError) -> Failure {
    if path.is_file() && std::fs::remove_file(path).is_err() {
        return Failure::Request(format!("{error}\n{} holds only the rows before it", short(path)));
    }
    wrong(error)
}

/// Completes the file and says what it could not hold.
pub(super) fn finish(writer: TraceWriter, format: TraceFormat, path: &Path, terminal: Terminal) -> Result<(), Failure> {
    let rows = writer.rows();
    let losses = writer.finish().map_err(|error| Failure::Run(error.to_string()))?;
    for loss in losses.sentences(format) {
        terminal.note(&format!("warning: {loss}"));
    }
    if terminal.talks() {
        terminal::print_line(&format!("Wrote {rows} requests to {}", short(path)));
    }
    Ok(())
}

/// The format asked for, or the one the name of the file tells.
pub(super) fn written_format(name: Option<&str>, path: &Path) -> Result<TraceFormat, Failure> {
    if let Some(name) = name {
        return format(name);
    }
    let file = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain = file.strip_suffix(".gz").unwrap_or(&file);
    match plain.rsplit_once('.').map(|(_, end)| end) {
        Some("csv") => Ok(TraceFormat::Csv),
        Some("jsonl" | "ndjson") => Ok(TraceFormat::Jsonl),
        _ => Err(Failure::Request(format!(
            "the name of {} does not tell its format: end it in .csv or .jsonl (and .gz), or give --format csv, jsonl, mooncake \
             or azure",
            path.display()
        ))),
    }
}
