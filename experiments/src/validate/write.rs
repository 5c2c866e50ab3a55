//! The tables that `validate` leaves behind.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::score::by_group;
use super::{Scored, Verdict, figures, page, place, show};
use crate::failure::Failure;
use crate::output::OutputError;

/// Row of `errors.csv`.
#[derive(Serialize)]
struct ErrorRow<'a> {
    case: &'a str,
    part: &'a str,
    group: &'a str,
    metric: &'a str,
    statistic: &'a str,
    unit: &'a str,
    measured: f64,
    simulated: f64,
    error_percent: f64,
}

/// Row of `groups.csv`.
#[derive(Serialize)]
struct GroupRow<'a> {
    group: &'a str,
    metric: &'a str,
    statistic: &'a str,
    cases: usize,
    median_abs_error_percent: f64,
    mean_abs_error_percent: f64,
    bias_percent: f64,
    worst_percent: f64,
    worst_case: &'a str,
}

/// Row of `cases.csv`.
#[derive(Serialize)]
struct CaseRow<'a> {
    case: &'a str,
    scored: bool,
    reason: String,
    model: &'a str,
    gpu: &'a str,
    rejected: Option<usize>,
    preemptions: Option<u64>,
    cached_share: Option<f64>,
    measured_share: Option<f64>,
    fitted_share: Option<f64>,
    extrapolated_share: Option<f64>,
}

/// Row of `assumptions.csv`.
#[derive(Serialize)]
struct AssumptionRow<'a> {
    case: &'a str,
    assumption: &'a str,
}

/// Row of a case's `requests.csv`.
#[derive(Serialize)]
struct RequestRow<'a> {
    request_id: &'a str,
    arrival_s: f64,
    input_tokens: u32,
    output_tokens: u32,
    measured_ttft_s: Option<f64>,
    simulated_ttft_s: Option<f64>,
    measured_tpot_s: Option<f64>,
    simulated_tpot_s: Option<f64>,
    measured_e2e_s: Option<f64>,
    simulated_e2e_s: Option<f64>,
}

/// Writes everything, and says where.
pub(super) fn all(directory: &Path, verdicts: &[Verdict], draw: bool) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = Vec::new();
    let [errors, groups, cases, assumptions, page] = place::TABLES.map(|name| directory.join(name));
    tables([errors, groups, cases, assumptions], verdicts, &mut paths)
        .map_err(|error| Failure::while_writing(&error))?;
    for scored in verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok()) {
        requests(directory, scored).map_err(|error| Failure::while_writing(&error))?;
    }
    if draw {
        let drawn = figures::draw(verdicts, &directory.join(place::FIGURES));
        drawn.map_err(|error| Failure::while_writing(&error))?;
        paths.push(directory.join(place::FIGURES));
    }
    std::fs::write(&page, page::page(verdicts))
        .map_err(OutputError::write(&page))
        .map_err(|error| Failure::while_writing(&error))?;
    paths.push(page);
    Ok(paths)
}

fn tables(files: [PathBuf; 4], verdicts: &[Verdict], paths: &mut Vec<PathBuf>) -> Result<(), OutputError> {
    let [errors_csv, groups_csv, cases_csv, assumptions_csv] = files;
    let compared = show::compared(verdicts);
    let errors = compared.iter().map(|one| ErrorRow {
        case: &one.case,
        part: &one.part,
        group: &one.group,
        metric: one.metric.name(),
        statistic: one.statistic.name(),
        unit: one.metric.unit(),
        measured: one.measured,
        simulated: one.simulated,
        error_percent: one.error_percent(),
    });
    paths.push(table(&errors_csv, errors)?);
    let sums = by_group(&compared);
    let groups = sums.iter().map(|sum| GroupRow {
        group: &sum.group,
        metric: sum.metric.name(),
        statistic: sum.statistic.name(),
        cases: sum.cases,
        median_abs_error_percent: sum.median_percent,
        mean_abs_error_percent: sum.mean_percent,
        bias_percent: sum.bias_percent,
        worst_percent: sum.worst_percent,
        worst_case: &sum.worst_case,
    });
    paths.push(table(&groups_csv, groups)?);
    paths.push(table(&cases_csv, verdicts.iter().map(case_row))?);
    let scored = verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok());
    let assumptions = scored.flat_map(|scored| {
        scored.assumptions.iter().map(|assumption| AssumptionRow { case: &scored.case.name, assumption })
    });
    paths.push(table(&assumptions_csv, assumptions)?);
    Ok(())
}

fn case_row(verdict: &Verdict) -> CaseRow<'_> {
    let scored = verdict.result.as_ref();
    let simulated = scored.ok().map(|scored| &scored.simulated);
    let share = |index: usize| simulated.map(|simulated| simulated.evidence[index]);
    CaseRow {
        case: &verdict.name,
        scored: scored.is_ok(),
        reason: scored.err().map_or_else(String::new, ToString::to_string),
        model: scored.map_or("", |scored| &scored.case.model),
        gpu: scored.map_or("", |scored| &scored.case.gpu),
        rejected: verdict.rejections().map(|rejections| rejections.count()),
        preemptions: simulated.map(|simulated| simulated.preemptions),
        cached_share: simulated.map(|simulated| simulated.cached_share),
        measured_share: share(0),
        fitted_share: share(1),
        extrapolated_share: share(2),
    }
}

/// The requests of a case, measured and simulated, beside its experiment.
fn requests(directory: &Path, scored: &Scored) -> Result<(), OutputError> {
    let super::case::Workload::Requests { requests, .. } = &scored.case.workload else { return Ok(()) };
    let path = place::folder_of(directory, &scored.case.name).join(place::REQUESTS);
    let rows = requests.iter().zip(&scored.simulated.latencies).map(|(request, simulated)| RequestRow {
        request_id: &request.id,
        arrival_s: request.arrival_s,
        input_tokens: request.input_tokens,
        output_tokens: request.output_tokens,
        measured_ttft_s: request.measured.map(|latency| latency.ttft_s),
        simulated_ttft_s: simulated.map(|latency| latency.ttft_s),
        measured_tpot_s: request.measured.and_then(|latency| latency.tpot_s()),
        simulated_tpot_s: simulated.and_then(|latency| latency.tpot_s()),
        measured_e2e_s: request.measured.map(|latency| latency.e2e_s),
        simulated_e2e_s: simulated.map(|latency| latency.e2e_s),
    });
    table(&path, rows).map(|_| ())
}

fn table(path: &Path, rows: impl Iterator<Item = impl Serialize>) -> Result<PathBuf, OutputError> {
    let failed = |error: csv::Error| OutputError::Write { path: path.to_owned(), source: std::io::Error::other(error) };
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    for row in rows {
        writer.serialize(row).map_err(failed)?;
    }
    writer.flush().map_err(OutputError::write(path))?;
    Ok(path.to_owned())
}
