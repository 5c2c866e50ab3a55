//! `servesim trace generate`

use std::path::PathBuf;

use clap::Args;
use workloads::{ContentId, Request, TraceRow, TraceWriter, Unserved};

use super::convert::{abandoned, finish, written_format};
use super::target::{MakeArgs, Target, target, wrong};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// What can be said to `servesim trace generate`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim trace generate azure-conv-2023 -o requests.csv --requests 5000 --rate 4\n  servesim \
                        trace generate experiments/quickstart.toml -o requests.jsonl.gz --seed 7"
)]
pub(in crate::cli) struct GenerateArgs {
    /// A generator, or an experiment file
    target: String,
    /// The file to write; compressed if its name ends in .gz
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    make: MakeArgs,
    /// Format to write: csv, jsonl, mooncake or azure [default: by the name of the file]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

/// Makes the trace.
pub(super) fn run(args: &GenerateArgs, terminal: Terminal) -> Result<(), Failure> {
    let Target::Workload(workload) = target(&args.target, &args.make)? else {
        return Err(Failure::Request(format!(
            "{} is neither a generator nor an experiment file; `servesim trace convert` translates traces",
            args.target
        )));
    };
    let wanted = written_format(args.format.as_deref(), &args.output)?;
    let requests = workload.requests(args.make.seed).map_err(|error| wrong(&error))?;
    if workload.waits_for_answers() {
        terminal.note(
            "note: requests of this workload wait for earlier answers; they are written with the earliest times they can have, \
             as if every answer came at once",
        );
    }
    let mut writer = TraceWriter::create(&args.output, wanted, args.force).map_err(|error| wrong(&error))?;
    for (number, request) in Unserved::new(requests).enumerate() {
        let written = request.and_then(|request| writer.write(&row(&request, number as u64 + 1)));
        written.map_err(|error| abandoned(&args.output, &error))?;
    }
    finish(writer, wanted, &args.output, terminal)
}

fn row(request: &Request, line: u64) -> TraceRow {
    /// The two highest bits of a content say who named it; a prompt of one piece that no other prompt has shares nothing.
    const UNIQUE: u64 = ContentId::unique(0).0;
    let spans = request.prompt.spans();
    let alone =
        matches!(spans, [one] if one.content.0 & !(ContentId::LIMIT - 1) == UNIQUE) && request.session.is_none();
    TraceRow {
        arrival: request.arrival,
        input_tokens: request.prompt.tokens(),
        output_tokens: request.output_tokens,
        spans: (!alone).then(|| spans.to_vec()),
        session: request.session,
        line,
    }
}
