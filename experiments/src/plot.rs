//! `servesim plot`: figures from any folder of results, by name.
//!
//! The [`catalogue`](catalogue::FIGURES) lists every figure. Each takes what it needs from the [`Source`] and either gives
//! figures with their names or says what is missing, in words that tell how to get it.

mod breakdowns;
mod catalogue;
mod curves;
mod distributions;
mod frontiers;
mod heatmaps;
mod labels;
mod over_time;
mod plans;
mod source;
mod steps;
mod swept;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sim::{Role, Summary};

use crate::cli::new_table;
use crate::failure::Failure;
use crate::figures::{Figure, FigureSet, Format, Width, file_stem};
use crate::results::{Results, ResultsError};
use crate::run::LOCK_FILE;
use crate::terminal::{self, Terminal, short};
use catalogue::{Entry, FIGURES};
use source::Source;

pub(crate) use distributions::{Latency, cdf_figure};

/// What `servesim plot` was asked for.
#[derive(Clone, Debug)]
pub(crate) struct PlotRequest {
    /// The folder of results.
    pub(crate) directory: PathBuf,
    /// Names of figures; none for all that the folder can give.
    pub(crate) figures: Vec<String>,
    /// Where figures go; `None`: `figures` in the folder.
    pub(crate) output: Option<PathBuf>,
    /// Formats of the files.
    pub(crate) formats: Vec<Format>,
    /// Whether the figures are listed rather than drawn.
    pub(crate) list: bool,
    /// How they are drawn.
    pub(crate) asked: Asked,
}

/// Every figure: its name and what it shows.
pub(crate) fn catalogue() -> impl Iterator<Item = (&'static str, &'static str)> {
    FIGURES.iter().map(|entry| (entry.name, entry.about))
}

/// What was asked of figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Width; `None`: what suits each figure.
    pub(crate) width: Option<Width>,
    /// Swept keys for the axes.
    pub(crate) keys: Vec<String>,
    /// Measures for the axes.
    pub(crate) measures: Vec<String>,
    /// Swept keys that are held at a value.
    pub(crate) held: Vec<(String, String)>,
}

impl Asked {
    fn width(&self, usual: Width) -> Width {
        self.width.unwrap_or(usual)
    }
}

/// A figure and the name of its file.
struct Named {
    name: String,
    figure: Box<dyn Figure>,
}

impl Named {
    fn new(name: impl Into<String>, figure: impl Figure + 'static) -> Self {
        Named { name: name.into(), figure: Box::new(figure) }
    }
}

/// Why a figure cannot be drawn.
#[derive(Debug)]
enum Missing {
    /// The folder does not have what it needs: what, and how to get it.
    Lacks(String),
    /// What it needs cannot be read.
    Unreadable(ResultsError),
}

impl From<ResultsError> for Missing {
    fn from(error: ResultsError) -> Self {
        match error {
            // A figure that needs a column of later versions is like one that needs a table.
            ResultsError::NoTable { .. } | ResultsError::NoColumn { .. } => Missing::Lacks(error.to_string()),
            other => Missing::Unreadable(other),
        }
    }
}

fn lacks<T>(why: impl Into<String>) -> Result<T, Missing> {
    Err(Missing::Lacks(why.into()))
}

/// Draws what was asked for, or lists what can be.
pub(crate) fn run(request: &PlotRequest, terminal: Terminal) -> Result<(), Failure> {
    let entries = chosen(request)?;
    let results = Results::open(&request.directory).map_err(|error| Failure::Request(error.to_string()))?;
    let source = Source::new(results).map_err(|error| Failure::Request(error.to_string()))?;
    if request.list {
        return list(&source, &entries, &request.asked, terminal);
    }
    let by_name = !request.figures.is_empty() || asks_for_lines(request);
    let mut set = FigureSet::default();
    let mut left_out = 0;
    for entry in entries {
        match entry.make(&source, &request.asked) {
            Ok(figures) => figures.iter().for_each(|named| set.add_figure(&named.name, &*named.figure)),
            Err(Missing::Lacks(why)) if by_name => {
                return Err(Failure::Request(format!("`{}` cannot be drawn: {why}", entry.name)));
            }
            Err(Missing::Lacks(_)) => left_out += 1,
            Err(Missing::Unreadable(error)) => return Err(Failure::Request(error.to_string())),
        }
    }
    if set.is_empty() {
        let folder = request.directory.display();
        let message =
            format!("nothing can be drawn of {folder}; `servesim plot {folder} --list` says what each figure needs");
        return Err(Failure::Request(message));
    }
    let directory = request.output.clone().unwrap_or_else(|| request.directory.join("figures"));
    let paths = set.write(&directory, &request.formats).map_err(|error| Failure::while_writing(&error))?;
    if terminal.talks() {
        terminal::print_line("Wrote:");
        for path in paths {
            terminal::print_line(&format!("  {}", short(&path)));
        }
    }
    if left_out > 0 {
        terminal.note(&format!("{left_out} other kinds of figures need what is not there; --list says what"));
    }
    Ok(())
}

/// Draws figures of a folder by name in the formats that commands which simulate write, into its `figures`; those that the folder
/// cannot give are left out. Returns their paths.
pub(crate) fn draw(directory: &Path, names: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: ResultsError| Failure::Run(error.to_string());
    let source = Results::open(directory).and_then(Source::new).map_err(unreadable)?;
    let mut set = FigureSet::default();
    for entry in FIGURES.iter().filter(|entry| names.contains(&entry.name)) {
        match entry.make(&source, &Asked::default()) {
            Ok(figures) => figures.iter().for_each(|named| set.add_figure(&named.name, &*named.figure)),
            Err(Missing::Lacks(_)) => {}
            Err(Missing::Unreadable(error)) => return Err(unreadable(error)),
        }
    }
    set.write(&directory.join("figures"), &Format::USUAL).map_err(|error| Failure::while_writing(&error))
}

