//! What a search of whole deployments says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value as Json, json};
use sim::half_width;

use super::confirm::Confirmation;
use super::judge::Judged;
use super::search::{Fate, Searcher, cheapest_of};
use super::{Found, Row};
use crate::cli::{new_table, right_aligned};
use crate::output::four_digits;
use crate::run::wanted;
use crate::terminal::{self, Terminal, short};

/// Of the cheapest that serve, so many are shown.
const SHOWN: usize = 5;

/// Prints it.
pub(super) fn show(
    searcher: &Searcher<'_>,
    found: &Found,
    confirmation: Option<&Confirmation>,
    paths: &[PathBuf],
    as_json: bool,
    terminal: Terminal,
) {
    let base = searcher.planner.base;
    if as_json {
        let row = |index: usize| row_json(&found.rows[index]);
        let frontier: Vec<Json> = found.rows.iter().filter(|row| row.on_frontier).map(row_json).collect();
        let counted = |(why, count): (String, usize)| json!({ "reason": why, "deployments": count });
        let json = json!({
            "name": base.name,
            "rate_rps": searcher.search.rate,
            "deployments": found.rows.len(),
            "simulated": found.rows.iter().filter(|row| row.deployment.judged().is_some()).count(),
            "serve": found.rows.iter().filter(|row| row.deployment.holds()).count(),
            "not_simulated": not_simulated(searcher, found).into_iter().map(counted).collect::<Vec<_>>(),
            "cannot_be": cannot(found).into_iter().map(|(why, kinds)| json!({ "reason": why, "kinds": kinds })).collect::<Vec<_>>(),
            "winner": found.winner.map(row),
            "runner_up": runner_up(found).map(row),
            "ties": found.ties().into_iter().map(row).collect::<Vec<_>>(),
            "near_misses": found.near_misses().into_iter().map(row).collect::<Vec<_>>(),
            "frontier": frontier,
            "confirmed": confirmation.map(|confirmation| json!({
                "order_held": confirmation.order_held(found),
                "says": confirmation.says(found),
            })),
            "notes": notes(searcher, found),
            "files": paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        });
        return terminal::print_line(&json.to_string());
    }
    if !terminal.talks() {
        return;
    }
    terminal::print_line(&base.name);
    let header =
        ["deployment", "$/h", "GPUs", "in time %", "TTFT p99 ms", "between tokens p99 ms", "J/token", "best in"];
    let mut table = new_table(terminal, &header);
    for (index, best_in) in shown(found) {
        table.add_row(cells(&found.rows[index], &best_in));
    }
    terminal::print_line(&right_aligned(table).to_string());
    for line in summary(searcher, found, confirmation) {
        terminal::print_line(&line);
    }
    terminal::print_line("Wrote:");
    for path in paths {
        terminal::print_line(&format!("  {}", short(path)));
    }
}

/// A figure of a row.
type Figure = fn(&Row) -> Option<f64>;

/// The cheapest that serve, then the best of the frontier in each respect, and in what each is best.
fn shown(found: &Found) -> Vec<(usize, String)> {
    let rows = &found.rows;
    let mut shown: Vec<(usize, Vec<&str>)> = found.winner.into_iter().map(|winner| (winner, vec!["cost"])).collect();
    let others = (0..rows.len()).filter(|row| rows[*row].deployment.holds() && found.winner != Some(*row));
    shown.extend(others.take(SHOWN - 1).map(|row| (row, Vec::new())));
    let figures: [(&str, Figure); 3] = [
        ("TTFT", |row| row.deployment.judged()?.figures.p99_ttft_ms),
        ("time between tokens", |row| row.deployment.judged()?.figures.p99_itl_ms),
        ("energy", |row| row.deployment.judged()?.figures.energy_j_per_output_token),
    ];
    for (name, figure) in figures {
        let on_it = (0..rows.len()).filter(|row| rows[*row].on_frontier);
        let best = on_it.filter_map(|row| Some((row, figure(&rows[row])?)));
        let Some((best, _)) = best.reduce(|best, next| if next.1 < best.1 { next } else { best }) else { continue };
        match shown.iter_mut().find(|(row, _)| *row == best) {
            Some((_, words)) => words.push(name),
            None => shown.push((best, vec![name])),
        }
    }
    shown.into_iter().map(|(row, words)| (row, words.join(", "))).collect()
}

