//! What the command line is like: who reads, how wide, in colour or not.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Talk {
    /// Errors only.
    Quiet,
    /// Results, warnings and progress.
    Normal,
    /// Also what was resolved and assumed.
    Verbose,
}

/// Standard output and error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    talk: Talk,
    colours: bool,
    stdout: bool,
    stderr: bool,
}

impl Terminal {
    /// The terminal of this process.
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        let talk = match (quiet, verbose) {
            (true, _) => Talk::Quiet,
            (false, true) => Talk::Verbose,
            (false, false) => Talk::Normal,
        };
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Terminal { talk, colours: colours_wanted(), stdout, stderr }
    }

    /// Whether more than errors is to be said.
    pub(crate) fn talks(self) -> bool {
        self.talk > Talk::Quiet
    }

    /// Whether everything is to be said.
    pub(crate) fn is_verbose(self) -> bool {
        self.talk == Talk::Verbose
    }

    /// Whether standard output takes colours.
    pub(crate) fn colour_on_stdout(self) -> bool {
        self.colours && self.stdout
    }

    /// Whether standard error takes colours.
    pub(crate) fn colour_on_stderr(self) -> bool {
        self.colours && self.stderr
    }

    /// Whether a person sees standard error as it comes, so that a progress bar makes sense.
    pub(crate) fn shows_progress(self) -> bool {
        self.talks() && self.stderr
    }

    /// Columns of the terminal behind standard output, if it is one and says so.
    pub(crate) fn width(self) -> Option<u16> {
        /// Terminals that claim to be narrower do not know their width.
        const NARROWEST: u16 = 40;
        let width = self.stdout.then(|| comfy_table::Table::new().width()).flatten();
        width.filter(|columns| *columns >= NARROWEST)
    }

    /// Prints a remark that is no result and no error.
    pub(crate) fn note(self, text: &str) {
        if self.talks() {
            complain(text);
        }
    }

    /// Prints a remark for those who asked for all.
    pub(crate) fn detail(self, text: &str) {
        if self.is_verbose() {
            complain(text);
        }
    }
}

/// Prints a result. A reader that has gone away (`| head`) is no failure.
pub(crate) fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Prints a line of a result.
pub(crate) fn print_line(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints an error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// <https://no-color.org>: any value that is not empty turns colours off.
fn colours_wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A path as short as it can be shown: relative to the current directory where it lies inside.
pub(crate) fn short(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}
