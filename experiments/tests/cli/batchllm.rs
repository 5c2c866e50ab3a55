//! BatchLLM's prefix groups in experiment files.

use super::support::Place;

/// The small experiment, all of its requests there from the beginning, under BatchLLM with these settings.
fn grouped(settings: &str, changes: &[(&str, &str)]) -> Place {
    let scheduler = format!("{{ policy = \"batchllm\"{settings} }}");
    let changes = [
        &[
            ("{ policy = \"chunked-prefill\", max_num_batched_tokens = 512, max_num_seqs = 64 }", scheduler.as_str()),
            ("\"poisson\", rate = 20", "\"all-at-once\""),
            (
                "scheduler = { policy = \"prefill-first\", max_num_batched_tokens = 8192 }",
                "scheduler = { policy = \"sarathi\" }",
            ),
            ("[128, 64]", "[128, 640]"),
        ],
        changes,
    ];
    Place::with_small(&changes.concat())
}

fn message(settings: &str, changes: &[(&str, &str)]) -> String {
    grouped(settings, changes).fail(2, &["run", "x.toml"])
}

#[test]
fn its_defaults_are_those_of_the_public_code_and_the_paper() {
    let place = grouped("", &[]);
    place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    let lock = place.text("out/experiment.lock.toml");
    for line in [
        "policy = \"batchllm\"",
        "max_num_batched_tokens = 2048",
        "max_num_seqs = 256",
        "group_order = \"decode-share\"",
        "token_batching_degree = 0",
        "watermark = 0.01",
        "prefix_attention = \"fused\"",
        "enable_prefix_caching = false",
    ] {
        assert!(lock.contains(line), "{line} in {lock}");
    }
}

#[test]
fn what_cannot_be_is_refused_where_it_is_written() {
    let cached = message("", &[("replicas = 2", "enable_prefix_caching = true")]);
    assert!(cached.contains("groups of requests have no prefix cache"), "{cached}");
    let crowded = message(", token_batching_degree = 2000", &[]);
    assert!(crowded.contains("at most 1792: each takes a token of a step"), "{crowded}");
    let ordered = message(", order = \"dfs\"", &[]);
    assert!(ordered.contains("leave it out, and say `group_order`"), "{ordered}");
    let fine = message(", watermark = 0.0101", &[]);
    assert!(fine.contains("expected thousandths, such as 0.01"), "{fine}");
    let replayed = message("", &[("steps = true\nperfetto = true", "record_steps = true")]);
    assert!(replayed.contains("`chunked` computes prefixes that are no requests"), "{replayed}");
}

/// Two kinds of requests, one of which has something to share.
#[test]
fn workloads_of_several_parts_are_run_and_told_apart_from_wrong_ones() {
    let workload = "requests = 60\narrivals = { process = \"poisson\", rate = 20 }\ninput = { distribution = \"lognormal\", \
                    mean = 400, p90 = 800 }\noutput = { distribution = \"uniform\", min = 1, max = 40 }\nprefix = { structure = \
                    \"system-prompts\", lengths = [128, 64] }\n";
    let part = |more: &str| {
        format!(
            "[[workload.part]]\nrequests = 40\narrivals = {{ process = \"all-at-once\" }}\ninput = {{ distribution = \"fixed\", \
             tokens = 100 }}\noutput = {{ distribution = \"fixed\", tokens = 20 }}\n{more}\n"
        )
    };
    let parts = part("prefix = { structure = \"system-prompts\", lengths = [640], length = \"on-top\" }") + &part("");
    let place = Place::with_small(&[(workload, &parts)]);
    place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    place.succeed(&["run", "out/experiment.lock.toml", "--no-figures", "-o", "again"]);
    assert_eq!(place.text("out/summary.csv"), place.text("again/summary.csv"), "the lock file says all of it");
    let message = |parts: &str| Place::with_small(&[(workload, parts)]).fail(2, &["run", "x.toml"]);
    let beside = message(&format!("rate = 3\n{parts}"));
    assert!(beside.contains("`rate`") && beside.contains("`part`"), "{beside}");
    let nothing = message("[[workload.part]]\nrequests = 40\nrate = 1\n");
    assert!(nothing.contains("expected `generator`, or `input` and `output`"), "{nothing}");
}

#[test]
fn other_policies_have_nothing_to_read_once() {
    let scheduler = "{ policy = \"chunked-prefill\", max_num_batched_tokens = 512, max_num_seqs = 64 }";
    let said =
        Place::with_small(&[(scheduler, "\"sarathi\"\nprefix_attention = \"fused\"")]).fail(2, &["run", "x.toml"]);
    assert!(said.contains("there are no prefixes to read once"), "{said}");
    assert!(said.contains("it is for groups of requests, which `policy = \"batchllm\"` makes"), "{said}");
}
