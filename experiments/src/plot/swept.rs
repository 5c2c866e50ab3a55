//! Measures over what was swept.

use super::curves::{Curves, KeyAxis, axis, curves};
use super::source::Source;
use super::{Asked, Missing, Named, labels, lacks};
use crate::caches::hit_rate_figure;
use crate::figures::{AttainmentFigure, AttainmentSeries, LinePoint, LineSeries, LinesFigure, SearchLook, Width};
use crate::results::{Estimate, Kind, Runs};

/// Any measure over any key: the measures asked for, or the P99 of TTFT.
pub(super) fn lines(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let runs = source.runs()?;
    let axis = axis(runs, asked)?;
    let usual = ["p99_ttft_ms".to_owned()];
    let measures = if asked.measures.is_empty() { &usual[..] } else { &asked.measures[..] };
    let figure = |measure: &String| {
        let name = format!("{measure}_vs_{}", axis.key.rsplit('.').next().unwrap_or(axis.key));
        Ok(Named::new(name, lines_figure(runs, measure, &axis, source, asked)?))
    };
    measures.iter().map(figure).collect()
}

fn lines_figure(
    runs: &Runs,
    measure: &str,
    axis: &KeyAxis<'_>,
    source: &Source,
    asked: &Asked,
) -> Result<LinesFigure, Missing> {
    let quantity = labels::measure(measure);
    let x_label = labels::key(axis.key, &axis.unit);
    let mut series = Vec::new();
    let Curves { curves, varied } = curves(runs, &[axis.key], asked)?;
    for curve in curves {
        let mut points = Vec::new();
        for (value, x) in &axis.values {
            if let Some(estimate) = curve.at(runs, measure, axis.key, value)? {
                let Estimate { mean, interval, .. } = estimate.scaled(quantity.factor);
                points.push(LinePoint { x: *x, y: mean, interval });
            }
        }
        series.push(LineSeries { label: curve.label, points });
    }
    if series.iter().all(|series| series.points.is_empty()) {
        return lacks(format!("no run has `{measure}`"));
    }
    let is_fixed = measure == "slo_attainment" && runs.values_of("slo.attainment").is_empty();
    let wanted = source.objectives.attainment.filter(|_| is_fixed);
    Ok(LinesFigure {
        title: format!("{} over {x_label}", quantity.label),
        x_label,
        y_label: quantity.label,
        series,
        varied,
        intervals: runs.interval_words(),
        limits: wanted.map(|wanted| 100.0 * wanted).into_iter().collect(),
        width: asked.width(Width::Column),
    })
}

/// Requests in time over the rate: of a search for goodput, with what was found, or of a sweep.
pub(super) fn attainment(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let runs = source.runs()?;
    let axis = axis(runs, asked)?;
    if axis.key.rsplit('.').next() != Some("rate") {
        return lacks(format!("no rate was swept, but {}", axis.key));
    }
    let searched = source.results.kind() == Kind::Goodput;
    let found = if searched { searches(source)? } else { Vec::new() };
    let mut series = Vec::new();
    let swept = runs.values_of("slo.attainment");
    let mut wanted: Vec<f64> = swept.iter().filter_map(|share| share.parse().ok()).collect();
    let Curves { curves, varied } = curves(runs, &[axis.key], asked)?;
    for curve in curves {
        let search = found.iter().find(|search| search.system == curve.system);
        // As in the search: the limit that fails first decides.
        let limit = search.map_or("all limits", |search| search.fails_first.as_str());
        let measure = if limit == "all limits" { "slo_attainment".to_owned() } else { format!("{limit}_attainment") };
        wanted.extend(source.objectives.share_of(limit).filter(|_| swept.is_empty()));
        let mut looks: Vec<SearchLook> = Vec::new();
        for (value, rate) in &axis.values {
            if let Some(Estimate { mean, interval, .. }) = curve.at(runs, &measure, axis.key, value)? {
                let requests = curve.at(runs, "requests", axis.key, value)?.map_or(0.0, |requests| requests.mean);
                looks.push((*rate, requests, (mean, interval)));
            }
        }
        series.push(if searched {
            AttainmentSeries::searched(curve.label, &looks, search.and_then(|found| found.rate))
        } else {
            let points = looks.into_iter().map(|(rate, _, share)| (rate, share)).collect();
            AttainmentSeries { label: curve.label, points, goodput: None, searched }
        });
    }
    if series.iter().all(|series| series.points.is_empty()) {
        return lacks("no run has `slo_attainment`: the experiment has no `[slo]`");
    }
    wanted.sort_by(f64::total_cmp);
    wanted.dedup();
    let intervals = runs.interval_words();
    let figure = AttainmentFigure { series, wanted, varied, intervals, width: asked.width(Width::Column) };
    Ok(vec![Named::new("attainment_vs_rate", figure)])
}

/// What `servesim goodput` found for a system.
struct Search {
    system: String,
    rate: Option<f64>,
    fails_first: String,
}

fn searches(source: &Source) -> Result<Vec<Search>, Missing> {
    let table = source.results.columns("goodput", &["system", "goodput_rps", "fails_first"])?;
    let (systems, rates, limits) = (table.words("system")?, table.numbers("goodput_rps")?, table.words("fails_first")?);
    let row = |row: usize| Search {
        system: systems.get(row).to_owned(),
        rate: Some(rates[row]).filter(|rate| !rate.is_nan()),
        fails_first: limits.get(row).to_owned(),
    };
    Ok((0..table.len()).map(row).collect())
}

/// Prompt tokens reused over capacity: of a cache study, or of a sweep over the key that is asked for.
pub(super) fn hit_rate(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    const NAME: &str = "hit_rate_vs_capacity";
    let width = asked.width(Width::Column);
    if source.results.kind() != Kind::Cache {
        if asked.keys.is_empty() {
            return lacks("needs the results of `servesim cache`, or the swept key that sets the capacity (--x)");
        }
        let runs = source.runs()?;
        let figure = lines_figure(runs, "token_hit_rate", &axis(runs, asked)?, source, asked)?;
        return Ok(vec![Named::new(NAME, figure)]);
    }
    let table = source.results.columns("caches", &["cache", "capacity_bytes", "seed", "token_hit_rate"])?;
    let caches = table.words("cache")?;
    let (capacities, rates) = (table.numbers("capacity_bytes")?, table.numbers("token_hit_rate")?);
    let mut different: Vec<f64> = capacities.to_vec();
    different.sort_by(f64::total_cmp);
    different.dedup();
    if different.len() < 2 {
        return lacks("there is one capacity only");
    }
    let series = caches.names().iter().enumerate().map(|(code, label)| {
        let at = |capacity: &f64| {
            let of_seeds: Vec<f64> = (0..table.len())
                .filter(|&row| caches.codes()[row] as usize == code && capacities[row].total_cmp(capacity).is_eq())
                .map(|row| 100.0 * rates[row])
                .collect();
            Estimate::of(&of_seeds).map(|estimate| LinePoint {
                x: capacity / 1e9,
                y: estimate.mean,
                interval: estimate.interval,
            })
        };
        LineSeries { label: label.clone(), points: different.iter().filter_map(at).collect() }
    });
    let seeds = table.words("seed")?.names().len();
    Ok(vec![Named::new(NAME, hit_rate_figure(series.collect(), seeds, width))])
}
