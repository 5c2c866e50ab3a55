//! The files that `reproduce` leaves behind.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sim::{Summary, Value};

use super::measured::RunSummary;
use super::words::computed;
use super::{Outcome, Reproduced, page};
use crate::caches::CacheMeasure;
use crate::failure::Failure;
use crate::file::quantity::Plain;
use crate::output::{OutputError, claim, write_whole};

/// Names of the files.
const FILES: [&str; 4] = ["claims.csv", "runs.csv", "cache_runs.csv", "reproduction.md"];

/// Row of `claims.csv`.
#[derive(Serialize)]
struct ClaimRow<'a> {
    paper: &'a str,
    experiment: &'a str,
    id: &'a str,
    claim: &'a str,
    published_in: &'a str,
    computed: String,
    unit: &'a str,
    published_low: f64,
    published_high: f64,
    simulated: Option<f64>,
    interval_low: Option<f64>,
    interval_high: Option<f64>,
    lowest_seed: Option<f64>,
    highest_seed: Option<f64>,
    seeds: Option<usize>,
    status: &'a str,
    verdict: &'a str,
    reason: Option<&'a str>,
}

/// Claims the files, before anything is simulated.
pub(super) fn claim_files(directory: &Path, force: bool) -> Result<(), Failure> {
    claim(directory, &FILES, force).map_err(|error| Failure::before_run(&error))
}

/// Writes them, and says where.
pub(super) fn all(directory: &Path, reproduced: &[Reproduced]) -> Result<Vec<PathBuf>, Failure> {
    let texts = [claims_csv(reproduced), runs_csv(reproduced), cache_runs_csv(reproduced), Ok(page::page(reproduced))];
    let mut paths = Vec::new();
    for (name, text) in FILES.into_iter().zip(texts) {
        let text = text.map_err(|error| Failure::Run(format!("{name}: {error}")))?;
        let written = write_whole(directory, name, &text);
        paths.push(written.map_err(|error: OutputError| Failure::while_writing(&error))?);
    }
    Ok(paths)
}

fn claims_csv(reproduced: &[Reproduced]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for paper in reproduced {
        for judged in paper.judged() {
            let claim = judged.claim;
            let estimate = match judged.outcome {
                Outcome::Judged { estimate, .. } => Some(estimate),
                Outcome::Failed(_) => None,
            };
            let interval = estimate.filter(|one| one.half_width.is_some()).map(super::estimate::Estimate::interval);
            writer.serialize(ClaimRow {
                paper: &paper.paper.name,
                experiment: &judged.figure.name,
                id: &claim.id,
                claim: &claim.text,
                published_in: &claim.published_in,
                computed: computed(&claim.quantity, &judged.figure.system_names()),
                unit: claim.quantity.result_unit(),
                published_low: claim.published.low,
                published_high: claim.published.high,
                simulated: estimate.map(|one| one.mean),
                interval_low: interval.map(|(low, _)| low),
                interval_high: interval.map(|(_, high)| high),
                lowest_seed: estimate.map(|one| one.range.0),
                highest_seed: estimate.map(|one| one.range.1),
                seeds: estimate.map(|one| one.seeds),
                status: claim.status.name(),
                verdict: judged.verdict_name(),
                reason: judged.reason(),
            })?;
        }
    }
    text(writer)
}

/// One row per run of a system that served, with every measure.
fn runs_csv(reproduced: &[Reproduced]) -> Result<String, csv::Error> {
    let names = Summary::columns().iter().map(|column| column.name.as_str());
    rows(reproduced, names, |run| {
        let RunSummary::Served(summary) = run else { return None };
        Some(Summary::columns().iter().map(|column| word(column.value(summary))).collect())
    })
}

/// One row per replay of a cache, with every measure.
fn cache_runs_csv(reproduced: &[Reproduced]) -> Result<String, csv::Error> {
    rows(reproduced, CacheMeasure::all().iter().map(|measure| measure.name), |run| {
        let RunSummary::Cached(summary) = run else { return None };
        Some(CacheMeasure::all().iter().map(|measure| word(measure.value(summary).map(Value::Real))).collect())
    })
}

/// One row per run of which `values` gives the measures.
fn rows<'a>(
    reproduced: &[Reproduced],
    names: impl Iterator<Item = &'a str>,
    values: impl Fn(&RunSummary) -> Option<Vec<String>>,
) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["paper", "experiment", "key", "value", "system", "seed"].into_iter().chain(names))?;
    for paper in reproduced {
        for judged in &paper.figures {
            let figure = &judged.figure;
            for (system, name) in figure.system_names().into_iter().enumerate() {
                for (point, study) in figure.points.iter().enumerate() {
                    for (place, seed) in study.seeds().iter().enumerate() {
                        let run = judged.runs.summary(system, point, place).ok();
                        let Some(values) = run.and_then(&values) else { continue };
                        let vary = figure.vary.as_ref();
                        let key = vary.map_or("", |vary| vary.key.as_str());
                        let value = vary.map_or(String::new(), |vary| Plain(vary.values[point]).to_string());
                        let labels =
                            [&paper.paper.name, &figure.name, key, &value, name, &seed.to_string()].map(str::to_owned);
                        writer.write_record(labels.into_iter().chain(values))?;
                    }
                }
            }
        }
    }
    text(writer)
}

fn word(value: Option<Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::Count(count)) => count.to_string(),
        Some(Value::Real(real)) => real.to_string(),
        Some(Value::Word(word)) => word.to_owned(),
    }
}

fn text(writer: csv::Writer<Vec<u8>>) -> Result<String, csv::Error> {
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8(bytes).expect("text was written"))
}
