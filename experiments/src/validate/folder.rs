//! A folder with `meta.json` and `requests.csv`, as a case.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::case::{Case, Latency, Members, Part, Request, Second, TpotDefinition, Workload};
use super::error::NotScored;
use super::figure::{Figure, Metric, Statistic};
use super::meta::Meta;
use super::requests::{self, Arrivals};
use super::rows::Table;
use super::sources::{Known, is_overloaded};
use super::{engine, system};

/// Reads the case of a folder.
///
/// # Errors
/// What keeps it from being scored.
pub(super) fn read(folder: &Path, name: &str) -> Result<Case, NotScored> {
    let meta = Meta::read(folder)?;
    let mut known = Known::of(&meta, name);
    own_words(&meta, &mut known)?;
    if known.is_over_http {
        let (settings, sentence) = engine::client_times();
        // Before what the case says itself, which wins.
        let settings = settings.map(|(key, toml)| (key.to_owned(), toml.to_owned()));
        known.settings.splice(0..0, settings);
        known.assumptions.push(sentence.to_owned());
    }
    let system = system::read(&meta, &known.settings)?;
    let (requests, mut unread_columns) = requests::read(folder, known.arrivals)?;
    let has_latency = requests.iter().any(|request| request.measured.is_some());
    let (parts, tpot) = if has_latency {
        (stages(&requests, &known)?, TpotDefinition::PerRequest)
    } else {
        (vec![published_means(folder, &known, requests.len())?], TpotDefinition::TimeOverTokens)
    };
    let (series, unread_of_series) = series(folder)?;
    unread_columns.extend(unread_of_series);
    let mut assumptions = known.assumptions;
    assumptions.extend(system.assumptions);
    let failed = requests.iter().filter(|request| has_latency && request.measured.is_none()).count();
    if failed > 0 {
        assumptions.push(format!(
            "{failed} of {} requests failed (time-outs of the client): they are simulated to their end, and not scored",
            requests.len()
        ));
    }
    assumptions.extend(meta.unused().into_iter().map(|field| format!("`{field}` of meta.json is not used")));
    assumptions.extend(unread_columns.iter().cloned());
    Ok(Case {
        name: name.to_owned(),
        folder: folder.to_owned(),
        model: system.model,
        gpu: system.gpu,
        settings: system.settings,
        workload: Workload::Requests { requests, max_concurrency: known.max_concurrency },
        parts,
        tpot,
        series,
        assumptions,
        unread_columns,
    })
}

/// What the metadata say in the fields made for this program, laid over what is known of a published run.
fn own_words(meta: &Meta, known: &mut Known) -> Result<(), NotScored> {
    if let Some(group) = meta.text("group")? {
        group.clone_into(&mut known.group);
    }
    if let Some(limit) = meta.count("client.max_concurrency")? {
        known.max_concurrency = Some(limit);
    }
    match meta.text("client.arrivals")? {
        None => {}
        Some("planned") => known.arrivals = Arrivals::Planned,
        Some("sent") => known.arrivals = Arrivals::Sent,
        Some(_) => return Err(meta.wrong("client.arrivals", "`planned` or `sent`")),
    }
    match meta.text("client.clock")? {
        None => {}
        Some("client") => known.is_over_http = true,
        Some("engine") => known.is_over_http = false,
        Some(_) => return Err(meta.wrong("client.clock", "`client` or `engine`")),
    }
    if let Some(skip) = meta.number("score.skip_requests")? {
        if skip < 0.0 || skip.fract() != 0.0 {
            return Err(meta.wrong("score.skip_requests", "a whole number from 0"));
        }
        known.skip_requests = skip as usize;
    }
    if let Some(skip_s) = meta.number("score.skip_s")? {
        if skip_s < 0.0 {
            return Err(meta.wrong("score.skip_s", "seconds, not negative"));
        }
        known.skip_s = skip_s;
    }
    if let Some(list) = meta.get("assumptions") {
        let sentences = list.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let sentences = sentences.ok_or_else(|| meta.wrong("assumptions", "a list of sentences"))?;
        known.assumptions.extend(sentences.into_iter().map(str::to_owned));
    }
    let Some(settings) = meta.get("settings") else { return Ok(()) };
    let table = settings.as_object().ok_or_else(|| meta.wrong("settings", "keys of `[[system]]` and their values"))?;
    for (key, value) in table {
        let toml = match value {
            Value::String(text) => crate::file::resolved::quoted(text),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(meta.wrong(&format!("settings.{key}"), "a text, a number, true or false")),
        };
        known.settings.push((key.clone(), toml));
    }
    Ok(())
}

