//! What the engine adds around steps, as the file says it.

use super::support::Place;

/// One replica takes all requests.
const ALONE: (&str, &str) = ("replicas = 2\nrouter = \"power-of-two-choices\"\n", "");

/// Mean TTFT of the first system in ms, and the lock file.
fn outcome(changes: &[(&str, &str)]) -> (f64, String) {
    let place = Place::with_small(changes);
    let said = place.succeed(&["run", "x.toml", "--json", "--no-figures"]);
    let json: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    let ttft_ms = json["runs"][0]["measures"]["mean_ttft_ms"].as_f64().expect("a number");
    (ttft_ms, place.text("results/x/experiment.lock.toml"))
}

/// The first system with this engine.
fn with(engine: &str) -> (f64, String) {
    outcome(&[ALONE, ("max_model_len = 8192", &format!("max_model_len = 8192\nengine = {engine}"))])
}

#[test]
fn chunked_prefill_looks_a_step_ahead_unless_told_otherwise_and_nothing_else_does() {
    let (ahead_ms, lock) = outcome(&[ALONE]);
    let settings: Vec<_> = lock.lines().filter(|line| line.contains("async_scheduling")).collect();
    assert_eq!(settings.len(), 2, "{lock}");
    assert!(settings[0].contains("async_scheduling = true"), "chunked prefill: {lock}");
    assert!(settings[1].contains("async_scheduling = false"), "prefill first: {lock}");
    let (synchronous_ms, _) = with("\"vllm-v1-sync\"");
    assert!(ahead_ms > 1.1 * synchronous_ms, "{ahead_ms} ms ahead, {synchronous_ms} ms synchronously");
    let (chosen_ms, _) = with("{ async_scheduling = false }");
    assert!((chosen_ms - synchronous_ms).abs() < 1e-9, "{chosen_ms} ms, {synchronous_ms} ms");
}

#[test]
fn the_host_and_the_way_to_the_client_take_the_time_they_are_given() {
    let (bare_ms, _) = with("{ profile = \"vllm-v1-sync\" }");
    let way = "{ profile = \"vllm-v1-sync\", client_to_engine = \"6 ms\", engine_to_client = \"1.5 ms\" }";
    let (ms, lock) = with(way);
    // Constants to every request: nothing else changes.
    assert!((ms - bare_ms - 7.5).abs() < 1e-6, "{ms} ms, without the way {bare_ms} ms");
    assert!(lock.contains("client_to_engine = \"0.006 s\""), "{lock}");
    let (slow_ms, _) = with("{ profile = \"vllm-v1-sync\", host_per_step = \"2 ms\" }");
    assert!(slow_ms > bare_ms + 2.0, "at least the host time of its own step: {slow_ms} ms, {bare_ms} ms");
    let (v0_ms, lock) = with("\"vllm-v0\"");
    assert!(lock.contains("host_per_step = \"0.004 s\""), "{lock}");
    assert!(lock.contains("host_per_request = \"0.00032 s\""), "{lock}");
    assert!(v0_ms > bare_ms + 16.0, "{v0_ms} ms, {bare_ms} ms");
}

#[test]
fn a_lock_file_names_every_overhead_and_gives_the_same_bytes() {
    let place = Place::with_small(&[("max_model_len = 8192", "max_model_len = 8192\nengine = \"vllm-v0\"")]);
    place.succeed(&["run", "x.toml", "--no-figures", "-o", "first"]);
    place.succeed(&["run", "first/experiment.lock.toml", "--no-figures", "-o", "second"]);
    for name in ["experiment.lock.toml", "requests.csv", "summary.csv"] {
        assert_eq!(place.read(&format!("first/{name}")), place.read(&format!("second/{name}")), "{name}");
    }
}

#[test]
fn pipelines_are_not_scheduled_asynchronously() {
    let stages = ("replicas = 2", "pipeline_parallel_size = 2");
    let (_, lock) = outcome(&[stages]);
    assert!(!lock.contains("async_scheduling = true"), "{lock}");
    let asked = ("max_model_len = 8192", "max_model_len = 8192\nengine = { async_scheduling = true }");
    let message = Place::with_small(&[stages, asked]).fail(2, &["run", "x.toml"]);
    assert!(
        message.starts_with("error: steps of a pipeline are scheduled synchronously\n  --> x.toml:19:"),
        "{message}"
    );
    assert!(message.contains("expected `false` with `pipeline_parallel_size = 2`"), "{message}");
}

#[test]
fn an_engine_that_takes_minutes_has_lost_a_unit_prefix() {
    let host = ("max_model_len = 8192", "max_model_len = 8192\nengine = { host_per_step = \"300 s\" }");
    let message = Place::with_small(&[host]).fail(2, &["run", "x.toml"]);
    assert!(
        message.starts_with("error: `host_per_step` is longer than an engine takes\n  --> x.toml:19:"),
        "{message}"
    );
    assert!(message.contains("300 s; expected at most a minute"), "{message}");
    let request = ("max_model_len = 8192", "max_model_len = 8192\nengine = { host_per_request = \"1 s\" }");
    let message = Place::with_small(&[request]).fail(2, &["run", "x.toml"]);
    assert!(message.contains("64 s for 64 requests, as many as may run"), "{message}");
}
