//! `vllm bench serve --save-result --save-detailed`: one object with a list per quantity.

use serde_json::Value;

use super::{Run, Seen};

/// Reads it.
///
/// # Errors
/// What is missing, in words.
pub(super) fn read(value: &Value) -> Result<Run, String> {
    let list = |key: &str| value.get(key).and_then(Value::as_array);
    let detailed = "was `--save-detailed` given?";
    let (Some(inputs), Some(outputs)) = (list("input_lens"), list("output_lens")) else {
        return Err(format!("no `input_lens` and `output_lens`: {detailed}"));
    };
    let (Some(ttfts), Some(gaps)) = (list("ttfts"), list("itls")) else {
        return Err(format!("no `ttfts` and `itls`: {detailed}"));
    };
    let count = inputs.len();
    for (name, list) in [("output_lens", outputs), ("ttfts", ttfts), ("itls", gaps)] {
        if list.len() != count {
            return Err(format!("`{name}` has {} entries, and `input_lens` {count}", list.len()));
        }
    }
    let mut run = Run {
        model: value.get("model_id").and_then(Value::as_str).map(str::to_owned),
        max_concurrency: value.get("max_concurrency").and_then(Value::as_u64).map(|limit| limit as u32),
        ..Run::default()
    };
    let at_once = is_at_once(value);
    let starts = starts(value, count, at_once)?;
    if at_once {
        run.assumptions.push("all requests were offered at once, as `--request-rate inf` does".to_owned());
    } else if run.max_concurrency.take().is_some() {
        run.assumptions.push(
            "the client's cap is not simulated: when it had planned to send is not recorded, only when it did"
                .to_owned(),
        );
    }
    for (index, sent_s) in starts.into_iter().enumerate() {
        let length = |list: &[Value]| list[index].as_u64().map_or(1, |tokens| tokens.max(1) as u32);
        let has_error =
            list("errors").and_then(|errors| errors.get(index)?.as_str()).is_some_and(|error| !error.is_empty());
        let latency_s = if has_error { None } else { latency_s(&ttfts[index], &gaps[index]) };
        run.requests.push(Seen {
            sent_s,
            planned_s: at_once.then_some(0.0),
            input_tokens: length(inputs),
            output_tokens: length(outputs),
            latency_s,
        });
    }
    run.requests.sort_by(|a, b| a.sent_s.total_cmp(&b.sent_s));
    Ok(run)
}

/// Whether all requests were offered at the start.
fn is_at_once(value: &Value) -> bool {
    let rate = value.get("request_rate");
    rate.is_none_or(|rate| rate.as_str() == Some("inf") || rate.as_f64() == Some(f64::INFINITY))
}

/// When each request was sent. Only newer versions say it.
fn starts(value: &Value, count: usize, at_once: bool) -> Result<Vec<f64>, String> {
    if let Some(starts) = value.get("start_times").and_then(Value::as_array) {
        let starts: Option<Vec<f64>> = starts.iter().map(Value::as_f64).collect();
        return starts
            .filter(|starts| starts.len() == count)
            .ok_or_else(|| "`start_times` are not one number each".to_owned());
    }
    if at_once {
        return Ok(vec![0.0; count]);
    }
    let why = "no `start_times`, so it is not known when requests were sent: newer versions of vLLM write them, or run with \
               `--request-rate inf`";
    Err(why.to_owned())
}

fn latency_s(ttft: &Value, gaps: &Value) -> Option<(f64, f64)> {
    let ttft_s = ttft.as_f64().filter(|ttft| *ttft > 0.0)?;
    let gaps: Vec<f64> = gaps.as_array()?.iter().filter_map(Value::as_f64).collect();
    Some((ttft_s, ttft_s + gaps.iter().sum::<f64>()))
}