fn cells(row: &Row, best_in: &str) -> [String; 8] {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), four_digits);
    let judged = row.deployment.judged().expect("what is shown serves");
    let in_time = match judged.half_width() {
        Some(half) => format!("{:.1} ± {:.1}", 100.0 * judged.attainment(), 100.0 * half),
        None => format!("{:.1}", 100.0 * judged.attainment()),
    };
    [
        row.name(),
        format!("{:.2}", row.deployment.usd_per_hour),
        row.deployment.gpus.to_string(),
        in_time,
        number(judged.figures.p99_ttft_ms),
        number(judged.figures.p99_itl_ms),
        number(judged.figures.energy_j_per_output_token),
        best_in.to_owned(),
    ]
}

/// What stands below the table.
fn summary(searcher: &Searcher<'_>, found: &Found, confirmation: Option<&Confirmation>) -> Vec<String> {
    let base = searcher.planner.base;
    let simulated = found.rows.iter().filter(|row| row.deployment.judged().is_some()).count();
    let serving = found.rows.iter().filter(|row| row.deployment.holds()).count();
    let frontier = found.rows.iter().filter(|row| row.on_frontier).count();
    let mut lines = vec![format!(
        "{} deployments, {simulated} simulated at {} req/s: {serving} serve, of which nothing beats {frontier} in TTFT, time between \
         tokens, cost and energy at once",
        found.rows.len(),
        searcher.search.rate
    )];
    lines.extend(
        not_simulated(searcher, found).into_iter().map(|(why, count)| format!("  not simulated, {count}: {why}")),
    );
    lines.extend(cannot(found).into_iter().map(|(why, kinds)| format!("  cannot be, {kinds} kinds: {why}")));
    lines.extend(found.left_out.iter().map(|(why, shapes)| format!("  cannot be, {shapes} shapes: {why}")));
    lines.extend(notes(searcher, found));
    let asked = wanted(&base.demands);
    lines.push(match found.winner {
        Some(winner) => format!("cheapest for {asked}: {}", found.rows[winner].name()),
        None if confirmation.is_some() => format!("no plan: nothing that was confirmed serves {asked} in long runs"),
        None => format!("nothing serves {asked}"),
    });
    lines.extend(margin(found));
    lines.extend(confirmation.map(|confirmation| confirmation.says(found)));
    lines
}

