//! `vllm bench serve --save-result --save-detailed`: one object with a list per quantity.

use serde_json::Value;

use super::{Run, Seen};

/// Reads it.
///
/// # Errors
/// What is missing or cannot be, in words.
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
    let errors = list("errors");
    if let Some(errors) = errors.filter(|errors| errors.len() != count) {
        return Err(format!("`errors` has {} entries, and `input_lens` {count}", errors.len()));
    }
    let most_gaps = MostGaps::of(value);
    let mut in_fewer_pieces = 0;
    for (index, sent_s) in starts.into_iter().enumerate() {
        let entry = Entry(index);
        let has_error = errors.and_then(|errors| errors[index].as_str()).is_some_and(|error| !error.trim().is_empty());
        let generated = entry.count("output_lens", &outputs[index], 0)?;
        let has_failed = has_error || generated == 0;
        let latency_s = if has_failed { None } else { Some(entry.latency_s(&ttfts[index], &gaps[index])?) };
        if !has_failed {
            let pieces = entry.gaps(&gaps[index])?.len();
            most_gaps.check(entry, generated, pieces)?;
            in_fewer_pieces += usize::from(pieces + 1 < generated as usize);
        }
        run.requests.push(Seen {
            sent_s,
            planned_s: at_once.then_some(0.0),
            input_tokens: entry.count("input_lens", &inputs[index], 1)?,
            // One that was not answered cannot be replayed without a token.
            output_tokens: generated.max(1),
            latency_s,
        });
    }
    if in_fewer_pieces > 0 {
        run.assumptions.push(format!(
            "{in_fewer_pieces} answers came in fewer pieces than tokens: TPOT is taken from the count of tokens"
        ));
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

/// How many gaps an answer can have.
struct MostGaps {
    /// vLLM's chat endpoint sends a piece without a token first (the role), and the client counts it.
    sends_role: bool,
}

impl MostGaps {
    fn of(value: &Value) -> Self {
        let names = ["backend", "endpoint_type"].into_iter().filter_map(|key| value.get(key)?.as_str());
        MostGaps { sends_role: names.into_iter().any(|name| name.contains("chat")) }
    }

    /// Refuses an answer of more pieces than tokens.
    fn check(&self, entry: Entry, generated: u32, gaps: usize) -> Result<(), String> {
        let most = generated as usize - usize::from(!self.sends_role);
        if gaps <= most {
            return Ok(());
        }
        let expected = format!("at most {most} for the {generated} of `output_lens`");
        Err(entry.wrong("itls", format!("a list of {gaps} gaps ({} tokens)", gaps + 1), &expected))
    }
}

/// Place of a request in the lists, from 0.
#[derive(Clone, Copy)]
struct Entry(usize);

impl Entry {
    fn wrong(self, field: &str, found: impl std::fmt::Display, expected: &str) -> String {
        format!("entry {} (from 0): `{field}` is {found}; expected {expected}", self.0)
    }

    fn count(self, field: &str, value: &Value, least: u32) -> Result<u32, String> {
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count >= least);
        count.ok_or_else(|| self.wrong(field, value, &format!("a whole number from {least}")))
    }

    fn gaps(self, gaps: &Value) -> Result<&Vec<Value>, String> {
        gaps.as_array().ok_or_else(|| self.wrong("itls", gaps, "a list of seconds"))
    }

    /// Time to the first and to the last token, in seconds.
    fn latency_s(self, ttft: &Value, gaps: &Value) -> Result<(f64, f64), String> {
        let answered = "seconds above 0, for `errors` and `output_lens` say that it was answered";
        let ttft_s = ttft.as_f64().filter(|ttft| *ttft > 0.0);
        let ttft_s = ttft_s.ok_or_else(|| self.wrong("ttfts", ttft, answered))?;
        let mut e2e_s = ttft_s;
        for gap in self.gaps(gaps)? {
            let seconds = gap.as_f64().filter(|gap| *gap >= 0.0);
            e2e_s += seconds.ok_or_else(|| self.wrong("itls", gap, "seconds, not negative"))?;
        }
        Ok((ttft_s, e2e_s))
    }
}
