//! Cross-validation: constants chosen on some models, and scored on another.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::figure::{Metric, Statistic};
use super::kernel_tables::KernelTables;
use super::load::Loaded;
use super::score::{Compared, by_group};
use super::{Place, ValidateRequest, Verdict, print_table, show, simulate_all};
use crate::cli::new_table;
use crate::experiment::KernelLibrary;
use crate::failure::Failure;
use crate::terminal::{self, Terminal};

/// Most combinations of values that are tried.
const MOST_COMBINATIONS: usize = 1000;
/// What a choice is judged by: the sum of the median absolute errors of these means.
const JUDGED: [Metric; 3] = [Metric::Ttft, Metric::Tpot, Metric::E2e];

/// A combination of settings, and what it gives: a model and its comparison.
struct Tried {
    settings: Vec<String>,
    compared: Vec<(String, Compared)>,
}

/// Tries every combination of the values to vary. For each model, the combination is chosen that is best for all others,
/// each of which has one vote; its errors on the model that was left out are what counts.
pub(super) fn run(
    request: &ValidateRequest,
    loaded: &[Loaded],
    tables: &KernelTables,
    place: &Place,
    terminal: Terminal,
) -> Result<(), Failure> {
    let library = KernelLibrary::default();
    let mut tried = Vec::new();
    let mut remarked = BTreeSet::new();
    for settings in combinations(&request.vary)? {
        let all = [request.settings.as_slice(), settings.as_slice()].concat();
        let verdicts = simulate_all(request, loaded, &all, (tables, place, &library), terminal)?;
        remarked.extend(verdicts.iter().flat_map(|verdict| verdict.remarks.clone()));
        remarked.extend(
            show::reasons(&verdicts).iter().map(|(why, names)| format!("not scored: {}: {why}", names.join(", "))),
        );
        tried.push(Tried { settings, compared: with_models(&verdicts) });
    }
    for remark in remarked {
        terminal.note(&remark);
    }
    let mut models: Vec<&str> = tried[0].compared.iter().map(|(model, _)| model.as_str()).collect();
    models.sort_unstable();
    models.dedup();
    if models.len() < 2 {
        return Err(Failure::Request(
            "constants are chosen on some models and scored on another: two are needed".to_owned(),
        ));
    }
    let chosen: Vec<(&str, &Tried)> = models.iter().map(|&model| (model, best(&tried, &models, model))).collect();
    report(&chosen, request.json, terminal);
    Ok(())
}

/// Every combination of the values of `KEY=V1,V2,…`.
fn combinations(vary: &[String]) -> Result<Vec<Vec<String>>, Failure> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for one in vary {
        let wrong = || {
            Failure::Request(format!("--vary {one}: expected KEY=V1,V2,…, such as system.engine.step_gap=0 ms,0.3 ms"))
        };
        let (key, values) = one.split_once('=').ok_or_else(wrong)?;
        let settings: Vec<String> = values.split(',').map(|value| format!("{key}={}", value.trim())).collect();
        if values.split(',').any(|value| value.trim().is_empty()) {
            return Err(wrong());
        }
        let with = |before: &Vec<String>| {
            settings.iter().map(|one| [before.as_slice(), std::slice::from_ref(one)].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    if all.len() > MOST_COMBINATIONS {
        return Err(Failure::Request(format!("{} combinations; at most {MOST_COMBINATIONS} are tried", all.len())));
    }
    Ok(all)
}

fn with_models(verdicts: &[Verdict]) -> Vec<(String, Compared)> {
    let scored = verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok());
    scored.flat_map(|scored| scored.compared.iter().map(|one| (scored.case.model.clone(), one.clone()))).collect()
}

/// Median absolute error of a model's means of a metric, in percent; 0 where it has none.
fn median_percent(tried: &Tried, model: &str, metric: Metric) -> f64 {
    let is_judged = |one: &Compared| (one.metric, one.statistic) == (metric, Statistic::Mean);
    let of_model = tried.compared.iter().filter(|(name, one)| name == model && is_judged(one));
    let mut errors: Vec<f64> = of_model.map(|(_, one)| one.error_percent().abs()).collect();
    errors.sort_by(f64::total_cmp);
    Statistic::P50.of(&errors).unwrap_or(0.0)
}

/// The combination with the smallest errors of all models but one; the first of equals.
fn best<'a>(tried: &'a [Tried], models: &[&str], left_out: &str) -> &'a Tried {
    let cost = |tried: &Tried| -> f64 {
        let others = models.iter().filter(|model| **model != left_out);
        others.flat_map(|model| JUDGED.map(|metric| median_percent(tried, model, metric))).sum()
    };
    tried.iter().min_by(|a, b| cost(a).total_cmp(&cost(b))).expect("a combination was tried")
}

fn report(chosen: &[(&str, &Tried)], as_json: bool, terminal: Terminal) {
    let pooled: Vec<Compared> = chosen
        .iter()
        .flat_map(|(model, tried)| {
            tried.compared.iter().filter(move |(name, _)| name == model).map(|(_, one)| one.clone())
        })
        .collect();
    let groups = by_group(&pooled);
    if as_json {
        let models: Vec<Value> =
            chosen.iter().map(|(model, tried)| json!({ "left_out": model, "settings": tried.settings })).collect();
        let json =
            json!({ "models": models, "groups": show::groups_json(&groups), "errors": show::errors_json(&pooled) });
        return terminal::print_line(&json.to_string());
    }
    let mut table = new_table(terminal, &["model left out", "TTFT %", "TPOT %", "E2E %", "chosen on the others"]);
    for (model, tried) in chosen {
        let errors = JUDGED.map(|metric| format!("{:.1}", median_percent(tried, model, metric)));
        let cells = std::iter::once((*model).to_owned()).chain(errors).chain([tried.settings.join(", ")]);
        table.add_row(cells);
    }
    print_table(table);
    show::show_groups(&groups, terminal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_values_is_tried() {
        let vary = ["a=1,2".to_owned(), "b=x,y z".to_owned()];
        let all = combinations(&vary).expect("two keys");
        let all: Vec<String> = all.iter().map(|one| one.join(" & ")).collect();
        assert_eq!(all, ["a=1 & b=x", "a=1 & b=y z", "a=2 & b=x", "a=2 & b=y z"]);
        assert!(combinations(&["a".to_owned()]).is_err() && combinations(&["a=1,".to_owned()]).is_err());
    }

    #[test]
    fn a_model_has_no_vote_on_what_it_is_scored_with() {
        let tried = |name: &str, errors: [(&str, f64); 3]| Tried {
            settings: vec![name.to_owned()],
            compared: errors
                .into_iter()
                .map(|(model, error)| {
                    let one = Compared {
                        case: model.to_owned(),
                        part: String::new(),
                        group: "g".to_owned(),
                        metric: Metric::Ttft,
                        statistic: Statistic::Mean,
                        measured: 100.0,
                        simulated: 100.0 + error,
                    };
                    (model.to_owned(), one)
                })
                .collect(),
        };
        let all = [
            tried("good for a", [("a", 0.0), ("b", 9.0), ("c", 9.0)]),
            tried("good for the others", [("a", 50.0), ("b", 1.0), ("c", -1.0)]),
        ];
        assert_eq!(best(&all, &["a", "b", "c"], "a").settings, ["good for the others"]);
        assert_eq!(best(&all, &["a", "b", "c"], "b").settings, ["good for a"]);
    }
}
