//! `servesim completions` and `servesim man`

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::failure::Failure;
use crate::terminal;

/// What can be said to `servesim completions`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  servesim completions bash > ~/.local/share/bash-completion/completions/servesim\n  \
                        servesim completions zsh > ~/.zfunc/_servesim\n  servesim completions fish > \
                        ~/.config/fish/completions/servesim.fish"
)]
pub(super) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// What can be said to `servesim man`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  servesim man | man -l -\n  servesim man -o ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// Folder for one page per command [default: print the page of the program itself]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints the script.
pub(super) fn completions(args: &CompletionsArgs, command: &mut Command) {
    let mut script = Vec::new();
    generate(args.shell, command, "servesim", &mut script);
    terminal::print(&String::from_utf8_lossy(&script));
}

/// Prints or writes the pages.
pub(super) fn man(args: &ManArgs, command: Command) -> Result<(), Failure> {
    // Pages of `help` would repeat all others.
    let mut command = without_help(command);
    command.build();
    let Some(folder) = &args.output else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(|error| Failure::Run(error.to_string()))?;
        terminal::print(&String::from_utf8_lossy(&page));
        return Ok(());
    };
    let failed = |error: std::io::Error| Failure::Run(format!("cannot write pages to {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command, folder).map_err(failed)
}

fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}
