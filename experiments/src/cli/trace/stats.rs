//! `servesim trace stats`

use clap::Args;
use workloads::stats::{LengthStatistics, Statistics, TraceStatistics};
use workloads::trace::Skipped;
use workloads::{TraceReader, Unserved, generators};

use super::target::{MakeArgs, ReadArgs, Target, target, wrong};
use crate::cli::profiles::{new_table, right_aligned};
use crate::experiment::left_out;
use crate::failure::Failure;
use crate::terminal::{self, Terminal};

/// What can be said to `servesim trace stats`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim trace stats conversation_trace.jsonl.gz\n  servesim trace stats azure-conv-2023 \
                        --rate 4\n  servesim trace stats experiments/quickstart.toml --json"
)]
pub(in crate::cli) struct StatsArgs {
    /// A trace, a generator, or an experiment file
    target: String,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    make: MakeArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the statistics.
pub(super) fn run(args: &StatsArgs, terminal: Terminal) -> Result<(), Failure> {
    let mut statistics = Statistics::new();
    let (mut notes, mut skipped) = (Vec::new(), Skipped::default());
    match target(&args.target, &args.make)? {
        Target::Trace(path) => {
            args.make.refuse()?;
            let mut rows =
                TraceReader::open(&path, &args.read.options(args.make.seed)?).map_err(|error| wrong(&error))?;
            let info = rows.info();
            notes.push(format!("format {}", info.format));
            notes.extend(info.notes.iter().cloned());
            for row in rows.by_ref() {
                statistics.add_row(&row.map_err(|error| wrong(&error))?);
            }
            skipped = rows.skipped().clone();
        }
        Target::Workload(workload) => {
            args.read.refuse()?;
            let requests = workload.requests(args.make.seed).map_err(|error| wrong(&error))?;
            for request in Unserved::new(requests) {
                statistics.add_request(&request.map_err(|error| wrong(&error))?);
            }
            if let Ok(generator) = generators::named(&args.target) {
                notes.push(format!("{}; after {}", generator.summary, generator.source));
            }
        }
    }
    let found = statistics.finish().ok_or_else(|| Failure::Request(format!("{} has no requests", args.target)))?;
    if args.json {
        let mut json = serde_json::to_value(&found).map_err(|error| Failure::Run(error.to_string()))?;
        json["notes"] = notes.into();
        json["bad_rows"] = skipped.bad_rows.into();
        json["failed_requests"] = skipped.failed_requests.into();
        terminal::print_line(&json.to_string());
        return Ok(());
    }
    for note in notes {
        terminal.note(&format!("note: {note}"));
    }
    if let Some(remark) = left_out(&skipped) {
        terminal.note(&remark);
    }
    print(&found, terminal);
    Ok(())
}

fn print(found: &TraceStatistics, terminal: Terminal) {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let lines = [
        ("requests", found.rows.to_string()),
        ("span (s)", format!("{:.3}", found.span_s)),
        ("rate (req/s)", number(found.rate_rps)),
        ("CV of gaps", number(found.interarrival_cv)),
        ("peak minute (req/s)", format!("{:.3}", found.peak_minute_rps)),
        ("infinite-cache token hit ratio", format!("{:.4}", found.prefix.token_hit_ratio)),
        ("infinite-cache block hit ratio", number(found.prefix.span_hit_ratio)),
        ("prompt spans, unique spans", format!("{}, {}", found.prefix.spans, found.prefix.unique_spans)),
    ];
    for (name, value) in lines {
        terminal::print_line(&format!("{name:<32} {value}"));
    }
    terminal::print_line("");
    let mut table = new_table(terminal, &["tokens", "mean", "p50", "p90", "p99", "max", "total", "zeros"]);
    for (name, lengths) in [("input", &found.input), ("output", &found.output)] {
        table.add_row(row(name, lengths));
    }
    terminal::print_line(&right_aligned(table).to_string());
}

fn row(name: &str, lengths: &LengthStatistics) -> [String; 8] {
    let LengthStatistics { mean, p50, p90, p99, max, total, zeros } = *lengths;
    [
        name.to_owned(),
        format!("{mean:.1}"),
        format!("{p50:.1}"),
        format!("{p90:.1}"),
        format!("{p99:.1}"),
        max.to_string(),
        total.to_string(),
        zeros.to_string(),
    ]
}
