//! What axes call keys and measures, with units.

use sim::Summary;

/// A measure as an axis shows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    /// In words, with the unit.
    pub(super) label: String,
    /// What values are multiplied by: shares are shown in percent.
    pub(super) factor: f64,
}

/// Distributions, by the end of the names of their measures.
const LATENCIES: [(&str, &str); 10] = [
    ("ttft_ms", "TTFT"),
    ("tpot_ms", "TPOT"),
    ("request_max_itl_ms", "longest TBT per request"),
    ("itl_ms", "TBT"),
    ("e2el_ms", "E2E latency"),
    ("normalized_latency_ms", "latency per output token"),
    ("queue_ms", "queueing time"),
    ("kv_transfer_ms", "KV transfer"),
    ("handover_wait_ms", "wait for the KV cache"),
    ("step_compute_ms", "compute of a step"),
];

/// Measures whose names say less than an axis should.
const WORDS: [(&str, &str); 14] = [
    ("request_throughput", "Throughput"),
    ("output_throughput", "Output throughput"),
    ("total_token_throughput", "Token throughput"),
    ("output_throughput_per_gpu", "Output throughput per GPU"),
    ("slo_attainment", "Requests in time"),
    ("ttft_attainment", "Requests with TTFT in time"),
    ("tbt_attainment", "Requests with TBT in time"),
    ("request_goodput", "Goodput"),
    ("request_goodput_per_gpu", "Goodput per GPU"),
    ("energy_j_per_output_token", "Energy per output token"),
    ("usd_per_million_output_tokens", "Cost per million output tokens"),
    ("token_hit_rate", "Prompt tokens reused"),
    ("kv_cache_peak", "Peak KV in use"),
    ("expert_load_bytes", "Expert weights read"),
];

/// A measure of the summary; any other column by its name.
pub(super) fn measure(name: &str) -> Quantity {
    let unit = Summary::column(name).map_or("", |column| column.unit);
    let is_share = unit.is_empty()
        && ["_share", "_attainment", "_rate", "_peak", "token_saving", "mfu", "mbu"]
            .iter()
            .any(|end| name.ends_with(end));
    let (unit, factor) = if is_share { ("%", 100.0) } else { (unit, 1.0) };
    let words = latency_words(name)
        .or_else(|| WORDS.iter().find(|(known, _)| *known == name).map(|(_, words)| (*words).to_owned()))
        .unwrap_or_else(|| sentence(name));
    Quantity { label: if unit.is_empty() { words } else { format!("{words} ({unit})") }, factor }
}

/// `p99_ttft_ms` as `P99 TTFT`.
fn latency_words(name: &str) -> Option<String> {
    let (statistic, of) = name.split_once('_')?;
    let (_, words) = LATENCIES.iter().find(|(end, _)| *end == of)?;
    let statistic = match statistic {
        "mean" => "Mean".to_owned(),
        "median" => "Median".to_owned(),
        "max" => "Largest".to_owned(),
        "sd" => "Standard deviation of".to_owned(),
        percentile => percentile.strip_prefix('p').map(|number| format!("P{number}"))?,
    };
    Some(format!("{statistic} {words}"))
}

fn sentence(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// A swept key: the offered rate in words, any other by the last part of its name; `unit` comes from its values.
pub(super) fn key(name: &str, unit: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let (words, own_unit) = match last {
        "rate" => ("Offered rate", "req/s"),
        "max_num_batched_tokens" => ("max_num_batched_tokens", "tokens"),
        "max_num_seqs" => ("max_num_seqs", "requests"),
        "requests" => ("requests", ""),
        other => (other, ""),
    };
    let unit = if unit.is_empty() { own_unit } else { unit };
    if unit.is_empty() { words.to_owned() } else { format!("{words} ({unit})") }
}

/// Values of a key as numbers, with their unit (empty for plain numbers); `None` if they are not numbers of one unit.
pub(super) fn numbers(values: &[String]) -> Option<(Vec<f64>, String)> {
    let split = |value: &String| -> Option<(f64, String)> {
        let end = value.find(|c: char| !(c.is_ascii_digit() || ".-+e_".contains(c))).unwrap_or(value.len());
        let (number, unit) = value.split_at(end);
        Some((number.replace('_', "").parse().ok()?, unit.trim().to_owned()))
    };
    let parts: Vec<(f64, String)> = values.iter().map(split).collect::<Option<_>>()?;
    let unit = parts.first()?.1.clone();
    let is_same = parts.iter().all(|(_, other)| *other == unit);
    is_same.then(|| (parts.into_iter().map(|(number, _)| number).collect(), unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_called_what_papers_call_them_with_their_units() {
        let label = |name| measure(name).label;
        assert_eq!(
            ["p99_ttft_ms", "median_itl_ms", "slo_attainment", "request_throughput", "mean_power_w", "steps"]
                .map(label),
            [
                "P99 TTFT (ms)",
                "Median TBT (ms)",
                "Requests in time (%)",
                "Throughput (req/s)",
                "Mean power w (W)",
                "Steps"
            ]
        );
        assert!((measure("mfu").factor - 100.0).abs() < 1e-12);
    }

    #[test]
    fn every_measure_with_a_unit_shows_it() {
        for column in Summary::columns().iter().filter(|column| !column.unit.is_empty()) {
            assert!(measure(&column.name).label.ends_with(&format!("({})", column.unit)), "{}", column.name);
        }
    }

    #[test]
    fn values_with_one_unit_are_numbers_and_others_are_not() {
        let read = |values: &[&str]| numbers(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&["2", "0.5"]), Some((vec![2.0, 0.5], String::new())));
        assert_eq!(read(&["40 GB", "60 GB"]), Some((vec![40.0, 60.0], "GB".to_owned())));
        assert_eq!(read(&["40 GB", "60 GiB"]), None);
        assert_eq!(read(&["fcfs", "random"]), None);
        assert_eq!(key("workload.rate", ""), "Offered rate (req/s)");
    }
}
