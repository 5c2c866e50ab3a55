//! `reproduction.md`: for those who decide whether to believe the simulator.

use std::fmt::Write as _;

use profiles::Evidence;
use sim::Summary;

use super::measured::{RunSummary, Study};
use super::paper::{Figure, Paper};
use super::show::came_to;
use super::simulate::Runs;
use super::verdict::Verdict;
use super::words::{computed, published};
use super::{JudgedFigure, Outcome, Reproduced};
use crate::file::quantity::Plain;

const HEAD: &str = "# Published claims, and what servesim says of them\n\n\
    Written by `servesim reproduce`, which runs the experiments in `experiments/papers/`. Every run is made under the shipped \
    device profiles and one set of constants, unless the experiment names another profile.\n\n\
    - **predicted**: nothing was chosen to meet the published value. It *holds* if the 95 % interval over seeds contains the \
    published value or, for a comparison, if the mean lies within a quarter of the published change (for a ratio, of what \
    it has over 1; for a plain value, within the tolerance its file states).\n\
    - **fitted**: a named calibration was fitted to it, so that agreement says nothing.\n\
    - **undetermined**: public facts do not determine it. It is reported beside the published value, with the reason, and not \
    tuned to. So are times and rates of an engine whose speed is not published; how two schedulers compare on it is a \
    prediction.\n\n\
    Experiments called *what if* test the causes that reasons name; the table does not count them.\n\n\
    Intervals are of the mean over seeds, comparisons are made seed by seed on the same requests. `a → b` are the values of \
    the two systems compared.\n";

/// The whole page.
pub(super) fn page(reproduced: &[Reproduced]) -> String {
    let mut text = format!("{HEAD}\n{}", counts(reproduced));
    for paper in reproduced {
        of_paper(&mut text, paper);
    }
    text
}

/// How many claims of each paper came to what.
fn counts(reproduced: &[Reproduced]) -> String {
    let mut text = "| paper | predicted: hold | differ | direction wrong | fitted | open | open, direction wrong | held by tests |\n\
                    |---|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for paper in reproduced {
        let count = |is_it: fn(Verdict) -> bool| {
            // What was changed to test a cause is no claim of the paper.
            let counted = paper.figures.iter().filter(|figure| !figure.figure.title.starts_with("What if"));
            let verdicts = counted.flat_map(JudgedFigure::claims).filter_map(|judged| judged.outcome.verdict());
            verdicts.filter(|verdict| is_it(*verdict)).count()
        };
        let _ = writeln!(
            text,
            "| [{}](#{}) | {} | {} | {} | {} | {} | {} | {} |",
            paper.paper.title,
            anchor(&paper.paper.title),
            count(|verdict| verdict == Verdict::Holds),
            count(|verdict| verdict == Verdict::Differs),
            count(|verdict| verdict == Verdict::DirectionWrong),
            count(|verdict| matches!(verdict, Verdict::Fitted { .. })),
            count(|verdict| matches!(verdict, Verdict::Open { .. })),
            count(|verdict| verdict == Verdict::Open { direction: Some(false) }),
            paper.paper.tests.len(),
        );
    }
    text
}

/// The anchor of a heading, as Markdown renderers make it.
fn anchor(title: &str) -> String {
    let kept =
        title.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-')).collect::<String>();
    kept.replace(' ', "-")
}

fn of_paper(text: &mut String, paper: &Reproduced) {
    let _ = write!(text, "\n## {}\n\n{}\n", paper.paper.title, paper.paper.cite);
    for figure in &paper.figures {
        of_figure(text, &paper.paper, figure);
    }
    if !paper.paper.tests.is_empty() {
        *text += "\n### Held by tests\n\nWhat a test measured was so when the row was written; its tolerance holds at every commit.\n\n\
                  | | claim | tolerance | measured | test |\n|---|---|---|---|---|\n";
        for test in &paper.paper.tests {
            let optional = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), cell);
            let (tolerance, measured) = (optional(&test.tolerance), optional(&test.measured));
            let _ =
                writeln!(text, "| {} | {} | {tolerance} | {measured} | `{}` |", test.id, cell(&test.claim), test.test);
        }
    }
}

