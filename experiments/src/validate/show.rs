//! What the terminal shows.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::figure::{Metric, Statistic};
use super::load::Loaded;
use super::score::{Compared, GroupError, by_group};
use super::{Verdict, print_table};
use crate::cli::new_table;
use crate::terminal::{self, Terminal, short};

/// Columns of the table of cases.
const HEADLINES: [(Metric, Statistic); 9] = [
    (Metric::Ttft, Statistic::Mean),
    (Metric::Ttft, Statistic::P50),
    (Metric::Ttft, Statistic::P99),
    (Metric::Tpot, Statistic::Mean),
    (Metric::Tpot, Statistic::P99),
    (Metric::Itl, Statistic::Mean),
    (Metric::E2e, Statistic::Mean),
    (Metric::OutputThroughput, Statistic::Mean),
    (Metric::Power, Statistic::Mean),
];
/// Tables with more rows than this are shown by their groups only.
const MOST_CASES: usize = 60;

/// Prints errors of cases and groups, what was not scored, and where the files are.
pub(super) fn all(verdicts: &[Verdict], files: &[std::path::PathBuf], as_json: bool, terminal: Terminal) {
    let compared: Vec<Compared> = compared(verdicts);
    let groups = by_group(&compared);
    if as_json {
        return terminal::print_line(&to_json(verdicts, &compared, &groups).to_string());
    }
    if !terminal.talks() {
        return;
    }
    let mut titles: Vec<String> = compared.iter().map(Compared::title).collect();
    titles.dedup();
    if titles.len() <= MOST_CASES {
        cases(&compared, &titles, terminal);
    } else {
        terminal::print_line(&format!("{} cases scored; the errors of each are in errors.csv (-o DIR)", titles.len()));
    }
    show_groups(&groups, terminal);
    assumptions(verdicts, terminal);
    for (why, names) in reasons(verdicts) {
        match names.as_slice() {
            [one] => terminal.note(&format!("not scored: {one}: {why}")),
            several => terminal.note(&format!("not scored: {} and {} others: {why}", several[0], several.len() - 1)),
        }
    }
    let scored = verdicts.iter().filter(|verdict| verdict.result.is_ok()).count();
    terminal::print_line(&format!("{scored} of {} cases scored", verdicts.len()));
    if !files.is_empty() {
        terminal::print_line("Wrote:");
        for path in files {
            terminal::print_line(&format!("  {}", short(path)));
        }
    }
}

/// Names the columns that nobody reads, each sentence once with its cases.
pub(super) fn unread_columns(loaded: &[Loaded], terminal: Terminal) {
    let mut said: Vec<(&str, Vec<&str>)> = Vec::new();
    for case in loaded.iter().filter_map(|loaded| loaded.case.as_ref().ok()) {
        for sentence in &case.unread_columns {
            match said.iter_mut().find(|(known, _)| known == sentence) {
                Some((_, cases)) => cases.push(&case.name),
                None => said.push((sentence, vec![&case.name])),
            }
        }
    }
    for (sentence, cases) in said {
        match cases.as_slice() {
            [one] => terminal.note(&format!("note: {one}: {sentence}")),
            several => terminal.note(&format!("note: {} and {} others: {sentence}", several[0], several.len() - 1)),
        }
    }
}

/// Prints what everybody has to know who reads the figures, each remark once.
pub(super) fn remarks(verdicts: &[Verdict], terminal: Terminal) {
    let mut said = BTreeSet::new();
    for remark in verdicts.iter().flat_map(|verdict| &verdict.remarks) {
        if said.insert(remark) {
            terminal.note(remark);
        }
    }
}

/// Why cases were not scored, each reason once with its cases.
pub(super) fn reasons(verdicts: &[Verdict]) -> Vec<(String, Vec<&str>)> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for verdict in verdicts {
        let Err(why) = &verdict.result else { continue };
        let why = why.to_string();
        match reasons.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, cases)) => cases.push(&verdict.name),
            None => reasons.push((why, vec![&verdict.name])),
        }
    }
    reasons
}

/// All comparisons in the order of the cases.
pub(super) fn compared(verdicts: &[Verdict]) -> Vec<Compared> {
    verdicts
        .iter()
        .filter_map(|verdict| verdict.result.as_ref().ok())
        .flat_map(|scored| scored.compared.clone())
        .collect()
}

