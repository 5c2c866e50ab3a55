//! Results of benchmark clients become cases.

use serde_json::{Value, json};

use super::json_of;
use crate::cli::support::Place;

/// Imports `result.json` into `run`, validates it, and gives back what that said.
fn round_trip(result: &Value, client: &str, more: &[&str]) -> (Place, Value) {
    let place = Place::new();
    place.write("result.json", &result.to_string());
    let arguments = ["validate", "import", "--from", client, "result.json", "--gpu", "H100", "-o", "run"];
    place.succeed(&[&arguments, more].concat());
    let said = json_of(&place.succeed(&["validate", "run", "--json"]).stdout);
    assert_eq!(said["cases"][0]["scored"], true, "{said}");
    (place, said)
}

fn measured(said: &Value, metric: &str) -> f64 {
    let errors = said["errors"].as_array().expect("errors");
    let is_it = |error: &&Value| error["metric"] == metric && error["statistic"] == "mean";
    errors.iter().find(is_it).expect("the figure")["measured"].as_f64().expect("a number")
}

/// What `vllm bench serve --save-result --save-detailed` writes, for three requests of which the last failed.
fn vllm_bench() -> Value {
    json!({
        "date": "20260101-120000", "backend": "openai", "model_id": "Qwen/Qwen3-8B", "num_prompts": 3,
        "request_rate": 2.0, "burstiness": 1.0, "max_concurrency": null, "duration": 2.0, "completed": 2,
        "input_lens": [100, 200, 300], "output_lens": [3, 5, 0], "ttfts": [0.02, 0.03, 0.0],
        "itls": [[0.008, 0.008], [0.01, 0.01, 0.01, 0.01], []], "start_times": [1000.0, 1000.5, 1001.0],
        "generated_texts": ["", "", ""], "errors": ["", "", "timed out"],
    })
}

#[test]
fn a_result_of_vllm_bench_becomes_a_case() {
    let (place, said) =
        round_trip(&vllm_bench(), "vllm-bench", &["--engine-version", "0.19.0", "--kv-blocks", "20000"]);
    assert!((measured(&said, "ttft") - 0.025).abs() < 1e-9);
    assert!((measured(&said, "tpot") - 0.009).abs() < 1e-9);
    assert!((measured(&said, "e2e") - f64::midpoint(0.036, 0.07)).abs() < 1e-9);
    let table = place.text("run/requests.csv");
    assert!(table.contains("2,1.000000,300,1,,,error"), "{table}");
    assert!(said["cases"][0]["assumptions"].to_string().contains("1 of 3 requests failed"));
}

#[test]
fn without_start_times_a_rate_cannot_be_replayed_and_an_infinite_one_can() {
    let mut result = vllm_bench();
    result.as_object_mut().expect("an object").remove("start_times");
    let place = Place::new();
    place.write("result.json", &result.to_string());
    let arguments = ["validate", "import", "--from", "vllm-bench", "result.json", "--gpu", "H100", "-o", "run"];
    let said = place.fail(2, &arguments);
    assert!(said.contains("no `start_times`"), "{said}");
    result["request_rate"] = json!("inf");
    result["max_concurrency"] = json!(2);
    let (place, _) = round_trip(&result, "vllm-bench", &[]);
    let meta: Value = serde_json::from_str(&place.text("run/meta.json")).expect("JSON");
    assert_eq!(meta["client"], json!({ "arrivals": "planned", "clock": "client", "max_concurrency": 2 }));
}

