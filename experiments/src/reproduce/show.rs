//! Claims on the terminal, and as JSON.

use serde_json::{Value, json};

use super::paper::Paper;
use super::words::{computed, published, sides, simulated};
use super::{Judged, Outcome, Reproduced};
use crate::cli::new_table;
use crate::terminal::{self, Terminal};

/// Prints the claims of all papers.
pub(super) fn all(reproduced: &[Reproduced], terminal: Terminal) {
    for paper in reproduced {
        terminal::print_line(&format!("{} ({})", paper.paper.title, paper.paper.cite));
        let mut table = new_table(terminal, &["", "claim", "published", "simulated", "verdict"]);
        for judged in paper.judged() {
            let claim = judged.claim;
            table.add_row([
                claim.id.clone(),
                format!("{} ({})", claim.text, claim.published_in),
                published(&claim.published, &claim.quantity),
                came_to(&judged),
                format!("{}: {}", claim.status.name(), judged.verdict_name()),
            ]);
        }
        terminal::print_line(&table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
        for judged in paper.judged() {
            if let Some(reason) = judged.reason() {
                terminal::print_line(&format!("{}: {reason}", judged.claim.id));
            }
        }
        for figure in &paper.figures {
            for remark in &figure.remarks {
                terminal.note(remark);
            }
        }
        if !paper.paper.tests.is_empty() {
            let ids: Vec<&str> = paper.paper.tests.iter().map(|test| test.id.as_str()).collect();
            terminal::print_line(&format!("held by tests: {}", ids.join(", ")));
        }
        terminal::print_line("");
    }
}

/// Prints which claims there are, one a line: paper and experiment or test, id, claim, published value, status.
pub(super) fn list(papers: &[Paper]) {
    for paper in papers {
        for (figure, claim) in
            paper.figures.iter().flat_map(|figure| figure.claims.iter().map(move |claim| (figure, claim)))
        {
            let published = published(&claim.published, &claim.quantity);
            let place = format!("{}/{}", paper.name, figure.name);
            terminal::print_line(&format!(
                "{place}\t{}\t{}\t{published}\t{}",
                claim.id,
                claim.text,
                claim.status.name()
            ));
        }
        for test in &paper.tests {
            terminal::print_line(&format!("{}\t{}\t{}\t\ttest {}", paper.name, test.id, test.claim, test.test));
        }
    }
}

/// What a claim came to, with both sides of a comparison.
pub(super) fn came_to(judged: &Judged<'_>) -> String {
    match judged.outcome {
        Outcome::Failed(_) => "—".to_owned(),
        Outcome::Judged { estimate, .. } => {
            let sides = sides(estimate, &judged.claim.quantity).map_or(String::new(), |sides| format!("; {sides}"));
            format!("{}{sides}", simulated(estimate, &judged.claim.quantity))
        }
    }
}

/// All of it, for `--json`.
pub(super) fn to_json(reproduced: &[Reproduced]) -> Value {
    let papers = reproduced.iter().map(|paper| {
        let claims: Vec<Value> = paper.judged().map(|judged| claim_json(&judged)).collect();
        let tests =
            paper.paper.tests.iter().map(|test| json!({ "id": test.id, "claim": test.claim, "test": test.test }));
        json!({
            "paper": paper.paper.name, "title": paper.paper.title, "claims": claims, "tests": tests.collect::<Vec<_>>(),
        })
    });
    json!({ "papers": papers.collect::<Vec<_>>() })
}

fn claim_json(judged: &Judged<'_>) -> Value {
    let claim = judged.claim;
    let estimate = match judged.outcome {
        Outcome::Judged { estimate, .. } => Some(estimate),
        Outcome::Failed(_) => None,
    };
    let interval = estimate.filter(|estimate| estimate.half_width.is_some()).map(super::estimate::Estimate::interval);
    json!({
        "id": claim.id, "claim": claim.text, "published_in": claim.published_in, "experiment": judged.figure.name,
        "computed": computed(&claim.quantity, &judged.figure.system_names()),
        "published_low": claim.published.low, "published_high": claim.published.high,
        "unit": claim.quantity.result_unit(), "status": claim.status.name(),
        "simulated": estimate.map(|estimate| estimate.mean),
        "simulated_low": interval.map(|interval| interval.0), "simulated_high": interval.map(|interval| interval.1),
        "seeds": estimate.map(|estimate| estimate.seeds), "verdict": judged.verdict_name(), "reason": judged.reason(),
    })
}
