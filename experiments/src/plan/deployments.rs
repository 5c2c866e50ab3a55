//! Whole deployments, each judged at the rate that has to be served: the cheapest, and the frontier.

mod bound;
mod confirm;
mod family;
mod frontier;
mod judge;
mod rates;
mod report;
mod search;
mod table;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::judge::Planner;
use super::{CONFIRMED, TABLE, WINNER};
use crate::experiment::DeploymentSearch;
use crate::failure::Failure;
use crate::goodput::in_parallel;
use crate::output::{OutputError, write_whole};
use crate::plot;
use crate::run::LOCK_FILE;
use crate::terminal::Terminal;
use bound::Bounds;
use confirm::{Confirmation, confirm};
use family::{Family, families};
use frontier::frontier;
use search::{Deployment, Members, SAME_COST, Searcher, cheapest};

/// Figures that are drawn of what was found, by their names in `servesim plot`.
const FIGURES: [&str; 2] = ["frontier", "deployment_costs"];

/// Where results go, and in which form.
#[derive(Clone, Copy)]
pub(super) struct Output<'a> {
    /// The folder.
    pub(super) directory: &'a Path,
    /// Text of the lock file.
    pub(super) lock: &'a str,
    /// Whether figures are drawn.
    pub(super) figures: bool,
    /// Whether results are printed as JSON.
    pub(super) json: bool,
}

/// A deployment that can be built.
#[derive(Clone, Debug)]
struct Row {
    family: Family,
    deployment: Deployment,
    /// Whether nothing that serves beats it in every respect.
    on_frontier: bool,
}

/// All that was looked at.
#[derive(Clone, Debug)]
struct Found {
    /// By cost.
    rows: Vec<Row>,
    /// Kinds that cannot be built: why.
    cannot: Vec<(Family, String)>,
    /// Shapes that the model or the servers rule out: why, and how many.
    left_out: Vec<(String, u32)>,
    /// Whether there were bounds on what a schedule can do.
    bounded: bool,
    /// Row of the cheapest that serves; of several, the one that most requests find within the limits.
    winner: Option<usize>,
}

impl Row {
    fn name(&self) -> String {
        self.family.name(&self.deployment.replicas)
    }
}

impl Found {
    /// Rows that cost less than the winner, and miss the objectives by no more than chance.
    fn near_misses(&self) -> Vec<usize> {
        let Some(winner) = self.winner else { return Vec::new() };
        let limit = self.rows[winner].deployment.usd_per_hour * (1.0 - SAME_COST);
        let near = |row: &usize| {
            let deployment = &self.rows[*row].deployment;
            let open = deployment.judged().is_some_and(|judged| !judged.holds && !judged.clearly_misses);
            open && deployment.usd_per_hour < limit
        };
        (0..self.rows.len()).filter(near).collect()
    }

    /// Rows that serve for the same cost as the winner.
    fn ties(&self) -> Vec<usize> {
        let Some(winner) = self.winner else { return Vec::new() };
        let limit = self.rows[winner].deployment.usd_per_hour * (1.0 + SAME_COST);
        let ties = |row: &usize| {
            let deployment = &self.rows[*row].deployment;
            *row != winner && deployment.holds() && deployment.usd_per_hour <= limit
        };
        (0..self.rows.len()).filter(ties).collect()
    }
}

/// Searches, confirms if asked to, and writes what was found.
pub(super) fn run(
    planner: &Planner<'_>,
    search: &DeploymentSearch,
    confirmed: Option<usize>,
    jobs: Option<usize>,
    output: Output<'_>,
    terminal: Terminal,
) -> Result<(), Failure> {
    let bounds = if search.prune { Bounds::of(planner.base, search.rate)? } else { None };
    let searcher = Searcher { planner, search, bounds };
    let work = || {
        let found = find(&searcher)?;
        let confirmation = confirmed.map(|count| confirm(&searcher, &found, count)).transpose()?.flatten();
        Ok::<_, Failure>((found, confirmation))
    };
    let done = in_parallel(jobs, work)?;
    planner.progress.finish();
    let (mut found, confirmation) = done?;
    if let Some(Confirmation { runs, cheapest, .. }) = &confirmation {
        // What long runs do not bear out is no plan.
        found.winner = cheapest.map(|run| runs[run].row);
    }
    let paths = write(&searcher, &found, confirmation.as_ref(), output)?;
    let of_winner = found.winner.and_then(|winner| found.rows[winner].deployment.judged());
    for remark in of_winner.map(|judged| judged.remarks.as_slice()).unwrap_or_default() {
        terminal.note(remark);
    }
    report::show(&searcher, &found, confirmation.as_ref(), &paths, output.json, terminal);
    match (found.winner, confirmation) {
        (Some(_), _) => Ok(()),
        (None, None) => Err(Failure::Run(
            "no deployment that was searched serves the rate within the objectives; plan.csv says why".to_owned(),
        )),
        (None, Some(confirmation)) => Err(Failure::Run(confirmation.refusal(&found))),
    }
}