/// One part per load stage.
fn stages(requests: &[Request], known: &Known) -> Result<Vec<Part>, NotScored> {
    let stages: BTreeSet<u32> = requests.iter().map(|request| request.stage).collect();
    let several = stages.len() > 1;
    let mut parts = Vec::new();
    for stage in stages {
        let of_stage = |request: &Request| request.stage == stage;
        let starts_s = requests.iter().filter(|request| of_stage(request)).map(|request| request.sent_s);
        let from_s = starts_s.fold(f64::INFINITY, f64::min) + known.skip_s;
        let members: Vec<usize> = (known.skip_requests..requests.len())
            .filter(|&index| of_stage(&requests[index]))
            .filter(|&index| requests[index].measured.is_some_and(|latency| latency.sent_s >= from_s))
            .collect();
        if members.is_empty() {
            return Err(NotScored::Nothing(format!("no request of stage {stage} was answered after the warm-up")));
        }
        let latencies: Vec<Latency> = members.iter().filter_map(|&index| requests[index].measured).collect();
        let overloaded = if is_overloaded(requests, stage) { "_overloaded" } else { "" };
        parts.push(Part {
            name: if several { format!("stage {stage}") } else { String::new() },
            group: format!("{}{overloaded}", known.group),
            members: Members::Listed(members),
            measured: figures(&latencies, TpotDefinition::PerRequest),
        });
    }
    Ok(parts)
}

/// The figures of some requests, measured or simulated alike.
pub(super) fn figures(latencies: &[Latency], tpot: TpotDefinition) -> Vec<Figure> {
    let of = |value: fn(&Latency) -> f64| latencies.iter().map(value).collect::<Vec<f64>>();
    let mut figures = Figure::all_of(Metric::Ttft, of(|latency| latency.ttft_s));
    match tpot {
        TpotDefinition::PerRequest => {
            figures.extend(Figure::all_of(Metric::Tpot, latencies.iter().filter_map(Latency::tpot_s).collect()));
        }
        TpotDefinition::TimeOverTokens => {
            let time_s: f64 = latencies.iter().map(|latency| latency.e2e_s - latency.ttft_s).sum();
            let tokens: f64 = latencies.iter().map(|latency| f64::from(latency.output_tokens)).sum();
            figures.push(Figure { metric: Metric::Tpot, statistic: Statistic::Mean, value: time_s / tokens });
        }
    }
    figures.extend(Figure::all_of(Metric::E2e, of(|latency| latency.e2e_s)));
    let first_s = latencies.iter().map(|latency| latency.sent_s).fold(f64::INFINITY, f64::min);
    let last_s = latencies.iter().map(|latency| latency.sent_s + latency.e2e_s).fold(f64::NEG_INFINITY, f64::max);
    if last_s > first_s {
        let tokens: f64 = latencies.iter().map(|latency| f64::from(latency.output_tokens)).sum();
        let mut rate = |metric, amount: f64| {
            figures.push(Figure { metric, statistic: Statistic::Mean, value: amount / (last_s - first_s) });
        };
        rate(Metric::RequestThroughput, latencies.len() as f64);
        rate(Metric::OutputThroughput, tokens);
    }
    figures
}

/// The means of `summary.json`, where no latency of a single request is published.
fn published_means(folder: &Path, known: &Known, requests: usize) -> Result<Part, NotScored> {
    let path = folder.join("summary.json");
    if !path.is_file() {
        let needed = "requests.csv holds no latencies, so it has to hold means";
        return Err(NotScored::Missing { path, needed });
    }
    let text = std::fs::read_to_string(&path).map_err(NotScored::unreadable(&path))?;
    let summary: Value = serde_json::from_str(&text)
        .map_err(|error| NotScored::Unreadable { path: path.clone(), why: error.to_string() })?;
    let mean = |field: &str| summary.pointer(&format!("/measured/{field}")).and_then(Value::as_f64);
    let (ttft_s, tpot_s, e2e_s) = (mean("ttft_mean_s"), mean("tpot_mean_s"), mean("e2e_mean_s"));
    requests::check_means(&path, ttft_s, tpot_s)?;
    let means = [(Metric::Ttft, ttft_s), (Metric::Tpot, tpot_s), (Metric::E2e, e2e_s)];
    let figure =
        |(metric, value): (Metric, Option<f64>)| Some(Figure { metric, statistic: Statistic::Mean, value: value? });
    let measured: Vec<Figure> = means.into_iter().filter_map(figure).collect();
    if measured.is_empty() {
        return Err(NotScored::Nothing(format!("{} holds no measured means", path.display())));
    }
    let members = Members::Listed((0..requests).collect());
    Ok(Part { name: String::new(), group: known.group.clone(), members, measured })
}

/// `timeseries.csv`, if there is one, and sentences about columns that nobody reads.
fn series(folder: &Path) -> Result<(Vec<Second>, Vec<String>), NotScored> {
    let path = folder.join("timeseries.csv");
    if !path.is_file() {
        return Ok(Default::default());
    }
    let table = Table::read(&path, "it has one row per second")?;
    let expected = "a number, not negative";
    let seconds = table
        .rows()
        .map(|row| {
            Ok(Second {
                end_s: row.needed("t", "seconds since the first arrival")?,
                prompt_throughput: row.needed("prompt_throughput", expected)?,
                output_throughput: row.needed("gen_throughput", expected)?,
                running: row.needed("running", expected)?,
                waiting: row.needed("waiting", expected)?,
                kv_usage: row.needed("kv_cache_pct", expected)? / 100.0,
            })
        })
        .collect::<Result<_, NotScored>>()?;
    Ok((seconds, table.unread()))
}
