//! How a command fails, and with which exit code.

use std::process::ExitCode;

use annotate_snippets::Level;

use crate::diagnostic::{Problem, Problems, Sources};
use crate::output::OutputError;
use crate::terminal::{self, Terminal};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input is wrong: shown where it was written.
    Input(Box<(Problems, Sources)>),
    /// The input is wrong, in a way that no place of a file shows.
    Request(String),
    /// The run failed.
    Run(String),
}

impl Failure {
    /// Wrong input, shown where it was written.
    pub(crate) fn input(problems: impl Into<Problems>, sources: Sources) -> Self {
        Failure::Input(Box::new((problems.into(), sources)))
    }

    /// The first thing that is wrong, in one line.
    pub(crate) fn brief(&self) -> String {
        match self {
            Failure::Input(input) => input.0.first_line(),
            Failure::Request(message) | Failure::Run(message) => message.clone(),
        }
    }

    /// Output files that cannot be started.
    pub(crate) fn before_run(error: &OutputError) -> Self {
        Failure::Request(error.to_string())
    }

    /// Output files that cannot be completed.
    pub(crate) fn while_writing(error: &OutputError) -> Self {
        Failure::Run(error.to_string())
    }

    /// Prints what is wrong; the exit code is 1 for a run that failed and 2 for wrong input.
    pub(crate) fn report(&self, terminal: Terminal) -> ExitCode {
        let (problems, sources, code) = match self {
            Failure::Input(input) => (&input.0, &input.1, 2),
            Failure::Request(message) => (&Problem::general(message.as_str()).into(), &Sources::default(), 2),
            Failure::Run(message) => (&Problem::general(message.as_str()).into(), &Sources::default(), 1),
        };
        terminal::complain(&problems.render(sources, &Level::ERROR, terminal.colour_on_stderr()));
        ExitCode::from(code)
    }
}
