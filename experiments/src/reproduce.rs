//! `servesim reproduce`: what papers claim, and what comes out here.
//!
//! A paper is a folder with `paper.toml` and experiment files; beside each lies `NAME.claims.toml`, which says what was
//! published of it, and how that is computed from the measures of its runs.

mod claim;
mod criterion;
mod estimate;
mod find;
mod keys;
mod measured;
mod page;
mod paper;
mod show;
mod simulate;
#[cfg(test)]
mod testing;
mod verdict;
mod words;
mod write;

use std::path::PathBuf;

use claim::Claim;
use estimate::Estimate;
use measured::RunSummary;
use paper::{Depth, Figure, Paper};
use simulate::Runs;
use verdict::Verdict;

use crate::failure::Failure;
use crate::terminal::{self, Terminal, short};

/// What `reproduce` was asked for.
#[derive(Clone, Debug)]
pub(crate) struct ReproduceRequest {
    /// `PAPER` or `PAPER/EXPERIMENT`; none: all.
    pub(crate) papers: Vec<String>,
    /// The folder of papers; `None`: that of the clone.
    pub(crate) folder: Option<PathBuf>,
    /// Where results go; `None`: only to the terminal.
    pub(crate) directory: Option<PathBuf>,
    /// Whether what an earlier command left there is replaced.
    pub(crate) force: bool,
    /// At most so many seeds of each experiment; `None`: all it names.
    pub(crate) seeds: Option<usize>,
    /// Runs at a time; `None`: one per processor.
    pub(crate) jobs: Option<usize>,
    /// Whether the claims are only listed.
    pub(crate) list: bool,
    /// Whether the claims are printed as JSON.
    pub(crate) json: bool,
}

/// A paper whose experiments have been run.
pub(crate) struct Reproduced {
    paper: Paper,
    figures: Vec<JudgedFigure>,
}

/// An experiment that has been run.
struct JudgedFigure {
    figure: Figure,
    runs: Runs,
    /// Claim by claim.
    outcomes: Vec<Outcome>,
    /// What everybody has to know who reads its figures.
    remarks: Vec<String>,
}

/// What became of a claim.
enum Outcome {
    /// It came to this.
    Judged {
        /// Its value.
        estimate: Estimate,
        /// Whether it holds.
        verdict: Verdict,
    },
    /// It has no value, for this reason.
    Failed(String),
}

/// A claim and what became of it.
struct Judged<'a> {
    figure: &'a Figure,
    claim: &'a Claim,
    outcome: &'a Outcome,
}

/// Runs the experiments of papers, and prints and writes what became of their claims.
pub(crate) fn run(request: &ReproduceRequest, terminal: Terminal) -> Result<(), Failure> {
    let folder = find::folder(request.folder.as_deref())?;
    terminal.detail(&format!("papers of {}", folder.display()));
    let mut papers = find::papers(&folder, &request.papers, if request.list { Depth::List } else { Depth::Run })?;
    if request.list {
        show::list(&papers);
        return Ok(());
    }
    if let Some(directory) = &request.directory {
        write::claim_files(directory, request.force)?;
    }
    if let Some(seeds) = request.seeds {
        for study in papers.iter_mut().flat_map(|paper| &mut paper.figures).flat_map(|figure| &mut figure.points) {
            study.keep_seeds(seeds);
        }
    }
    let runs = simulate::all(&papers, request.jobs, terminal)?;
    let reproduced: Vec<Reproduced> =
        papers.into_iter().zip(runs).map(|(paper, runs)| Reproduced::new(paper, runs)).collect();
    let files = match &request.directory {
        Some(directory) => write::all(directory, &reproduced)?,
        None => Vec::new(),
    };
    if request.json {
        terminal::print_line(&show::to_json(&reproduced).to_string());
    } else if terminal.talks() {
        show::all(&reproduced, terminal);
        for path in &files {
            terminal::print_line(&format!("wrote {}", short(path)));
        }
    }
    fail_if_one_did(&reproduced)
}

/// A claim that differs is a result; one that has no value is a failure.
fn fail_if_one_did(reproduced: &[Reproduced]) -> Result<(), Failure> {
    let figures = || reproduced.iter().flat_map(|paper| &paper.figures);
    let runs = figures().flat_map(|figure| figure.runs.failures()).map(str::to_owned);
    let claims = reproduced.iter().flat_map(Reproduced::judged).filter_map(|judged| match judged.outcome {
        Outcome::Failed(why) => Some(format!("claim {}: {why}", judged.claim.id)),
        Outcome::Judged { .. } => None,
    });
    let failures: Vec<String> = runs.chain(claims).collect();
    match failures.as_slice() {
        [] => Ok(()),
        [only] => Err(Failure::Run(only.clone())),
        [first, ..] => Err(Failure::Run(format!("{first} (and {} more)", failures.len() - 1))),
    }
}

impl Reproduced {
    fn new(mut paper: Paper, runs: Vec<Runs>) -> Self {
        let figures = std::mem::take(&mut paper.figures);
        Reproduced {
            paper,
            figures: figures.into_iter().zip(runs).map(|(figure, runs)| JudgedFigure::new(figure, runs)).collect(),
        }
    }

    /// All claims of the paper that experiments answer.
    fn judged(&self) -> impl Iterator<Item = Judged<'_>> {
        self.figures.iter().flat_map(JudgedFigure::claims)
    }
}

impl JudgedFigure {
    fn new(figure: Figure, runs: Runs) -> Self {
        let judge = |claim: &Claim| match estimate::estimate(&claim.quantity, &figure, &runs) {
            Ok(estimate) => Outcome::Judged { verdict: verdict::judge(claim, &estimate), estimate },
            Err(why) => Outcome::Failed(why),
        };
        let outcomes = figure.claims.iter().map(judge).collect();
        let remarks = remarks(&figure, &runs);
        JudgedFigure { figure, runs, outcomes, remarks }
    }

    fn claims(&self) -> impl Iterator<Item = Judged<'_>> {
        let pairs = self.figure.claims.iter().zip(&self.outcomes);
        pairs.map(|(claim, outcome)| Judged { figure: &self.figure, claim, outcome })
    }
}

/// Requests that were turned away: they change what every other figure means.
fn remarks(figure: &Figure, runs: &Runs) -> Vec<String> {
    let of_system = |(system, name): (usize, &str)| {
        let (rejected, issued) = runs
            .of_system(system)
            .map(RunSummary::rejected)
            .fold((0, 0), |(rejected, issued), run| (rejected + run.0, issued + run.1));
        (rejected > 0).then(|| format!("note: {}: `{name}` rejected {rejected} of {issued} requests.", figure.name))
    };
    figure.system_names().into_iter().enumerate().filter_map(of_system).collect()
}

impl Figure {
    fn system_names(&self) -> Vec<&str> {
        self.points[0].systems()
    }
}

impl<'a> Judged<'a> {
    fn verdict_name(&self) -> &'static str {
        match self.outcome {
            Outcome::Judged { verdict, .. } => verdict.name(),
            Outcome::Failed(_) => "run failed",
        }
    }

    /// Why it differs or cannot be told; of what differs and is not explained, that nobody has explained it.
    fn reason(&self) -> Option<&'a str> {
        match self.outcome {
            Outcome::Failed(why) => Some(why),
            Outcome::Judged { verdict, .. } if !verdict.needs_reason() => None,
            Outcome::Judged { .. } => Some(self.claim.reason.as_deref().unwrap_or("not explained")),
        }
    }
}
