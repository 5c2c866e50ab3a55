//! The results as JSON, for `--json`.

use serde_json::{Map, Value as Json, json};
use sim::{Interval, Summary, Value};

use super::comparison::{Comparison, compare};
use super::estimate::{Estimate, estimates};
use super::label::RunLabel;

/// `{"runs": [{"system", "seed", "point", "measures"}], "intervals": [{"system", "measure", …}], "comparison": [{"system",
/// "baseline", "measure", …}]}`: the rows of `summary.csv`, `intervals.csv` and `comparison.csv`. Figures that do not exist are
/// `null`.
pub(crate) fn results_json(runs: &[RunLabel], summaries: &[Summary]) -> Json {
    let rows: Vec<Json> = runs.iter().zip(summaries).map(|(run, summary)| run_json(run, summary)).collect();
    let comparisons: Vec<Json> = compare(runs, summaries).iter().map(comparison_json).collect();
    let intervals: Vec<Json> = estimates(runs, summaries).iter().map(estimate_json).collect();
    json!({ "runs": rows, "intervals": intervals, "comparison": comparisons })
}

fn run_json(run: &RunLabel, summary: &Summary) -> Json {
    let measures: Map<String, Json> = Summary::columns()
        .iter()
        .map(|column| {
            let value = match column.value(summary) {
                None => Json::Null,
                Some(Value::Count(count)) => count.into(),
                Some(Value::Real(real)) => real.into(),
                Some(Value::Word(word)) => word.into(),
            };
            (column.name.clone(), value)
        })
        .collect();
    json!({ "system": run.system, "seed": run.seed, "point": point_json(&run.point), "measures": measures })
}

fn estimate_json(row: &Estimate) -> Json {
    let mut json = json!({
        "point": point_json(&row.point),
        "system": row.system,
        "measure": row.measure.name,
        "unit": row.measure.unit,
        "seeds": row.seeds,
        "mean": row.mean,
    });
    put_interval(&mut json, "mean", row.interval.as_ref());
    json
}

/// The ends of the interval of an estimate of this name, how it was found, and over how many seeds or stretches.
fn put_interval(json: &mut Json, estimate: &str, interval: Option<&Interval>) {
    json[format!("{estimate}_low")] = interval.map(|interval| interval.low).into();
    json[format!("{estimate}_high")] = interval.map(|interval| interval.high).into();
    json["method"] = interval.map(|interval| interval.method.name()).into();
    json["n"] = interval.map(|interval| interval.parts).into();
}

fn comparison_json(row: &Comparison) -> Json {
    let mut json = json!({
        "point": point_json(&row.point),
        "system": row.system,
        "baseline": row.baseline,
        "measure": row.measure.name,
        "unit": row.measure.unit,
        "seeds": row.seeds,
        "baseline_mean": row.baseline_mean,
        "system_mean": row.system_mean,
        "difference": row.difference(),
        "ratio": row.ratio(),
    });
    put_interval(&mut json, "difference", row.interval.as_ref());
    json
}

fn point_json(point: &[(String, String)]) -> Json {
    point.iter().map(|(key, value)| (key.clone(), Json::from(value.as_str()))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::summary;
    use super::*;

    #[test]
    fn every_figure_of_every_run_is_there_and_what_does_not_exist_is_null() {
        let runs = [RunLabel::new("a", 1), RunLabel::new("b", 1)];
        let json = results_json(&runs, &[summary(100_000_000), summary(90_000_000)]);
        let measures = json["runs"][1]["measures"].as_object().expect("an object");
        assert_eq!(measures.len(), Summary::columns().len());
        assert_eq!((&measures["mean_e2el_ms"], &measures["steps"]), (&json!(90.0), &json!(3)));
        assert_eq!((&measures["slo_attainment"], &measures["percentile_method"]), (&Json::Null, &json!("exact")));
        let rows = json["comparison"].as_array().expect("a list");
        let row = rows.iter().find(|row| row["measure"] == "mean_e2el_ms").expect("it is compared");
        assert_eq!(
            (&row["difference"], &row["difference_low"], &row["ratio"]),
            (&json!(-10.0), &Json::Null, &json!(0.9))
        );
    }
}
