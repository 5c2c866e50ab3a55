//! `servesim explain`

use clap::Args;

use crate::explain;
use crate::failure::Failure;
use crate::terminal;

/// What can be said to `servesim explain`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  servesim explain max_num_batched_tokens\n  servesim explain system.scheduler\n  \
                        servesim explain p99_itl_ms\n  servesim explain layered-prefill\n  servesim explain DistServe")]
pub(super) struct ExplainArgs {
    /// A key or table of the experiment file, a value of one, a measure, a system of a paper, a model, a device, a generator of
    /// requests or a figure
    word: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what is known.
pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let found = explain::find(&args.word);
    if found.is_empty() {
        return Err(Failure::Request(explain::unknown(&args.word)));
    }
    if args.json {
        let entries: Vec<_> = found.iter().map(explain::Entry::json).collect();
        terminal::print_line(&serde_json::Value::from(entries).to_string());
        return Ok(());
    }
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    terminal::print(&shown.join("\n"));
    Ok(())
}
