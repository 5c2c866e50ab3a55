//! `servesim cache`: prefix caches alone.

use std::path::Path;

use super::support::{Place, shared_data};

const STUDY: &str = r#"name = "small"
seeds = [1, 2]
capacities = ["4 GB", "20 GB"]

[workload]
generator = "swe-agent-sessions"
requests = 150

[[cache]]
policy = "vllm-plus"

[[cache]]
policy = "sglang-plus"
host = "100 GB"

[[cache]]
name = "half"
policy = "marconi"
alpha = 0.5

[[cache]]
policy = "belady"
"#;

/// The small study, changed.
fn with(changes: &[(&str, &str)]) -> Place {
    let mut text = STUDY.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "the small study has no `{old}`");
        text = text.replacen(old, new, 1);
    }
    let place = Place::new();
    place.write("x.toml", &text);
    place
}

fn runs(stdout: &str) -> Vec<serde_json::Value> {
    let json: serde_json::Value = serde_json::from_str(stdout).expect("JSON");
    json["runs"].as_array().expect("runs").clone()
}

fn of(run: &serde_json::Value, measure: &str) -> f64 {
    run["measures"][measure].as_f64().unwrap_or_else(|| panic!("no {measure} in {run}"))
}

#[test]
fn a_study_replays_every_cache_at_every_capacity_and_draws_the_hit_rate() {
    let place = with(&[]);
    let said = place.succeed(&["cache", "x.toml", "-o", "out"]);
    assert!(said.stdout.contains("sglang-plus"), "{}", said.stdout);
    let files = ["caches.csv", "figures/hit_rate_vs_capacity.png", "figures/hit_rate_vs_capacity.svg"];
    assert_eq!(place.files("out"), files);
    assert_eq!(place.text("out/caches.csv").lines().count(), 1 + 4 * 2 * 2, "caches × capacities × seeds");
    let refused = place.fail(2, &["cache", "x.toml", "-o", "out"]);
    assert!(refused.contains("--force"), "{refused}");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let place = with(&[]);
    place.succeed(&["cache", "x.toml", "-o", "one", "--jobs", "1"]);
    place.succeed(&["cache", "x.toml", "-o", "four", "--jobs", "4"]);
    for file in ["caches.csv", "figures/hit_rate_vs_capacity.svg"] {
        assert_eq!(place.read(&format!("one/{file}")), place.read(&format!("four/{file}")), "{file}");
    }
}

#[test]
fn measures_agree_with_each_other_and_ttft_with_the_line_of_the_study() {
    let place = with(&[("seeds = [1, 2]", "seeds = [1]")]);
    let settings =
        ["--set", "ttft_base=\"10 ms\"", "--set", "ttft_per_token=\"0.1 ms\"", "--set", "host_bandwidth=\"1 GB/s\""];
    let arguments = [["cache", "x.toml", "-o", "out", "--json"].as_slice(), &settings].concat();
    for run in runs(&place.succeed(&arguments).stdout) {
        let share = of(&run, "hit_tokens") / of(&run, "input_tokens");
        assert!((of(&run, "token_hit_rate") - share).abs() < 1e-12);
        let computed = of(&run, "input_tokens") - of(&run, "hit_tokens");
        let fetch_ms = of(&run, "fetched_bytes") / 1e6;
        let mean_ms = 10.0 + (0.1 * computed + fetch_ms) / of(&run, "requests");
        assert!((of(&run, "mean_ttft_ms") / mean_ms - 1.0).abs() < 1e-9, "{run}");
        let fetches = run["cache"] == "sglang-plus" && run["capacity_bytes"] == 4_000_000_000_u64;
        assert_eq!(
            of(&run, "fetched_bytes") > 0.0,
            fetches,
            "one has a second tier, and needs it if it is small: {run}"
        );
        let alpha = run["measures"]["alpha"].as_f64();
        assert_eq!(alpha, (run["cache"] == "half").then_some(0.5), "{run}");
        assert!(
            of(&run, "p5_ttft_ms") <= of(&run, "p50_ttft_ms") && of(&run, "p50_ttft_ms") <= of(&run, "p95_ttft_ms")
        );
    }
}

#[test]
fn a_policy_that_cannot_serve_the_model_is_shown_with_the_one_that_can() {
    let message = with(&[("\"vllm-plus\"", "\"hash-lru\"")]).fail(2, &["cache", "x.toml"]);
    assert_eq!(
        message,
        "error: this cache cannot be\n  --> x.toml:10:10\n   |\n10 | policy = \"hash-lru\"\n   |          ^^^^^^^^^^ hash-lru keeps KV alone and \
         cannot serve a model with recurrent layers; vllm-plus does\n"
    );
}

