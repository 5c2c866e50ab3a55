//! Bars: goodput, and what energy, cost, time and bytes are made of.

use profiles::{Operator, OperatorClass};

use super::curves::{check_held, combinations, free_keys, in_words};
use super::source::Source;
use super::{Asked, Missing, Named, lacks, plans};
use crate::figures::{BarFigure, BarRow, Width};
use crate::results::{Estimate, Kind, ResultsError, Runs};

/// Bars that one figure has room for.
const MOST_ROWS: usize = 40;
/// Operators that have a part of their own; the others are one together.
const MOST_OPERATORS: usize = 7;

/// What a part of the bars is: its name, and its value in a run.
struct Part<'a> {
    name: String,
    value: Box<dyn Fn(usize) -> Option<f64> + 'a>,
}

impl<'a> Part<'a> {
    fn new(name: &str, value: impl Fn(usize) -> Option<f64> + 'a) -> Self {
        Part { name: name.to_owned(), value: Box::new(value) }
    }
}

/// Goodput: searched, or measured at the rate of the runs.
pub(super) fn goodput(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    const NAME: &str = "goodput_bars";
    if source.results.kind() == Kind::Plan {
        return plans::placements(source, asked);
    }
    if source.results.kind() != Kind::Goodput {
        let runs = source.runs()?;
        let goodput = column(runs, "request_goodput")?;
        let figure = BarFigure {
            title: "Requests per second that met every objective".to_owned(),
            x_label: "Goodput at the offered rate (req/s)".to_owned(),
            ..bars(runs, asked, vec![Part::new("", goodput)])?
        };
        return Ok(vec![Named::new(NAME, figure)]);
    }
    let table = source.results.table("goodput")?;
    let (systems, rates) = (table.words("system")?, table.numbers("goodput_rps")?);
    let (low, high) = (table.numbers("goodput_low_rps")?, table.numbers("goodput_high_rps")?);
    let row = |row: usize| BarRow {
        heading: None,
        label: systems.get(row).to_owned(),
        values: Some(rates[row]).filter(|rate| !rate.is_nan()).into_iter().collect(),
        interval: (!low[row].is_nan() && !high[row].is_nan()).then_some((low[row], high[row])),
    };
    let figure = BarFigure {
        title: "Highest rate that meets the objectives".to_owned(),
        x_label: "Goodput (req/s)".to_owned(),
        parts: vec![String::new()],
        whole: None,
        rows: (0..table.len()).map(row).collect(),
        intervals: "surely held to surely failed".to_owned(),
        width: asked.width(Width::Column),
    };
    Ok(vec![Named::new(NAME, figure)])
}

/// Energy per output token: idle and dynamic, of prefill and decode replicas where there are such.
pub(super) fn energy(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let runs = source.runs()?;
    let tokens = column(runs, "total_output_tokens")?;
    let (prefill_idle, prefill_dynamic) =
        (column(runs, "prefill_idle_energy_j")?, column(runs, "prefill_dynamic_energy_j")?);
    let (decode_idle, decode_dynamic) =
        (column(runs, "decode_idle_energy_j")?, column(runs, "decode_dynamic_energy_j")?);
    let (idle, dynamic) = (column(runs, "idle_energy_j")?, column(runs, "dynamic_energy_j")?);
    let per_token = |joules: Option<f64>, row: usize| Some(joules? / tokens(row).filter(|tokens| *tokens > 0.0)?);
    // What replicas with a role of their own take is shown apart; the rest is of those that do both.
    let rest =
        |all: Option<f64>, parts: [Option<f64>; 2]| all.map(|all| (all - parts.iter().flatten().sum::<f64>()).max(0.0));
    let parts = vec![
        Part::new("idle", |row| per_token(rest(idle(row), [prefill_idle(row), decode_idle(row)]), row)),
        Part::new("dynamic", |row| per_token(rest(dynamic(row), [prefill_dynamic(row), decode_dynamic(row)]), row)),
        Part::new("prefill, idle", |row| per_token(prefill_idle(row), row)),
        Part::new("prefill, dynamic", |row| per_token(prefill_dynamic(row), row)),
        Part::new("decode, idle", |row| per_token(decode_idle(row), row)),
        Part::new("decode, dynamic", |row| per_token(decode_dynamic(row), row)),
    ];
    let figure = BarFigure {
        title: "Energy per output token".to_owned(),
        x_label: "Energy per output token (J/tok)".to_owned(),
        ..bars(runs, asked, parts)?
    };
    Ok(vec![Named::new("energy_breakdown", figure)])
}

