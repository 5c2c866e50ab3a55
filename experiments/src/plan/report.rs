//! What a plan search looked at and chose.

use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::choose::Chosen;
use super::judge::{Outcome, Row};
use super::placement::Placement;
use crate::cli::{new_table, right_aligned};
use crate::experiment::{Algorithm, Experiment, Objective, PlanSpec};
use crate::goodput::Limited;
use crate::goodput::search::Found;
use crate::output::four_digits;
use crate::run::wanted;
use crate::terminal::{self, Terminal, short};

/// Candidates of a kind that are shown; all are in `plan.csv`.
const SHOWN: usize = 5;

/// Prints it.
pub(super) fn show(
    as_json: bool,
    experiment: &Experiment,
    spec: &PlanSpec,
    chosen: &Chosen,
    paths: &[PathBuf],
    terminal: Terminal,
) {
    if as_json {
        let rows: Vec<Json> = chosen.rows.iter().map(row_json).collect();
        let files: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let left_out: Vec<Json> =
            chosen.left_out.iter().map(|(why, shapes)| json!({ "reason": why, "shapes": shapes })).collect();
        let json = json!({
            "name": experiment.name,
            "objective": spec.objective.name(),
            "candidates": rows,
            "left_out": left_out,
            "winner": chosen.winner().map(row_json),
            "notes": notes(spec, chosen),
            "files": files,
        });
        return terminal::print_line(&json.to_string());
    }
    if !terminal.talks() {
        return;
    }
    terminal::print_line(&experiment.name);
    let mut table = new_table(
        terminal,
        &["placement", "for", "GPUs", "goodput req/s", "per GPU", "req per $", "req per kJ", "fails at"],
    );
    let mut hidden = 0;
    for algorithm in &spec.algorithms {
        let held = || chosen.rows.iter().filter(|row| row.algorithm == *algorithm && row.limited().is_some());
        let mut kinds: Vec<(bool, Discriminant<Placement>)> = Vec::new();
        for row in held() {
            let kind = (row.whole, discriminant(&row.placement));
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        for kind in kinds {
            let mut rows: Vec<(&Row, &Limited)> = held()
                .filter(|row| (row.whole, discriminant(&row.placement)) == kind)
                .filter_map(|row| Some((row, row.limited()?)))
                .collect();
            rows.sort_by(|a, b| b.1.per_gpu().unwrap_or(0.0).total_cmp(&a.1.per_gpu().unwrap_or(0.0)));
            hidden += rows.len().saturating_sub(SHOWN);
            for (row, limited) in rows.into_iter().take(SHOWN) {
                table.add_row(cells(row, limited));
            }
        }
    }
    terminal::print_line(&right_aligned(table).to_string());
    terminal::print_line(&summary(experiment, spec, chosen, hidden));
    terminal::print_line("Wrote:");
    for path in paths {
        terminal::print_line(&format!("  {}", short(path)));
    }
}

fn cells(row: &Row, limited: &Limited) -> [String; 8] {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), four_digits);
    let part = if row.whole { format!("{}: plan", row.algorithm.name()) } else { row.algorithm.name().to_owned() };
    let fails = match limited.found {
        Found::Between { fails, .. } => Some(fails),
        Found::BelowLowest | Found::AboveHighest => None,
    };
    [
        row.placement.to_string(),
        part,
        limited.gpus.to_string(),
        number(limited.rate()),
        number(limited.per_gpu()),
        number(limited.per_usd()),
        number(limited.per_joule().map(|per_joule| 1000.0 * per_joule)),
        number(fails),
    ]
}

