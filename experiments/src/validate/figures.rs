//! The figures of `validate`: errors of every case, measured against simulated means, distributions of each case.

use std::path::Path;

use super::case::{Case, Latency, Members, Part, Workload};
use super::figure::{Metric, Statistic};
use super::score::{Compared, own_groups};
use super::{Scored, Verdict, show};
use crate::figures::{CdfFigure, CdfSeries, DotFigure, DotRow, FigureSet, Format, ScatterFigure, ScatterSeries, Width};
use crate::output::OutputError;

/// Figures of the tables' rows, which are too many for a dot each, are left to their groups.
const MOST_ROWS: usize = 60;
/// What the dots show.
const DOTS: [(Metric, &str); 3] = [(Metric::Ttft, "mean TTFT"), (Metric::Tpot, "mean TPOT"), (Metric::E2e, "mean E2E")];
/// What distributions are drawn of.
const QUANTITIES: [(&str, &str, Value); 3] = [
    ("ttft", "TTFT", |latency| Some(latency.ttft_s)),
    ("tpot", "TPOT", Latency::tpot_s),
    ("e2e", "E2E latency", |latency| Some(latency.e2e_s)),
];

/// What is taken of a request.
type Value = fn(&Latency) -> Option<f64>;

/// Draws and writes all.
pub(super) fn draw(verdicts: &[Verdict], directory: &Path) -> Result<(), OutputError> {
    let mut figures = FigureSet::default();
    let compared = show::compared(verdicts);
    let groups = own_groups(&compared);
    for group in &groups {
        if let Some(rows) = dots(&compared, group) {
            let series = DOTS.map(|(_, name)| name);
            let figure = DotFigure { title: &format!("Errors of {group}"), series: &series, rows: &rows };
            figures.add(&format!("errors_{}", group.replace('/', "_")), figure.draw());
        }
    }
    for (metric, name) in DOTS {
        let points = |group: &&str| {
            compared.iter().filter(|one| is(one, group, metric)).map(|one| (one.measured, one.simulated)).collect()
        };
        let series = groups.iter().map(|group| ScatterSeries { label: group, points: points(group) });
        let series: Vec<_> = series.filter(|series: &ScatterSeries<'_>| !series.points.is_empty()).collect();
        let figure = ScatterFigure { quantity: name, series, width: Width::Column };
        figures.add(&format!("scatter_{}", metric.name()), figure.draw());
    }
    for scored in verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok()) {
        distributions(&mut figures, scored);
    }
    figures.write(directory, &[Format::Svg]).map(|_| ())
}

fn is(one: &Compared, group: &str, metric: Metric) -> bool {
    (one.group.as_str(), one.metric, one.statistic) == (group, metric, Statistic::Mean)
}

/// A row per case of a group; `None` if they are too many.
fn dots(compared: &[Compared], group: &str) -> Option<Vec<DotRow>> {
    let mut titles: Vec<String> = compared.iter().filter(|one| one.group == group).map(Compared::title).collect();
    titles.dedup();
    let row = |title: String| {
        let error = |(metric, _): (Metric, &str)| {
            compared.iter().find(|one| is(one, group, metric) && one.title() == title).map(Compared::error_percent)
        };
        DotRow { errors_percent: DOTS.map(error).to_vec(), label: title }
    };
    (titles.len() <= MOST_ROWS).then(|| titles.into_iter().map(row).collect())
}

/// Measured and simulated distributions of a case whose requests were measured one by one.
fn distributions(figures: &mut FigureSet, scored: &Scored) {
    let Scored { case, simulated, .. } = scored;
    for part in &case.parts {
        let (Some(measured), Members::Listed(members)) = (measured(case, part), &part.members) else { continue };
        let simulated: Vec<Latency> = members.iter().filter_map(|&index| simulated.latencies[index]).collect();
        let name = format!("{} {}", case.name, part.name).trim().replace(' ', "_");
        for (short, quantity, of) in QUANTITIES {
            let series = [("measured", &measured), ("simulated", &simulated)];
            let series = series.map(|(label, latencies)| {
                let mut values: Vec<f64> = latencies.iter().filter_map(of).collect();
                values.sort_by(f64::total_cmp);
                CdfSeries::new(label, values.len() as u64, |quantiles| {
                    quantiles.iter().map(|quantile| 1e9 * at(&values, *quantile)).collect()
                })
            });
            let figure =
                CdfFigure { quantity, counted: "Requests", series: series.to_vec(), slo_s: None, width: Width::Column };
            figures.add_figure(&format!("{name}_{short}"), &figure);
        }
    }
}

/// What the requests of a part experienced; `None` if only means are published.
fn measured(case: &Case, part: &Part) -> Option<Vec<Latency>> {
    let (Workload::Requests { requests, .. }, Members::Listed(members)) = (&case.workload, &part.members) else {
        return None;
    };
    let latencies: Vec<Latency> = members.iter().filter_map(|&index| requests[index].measured).collect();
    (!latencies.is_empty()).then_some(latencies)
}

/// The value at a quantile of ascending values, of which there is at least one.
fn at(ascending: &[f64], quantile: f64) -> f64 {
    let place = quantile * (ascending.len() - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    ascending[low] + part * (ascending[(low + 1).min(ascending.len() - 1)] - ascending[low])
}
