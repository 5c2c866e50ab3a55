//! Where the papers lie, and which are meant.

use std::path::{Path, PathBuf};

use super::paper::{self, Depth, PAPER_FILE, Paper};
use crate::diagnostic::nearest;
use crate::failure::Failure;

/// Below the root of a clone.
const IN_A_CLONE: &str = "experiments/papers";

/// A paper that was asked for, or some of its experiments.
struct Wanted<'a> {
    paper: &'a str,
    figure: Option<&'a str>,
}

/// The folder of papers: `given`, or the first `experiments/papers` in the current folder, in one above it, or in one above
/// the program.
///
/// # Errors
/// Where was looked in vain.
pub(super) fn folder(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(folder) = given {
        let missing = || Failure::Request(format!("the folder of papers {} does not exist", folder.display()));
        return folder.is_dir().then(|| folder.to_owned()).ok_or_else(missing);
    }
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    let looked: Vec<PathBuf> =
        starts.iter().flatten().flat_map(|start| start.ancestors()).map(|above| above.join(IN_A_CLONE)).collect();
    looked.iter().find(|folder| folder.is_dir()).cloned().ok_or_else(|| {
        let starts: Vec<String> = starts.iter().flatten().map(|start| start.display().to_string()).collect();
        Failure::Request(format!(
            "found no {IN_A_CLONE} in or above {}: run inside a clone of the repository, or name the folder with --papers",
            starts.join(", nor above ")
        ))
    })
}

/// The papers that are asked for, `PAPER` or `PAPER/EXPERIMENT`; all if none is.
///
/// # Errors
/// Names that are no paper, with the nearest that is; files that are wrong.
pub(super) fn papers(folder: &Path, wanted: &[String], depth: Depth) -> Result<Vec<Paper>, Failure> {
    let names = names(folder)?;
    if wanted.is_empty() {
        return names.iter().map(|name| paper::read(&folder.join(name), None, depth)).collect();
    }
    let wanted: Vec<Wanted<'_>> =
        wanted.iter().map(|text| Wanted::read(text, &names, folder)).collect::<Result<_, _>>()?;
    let mut papers: Vec<Paper> = Vec::new();
    for Wanted { paper, figure } in wanted {
        let read = paper::read(&folder.join(paper), figure, depth)?;
        match papers.iter_mut().find(|paper| paper.name == read.name) {
            Some(same) => {
                let is_new = |name: &str| !same.figures.iter().any(|figure| figure.name == name);
                let more: Vec<_> = read.figures.into_iter().filter(|figure| is_new(&figure.name)).collect();
                same.figures.extend(more);
            }
            None => papers.push(read),
        }
    }
    Ok(papers)
}

/// Names of the papers in a folder.
fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error: std::io::Error| Failure::Request(format!("cannot read {}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.join(PAPER_FILE).is_file() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    if names.is_empty() {
        return Err(Failure::Request(format!("{} holds no paper (no folder with a {PAPER_FILE})", folder.display())));
    }
    Ok(names)
}

impl<'a> Wanted<'a> {
    fn read(text: &'a str, names: &[String], folder: &Path) -> Result<Self, Failure> {
        let (paper, figure) = match text.split_once('/') {
            Some((paper, figure)) => (paper, Some(figure)),
            None => (text, None),
        };
        if names.iter().any(|name| name == paper) {
            return Ok(Wanted { paper, figure });
        }
        let hint = match nearest(paper, names.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        Err(Failure::Request(format!("there is no paper `{paper}` in {}: {hint}", folder.display())))
    }
}