/// Searches every deployment.
fn find(searcher: &Searcher<'_>) -> Result<Found, Failure> {
    let planner = searcher.planner;
    let (families, left_out) = families(planner.base, planner.spec, searcher.search);
    planner.progress.expect(families.len());
    let built: Vec<Result<Members, String>> = families
        .par_iter()
        .map(|family| {
            let members = searcher.members(family);
            planner.progress.done();
            members
        })
        .collect();
    let mut members = Vec::new();
    let mut cannot = Vec::new();
    for (family, built) in families.into_iter().zip(built) {
        match built {
            Ok(built) => members.push(built),
            Err(reason) => cannot.push((family, reason)),
        }
    }
    searcher.search(&mut members)?;
    let limit = cheapest(&members).map_or(f64::INFINITY, |usd| usd * searcher.search.frontier_cost * (1.0 + SAME_COST));
    let mut rows: Vec<Row> = Vec::new();
    for Members { family, deployments } in members {
        let row = |deployment| Row { family: family.clone(), deployment, on_frontier: false };
        rows.extend(deployments.into_iter().map(row));
    }
    let cost = |row: &Row| row.deployment.usd_per_hour;
    rows.sort_by(|a, b| cost(a).total_cmp(&cost(b)).then_with(|| a.name().cmp(&b.name())));
    let on_it = frontier(&rows.iter().map(|row| &row.deployment).collect::<Vec<_>>(), limit);
    for (row, on_frontier) in rows.iter_mut().zip(on_it) {
        row.on_frontier = on_frontier;
    }
    let winner = winner(&rows);
    Ok(Found { rows, cannot, left_out, bounded: searcher.bounds.is_some(), winner })
}

/// The cheapest row that serves; of equal cost the one that most requests find within the limits, then the least energy.
fn winner(rows: &[Row]) -> Option<usize> {
    let serving = || (0..rows.len()).filter(|row| rows[*row].deployment.holds());
    let least = serving().map(|row| rows[row].deployment.usd_per_hour).reduce(f64::min)?;
    let merit = |row: usize| {
        let judged = rows[row].deployment.judged().expect("it serves");
        (judged.attainment(), -judged.figures.energy_j_per_output_token.unwrap_or(f64::INFINITY))
    };
    serving()
        .filter(|row| rows[*row].deployment.usd_per_hour <= least * (1.0 + SAME_COST))
        .reduce(|best, next| if merit(next) > merit(best) { next } else { best })
}

/// Writes the files, and takes those away that earlier results left and these do not have.
fn write(
    searcher: &Searcher<'_>,
    found: &Found,
    confirmation: Option<&Confirmation>,
    output: Output<'_>,
) -> Result<Vec<PathBuf>, Failure> {
    let planner = searcher.planner;
    let written = |error: OutputError| Failure::while_writing(&error);
    let table = table::csv(planner.base, found);
    let mut paths = vec![write_whole(output.directory, TABLE, &table).map_err(written)?];
    paths.push(write_whole(output.directory, LOCK_FILE, output.lock).map_err(written)?);
    let mut stale = Vec::new();
    match found.winner {
        Some(winner) => {
            let row = &found.rows[winner];
            let file = searcher.build(&row.family, &row.deployment.replicas).map_err(Failure::Run)?;
            let head = report::head(searcher, row);
            paths.push(write_whole(output.directory, WINNER, &file.file(&head)).map_err(written)?);
        }
        None => stale.push(output.directory.join(WINNER)),
    }
    match confirmation {
        Some(confirmation) => {
            let table = confirmation.csv(found);
            paths.push(write_whole(output.directory, CONFIRMED, &table).map_err(written)?);
        }
        None => stale.push(output.directory.join(CONFIRMED)),
    }
    let figures = output.directory.join("figures");
    stale.extend(FIGURES.iter().flat_map(|name| ["svg", "png"].map(|end| figures.join(format!("{name}.{end}")))));
    for path in stale.into_iter().filter(|path| path.exists()) {
        std::fs::remove_file(&path).map_err(|error| written(OutputError::write(&path)(error)))?;
    }
    if output.figures {
        paths.extend(plot::draw(output.directory, &FIGURES)?);
    }
    Ok(paths)
}