fn of_figure(text: &mut String, paper: &Paper, judged: &JudgedFigure) {
    let figure = &judged.figure;
    let _ = write!(
        text,
        "\n### {}\n\n{}\n\n`experiments/papers/{}/{}.toml`, {}. {}\n\n| | claim | published | simulated | verdict |\n|---|---|---|---|---|\n",
        figure.title,
        figure.conditions.trim(),
        paper.name,
        figure.name,
        runs(figure, &judged.runs),
        evidence(figure, &judged.runs),
    );
    for judged in judged.claims() {
        let claim = judged.claim;
        let _ = writeln!(
            text,
            "| {} | {} ({}; {}) | {} | {} | {}: {} |",
            claim.id,
            cell(&claim.text),
            cell(&claim.published_in),
            computed(&claim.quantity, &figure.system_names()).replace('_', "\\_"),
            published(&claim.published, &claim.quantity),
            came_to(&judged),
            claim.status.name(),
            judged.verdict_name(),
        );
    }
    let reasons: Vec<String> =
        judged.claims().filter_map(|judged| Some(format!("- {}: {}", judged.claim.id, judged.reason()?))).collect();
    if !reasons.is_empty() {
        let _ = write!(text, "\n{}\n", reasons.join("\n"));
    }
    for remark in &judged.remarks {
        let _ = write!(text, "\n{remark}\n");
    }
}

/// Seeds and points.
fn runs(figure: &Figure, runs: &Runs) -> String {
    let seeds = match runs.seeds {
        1 => "1 seed".to_owned(),
        seeds => format!("{seeds} seeds"),
    };
    match &figure.vary {
        None => seeds,
        Some(vary) => {
            let values: Vec<String> = vary.values.iter().map(|value| Plain(*value).to_string()).collect();
            format!("{seeds}, `{}` = {}", vary.key, values.join(", "))
        }
    }
}

/// What step times stand on, mean over runs: of all systems together where they agree to a percent, else of each.
fn evidence(figure: &Figure, runs: &Runs) -> String {
    let shares = (0..figure.points[0].systems().len()).map(|system| {
        let share = |evidence| {
            let shares: Vec<f64> = served(runs, system).filter_map(|run| run.evidence_share(evidence)).collect();
            (100.0 * shares.iter().sum::<f64>() / shares.len().max(1) as f64).round() as u32
        };
        Evidence::ALL.map(share)
    });
    if let Study::Cached(_) = figure.points[0] {
        return "Prefix caches alone: nothing is served, and TTFT is the straight line of the study.".to_owned();
    }
    let shares: Vec<[u32; 3]> = shares.collect();
    let words = |shares: &[u32; 3]| {
        let named = Evidence::ALL.iter().zip(shares).filter(|(_, share)| **share > 0);
        named.map(|(evidence, share)| format!("{share} % {}", evidence.name())).collect::<Vec<_>>().join(", ")
    };
    let said = if shares.iter().all(|share| *share == shares[0]) {
        words(&shares[0])
    } else {
        let of_each = figure.system_names().into_iter().zip(&shares);
        of_each.map(|(name, shares)| format!("{name} {}", words(shares))).collect::<Vec<_>>().join("; ")
    };
    format!("Step time stands on: {said}.")
}

/// Runs of a system that served and did not fail.
fn served(runs: &Runs, system: usize) -> impl Iterator<Item = &Summary> {
    runs.of_system(system).filter_map(|run| if let RunSummary::Served(summary) = run { Some(&**summary) } else { None })
}

/// Text that breaks no table.
fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|").replace('\n', " ")
}

impl Outcome {
    /// The verdict, if there is one.
    fn verdict(&self) -> Option<Verdict> {
        if let Outcome::Judged { verdict, .. } = self { Some(*verdict) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_linked_as_renderers_name_them() {
        assert_eq!(anchor("From Tokens to Layers: Stall-Free (MoE)"), "from-tokens-to-layers-stall-free-moe");
    }
}
