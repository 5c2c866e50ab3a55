//! `per_request_lifecycle_metrics.json` of inference-perf: a list of requests.

use serde_json::Value;

use super::{Run, Seen, number, tokens};

/// Reads it.
///
/// # Errors
/// What is missing, in words.
pub(super) fn read(value: &Value) -> Result<Run, String> {
    let list = value.as_array().ok_or("it is not a list of requests; expected per_request_lifecycle_metrics.json")?;
    let mut run = Run::default();
    let mut twice = 0;
    for request in list {
        let sent_s =
            number(request, &["start_time"]).ok_or("a request without `start_time`: when it was sent is not known")?;
        let times = request.pointer("/info/output_token_times").and_then(Value::as_array);
        let first_s = times.and_then(|times| times.first()?.as_f64());
        let end_s = number(request, &["end_time"]);
        let failed = request.get("error").is_some_and(|error| !error.is_null());
        let latency_s = first_s.zip(end_s).map(|(first, end)| (first - sent_s, end - sent_s)).filter(|_| !failed);
        if latency_s.is_none() && !failed {
            return Err("an answered request without `info.output_token_times`: was the answer streamed?".to_owned());
        }
        let output_tokens = tokens(request, &["info.output_tokens"]);
        twice += usize::from(times.is_some_and(|times| times.len() as f64 > 1.5 * f64::from(output_tokens)));
        run.requests.push(Seen {
            sent_s,
            planned_s: number(request, &["scheduled_time"]),
            input_tokens: tokens(request, &["info.input_tokens"]),
            output_tokens,
            latency_s,
        });
    }
    run.assumptions.push(
        "token counts are the client's, which counts the text anew: give the server's where they differ".to_owned(),
    );
    if twice > 0 {
        run.assumptions
            .push(format!("{twice} answers came in more pieces than tokens: TPOT is taken from the count of tokens"));
    }
    Ok(run)
}
