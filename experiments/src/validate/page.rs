//! `validation.md`: all errors on one page, good and bad.

use std::fmt::Write as _;

use super::case::Workload;
use super::figure::{Metric, Statistic};
use super::score::{Compared, GroupError, by_group, own_groups};
use super::show::percent;
use super::{Scored, Verdict, show};

/// Rows of a group beyond this are summed up only.
const MOST_ROWS: usize = 60;
/// Columns of the tables of cases.
const COLUMNS: [(Metric, &str); 4] =
    [(Metric::Ttft, "TTFT"), (Metric::Tpot, "TPOT"), (Metric::E2e, "E2E"), (Metric::OutputThroughput, "tokens/s")];

/// The page, in Markdown.
pub(super) fn page(verdicts: &[Verdict]) -> String {
    let compared = show::compared(verdicts);
    let mut text = format!(
        "# Measured runs and what servesim says of them\n\nWritten by `servesim validate` {}. Errors are (simulated − measured) \
         / measured in percent; every case that was looked at is listed, whatever came of it. The noise floor of such runs: \
         the same load on two servers differs by 0.5 to 2 % in mean TTFT and 0.1 to 1.7 % in mean E2E latency.\n\n",
        env!("CARGO_PKG_VERSION")
    );
    groups(&mut text, &by_group(&compared));
    for name in own_groups(&compared) {
        group(&mut text, &compared, name);
    }
    evidence(&mut text, verdicts);
    assumptions(&mut text, verdicts);
    not_scored(&mut text, verdicts);
    text
}

fn groups(text: &mut String, sums: &[GroupError]) {
    *text += "## Groups\n\n| group | figure | cases | median \\|error\\| % | bias % | worst % | worst case |\n\
              |---|---|---:|---:|---:|---:|---|\n";
    for sum in sums.iter().filter(|sum| matches!(sum.statistic, Statistic::Mean | Statistic::P99 | Statistic::Distance))
    {
        let figure = format!("{} {}", sum.metric.name().replace('_', " "), sum.statistic.name());
        let (bias, worst) = (percent(sum.bias_percent), percent(sum.worst_percent));
        let _ = writeln!(
            text,
            "| {} | {figure} | {} | {:.1} | {bias} | {worst} | {} |",
            sum.group, sum.cases, sum.median_percent, sum.worst_case
        );
    }
}

fn group(text: &mut String, compared: &[Compared], name: &str) {
    let mut titles: Vec<String> = compared.iter().filter(|one| one.group == name).map(Compared::title).collect();
    titles.dedup();
    let _ = writeln!(text, "\n## {name}\n");
    if titles.len() > MOST_ROWS {
        let _ = writeln!(text, "{} cases: `errors.csv` of a run with `-o` has each of them.", titles.len());
        return;
    }
    let statistics = Statistic::OF_VALUES.map(Statistic::name).join("/");
    let _ =
        writeln!(text, "![errors of {name}](figures/errors_{}.svg)\n\n{statistics} of each:\n", name.replace('/', "_"));
    let header: Vec<&str> = COLUMNS.iter().map(|(_, title)| *title).collect();
    let _ = writeln!(text, "| case | {} |\n|---|{}", header.join(" | "), "---:|".repeat(COLUMNS.len()));
    for title in titles {
        let cell = |(metric, _): &(Metric, &str)| {
            let error = |statistic: Statistic| {
                let is_it =
                    |one: &&Compared| one.title() == title && (one.metric, one.statistic) == (*metric, statistic);
                compared.iter().find(is_it).map(|one| percent(one.error_percent()))
            };
            Statistic::OF_VALUES.into_iter().filter_map(error).collect::<Vec<_>>().join(" / ")
        };
        let _ = writeln!(text, "| {title} | {} |", COLUMNS.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
}

/// What simulated step time of the runs that were replayed request by request stands on.
fn evidence(text: &mut String, verdicts: &[Verdict]) {
    let is_replayed = |scored: &&Scored| matches!(scored.case.workload, Workload::Requests { .. });
    let scored = verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok()).filter(is_replayed);
    *text += "\n## What the step times stand on\n\nShare of simulated step time by evidence, preemptions, and prompt tokens found \
              in the prefix cache.\n\n| case | measured % | fitted % | extrapolated % | preemptions | cached % |\n\
              |---|---:|---:|---:|---:|---:|\n";
    for one in scored {
        let [measured, fitted, extrapolated] = one.simulated.evidence.map(|share| format!("{:.1}", 100.0 * share));
        let cached = 100.0 * one.simulated.cached_share;
        let preemptions = one.simulated.preemptions;
        let name = &one.case.name;
        let _ = writeln!(text, "| {name} | {measured} | {fitted} | {extrapolated} | {preemptions} | {cached:.1} |");
    }
}

/// What was assumed, each sentence once with the cases it was said of.
fn assumptions(text: &mut String, verdicts: &[Verdict]) {
    let mut said: Vec<(&str, Vec<&str>)> = Vec::new();
    for scored in verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok()) {
        for assumption in &scored.assumptions {
            match said.iter_mut().find(|(sentence, _)| sentence == assumption) {
                Some((_, cases)) => cases.push(&scored.case.name),
                None => said.push((assumption, vec![&scored.case.name])),
            }
        }
    }
    *text += "\n## What had to be assumed\n\n";
    for (sentence, cases) in said {
        let of = match cases.as_slice() {
            [one] => (*one).to_owned(),
            [first, .., last] => format!("{} cases, {first} to {last}", cases.len()),
            [] => continue,
        };
        let _ = writeln!(text, "- {sentence} ({of})");
    }
}

fn not_scored(text: &mut String, verdicts: &[Verdict]) {
    let reasons = show::reasons(verdicts);
    if reasons.is_empty() {
        return;
    }
    *text += "\n## Not scored\n\n";
    for (reason, cases) in reasons {
        let _ = match cases.as_slice() {
            [one] => writeln!(text, "- {one}: {reason}"),
            several => writeln!(text, "- {} cases ({} and others): {reason}", several.len(), several[0]),
        };
    }
}
