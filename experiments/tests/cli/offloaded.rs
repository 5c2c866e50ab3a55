//! Systems that offload attention, as files describe them and tables show them.

use std::path::Path;

use serde_json::Value;

use super::support::Place;

const SECOND: &str = r#"[[system]]
name = "first"
inherit = "chunked"
scheduler = { policy = "prefill-first", max_num_batched_tokens = 8192 }
"#;

const OFFLOADED: &str = r#"[[system]]
name = "offloaded"
inherit = "chunked"
prefilled_elsewhere = true
attention_offload = { gpu = "H20-SXM-96GB", workers = 2, network = "400 Gbit/s RoCE", price = "2 USD/h" }
"#;

/// The small experiment with a system like this in place of its second one.
fn place(change: (&str, &str)) -> Place {
    assert!(OFFLOADED.contains(change.0), "no `{}`", change.0);
    Place::with_small(&[(SECOND, &OFFLOADED.replacen(change.0, change.1, 1))])
}

fn measures(said: &str, system: &str) -> Value {
    let said: Value = serde_json::from_str(said).expect("JSON");
    let runs = said["runs"].as_array().expect("runs");
    runs.iter().find(|run| run["system"] == system).expect("the system ran")["measures"].clone()
}

fn number(measures: &Value, name: &str) -> f64 {
    measures[name].as_f64().unwrap_or_else(|| panic!("{name} is {}", measures[name]))
}

/// What is said of a file that cannot be.
fn refusal(change: (&str, &str)) -> String {
    place(change).fail(2, &["run", "x.toml"])
}

#[test]
fn attention_workers_are_in_the_bill_and_in_the_books() {
    let said = place(("", "")).succeed(&["run", "x.toml", "--json", "--no-figures"]).stdout;
    let (plain, offloaded) = (measures(&said, "chunked"), measures(&said, "offloaded"));
    let devices = |of: &Value| of["devices"].as_u64().expect("a count");
    assert_eq!(devices(&offloaded), devices(&plain) + 4, "two workers for each of two replicas");
    let hours = number(&offloaded, "cost_usd") / number(&offloaded, "duration_s") * 3600.0;
    let plain_hours = number(&plain, "cost_usd") / number(&plain, "duration_s") * 3600.0;
    assert!((hours - plain_hours - 8.0).abs() < 1e-6, "{hours} and {plain_hours} dollars an hour");
    for share in ["attention_busy_share", "model_busy_share"] {
        let share = number(&offloaded, share);
        assert!(share > 0.0 && share < 1.0, "{share}");
    }
    assert!(plain["attention_busy_share"].is_null());
    assert!(number(&offloaded, "link_bytes") > 0.0, "queries cross the network");
    assert!(number(&offloaded, "mean_tpot_ms") > number(&plain, "mean_tpot_ms") * 0.5);
}

#[test]
fn what_was_resolved_can_be_run_again_to_the_same_bytes() {
    let place = place(("", ""));
    place.succeed(&["run", "x.toml", "-o", "a", "--no-figures", "-q"]);
    place.succeed(&["run", "a/experiment.lock.toml", "-o", "b", "--no-figures", "-q"]);
    for file in ["summary.csv", "requests.csv"] {
        assert_eq!(place.read(&format!("a/{file}")), place.read(&format!("b/{file}")), "{file}");
    }
}

#[test]
fn what_cannot_be_offloaded_is_refused_with_the_reason() {
    for (change, reason) in [
        (("workers = 2", "workers = 3"), "the 8 KV heads"),
        (("400 Gbit/s RoCE", "a wire"), "is not a network"),
        (("inherit = \"chunked\"", "inherit = \"chunked\"\nenable_prefix_caching = true"), "keep no prefixes"),
        (
            (
                "inherit = \"chunked\"",
                "inherit = \"chunked\"\nengine = { profile = \"vllm-v1\", async_scheduling = true }",
            ),
            "synchronously",
        ),
        (("inherit = \"chunked\"", "inherit = \"chunked\"\npipeline_parallel_size = 2"), "tensor-parallel only"),
        (("workers = 2", "workers = 2, batches = 0"), "batches"),
    ] {
        let said = refusal(change);
        assert!(said.contains(reason), "{change:?}:\n{said}");
    }
}

#[test]
fn the_shipped_example_holds_more_than_twice_the_requests_at_a_time() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("attention_offload.toml");
    let file = file.display().to_string();
    let settings = ["--set", "workload.requests=1500", "--set", "seeds=[1]", "--json", "--no-figures"];
    let said = Place::new().succeed(&[&["run", &file][..], &settings].concat()).stdout;
    let (plain, offloaded) = (measures(&said, "4 H100"), measures(&said, "2 H100 + 4 H20"));
    let rows = |measures: &Value| number(measures, "decode_tokens") / number(measures, "steps");
    // Two batches are on their way at a time.
    assert!(2.0 * rows(&offloaded) > 1.5 * rows(&plain), "{} and {}", rows(&offloaded), rows(&plain));
    assert!(number(&offloaded, "mean_tpot_ms") > number(&plain, "mean_tpot_ms"), "and pays for it in time per token");
    assert_eq!(offloaded["preemptions"].as_u64(), Some(0));
}
