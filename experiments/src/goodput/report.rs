//! What a search found, as a table, as CSV and as JSON.

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use sim::Slos;

use super::known::Interval;
use super::limit::Limited;
use super::probe::Probe;
use super::search::Found;
use crate::cli::{new_table, right_aligned};
use crate::experiment::{Experiment, Limit};
use crate::output::four_digits;
use crate::run::wanted;
use crate::terminal::{self, Terminal, short};

/// Prints it.
pub(super) fn show(as_json: bool, experiment: &Experiment, found: &[Limited], paths: &[PathBuf], terminal: Terminal) {
    if as_json {
        let systems: Vec<Json> = found.iter().map(|limited| limit_json(experiment, limited)).collect();
        let files: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let json = json!({ "name": experiment.name, "systems": systems, "files": files });
        return terminal::print_line(&json.to_string());
    }
    if !terminal.talks() {
        return;
    }
    terminal::print_line(&experiment.name);
    let mut table = new_table(
        terminal,
        &["system", "GPUs", "goodput req/s", "95 % interval", "per GPU", "req per $", "req per kJ", "fails first"],
    );
    for limited in found {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), four_digits);
        table.add_row([
            limited.system.clone(),
            limited.gpus.to_string(),
            rate_text(experiment, limited),
            interval_text(limited),
            number(limited.per_gpu()),
            number(limited.per_usd()),
            number(limited.per_joule().map(|per_joule| 1000.0 * per_joule)),
            failing(experiment, limited),
        ]);
    }
    terminal::print_line(&right_aligned(table).to_string());
    terminal::print_line(&conditions(experiment, found));
    terminal::print_line("Wrote:");
    for path in paths {
        terminal::print_line(&format!("  {}", short(path)));
    }
}

fn rate_text(experiment: &Experiment, limited: &Limited) -> String {
    match limited.found {
        Found::Between { holds, .. } => four_digits(holds),
        Found::BelowLowest => format!("none from {} on", experiment.search.lowest_rate),
        Found::AboveHighest => format!("above {}", experiment.search.highest_rate),
    }
}

fn interval_text(limited: &Limited) -> String {
    let Found::Between { interval: Some(Interval { low, high }), .. } = limited.found else { return "–".to_owned() };
    let end = |end: Option<f64>| end.map_or_else(|| "?".to_owned(), four_digits);
    format!("{} … {}", end(low), end(high))
}

/// The demand that fails first, and where; of limits judged together, the one that fewest met.
fn failing(experiment: &Experiment, limited: &Limited) -> String {
    let limit = experiment.demands[limited.tightest].limit;
    let Slos { ttft, tbt, tpot, e2e } = experiment.slos;
    let is_of_several = limit == Limit::All && [ttft, tbt, tpot, e2e].into_iter().flatten().count() > 1;
    let at = |rate: f64| {
        let Some(probe) = limited.probes.iter().find(|probe| probe.rate >= rate) else {
            return limit.name().to_owned();
        };
        let share = 100.0 * probe.shares[limited.tightest].0;
        let worst = probe.worst_limit().filter(|_| is_of_several);
        let worst = worst.map(|(worst, share)| format!(" ({} {:.1} %)", worst.name(), 100.0 * share));
        format!("{}: {share:.1} % at {}{}", limit.name(), four_digits(rate), worst.unwrap_or_default())
    };
    match limited.found {
        Found::Between { fails, .. } => at(fails),
        Found::BelowLowest => at(experiment.search.lowest_rate),
        Found::AboveHighest => "–".to_owned(),
    }
}

/// For how many rates more requests were needed.
fn extended(experiment: &Experiment, found: &[Limited]) -> String {
    let Some(asked) = experiment.workload.requests_made().filter(|_| experiment.search.most_extension > 1) else {
        return String::new();
    };
    let probes = || found.iter().flat_map(|limited| &limited.probes);
    let least = |rate: f64| asked.max((rate * experiment.search.least_duration_s).ceil() as u64);
    let longer = |probe: &&Probe| probe.summaries.iter().any(|run| run.requests.issued > least(probe.rate));
    let most = probes().flat_map(|probe| &probe.summaries).map(|run| run.requests.issued).max().unwrap_or(0);
    match probes().filter(longer).count() {
        0 => format!("; {asked} requests per run decided every rate"),
        count => format!(
            "; {count} of {} rates took more than the {asked} requests asked for, up to {most} per run",
            probes().count()
        ),
    }
}

