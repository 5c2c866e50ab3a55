//! `guidellm benchmark`: a list of benchmarks, each with its requests.

use serde_json::Value;

use super::{Run, Seen, number, tokens};

/// Reads one of its benchmarks.
///
/// # Errors
/// What is missing, in words; several benchmarks and none chosen.
pub(super) fn read(value: &Value, chosen: Option<usize>) -> Result<Run, String> {
    let benchmarks = value.get("benchmarks").and_then(Value::as_array).ok_or("no list `benchmarks`")?;
    let benchmark = match (benchmarks.as_slice(), chosen) {
        ([one], None) => one,
        (all, Some(index)) => all.get(index).ok_or_else(|| format!("it holds {} benchmarks, from 0", all.len()))?,
        (all, None) => return Err(format!("it holds {} benchmarks: choose one with --benchmark", all.len())),
    };
    let list = |name: &str| benchmark.pointer(&format!("/requests/{name}")).and_then(Value::as_array);
    let answered = list("successful").ok_or("no list `requests.successful`")?;
    let mut run = Run { model: model(benchmark), ..Run::default() };
    for request in answered {
        run.requests.push(sent(request, true)?);
    }
    for request in ["errored", "incomplete"].into_iter().filter_map(list).flatten() {
        run.requests.push(sent(request, false)?);
    }
    run.requests.sort_by(|a, b| a.sent_s.total_cmp(&b.sent_s));
    Ok(run)
}

fn sent(request: &Value, is_answered: bool) -> Result<Seen, String> {
    let starts = ["start_time", "request_start_time", "scheduler_info.request_start", "info.timings.request_start"];
    let sent_s = number(request, &starts).ok_or("a request without `start_time`: when it was sent is not known")?;
    let ends = ["end_time", "request_end_time", "scheduler_info.request_end", "info.timings.request_end"];
    let e2e_s = number(request, &["request_latency"]).or_else(|| Some(number(request, &ends)? - sent_s));
    let ttft_s = number(request, &["time_to_first_token_ms"])
        .map(|ms| ms * 1e-3)
        .or_else(|| Some(number(request, &["first_token_time"])? - sent_s));
    let latency_s = ttft_s.zip(e2e_s).filter(|_| is_answered);
    if is_answered && latency_s.is_none() {
        return Err("an answered request without `time_to_first_token_ms` or `request_latency`".to_owned());
    }
    let planned_s = number(request, &["scheduler_info.targeted_start", "scheduler_info.targeted_start_time"]);
    Ok(Seen {
        sent_s,
        planned_s,
        input_tokens: tokens(request, &["prompt_tokens"]),
        output_tokens: tokens(request, &["output_tokens"]),
        latency_s,
    })
}

/// Versions keep the model in different places.
fn model(benchmark: &Value) -> Option<String> {
    let places = ["/worker/backend_model", "/benchmarker/backend/model", "/config/backend/model", "/args/model"];
    places.iter().find_map(|place| benchmark.pointer(place)).and_then(Value::as_str).map(str::to_owned)
}