#[test]
fn a_result_that_is_not_detailed_is_refused() {
    let place = Place::new();
    place.write("result.json", r#"{"model_id": "Qwen/Qwen3-8B", "mean_ttft_ms": 20.0}"#);
    let arguments = ["validate", "import", "--from", "vllm-bench", "result.json", "--gpu", "H100", "-o", "run"];
    assert!(place.fail(2, &arguments).contains("--save-detailed"));
    place.write("result.json", "{");
    assert!(place.fail(2, &arguments).contains("this is not JSON"));
}

/// What `guidellm benchmark` writes.
fn guidellm() -> Value {
    let request = |start: f64| {
        json!({
            "type_": "generative_text_response", "prompt_tokens": 128, "output_tokens": 11,
            "start_time": start, "end_time": start + 0.12, "first_token_time": start + 0.02,
            "request_latency": 0.12, "time_to_first_token_ms": 20.0, "inter_token_latency_ms": 10.0,
        })
    };
    let requests = json!({ "successful": [request(50.0), request(50.4)], "errored": [], "incomplete": [] });
    json!({ "benchmarks": [{ "type_": "generative_benchmark", "worker": { "backend_model": "Qwen/Qwen3-8B" }, "requests": requests }] })
}

#[test]
fn a_result_of_guidellm_becomes_a_case() {
    let (_, said) = round_trip(&guidellm(), "guidellm", &[]);
    assert!((measured(&said, "ttft") - 0.02).abs() < 1e-9);
    assert!((measured(&said, "tpot") - 0.01).abs() < 1e-9);
}

#[test]
fn one_of_several_benchmarks_has_to_be_chosen() {
    let mut result = guidellm();
    let one = result["benchmarks"][0].clone();
    result["benchmarks"].as_array_mut().expect("a list").push(one);
    let place = Place::new();
    place.write("result.json", &result.to_string());
    let arguments = ["validate", "import", "--from", "guidellm", "result.json", "--gpu", "H100", "-o", "run"];
    assert!(place.fail(2, &arguments).contains("2 benchmarks: choose one with --benchmark"));
    place.succeed(&[&arguments[..], &["--benchmark", "1"]].concat());
}

#[test]
fn a_result_of_inference_perf_becomes_a_case() {
    // Two events per token, as this client records them.
    let request = |start: f64| {
        let times: Vec<f64> = (0..20).map(|number| start + 0.02 + 0.005 * f64::from(number)).collect();
        json!({
            "start_time": start, "end_time": start + 0.12, "request": "{}", "response": "", "error": null,
            "info": { "input_tokens": 64, "output_tokens": 11, "output_token_times": times },
        })
    };
    let result = json!([request(7.0), request(7.5)]);
    let place = Place::new();
    place.write("result.json", &result.to_string());
    let arguments = ["validate", "import", "--from", "inference-perf", "result.json", "--gpu", "H100", "-o", "run"];
    let said = place.fail(2, &arguments);
    assert!(said.contains("give --model"), "{said}");
    let (_, said) = round_trip(&result, "inference-perf", &["--model", "Qwen/Qwen3-8B"]);
    assert!((measured(&said, "ttft") - 0.02).abs() < 1e-9);
    assert!((measured(&said, "tpot") - 0.01).abs() < 1e-9);
    assert!(said["cases"][0]["assumptions"].to_string().contains("more pieces than tokens"));
}

#[test]
fn a_case_that_is_there_is_not_replaced_by_accident() {
    let (place, _) = round_trip(&vllm_bench(), "vllm-bench", &[]);
    let arguments = ["validate", "import", "--from", "vllm-bench", "result.json", "--gpu", "H100", "-o", "run"];
    assert!(place.fail(2, &arguments).contains("--force"));
    place.succeed(&[&arguments[..], &["--force"]].concat());
    let unknown = ["validate", "import", "--from", "vllm-bench", "result.json", "--gpu", "Abacus", "-o", "else"];
    assert!(place.fail(2, &unknown).contains("Abacus"));
    assert!(place.files("else").is_empty(), "nothing is written for a GPU nobody knows");
}

/// What importing a changed result of vLLM's client says, when it is refused.
fn refused(change: impl Fn(&mut Value), more: &[&str]) -> String {
    let mut result = vllm_bench();
    change(&mut result);
    let place = Place::new();
    place.write("result.json", &result.to_string());
    let arguments = ["validate", "import", "--from", "vllm-bench", "result.json", "--gpu", "H100", "-o", "run"];
    let said = place.fail(2, &[&arguments, more].concat());
    assert!(place.files("run").is_empty(), "nothing is written of what is refused");
    said
}

#[test]
fn times_that_cannot_be_are_refused_with_entry_and_field() {
    let said = refused(|result| result["ttfts"][1] = json!(-0.06), &[]);
    assert!(said.contains("result.json: entry 1 (from 0): `ttfts` is -0.06; expected seconds above 0"), "{said}");
    let said = refused(|result| result["itls"][0][1] = json!(-0.008), &[]);
    assert!(said.contains("entry 0 (from 0): `itls` is -0.008"), "{said}");
    let said = refused(|result| result["input_lens"][2] = json!("many"), &[]);
    assert!(said.contains("entry 2 (from 0): `input_lens` is \"many\"; expected a whole number"), "{said}");
}

#[test]
fn an_answer_of_more_pieces_than_tokens_is_refused() {
    let said = refused(|result| result["output_lens"][0] = json!(2), &[]);
    assert!(said.contains("entry 0 (from 0): `itls` is a list of 2 gaps (3 tokens); expected at most 1"), "{said}");
    // The chat endpoint sends the role before the first token; the client counts that as a piece.
    let mut chat = vllm_bench();
    (chat["backend"], chat["output_lens"][0]) = (json!("openai-chat"), json!(2));
    round_trip(&chat, "vllm-bench", &[]);
}

#[test]
fn a_number_format_nobody_knows_is_refused_at_once() {
    let said = refused(|_| {}, &["--weights-dtype", "foo"]);
    assert!(said.contains("--weights-dtype foo: expected bfloat16, float16, fp8, int8 or int4"), "{said}");
}

#[test]
fn impossible_times_of_other_clients_are_refused_too() {
    let mut result = guidellm();
    result["benchmarks"][0]["requests"]["successful"][1]["time_to_first_token_ms"] = json!(-20.0);
    let place = Place::new();
    place.write("result.json", &result.to_string());
    let arguments = ["validate", "import", "--from", "guidellm", "result.json", "--gpu", "H100", "-o", "run"];
    let said = place.fail(2, &arguments);
    assert!(said.contains("the request sent at 50.4 s has its first token after -0.02 s"), "{said}");
}