/// Energy per output token: what devices take when idle, and above that by operator.
pub(super) fn energy_by_operator(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let runs = source.runs()?;
    let tokens = column(runs, "total_output_tokens")?;
    let per_token = |joules: Option<f64>, row: usize| Some(joules? / tokens(row).filter(|tokens| *tokens > 0.0)?);
    let idle = column(runs, "idle_energy_j")?;
    // Idle energy is known of every run, what operators draw is not.
    let known = column(runs, "dynamic_energy_j")?;
    let mut parts = vec![Part::new("idle", move |row| known(row).and_then(|_| per_token(idle(row), row)))];
    for class in OperatorClass::ALL {
        let joules = column(runs, &format!("{}_energy_j", class.name()))?;
        parts.push(Part::new(&class.name().replace('_', " "), move |row| per_token(joules(row), row)));
    }
    let figure = BarFigure {
        title: "Energy per output token by operator".to_owned(),
        x_label: "Energy per output token (J/tok)".to_owned(),
        ..bars(runs, asked, parts)?
    };
    Ok(vec![Named::new("energy_by_operator", figure)])
}

/// Cost per million output tokens, of prefill and decode replicas where there are such.
pub(super) fn cost(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let runs = source.runs()?;
    let (all, tokens) = (column(runs, "cost_usd")?, column(runs, "total_output_tokens")?);
    let (prefill, decode) = (column(runs, "prefill_cost_usd")?, column(runs, "decode_cost_usd")?);
    let per_million = |usd: Option<f64>, row: usize| Some(1e6 * usd? / tokens(row).filter(|tokens| *tokens > 0.0)?);
    let both = |row: usize| {
        let apart = [prefill(row), decode(row)].iter().flatten().sum::<f64>();
        all(row).map(|all| (all - apart).max(0.0))
    };
    let parts = vec![
        Part::new("serving both", |row| per_million(both(row), row)),
        Part::new("prefill", |row| per_million(prefill(row), row)),
        Part::new("decode", |row| per_million(decode(row), row)),
    ];
    let figure = BarFigure {
        title: "Cost per million output tokens".to_owned(),
        x_label: "Cost per million output tokens ($)".to_owned(),
        ..bars(runs, asked, parts)?
    };
    Ok(vec![Named::new("cost_breakdown", figure)])
}

/// Step time by operator, those that take most first.
pub(super) fn time(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let runs = source.runs()?;
    let mut operators = Vec::new();
    for operator in Operator::ALL {
        let shares = column(runs, &format!("{}_time_share", operator.name()))?;
        let total: f64 = (0..runs.table().len()).filter_map(&shares).sum();
        operators.push((operator, shares, total));
    }
    operators.sort_by(|a, b| b.2.total_cmp(&a.2));
    let others = operators.split_off(MOST_OPERATORS);
    let mut parts: Vec<Part<'_>> = operators
        .into_iter()
        .map(|(operator, shares, _)| {
            Part::new(&operator.name().replace('_', " "), move |row| shares(row).map(|share| 100.0 * share))
        })
        .collect();
    parts.push(Part::new("others", move |row| {
        let shares = others.iter().map(|(_, shares, _)| shares(row));
        shares.sum::<Option<f64>>().map(|share| 100.0 * share)
    }));
    let figure = BarFigure {
        title: "Step time by operator".to_owned(),
        x_label: "Step time (%)".to_owned(),
        width: asked.width(Width::Page),
        whole: Some(100.0),
        ..bars(runs, asked, parts)?
    };
    Ok(vec![Named::new("time_breakdown", figure)])
}