/// An error with its sign.
pub(super) fn percent(error: f64) -> String {
    let text = format!("{error:+.1}");
    if text == "-0.0" || text == "+0.0" { "0.0".to_owned() } else { text }
}

fn cases(compared: &[Compared], titles: &[String], terminal: Terminal) {
    let shown: Vec<_> = HEADLINES
        .into_iter()
        .filter(|(metric, statistic)| compared.iter().any(|one| (one.metric, one.statistic) == (*metric, *statistic)))
        .collect();
    let names: Vec<String> = shown
        .iter()
        .map(|(metric, statistic)| format!("{} {}", metric.name().replace('_', " "), statistic.name()))
        .collect();
    let header: Vec<&str> = std::iter::once("error in %").chain(names.iter().map(String::as_str)).collect();
    let mut table = new_table(terminal, &header);
    for title in titles {
        let error = |(metric, statistic): &(Metric, Statistic)| {
            let is_it = |one: &&Compared| one.title() == *title && (one.metric, one.statistic) == (*metric, *statistic);
            compared.iter().find(is_it).map_or_else(|| "-".to_owned(), |one| percent(one.error_percent()))
        };
        table.add_row(std::iter::once(title.clone()).chain(shown.iter().map(error)));
    }
    print_table(table);
}

/// Prints the table of groups.
pub(super) fn show_groups(groups: &[GroupError], terminal: Terminal) {
    let mut table =
        new_table(terminal, &["group", "metric", "cases", "median |error| %", "bias %", "worst %", "worst case"]);
    let is_shown = |group: &&GroupError| match group.statistic {
        Statistic::Mean => group.metric < Metric::SeriesPromptThroughput,
        Statistic::P50 => group.metric == Metric::Itl,
        Statistic::P99 => group.metric == Metric::Ttft,
        _ => false,
    };
    for group in groups.iter().filter(is_shown) {
        table.add_row([
            group.group.clone(),
            format!("{} {}", group.metric.name().replace('_', " "), group.statistic.name()),
            group.cases.to_string(),
            format!("{:.1}", group.median_percent),
            percent(group.bias_percent),
            percent(group.worst_percent),
            group.worst_case.clone(),
        ]);
    }
    terminal::print_line("");
    print_table(table);
}

fn assumptions(verdicts: &[Verdict], terminal: Terminal) {
    for scored in verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok()) {
        for assumption in &scored.assumptions {
            terminal.detail(&format!("assumed: {}: {assumption}", scored.case.name));
        }
    }
    let count: usize =
        verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok()).map(|scored| scored.assumptions.len()).sum();
    if count > 0 && !terminal.is_verbose() {
        terminal.note(&format!("{count} assumptions were made: -v lists them, assumptions.csv has them (-o DIR)"));
    }
}

fn to_json(verdicts: &[Verdict], compared: &[Compared], groups: &[GroupError]) -> Value {
    let cases = verdicts.iter().map(|verdict| match &verdict.result {
        Ok(scored) => json!({
            "case": verdict.name, "scored": true, "rejected": scored.simulated.rejections.count(), "assumptions": scored.assumptions,
        }),
        Err(why) => json!({
            "case": verdict.name, "scored": false, "rejected": verdict.rejections().map(|rejections| rejections.count()),
            "reason": why.to_string(),
        }),
    });
    json!({ "cases": cases.collect::<Vec<_>>(), "groups": groups_json(groups), "errors": errors_json(compared) })
}

/// Comparisons as JSON.
pub(super) fn errors_json(compared: &[Compared]) -> Vec<Value> {
    let error = |one: &Compared| {
        json!({
            "case": one.case, "part": one.part, "group": one.group, "metric": one.metric, "statistic": one.statistic,
            "measured": one.measured, "simulated": one.simulated, "error_percent": one.error_percent(),
        })
    };
    compared.iter().map(error).collect()
}

/// Errors of groups as JSON.
pub(super) fn groups_json(groups: &[GroupError]) -> Vec<Value> {
    let error = |group: &GroupError| {
        json!({
            "group": group.group, "metric": group.metric, "statistic": group.statistic, "cases": group.cases,
            "median_abs_error_percent": group.median_percent, "mean_abs_error_percent": group.mean_percent,
            "bias_percent": group.bias_percent, "worst_percent": group.worst_percent, "worst_case": group.worst_case,
        })
    };
    groups.iter().map(error).collect()
}
