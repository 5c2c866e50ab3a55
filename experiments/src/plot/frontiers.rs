//! One measure against another.

use sim::{Better, Summary};

use super::curves::{Curve, Curves, axis, check_held, curves, free_keys};
use super::source::Source;
use super::{Asked, Missing, Named, labels, lacks};
use crate::figures::{FrontierFigure, FrontierPoint, FrontierSeries, Towards, Width};
use crate::results::{Estimate, Runs};

/// TBT against TTFT, at their 99th percentiles unless two measures are asked for; what no other point beats is joined.
pub(super) fn ttft_tbt(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let [x, y] = measures(asked, ["p99_ttft_ms", "p99_itl_ms"])?;
    let mut figure = figure(source, asked, x, y)?;
    figure.shows_frontier = figure.better.0.is_some() && figure.better.1.is_some();
    Ok(vec![Named::new("ttft_tbt_frontier", figure)])
}

/// Latency against throughput, as the rate varies: latency per output token (Orca, vLLM) unless two measures are asked for.
pub(super) fn throughput_latency(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let [x, y] = measures(asked, ["output_throughput", "mean_normalized_latency_ms"])?;
    Ok(vec![Named::new("throughput_vs_latency", figure(source, asked, x, y)?)])
}

fn measures<'a>(asked: &'a Asked, usual: [&'a str; 2]) -> Result<[&'a str; 2], Missing> {
    match asked.measures.as_slice() {
        [] => Ok(usual),
        [x, y] => Ok([x, y]),
        _ => lacks("two measures are set against each other: --y twice, the first one across"),
    }
}

fn figure(source: &Source, asked: &Asked, across: &str, up: &str) -> Result<FrontierFigure, Missing> {
    let runs = source.runs()?;
    check_held(runs, asked)?;
    let (x, y) = (labels::measure(across), labels::measure(up));
    let Points { series, noted, varied } = points(runs, asked, (across, x.factor), (up, y.factor))?;
    match series.iter().map(|series| series.points.len()).sum() {
        0 => return lacks(format!("no run has both `{across}` and `{up}`")),
        1 => return lacks("there is one point only"),
        _ => {}
    }
    Ok(FrontierFigure {
        title: format!("{} against {}", y.label, x.label),
        x_label: x.label,
        y_label: y.label,
        better: (towards(across), towards(up)),
        series,
        noted,
        varied,
        intervals: runs.interval_words(),
        shows_frontier: false,
        width: asked.width(Width::Column),
    })
}

/// The points of a figure, and what notes and names are values of.
struct Points {
    series: Vec<FrontierSeries>,
    noted: String,
    varied: String,
}

/// The points of every curve along the swept key, or one per system where none was swept.
fn points(runs: &Runs, asked: &Asked, across: (&str, f64), up: (&str, f64)) -> Result<Points, Missing> {
    let scaled = |estimate: Estimate, factor: f64| {
        let Estimate { mean, interval, .. } = estimate.scaled(factor);
        (mean, interval)
    };
    let point = |x: Option<Estimate>, y: Option<Estimate>, note: String| {
        Some(FrontierPoint { x: scaled(x?, across.1), y: scaled(y?, up.1), note })
    };
    if asked.keys.is_empty() && free_keys(runs, asked).is_empty() {
        let mut series = Vec::new();
        for Curve { label, system, held } in curves(runs, &[], asked)?.curves {
            let at = |measure| runs.estimate(measure, system, &held);
            let points = point(at(across.0)?, at(up.0)?, String::new()).into_iter().collect();
            series.push(FrontierSeries { label, points, joined: false });
        }
        return Ok(Points { series, noted: String::new(), varied: String::new() });
    }
    let axis = axis(runs, asked)?;
    let Curves { curves, varied } = curves(runs, &[axis.key], asked)?;
    let mut series = Vec::new();
    for curve in curves {
        let mut points = Vec::new();
        for (value, number) in &axis.values {
            let at = |measure| curve.at(runs, measure, axis.key, value);
            points.extend(point(at(across.0)?, at(up.0)?, short(value, *number)));
        }
        series.push(FrontierSeries { label: curve.label, points, joined: true });
    }
    Ok(Points { series, noted: labels::key(axis.key, &axis.unit), varied })
}

/// A value as a note: as it was written, or, where that is long, with three digits.
fn short(written: &str, number: f64) -> String {
    const LONGEST: usize = 6;
    let magnitude = if number == 0.0 { 0.0 } else { number.abs().log10().floor() };
    let decimals = (2.0 - magnitude).clamp(0.0, 6.0) as usize;
    if written.chars().count() <= LONGEST { written.to_owned() } else { format!("{number:.decimals$}") }
}

fn towards(measure: &str) -> Option<Towards> {
    match Summary::column(measure)?.better {
        Better::Lower => Some(Towards::Low),
        Better::Higher => Some(Towards::High),
        Better::Neither => None,
    }
}
