//! What a reader has to know before believing the page.

use super::evidence::Evidence;
use super::runs::RunsData;
use super::settings::Lock;
use crate::results::{Kind, Results, ResultsError, Table};

/// All warnings that the results give reason for.
pub(super) fn all(
    results: &Results,
    lock: Option<&Lock>,
    runs: &RunsData,
    summary: Option<&Table>,
    evidence: Option<&Evidence>,
) -> Result<Vec<String>, ResultsError> {
    let mut warnings = versions(lock);
    warnings.extend(super::plan::warnings(results)?);
    for (index, name) in runs.system_names.iter().enumerate() {
        let sum =
            |measure| runs.numbers(measure).filter(|(system, _)| *system == index).map(|(_, value)| value).sum::<f64>();
        let (rejected, requests) = (sum("rejected"), sum("requests"));
        if rejected > 0.0 {
            warnings.push(format!("{name} rejected {rejected} of {requests} requests; latencies are of the others."));
        }
        if let Some(summary) = summary {
            warnings.extend(unsteady(summary, name)?);
        }
        let extrapolated = evidence.map(|evidence| evidence.extrapolated(index)).unwrap_or_default();
        let total: f64 = extrapolated.iter().map(|(_, share)| share).sum();
        if total > 0.0 {
            let named: Vec<String> = extrapolated
                .iter()
                .take(3)
                .map(|(operator, share)| format!("{operator} {}", percent(*share)))
                .collect();
            warnings.push(format!(
                "{} of the step time of {name} is extrapolated beyond anything that was measured or fitted (most: {}).",
                percent(total),
                named.join(", ")
            ));
        }
    }
    if matches!(results.kind(), Kind::Run | Kind::Sweep) && runs.len() > 0 && runs.seeds() == 1 {
        warnings
            .push("There is one seed: what another draw of the same traffic would give is not known; intervals, where there are any, are \
             from within the run.".to_owned());
    }
    if results.kind() == Kind::Sweep && results.path("failures").is_some() {
        // A run that is the same at several points stands in several rows.
        let failed = results.table("failures")?.len();
        let rows = if failed == 1 {
            "1 row of the sweep is of a run"
        } else {
            &format!("{failed} rows of the sweep are of runs")
        };
        warnings.push(format!("{rows} that failed: in the table of failures and in no other."));
    }
    Ok(warnings)
}

/// Runs of a system that never came to a steady state, as far as the table tells.
fn unsteady(summary: &Table, system: &str) -> Result<Vec<String>, ResultsError> {
    if !summary.has("steadiness") {
        return Ok(Vec::new());
    }
    let (systems, steadiness) = (summary.words("system")?, summary.words("steadiness")?);
    let own: Vec<usize> = (0..summary.len()).filter(|row| systems.get(*row) == system).collect();
    let kinds = [
        (
            "overloaded",
            "were overloaded: the queue grew through all of the run, and latencies say how long it was, not what users see",
        ),
        ("unsteady", "never came to a steady state: their means depend on how long they were"),
    ];
    let told = kinds.into_iter().filter_map(|(word, meaning)| {
        let count = own.iter().filter(|row| steadiness.get(**row) == word).count();
        (count > 0).then(|| format!("{count} of {} runs of {system} {meaning}.", own.len()))
    });
    Ok(told.collect())
}

/// Whether another version wrote the results.
fn versions(lock: Option<&Lock>) -> Vec<String> {
    let this = env!("CARGO_PKG_VERSION");
    match lock.and_then(Lock::version) {
        Some(version) if version == this => Vec::new(),
        Some(version) => vec![format!(
            "These results were written by servesim {version} and this page by {this}: measures that either does not know are \
             not shown, and what others mean may have changed."
        )],
        None => vec!["The folder has no lock file that says what was run and by which version of servesim.".to_owned()],
    }
}

/// A share as it is written in a sentence.
pub(super) fn percent(share: f64) -> String {
    if share >= 0.01 { format!("{:.0} %", share * 100.0) } else { "< 1 %".to_owned() }
}
