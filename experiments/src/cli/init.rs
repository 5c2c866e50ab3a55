//! `servesim init`

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::init::{self, Start};
use crate::terminal::Terminal;

/// What can be said to `servesim init`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim init\n  servesim init mine.toml --for layered --model Qwen/Qwen3-30B-A3B\n  \
                        servesim init - --for disaggregated --gpu A100-SXM-80GB | less"
)]
pub(super) struct InitArgs {
    /// File to write; `-` prints it
    #[arg(default_value = "experiment.toml")]
    file: PathBuf,
    /// What it compares
    #[arg(long = "for", value_enum, default_value = "chunked")]
    start: Start,
    /// Model that is served, in place of the example's
    #[arg(long, value_name = "NAME|config.json")]
    model: Option<String>,
    /// Device of every system that names one, in place of the example's
    #[arg(long, value_name = "NAME|FILE.toml")]
    gpu: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Writes it.
pub(super) fn run(args: &InitArgs, terminal: Terminal) -> Result<(), Failure> {
    let printed = args.file.as_os_str() == "-";
    let file = Some(args.file.as_path()).filter(|_| !printed);
    let named = |given: &Option<String>| {
        let given = given.as_ref()?;
        Some(if init::is_file(given) { init::path_in_file(given, file) } else { given.clone() })
    };
    let text = init::text(args.start, named(&args.model).as_deref(), named(&args.gpu).as_deref())?;
    if printed {
        crate::terminal::print(&text);
        return Ok(());
    }
    init::write(&args.file, &init::under_its_name(args.start, &text, &args.file), args.force)?;
    terminal.note(&format!("wrote {}", args.file.display()));
    init::check(args.start, &args.file, terminal)
}
