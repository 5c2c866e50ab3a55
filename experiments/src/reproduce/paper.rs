//! A paper: a folder with `paper.toml`, and experiments each with its claims.

use std::path::{Path, PathBuf};

use super::claim::{self, Claim};
use super::keys;
use super::measured::Study;
use crate::caches;
use crate::diagnostic::{Problem, Sources, Span, nearest};
use crate::failure::Failure;
use crate::file;
use crate::file::document::Table;
use crate::file::key::TableDef;
use crate::file::quantity::Plain;
use crate::file::reader::Reader;
use crate::run;

/// What the file beside an experiment ends in.
const CLAIMS_END: &str = ".claims.toml";
/// What describes the paper.
pub(super) const PAPER_FILE: &str = "paper.toml";

/// A paper whose claims are reproduced.
pub(super) struct Paper {
    /// Name of its folder.
    pub(super) name: String,
    /// Its title.
    pub(super) title: String,
    /// Who published it.
    pub(super) cite: String,
    /// What tests hold.
    pub(super) tests: Vec<Tested>,
    /// Experiments, in the order of their names.
    pub(super) figures: Vec<Figure>,
}

/// A claim that a test holds.
pub(super) struct Tested {
    /// Its short name.
    pub(super) id: String,
    /// In words.
    pub(super) claim: String,
    /// The test.
    pub(super) test: String,
    /// How far off it lets it be, where the claim does not say it.
    pub(super) tolerance: Option<String>,
    /// What it measured, if there is a number.
    pub(super) measured: Option<String>,
}

/// An experiment and what was published of it.
pub(super) struct Figure {
    /// Name of its file.
    pub(super) name: String,
    /// Which figure or table of the paper it is.
    pub(super) title: String,
    /// What was run, and assumed.
    pub(super) conditions: String,
    /// The swept key.
    pub(super) vary: Option<Vary>,
    /// The experiment or cache study at each value of the swept key; one without.
    pub(super) points: Vec<Study>,
    /// What was published.
    pub(super) claims: Vec<Claim>,
}

/// A swept key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Vary {
    /// As `--set` takes it.
    pub(super) key: String,
    /// Its values, ascending.
    pub(super) values: Vec<f64>,
}

/// How much of the experiments is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// At every value of the swept key, to be run.
    Run,
    /// At the first value only, to be listed.
    List,
}

/// Reads the paper in this folder, or only one of its experiments.
pub(super) fn read(folder: &Path, only: Option<&str>, depth: Depth) -> Result<Paper, Failure> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (table, whole, sources) = read_as(&folder.join(PAPER_FILE), &keys::PAPER)?;
    let mut reader = Reader::new(&table, whole, &keys::PAPER);
    let tests = reader.tables(&keys::TEST, |test| {
        Ok(Tested {
            id: test.get(&keys::ID),
            claim: test.get(&keys::CLAIM),
            test: test.get(&keys::TEST_NAME),
            tolerance: test.maybe(&keys::TEST_TOLERANCE),
            measured: test.maybe(&keys::TEST_MEASURED),
        })
    });
    let tests = tests.map_err(|problem| Failure::input(problem, sources))?;
    let names = figures(folder)?;
    if let Some(only) = only.filter(|only| !names.iter().any(|name| name == only)) {
        let meant = nearest(only, names.iter().map(String::as_str));
        let hint = meant
            .map_or_else(|| format!("it has {}", names.join(", ")), |meant| format!("did you mean `{name}/{meant}`?"));
        return Err(Failure::Request(format!("the paper `{name}` has no experiment `{only}`: {hint}")));
    }
    let wanted = names.iter().filter(|name| only.is_none_or(|only| only == *name));
    let figures = wanted.map(|name| figure(folder, name, depth)).collect::<Result<Vec<_>, _>>()?;
    check_ids(&figures, &tests)?;
    Ok(Paper { name, title: reader.get(&keys::TITLE), cite: reader.get(&keys::CITE), tests, figures })
}

/// Names of the experiments in a folder that have claims.
fn figures(folder: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error: std::io::Error| Failure::Request(format!("cannot read {}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(CLAIMS_END).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn figure(folder: &Path, name: &str, depth: Depth) -> Result<Figure, Failure> {
    let (table, whole, sources) = read_as(&folder.join(format!("{name}{CLAIMS_END}")), &keys::ROOT)?;
    let mut reader = Reader::new(&table, whole, &keys::ROOT);
    let vary = reader.table(&keys::VARY, vary);
    let vary = vary.map(|vary| (vary, reader.get(&keys::FIGURE), reader.get(&keys::CONDITIONS)));
    let (vary, title, conditions) = match vary {
        Ok(read) => read,
        Err(problem) => return Err(Failure::input(problem, sources)),
    };
    let points = points(&folder.join(format!("{name}.toml")), vary.as_ref(), depth)?;
    match reader.tables(&keys::CLAIMS, |table| claim::read(table, &points[0], vary.as_ref())) {
        Ok(claims) => Ok(Figure { name: name.to_owned(), title, conditions, vary, points, claims }),
        Err(problem) => Err(Failure::input(problem, sources)),
    }
}

fn vary(reader: &mut Reader<'_>) -> Result<Vary, Problem> {
    let values: Vec<f64> = reader.get(&keys::VARY_VALUES);
    if values.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(reader
            .problem(&keys::VARY_VALUES, "the values of a swept key ascend")
            .label("sort them, each once"));
    }
    Ok(Vary { key: reader.get(&keys::VARY_KEY), values })
}

/// The experiment at each value of the swept key.
fn points(file: &Path, vary: Option<&Vary>, depth: Depth) -> Result<Vec<Study>, Failure> {
    let is_study = std::fs::read_to_string(file).is_ok_and(|text| caches::is_study(&text));
    let load = |settings: &[String]| {
        if is_study {
            return load_caches(file, settings);
        }
        run::load(file, settings).map(|loaded| Study::Served(Box::new(loaded.experiment)))
    };
    match vary {
        None => Ok(vec![load(&[])?]),
        Some(vary) => {
            let count = if depth == Depth::List { 1 } else { vary.values.len() };
            vary.values[..count].iter().map(|value| load(&[format!("{}={}", vary.key, Plain(*value))])).collect()
        }
    }
}

fn load_caches(file: &Path, settings: &[String]) -> Result<Study, Failure> {
    let study = caches::load(file, settings)?;
    if study.capacities.len() > 1 {
        let expected = "a study with claims has one `capacity`; `vary` sweeps it";
        return Err(Failure::Request(format!("{}: several `capacities`: {expected}", file.display())));
    }
    Ok(Study::Cached(Box::new(study)))
}

fn read_as(path: &PathBuf, root: &'static TableDef) -> Result<(Table, Span, Sources), Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Request(format!("cannot read {}: {error}", path.display())))?;
    let mut sources = Sources::default();
    let end = text.len();
    let id = sources.add(path.display().to_string(), text, path.parent().unwrap_or(Path::new("")));
    match file::read_as(id, root, &sources) {
        Ok(table) => Ok((table, Span { source: id, start: 0, end }, sources)),
        Err(problems) => Err(Failure::input(problems, sources)),
    }
}

/// Every claim of a paper is told apart by its id.
fn check_ids(figures: &[Figure], tests: &[Tested]) -> Result<(), Failure> {
    let claims = figures.iter().flat_map(|figure| figure.claims.iter().map(|claim| &claim.id));
    let mut ids: Vec<&String> = claims.chain(tests.iter().map(|test| &test.id)).collect();
    ids.sort();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Failure::Request(format!("two claims of one paper are called `{}`", pair[0]))),
        None => Ok(()),
    }
}
