//! What step times stand on, in words.

use profiles::{Evidence, Operator};
use sim::Summary;

use super::comparison::Run;

/// What the step times stand on: the same for all systems, or one for each. Where it is not one kind of evidence, the
/// operators that stand on the lesser kinds are named with their parts of the step time.
pub(super) fn lines(group: &[Run<'_>], systems: &[&str]) -> String {
    let of_system = |system: &&str| {
        let runs: Vec<&Summary> =
            group.iter().filter(|(label, _)| label.system == *system).map(|(_, summary)| *summary).collect();
        Some(((*system).to_owned(), words(&runs)?))
    };
    let said: Vec<(String, String)> = systems.iter().filter_map(of_system).collect();
    match said.as_slice() {
        [] => String::new(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, words)| words == first) => {
            format!("step time stands on: {first}\n")
        }
        _ => {
            let line = |(system, words): &(String, String)| format!("step time of {system} stands on: {words}");
            said.iter().map(line).collect::<Vec<_>>().join("\n") + "\n"
        }
    }
}

/// `75 % measured, 25 % fitted (elementwise 20 %, host 5 %)`, means over runs; `None` if no step ran.
fn words(runs: &[&Summary]) -> Option<String> {
    let mean = |share: &dyn Fn(&Summary) -> Option<f64>| {
        let shares: Vec<f64> = runs.iter().filter_map(|summary| share(summary)).collect();
        if shares.is_empty() { 0.0 } else { shares.iter().sum::<f64>() / shares.len() as f64 }
    };
    let share = |evidence| mean(&|summary| summary.evidence_share(evidence));
    let kinds: Vec<Evidence> = Evidence::ALL.into_iter().filter(|&evidence| share(evidence) > 0.0).collect();
    let best = *kinds.first()?;
    let part = |&evidence: &Evidence| {
        let said = format!("{} {}", percent(share(evidence)), evidence.name());
        if evidence == best {
            return said;
        }
        let of_operator = |operator| mean(&|summary| summary.operator_evidence_share(operator, evidence));
        let mut operators: Vec<(f64, Operator)> =
            Operator::ALL.into_iter().map(|operator| (of_operator(operator), operator)).collect();
        operators.retain(|(share, _)| *share > 0.0);
        operators.sort_by(|a, b| b.0.total_cmp(&a.0));
        let named: Vec<String> =
            operators.iter().map(|(share, operator)| format!("{} {}", operator.name(), percent(*share))).collect();
        format!("{said} ({})", named.join(", "))
    };
    Some(kinds.iter().map(part).collect::<Vec<_>>().join(", "))
}

fn percent(share: f64) -> String {
    if share >= 0.01 { format!("{:.0} %", share * 100.0) } else { "< 1 %".to_owned() }
}