/// The figures that this program drew of the results in a folder: its lock file names the systems that some are named after.
pub(crate) fn drawn(results: &Path) -> Vec<PathBuf> {
    let lock = std::fs::read_to_string(results.join(LOCK_FILE)).unwrap_or_default();
    let lock: toml::Table = lock.parse().unwrap_or_default();
    let systems = lock.get("system").and_then(toml::Value::as_array).into_iter().flatten();
    let systems: Vec<String> = systems.filter_map(|system| Some(system.get("name")?.as_str()?.to_owned())).collect();
    let files = std::fs::read_dir(results.join("figures")).into_iter().flatten().flatten();
    let is_ours = |file: &std::fs::DirEntry| file.file_name().to_str().is_some_and(|name| is_figure(name, &systems));
    files.filter(is_ours).map(|file| file.path()).collect()
}

/// Whether a file has the name of a figure that this program draws of these systems.
fn is_figure(file: &str, systems: &[String]) -> bool {
    let is_of_replica = |rest: &str| {
        let is_role = |end: &str| {
            [Role::Serve, Role::Prefill, Role::Decode].iter().any(|role| end.strip_prefix('_') == Some(role.name()))
        };
        systems
            .iter()
            .any(|name| rest.strip_prefix(&*file_stem(name)).is_some_and(|end| end.is_empty() || is_role(end)))
    };
    let is_measure = |name: &str| Summary::columns().iter().any(|column| column.name == name);
    let is_ours = |stem: &str| {
        FIGURES.iter().any(|entry| entry.name == stem)
            || ["steps_", "run_"].iter().filter_map(|kind| stem.strip_prefix(kind)).any(is_of_replica)
            || stem.split_once("_vs_").is_some_and(|(measure, _)| is_measure(measure))
    };
    let endings = [".svg", ".png", ".pdf", ".vl.json"];
    endings.iter().filter_map(|end| file.strip_suffix(end)).any(|stem| {
        // Of several figures of one name, the later ones have a number.
        let first = stem.rsplit_once('-').filter(|(_, number)| number.parse::<u32>().is_ok());
        is_ours(stem) || first.is_some_and(|(first, _)| is_ours(first))
    })
}

/// Axes without a figure's name ask for lines.
fn asks_for_lines(request: &PlotRequest) -> bool {
    request.figures.is_empty() && !(request.asked.keys.is_empty() && request.asked.measures.is_empty())
}

/// The figures that were named, or all.
fn chosen(request: &PlotRequest) -> Result<Vec<&'static Entry>, Failure> {
    if asks_for_lines(request) && !request.list {
        return Ok(FIGURES.iter().filter(|entry| entry.name == catalogue::LINES).collect());
    }
    if request.figures.is_empty() {
        return Ok(FIGURES.iter().collect());
    }
    let named = |name: &String| {
        FIGURES.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let likeness = |entry: &&Entry| strsim::jaro_winkler(entry.name, name);
            let nearest = FIGURES.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
            let hint = nearest.filter(|entry| likeness(entry) > 0.75);
            let hint = hint.map(|entry| format!("; did you mean `{}`?", entry.name)).unwrap_or_default();
            Failure::Request(format!("there is no figure `{name}`{hint} `servesim plot DIR --list` names all"))
        })
    };
    let entries: Vec<&Entry> = request.figures.iter().map(named).collect::<Result<_, _>>()?;
    for (option, asked, takers) in
        [("--x", &request.asked.keys, &TAKE_KEYS[..]), ("--y", &request.asked.measures, &TAKE_MEASURES[..])]
    {
        if !asked.is_empty() && !entries.iter().any(|entry| takers.contains(&entry.name)) {
            return Err(Failure::Request(format!(
                "{option} has no effect on `{}`; figures that take it: {}",
                request.figures.join("`, `"),
                takers.join(", ")
            )));
        }
    }
    Ok(entries)
}

/// Figures over a swept key that can be chosen.
const TAKE_KEYS: [&str; 6] = [
    catalogue::LINES,
    "heatmap",
    "ttft_tbt_frontier",
    "throughput_vs_latency",
    "attainment_vs_rate",
    "hit_rate_vs_capacity",
];
/// Figures of measures that can be chosen.
const TAKE_MEASURES: [&str; 4] = [catalogue::LINES, "heatmap", "ttft_tbt_frontier", "throughput_vs_latency"];

fn list(source: &Source, entries: &[&Entry], asked: &Asked, terminal: Terminal) -> Result<(), Failure> {
    let mut table = new_table(terminal, &["figure", "what it shows", "here"]);
    for entry in entries {
        let here = match entry.make(source, asked) {
            Ok(figures) if figures.len() == 1 => "yes".to_owned(),
            Ok(figures) => format!("yes, {}", figures.len()),
            Err(Missing::Lacks(why)) => format!("no: {why}"),
            Err(Missing::Unreadable(error)) => return Err(Failure::Request(error.to_string())),
        };
        table.add_row([entry.name, entry.about, &here]);
    }
    terminal::print_line(&table.to_string());
    Ok(())
}
