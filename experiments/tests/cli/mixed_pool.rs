//! Splitwise's mixed pool, as files say it and tables show it.

use serde_json::Value;

use super::support::Place;

/// A prefill and a decode replica that are too few for so many prompts at once.
const MIXED: &str = r#"name = "mixed"
model = "meta-llama/Llama-3.1-8B"

[workload]
requests = 60
arrivals = "all-at-once"
input = { distribution = "fixed", tokens = 1000 }
output = { distribution = "fixed", tokens = 20 }

[[system]]
name = "apart"
gpu = "H100-SXM-80GB"
max_model_len = 4096
enable_prefix_caching = false
scheduler = "splitwise"
transfer = { mode = "push-by-layer", placement = "apart", network = "400 Gbit/s InfiniBand" }

[system.prefill]

[system.decode]

[[system]]
name = "together"
inherit = "apart"

[system.mixed]
max_pending_tokens = 4000
"#;

fn place(changes: &[(&str, &str)]) -> Place {
    let place = Place::new();
    let text = changes.iter().fold(MIXED.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "no `{old}`");
        text.replacen(old, new, 1)
    });
    place.write("x.toml", &text);
    place
}

#[test]
fn a_long_queue_of_prompts_is_shared_by_the_decode_replica() {
    let said: Value =
        serde_json::from_str(&place(&[]).succeed(&["run", "x.toml", "--json", "--no-figures"]).stdout).expect("JSON");
    let of = |system: &str, name: &str| {
        let runs = said["runs"].as_array().expect("runs");
        runs.iter().find(|run| run["system"] == system).expect("the system ran")["measures"][name].clone()
    };
    assert_eq!(of("apart", "mixed_taken_from_decode"), Value::Null, "there is no mixed pool");
    assert_eq!(of("together", "mixed_taken_from_decode").as_u64(), Some(1), "it stays there until it is done");
    let whole = of("together", "mixed_whole_requests").as_u64().expect("a count");
    assert!(whole > 0, "some stay where their prompt was computed");
    assert_eq!(of("together", "kv_transfers").as_u64(), Some(60 - whole));
    let slowest = |system| of(system, "p99_ttft_ms").as_f64().expect("a time");
    assert!(slowest("together") < 0.7 * slowest("apart"), "{} {}", slowest("together"), slowest("apart"));
}

#[test]
fn the_lock_file_gives_the_same_bytes() {
    let place = place(&[]);
    place.succeed(&["run", "x.toml", "-o", "first", "--no-figures"]);
    place.succeed(&["run", "first/experiment.lock.toml", "-o", "second", "--no-figures"]);
    for name in ["requests.csv", "summary.csv", "experiment.lock.toml"] {
        assert!(place.read(&format!("first/{name}")) == place.read(&format!("second/{name}")), "{name} differs");
    }
}

#[test]
fn mixed_pools_that_make_no_sense_are_refused_with_a_reason() {
    let router = "inherit = \"apart\"\nrouter = \"round-robin\"";
    let network = ", network =";
    let only_one = "\n[system.prefill]\n\n[system.decode]\n\n[[system]]";
    let reserve = "take blocks as answers grow";
    for (changes, expected) in [
        (&[("scheduler = \"splitwise\"\n", "")][..], reserve),
        (&[("enable_prefix_caching = false\n", "")], "replicas of the prefill pool cache prefixes"),
        (
            &[("scheduler = \"splitwise\"", "scheduler = { policy = \"splitwise\", order = \"random\" }")],
            "another order",
        ),
        (&[("\"push-by-layer\"", "\"pull\"")], "with a mixed pool KV caches are not pulled"),
        (&[("inherit = \"apart\"", router)], "`router` has no effect with a mixed pool"),
        (
            &[(network, ", decode_router = \"round-robin\", network =")],
            "`decode_router` has no effect with a mixed pool",
        ),
        (
            &[("\"push-by-layer\"", "\"after-prefill\", decode_choice = \"after-prefill\"")],
            "both replicas of a request are chosen together",
        ),
        (&[(only_one, "\n[[system]]"), ("transfer = { mode", "# ")], "`mixed` has no effect without pools"),
        (&[("[system.decode]\n", "[system.decode]\nscheduler = \"sarathi\"\n")], reserve),
    ] {
        let message = place(changes).fail(2, &["run", "x.toml"]);
        assert!(message.contains(expected), "{changes:?}: {message}");
    }
}