/// Weights of experts read from device memory per output token.
pub(super) fn expert_bytes(source: &Source, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let runs = source.runs()?;
    let (bytes, tokens) = (column(runs, "expert_load_bytes")?, column(runs, "total_output_tokens")?);
    if (0..runs.table().len()).all(|row| bytes(row).unwrap_or(0.0) <= 0.0) {
        return lacks("no model here has experts");
    }
    let value = |row: usize| Some(bytes(row)? / 1e6 / tokens(row).filter(|tokens| *tokens > 0.0)?);
    let figure = BarFigure {
        title: "Expert weights read per output token".to_owned(),
        x_label: "Expert weights read per output token (MB)".to_owned(),
        ..bars(runs, asked, vec![Part::new("", value)])?
    };
    Ok(vec![Named::new("expert_bytes", figure)])
}

/// The values of a column by row; nothing where the field is empty.
fn column<'a>(runs: &'a Runs, name: &str) -> Result<impl Fn(usize) -> Option<f64> + use<'a>, ResultsError> {
    let numbers = runs.table().numbers(name)?;
    Ok(move |row: usize| Some(numbers[row]).filter(|value| !value.is_nan()))
}

/// One bar per system and point; parts that are nothing everywhere are left out. The interval is that of the total over
/// seeds.
fn bars(runs: &Runs, asked: &Asked, parts: Vec<Part<'_>>) -> Result<BarFigure, Missing> {
    check_held(runs, asked)?;
    let all = 0..runs.table().len();
    let parts: Vec<Part<'_>> = parts
        .into_iter()
        .filter(|part| all.clone().any(|row| (part.value)(row).is_some_and(|value| value > 0.0)))
        .collect();
    if parts.is_empty() {
        return lacks("no run has it");
    }
    let held = asked.held.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let keys = free_keys(runs, asked);
    let mut points: Vec<(Vec<(&str, &str)>, &String)> = Vec::new();
    for system in runs.systems() {
        points.extend(combinations(runs, system, &keys).into_iter().map(|point| (point, system)));
    }
    if points.len() > MOST_ROWS {
        let count = points.len();
        return lacks(format!("there would be {count} bars, more than {MOST_ROWS}; hold a key with --where KEY=VALUE"));
    }
    // Systems at the same point stand together.
    let place = |point: &Vec<(&str, &str)>| {
        let of = |(key, value): &(&str, &str)| runs.values_of(key).iter().position(|known| known == value);
        point.iter().map(of).collect::<Vec<_>>()
    };
    points.sort_by_cached_key(|(point, _)| place(point));
    let mut rows: Vec<BarRow> = Vec::new();
    let mut last: Option<String> = None;
    for (point, system) in points {
        let words = point.iter().map(|(key, value)| in_words(key, value)).collect::<Vec<_>>().join(", ");
        let heading = (!words.is_empty() && last.as_ref() != Some(&words)).then(|| words.clone());
        last = Some(words);
        let at: Vec<(&str, &str)> = point.into_iter().chain(held.clone()).collect();
        let value = |row: usize, part: &Part<'_>| (part.value)(row).unwrap_or(0.0);
        let has_value = |row: &usize| parts.iter().any(|part| (part.value)(*row).is_some());
        let there: Vec<usize> = runs.rows(system, &at).filter(has_value).collect();
        let mean = |part: &Part<'_>| there.iter().map(|&row| value(row, part)).sum::<f64>() / there.len() as f64;
        let totals: Vec<f64> = there.iter().map(|&row| parts.iter().map(|part| value(row, part)).sum()).collect();
        let interval = Estimate::of(&totals).and_then(|total| total.interval);
        let values = if there.is_empty() { Vec::new() } else { parts.iter().map(mean).collect() };
        rows.push(BarRow { heading, label: system.clone(), values, interval });
    }
    let parts: Vec<String> = parts.into_iter().map(|part| part.name).collect();
    Ok(BarFigure {
        title: String::new(),
        x_label: String::new(),
        parts,
        whole: None,
        rows,
        intervals: runs.interval_words(),
        width: asked.width(Width::Column),
    })
}