#[test]
fn what_has_no_effect_or_is_missing_is_refused() {
    let message = |changes: &[(&str, &str)]| with(changes).fail(2, &["cache", "x.toml"]);
    for (changes, expected) in [
        ([("alpha = 0.5", "alpha = 0.5\ntuning = \"oracle\"")], "`alpha` has no effect beside `tuning`"),
        ([("alpha = 0.5", "alpha = 0.5\ntuning_window = 7")], "`tuning_window` has no effect here"),
        ([("alpha = 0.5", "block_tokens = 16")], "block_tokens"),
        ([("capacities", "capacity = \"1 GB\"\ncapacities")], "`capacity` has no effect beside `capacities`"),
        ([("capacities = [\"4 GB\", \"20 GB\"]", "")], "does not say how large the caches are"),
        ([("\"4 GB\", \"20 GB\"", "\"20 GB\", \"4 GB\"")], "the capacities ascend"),
        ([("name = \"half\"", "name = \"belady\"")], "two caches are called `belady`"),
        ([("policy = \"belady\"", "policy = \"belady\"\nhost = \"1 GB\"")], "`belady` has no second tier"),
        ([("\"sglang-plus\"", "\"sglang\"")], "sglang-plus"),
        ([("seeds = [1, 2]", "model = { ssm_layers = 0, attention_layers = 0 }")], "nothing to cache"),
        ([("seeds", "sedes")], "did you mean `seeds`?"),
    ] {
        let message = message(&changes);
        assert!(message.contains(expected), "{changes:?}: {message}");
    }
}

#[test]
fn the_shipped_study_shows_marconi_between_sglang_plus_and_the_bound() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("caches.toml").to_string_lossy().into_owned();
    let settings = ["--set", "workload.requests=400", "--set", "capacities=[\"10 GB\"]"];
    let said = Place::new().succeed(&[["cache", file.as_str(), "-o", "out", "--json"].as_slice(), &settings].concat());
    let rates: Vec<f64> = runs(&said.stdout).iter().map(|run| of(run, "token_hit_rate")).collect();
    let [vllm_plus, sglang_plus, _, oracle, bound] = rates[..] else { panic!("five caches: {rates:?}") };
    assert!(vllm_plus < sglang_plus && sglang_plus < oracle && oracle <= bound, "{rates:?}");
}

#[test]
fn caches_of_a_transformer_replay_mooncakes_hash_ids() {
    let Some(shared) = shared_data() else {
        eprintln!("SKIPPED: no shared data");
        return;
    };
    let trace = shared.join("traces/mooncake/conversation_trace.jsonl.gz");
    eprintln!("USED: {}", trace.display());
    let place = Place::new();
    let study = format!(
        "capacities = [\"200 GB\", \"20 TB\"]\nmodel = {{ ssm_layers = 0, attention_layers = 32, mlp_layers = 32 }}\n\
         workload = {{ trace = \"{}\", requests = 3000 }}\n[[cache]]\npolicy = \"hash-lru\"\nblock_tokens = 512\n[[cache]]\n\
         policy = \"radix-lru\"\n[[cache]]\npolicy = \"belady\"\n",
        trace.display()
    );
    place.write("x.toml", &study);
    let runs = runs(&place.succeed(&["cache", "x.toml", "-o", "out", "--json"]).stdout);
    let rates: Vec<f64> = runs.iter().map(|run| of(run, "token_hit_rate")).collect();
    let [blocks, blocks_all, radix, radix_all, bound, bound_all] = rates[..] else { panic!("{rates:?}") };
    assert!((radix_all - bound_all).abs() < 1e-12, "with room for everything every shared token is reused: {rates:?}");
    assert!(blocks_all < radix_all && radix_all - blocks_all < 0.01, "but for the last, partial block: {rates:?}");
    assert!(blocks < bound && radix < bound && bound < bound_all, "{rates:?}");
}

#[test]
fn a_model_by_name_is_kept_as_it_is_served() {
    let named = ("capacities", "model = { name = \"ai21labs/AI21-Jamba-1.5-Mini\" }\ncapacities");
    let said = with(&[named]).succeed(&["cache", "x.toml", "--json"]);
    let hits = |name: &str| {
        let runs = runs(&said.stdout);
        let run = runs.iter().rfind(|run| run["cache"] == name).expect("it ran").clone();
        of(&run, "token_hit_percent")
    };
    assert!(hits("sglang-plus") > hits("vllm-plus"), "{} and {}", hits("sglang-plus"), hits("vllm-plus"));
    let twice = ("capacities", "model = { name = \"marconi/hybrid-7b\", state = 16 }\ncapacities");
    let refused = with(&[twice]).fail(2, &["cache", "x.toml"]);
    assert!(refused.contains("`state` has no effect beside `name`"), "{refused}");
}