/// Under which conditions the rates were found, and what to do about searches that ended at an end.
fn conditions(experiment: &Experiment, found: &[Limited]) -> String {
    let seeds = experiment.seeds.len();
    let of_seeds = match seeds {
        1 => "one seed".to_owned(),
        _ => format!("{seeds} seeds"),
    };
    let of_seeds = format!(
        "{of_seeds}; the interval is where noise leaves it open whether the objectives hold, by batch means{}",
        extended(experiment, found)
    );
    let tolerance = 100.0 * experiment.search.tolerance;
    let mut text = format!(
        "highest offered rate that meets the objectives for {}, within {tolerance:.3} %; {of_seeds}",
        wanted(&experiment.demands)
    );
    if found.iter().any(|limited| limited.found == Found::BelowLowest) {
        text += "\nA system misses the objectives even at the lowest rate: they may be out of its reach, for a single request \
                 takes longer. Loosen [slo], or lower goodput.lowest_rate.";
    }
    if found.iter().any(|limited| limited.found == Found::AboveHighest) {
        text += "\nA system meets the objectives even at the highest rate: raise goodput.highest_rate, or workload.requests if so \
                 few can be served as a burst.";
    }
    text
}

/// How sure its end is.
fn decided(experiment: &Experiment, limited: &Limited) -> &'static str {
    match limited.found {
        Found::Between { interval: None, .. } => {
            "on the mean: the runs are too short for an interval, or their stretches resemble their neighbours"
        }
        Found::Between { .. } if limited.is_within(experiment.search.tolerance) => "to the tolerance",
        Found::Between { .. } => "within noise wider than the tolerance",
        Found::BelowLowest | Found::AboveHighest => "",
    }
}

fn end_name(found: Found) -> &'static str {
    match found {
        Found::Between { .. } => "found",
        Found::BelowLowest => "below lowest_rate",
        Found::AboveHighest => "above highest_rate",
    }
}

/// Its figures: name and value.
fn figures(limited: &Limited) -> [(&'static str, Option<f64>); 7] {
    let (fails, Interval { low, high }) = match limited.found {
        Found::Between { fails, interval, .. } => (Some(fails), interval.unwrap_or_default()),
        Found::BelowLowest | Found::AboveHighest => (None, Interval::default()),
    };
    [
        ("goodput_rps", limited.rate()),
        ("goodput_low_rps", low),
        ("goodput_high_rps", high),
        ("fails_at_rps", fails),
        ("goodput_rps_per_gpu", limited.per_gpu()),
        ("requests_per_usd", limited.per_usd()),
        ("requests_per_joule", limited.per_joule()),
    ]
}

fn limit_json(experiment: &Experiment, limited: &Limited) -> Json {
    let probe_json = |probe: &Probe| {
        let shares = experiment.demands.iter().zip(&probe.shares).map(|(demand, (share, half))| {
            json!({ "limit": demand.limit.name(), "wanted": demand.share, "share": share, "half_width": half })
        });
        let requests = probe.summaries.first().map(|run| run.requests.issued);
        json!({ "rate": probe.rate, "requests_per_run": requests, "shares": shares.collect::<Vec<_>>() })
    };
    let mut json = json!({
        "system": limited.system,
        "gpus": limited.gpus,
        "search": end_name(limited.found),
        "decided": decided(experiment, limited),
        "requests_per_run": limited.requests_per_run(),
        "fails_first": experiment.demands[limited.tightest].limit.name(),
        "worst_limit": limited.worst_limit().map(Limit::name),
        "probes": limited.probes.iter().map(probe_json).collect::<Vec<_>>(),
    });
    for (name, value) in figures(limited) {
        json[name] = value.into();
    }
    json
}

/// `goodput.csv`: one row per system.
pub(super) fn table_csv(experiment: &Experiment, found: &[Limited]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (index, limited) in found.iter().enumerate() {
        let figures = figures(limited);
        if index == 0 {
            let names = figures.iter().map(|(name, _)| *name);
            let header = ["system", "gpus", "search"].into_iter().chain(names).chain([
                "decided",
                "requests_per_run",
                "fails_first",
                "worst_limit",
                "rates_tried",
            ]);
            writer.write_record(header).expect("memory takes it");
        }
        let number = |value: &Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let lead = [limited.system.clone(), limited.gpus.to_string(), end_name(limited.found).to_owned()];
        let first = experiment.demands[limited.tightest].limit.name().to_owned();
        let requests = limited.requests_per_run().map(|requests| requests.to_string()).unwrap_or_default();
        let worst = limited.worst_limit().map(Limit::name).unwrap_or_default().to_owned();
        let tail = [decided(experiment, limited).to_owned(), requests, first, worst, limited.probes.len().to_string()];
        let row = lead.into_iter().chain(figures.iter().map(|(_, value)| number(value))).chain(tail);
        writer.write_record(row).expect("memory takes it");
    }
    String::from_utf8(writer.into_inner().expect("memory takes it")).expect("text goes in")
}