/// How many deployments were not simulated, by reason.
fn not_simulated(searcher: &Searcher<'_>, found: &Found) -> Vec<(String, usize)> {
    let search = searcher.search;
    let least = cheapest_of(found.rows.iter().map(|row| &row.deployment));
    let dearer = match least {
        Some(usd) => format!(
            "cost more than {} times the {usd:.2} $/h of the cheapest that serves (plan.frontier_cost)",
            search.frontier_cost
        ),
        None => "cost more than is asked for".to_owned(),
    };
    let late = "requests come too fast for any schedule on them, by their own cost model".to_owned();
    let below = "more replicas of the same kinds clearly miss the objectives".to_owned();
    let mut reasons = [(dearer, 0), (late, 0), (below, 0)];
    for row in &found.rows {
        match row.deployment.fate {
            Fate::Dearer => reasons[0].1 += 1,
            Fate::Late(_) => reasons[1].1 += 1,
            Fate::BelowMissing(_) => reasons[2].1 += 1,
            Fate::CannotBe(_) | Fate::Judged(_) => {}
        }
    }
    reasons.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Kinds of deployments that cannot be built, by the beginning of the reason, with an example.
fn cannot(found: &Found) -> Vec<(String, usize)> {
    let single = found.rows.iter().filter_map(|row| match &row.deployment.fate {
        Fate::CannotBe(reason) => Some(reason),
        _ => None,
    });
    let mut groups: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for reason in found.cannot.iter().map(|(_, reason)| reason).chain(single) {
        let beginning = reason.split([':', ',', '=']).next().unwrap_or(reason);
        groups.entry(beginning).or_insert((0, reason)).0 += 1;
    }
    groups.into_values().map(|(count, example)| (example.to_owned(), count)).collect()
}

/// The next cheapest that serves and costs more than the plan.
fn runner_up(found: &Found) -> Option<usize> {
    let ties = found.ties();
    let winner = found.winner?;
    (0..found.rows.len()).find(|row| {
        let deployment = &found.rows[*row].deployment;
        let dearer = deployment.usd_per_hour > found.rows[winner].deployment.usd_per_hour;
        *row != winner && deployment.holds() && dearer && !ties.contains(row)
    })
}

/// How far the plan is from the limit, from the next one, from those of the same cost, and what might be cheaper.
fn margin(found: &Found) -> Vec<String> {
    let Some(winner) = found.winner else { return Vec::new() };
    let row = &found.rows[winner];
    let judged = row.deployment.judged().expect("it was simulated");
    let usd = row.deployment.usd_per_hour;
    let mut lines = Vec::new();
    lines.extend(match judged.certain {
        Some(true) => None,
        Some(false) => Some("it serves within the noise of the seeds only: more seeds or --confirm tell".to_owned()),
        None => Some("one seed: whether it serves beyond chance is not known; more seeds or --confirm tell".to_owned()),
    });
    if let Some(next) = runner_up(found) {
        let more = found.rows[next].deployment.usd_per_hour / usd - 1.0;
        lines.push(format!("next: {}, {:+.1} % in cost", found.rows[next].name(), 100.0 * more));
    }
    for tie in found.ties() {
        let other = found.rows[tie].deployment.judged().expect("it was simulated");
        let same = other.tightest.0 == judged.tightest.0;
        let differences: Vec<f64> =
            judged.tightest.1.iter().zip(&other.tightest.1).map(|(a, b)| 100.0 * (a - b)).collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let half = half_width(&differences).map_or(String::new(), |half| format!(" ± {half:.1}"));
        let ahead = if same {
            format!("the plan has {mean:.1}{half} points more requests in time")
        } else {
            "another limit is their tightest".to_owned()
        };
        lines.push(format!("the same cost: {}; {ahead}", found.rows[tie].name()));
    }
    for near in found.near_misses() {
        let other = &found.rows[near].deployment;
        let attainment = other.judged().expect("it was simulated").attainment();
        lines.push(format!(
            "cheaper by {:.1} %, and missing by no more than chance: {} ({:.1} %)",
            100.0 * (1.0 - other.usd_per_hour / usd),
            found.rows[near].name(),
            100.0 * attainment
        ));
    }
    lines
}

/// What was not searched, and what everything stands on.
fn notes(searcher: &Searcher<'_>, found: &Found) -> Vec<String> {
    let spec = searcher.planner.spec;
    let mut notes = Vec::new();
    let mut not =
        vec!["replicas of unlike shape in one pool", "routers and engine settings beyond those of the systems"];
    if spec.max_num_batched_tokens.is_empty() {
        not.push("token budgets (plan.max_num_batched_tokens)");
    }
    if spec.data_parallel_sizes.is_none() {
        not.push("data parallelism (plan.data_parallel_sizes)");
    }
    notes.push(format!("not searched: {}", not.join(", ")));
    if !searcher.search.prune {
        notes.push("everything was simulated (plan.prune = false)".to_owned());
    } else if !found.bounded {
        notes.push("there were no bounds by rates: requests share prompts or wait for answers, or only a part of each run is measured".to_owned());
    }
    let silent = searcher.planner.base.systems.iter().filter(|system| {
        searcher.search.systems.contains(&system.name) && system.pools.iter().any(|pool| !pool.knows_work())
    });
    if silent.count() > 0 {
        notes.push("energy is not known (`step_cost`), and is no part of the frontier".to_owned());
    }
    notes
}

/// What stands above the winner's file.
pub(super) fn head(searcher: &Searcher<'_>, row: &Row) -> String {
    format!(
        "# Written by `servesim plan`: the cheapest deployment found for {} req/s, {:.2} $/h.\n# The workload's rate is that of the file it was \
         planned with.\n",
        searcher.search.rate, row.deployment.usd_per_hour
    )
}

fn row_json(row: &Row) -> Json {
    let judged = row.deployment.judged();
    let figures = judged.map(|judged| judged.figures);
    json!({
        "deployment": row.name(),
        "gpus": row.deployment.gpus,
        "usd_per_hour": row.deployment.usd_per_hour,
        "status": row.deployment.fate.status(),
        "attainment": judged.map(Judged::attainment),
        "attainment_half_width": judged.and_then(Judged::half_width),
        "beyond_noise": judged.and_then(|judged| judged.certain),
        "p99_ttft_ms": figures.and_then(|figures| figures.p99_ttft_ms),
        "p99_itl_ms": figures.and_then(|figures| figures.p99_itl_ms),
        "energy_j_per_output_token": figures.and_then(|figures| figures.energy_j_per_output_token),
    })
}