/// What stands below the table.
fn summary(experiment: &Experiment, spec: &PlanSpec, chosen: &Chosen, hidden: usize) -> String {
    let mut lines = Vec::new();
    if hidden > 0 {
        lines.push(format!("and {hidden} more that hold a rate, in plan.csv"));
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &chosen.rows {
        if let Outcome::Out(reason) = &row.outcome {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    lines.push(format!("{} candidates; left out:", chosen.rows.iter().filter(|row| !row.whole).count()));
    let shapes = chosen.left_out.iter().map(|(reason, count)| format!("  {count} shapes: {reason}"));
    lines.extend(shapes);
    lines.extend(grouped(&reasons));
    lines.extend(notes(spec, chosen));
    let asked = format!("{} of {}", spec.objective.name(), wanted(&experiment.demands));
    lines.push(match chosen.winner() {
        Some(row) => format!("best {asked}: {} ({})", row.placement, row.algorithm.name()),
        None => format!("nothing serves {asked}"),
    });
    lines.join("\n")
}

/// Reasons with their counts; those that occur once for each of many candidates are put together by their beginning.
fn grouped(reasons: &BTreeMap<&str, usize>) -> Vec<String> {
    let mut groups: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (reason, count) in reasons {
        let beginning = reason.split([':', ',', '=']).next().unwrap_or(reason);
        let group = groups.entry(beginning).or_insert((0, reason));
        group.0 += count;
    }
    groups.values().map(|(count, example)| format!("  {count}: {example}")).collect()
}

/// What was not searched.
fn notes(spec: &PlanSpec, chosen: &Chosen) -> Vec<String> {
    let mut notes = chosen.notes.clone();
    let mut not = vec!["data and expert parallelism", "replicas of unlike shape", "routers", "engine settings"];
    if spec.max_num_batched_tokens.is_empty() {
        not.push("token budgets (plan.max_num_batched_tokens)");
    }
    if spec.algorithms.contains(&Algorithm::LowAffinity) {
        not.push("pairs of GPU types within a server");
    }
    notes.push(format!("not searched: {}", not.join(", ")));
    if let (Some(rate), false) = (spec.rate, spec.objective == Objective::Cost) {
        notes.push(format!(
            "the plan serves {} req/s in as many replicas as that takes, but is the best by {} at its highest rate; the cheapest that \
             serves the rate: plan.deployments, which searches whole deployments, or plan.objective = \"cost\"",
            four_digits(rate),
            spec.objective.name()
        ));
    }
    if spec.algorithms != [Algorithm::CoLocated] && spec.network == "instant" {
        notes.push("KV caches were taken to travel in no time; plan.network names what carries them".to_owned());
    }
    notes
}

/// What stands above the winner's file.
pub(super) fn head(spec: &PlanSpec, winner: &Row) -> String {
    let rate = winner.limited().and_then(Limited::rate).map(four_digits).unwrap_or_default();
    format!(
        "# Written by `servesim plan`: the best {} ({}), which holds {rate} req/s.\n# The workload's rate is that of the file it was \
         planned with.\n",
        spec.objective.name(),
        winner.algorithm.name()
    )
}

fn row_json(row: &Row) -> Json {
    let mut json = json!({
        "algorithm": row.algorithm.name(),
        "placement": row.placement.to_string(),
        "whole": row.whole,
        "gpus": row.placement.gpus(),
    });
    match &row.outcome {
        Outcome::Out(reason) => json["left_out"] = reason.as_str().into(),
        Outcome::Holds(limited) => {
            json["goodput_rps"] = limited.rate().into();
            json["goodput_rps_per_gpu"] = limited.per_gpu().into();
            json["requests_per_usd"] = limited.per_usd().into();
            json["requests_per_joule"] = limited.per_joule().into();
        }
    }
    json
}

/// `plan.csv`: one row per candidate and plan.
pub(super) fn table_csv(chosen: &Chosen) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "algorithm",
        "placement",
        "plan",
        "gpus",
        "goodput_rps",
        "fails_at_rps",
        "goodput_rps_per_gpu",
        "requests_per_usd",
        "requests_per_joule",
        "left_out",
        "winner",
    ];
    writer.write_record(header).expect("memory takes it");
    for (index, row) in chosen.rows.iter().enumerate() {
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let limited = row.limited();
        let fails = limited.and_then(|limited| match limited.found {
            Found::Between { fails, .. } => Some(fails),
            Found::BelowLowest | Found::AboveHighest => None,
        });
        let reason = if let Outcome::Out(reason) = &row.outcome { reason.clone() } else { String::new() };
        let record = [
            row.algorithm.name().to_owned(),
            row.placement.to_string(),
            row.whole.to_string(),
            row.placement.gpus().to_string(),
            number(limited.and_then(Limited::rate)),
            number(fails),
            number(limited.and_then(Limited::per_gpu)),
            number(limited.and_then(Limited::per_usd)),
            number(limited.and_then(Limited::per_joule)),
            reason,
            (chosen.best == Some(index)).to_string(),
        ];
        writer.write_record(record).expect("memory takes it");
    }
    String::from_utf8(writer.into_inner().expect("memory takes it")).expect("text goes in")
}
