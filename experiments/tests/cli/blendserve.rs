//! BlendServe's batches in experiment files: mixes of a density, the cut into ranks, groups of requests, its own cost.

use super::support::Place;

const RATES: &str = "form = \"roofline\"\nsource = \"a test\"\nflops_per_s = 255e12\nbytes_per_s = 1.733e12\n";

const BATCH: &str = r#"
model = "meta-llama/Llama-3.1-8B"

[workload.mix]
requests = 3000
density = 1.2
sharing = 0.3
rates = "rates.toml"

[[workload.part]]
arrivals = { process = "all-at-once" }
input = { distribution = "fixed", tokens = 600 }
output = { distribution = "fixed", tokens = 40 }

[[workload.part]]
arrivals = { process = "all-at-once" }
input = { distribution = "fixed", tokens = 100 }
output = { distribution = "fixed", tokens = 4000 }

[[workload.part]]
arrivals = { process = "all-at-once" }
input = { distribution = "fixed", tokens = 100 }
output = { distribution = "fixed", tokens = 10 }
prefix = { structure = "system-prompts", count = 20, tokens = { distribution = "fixed", tokens = 640 }, length = "on-top" }

[[system]]
name = "blend"
gpu = "A100-SXM-80GB"
step_cost = "rates.toml"
max_model_len = 8192
scheduler = { policy = "blendserve", known_outputs_from = 2048, max_num_batched_tokens = 2048, max_num_seqs = 512 }
composition = "overlapped"
"#;

/// The batch with these changes.
fn place(changes: &[(&str, &str)]) -> Place {
    let mut text = BATCH.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "`{old}` is not in the file");
        text = text.replacen(old, new, 1);
    }
    let place = Place::new();
    place.write("rates.toml", RATES);
    place.write("x.toml", &text);
    place
}

fn message(changes: &[(&str, &str)]) -> String {
    place(changes).fail(2, &["run", "x.toml", "-o", "out"])
}

#[test]
fn a_mix_becomes_numbers_of_requests_and_its_lock_file_runs_the_same() {
    let place = place(&[]);
    place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    let lock = place.text("out/experiment.lock.toml");
    let number = |text: &str| text.split(',').next().and_then(|count| count.parse().ok());
    let counts: Vec<u64> = lock.split("requests = ").skip(1).filter_map(number).collect();
    assert_eq!(counts.len(), 3, "{lock}");
    assert_eq!(counts.iter().sum::<u64>(), 3000);
    assert!(!lock.contains("density = 1.2") && lock.contains("kind = \"overlapped\""), "{lock}");
    // 1.2 of compute to 1 of memory, each shared token computed once, by hand: nanoseconds per token as the file says.
    let [short, long, shared] = [counts[0] as f64, counts[1] as f64, counts[2] as f64];
    let compute = |prompt: f64, output: f64| (prompt + output) * 62.985e3 + prompt * prompt * 2.056;
    let memory = |prompt: f64, output: f64| (prompt * output + output * output / 2.0) * 75.63;
    let left = short * compute(600.0, 40.0)
        + long * compute(100.0, 4000.0)
        + shared * (compute(740.0, 10.0) - 640.0 * 62.985e3);
    let reads = short * memory(600.0, 40.0) + long * memory(100.0, 4000.0) + shared * memory(740.0, 10.0);
    assert!((left / reads / 1.2 - 1.0).abs() < 0.02, "density {}", left / reads);
    let sharing = shared * 640.0 / (short * 600.0 + long * 100.0 + shared * 740.0);
    assert!((sharing - 0.3).abs() < 0.01, "sharing {sharing}");
    place.succeed(&["run", "out/experiment.lock.toml", "--no-figures", "-o", "again"]);
    assert_eq!(place.text("out/requests.csv"), place.text("again/requests.csv"));
}

#[test]
fn mixes_that_cannot_be_are_refused_where_they_are_written() {
    let counted = message(&[("[[workload.part]]\n", "[[workload.part]]\nrequests = 10\n")]);
    assert!(counted.contains("`requests` has no effect in a mix"), "{counted}");
    let dense = message(&[("density = 1.2", "density = 90")]);
    assert!(dense.contains("no such mix of these parts exists"), "{dense}");
    let rates = message(&[("rates = \"rates.toml\"", "rates = \"x.toml\"")]);
    assert!(rates.contains("the rates cannot be used"), "{rates}");
    let unnamed = message(&[
        ("model = \"meta-llama/Llama-3.1-8B\"\n", ""),
        ("name = \"blend\"", "name = \"blend\"\nmodel = \"meta-llama/Llama-3.1-8B\""),
    ]);
    assert!(unnamed.contains("expected `model` at the top of the file"), "{unnamed}");
}

#[test]
fn two_ranks_share_the_batch_and_groups_have_their_prefix_once() {
    let ranks = "composition = \"overlapped\"\n\n[[system]]\nname = \"ranks\"\ninherit = \"blend\"\nreplicas = 2\nrouter = \"density-cut\"\n\
                 \n[[system]]\nname = \"groups\"\ninherit = \"blend\"\nenable_prefix_caching = false\n\
                 scheduler = { group_prefixes = true }\n";
    let place = place(&[("composition = \"overlapped\"\n", ranks)]);
    let said = place.succeed(&["run", "x.toml", "--no-figures", "--json", "-o", "out"]);
    let runs: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    let of = |system: usize, measure: &str| runs["runs"][system]["measures"][measure].as_f64().expect(measure);
    let speedup = of(1, "total_token_throughput") / of(0, "total_token_throughput");
    // Half of them each, but nobody's answer is shorter for it.
    assert!((1.1..2.0).contains(&speedup), "two ranks are {speedup} times as fast as one");
    assert!(
        of(2, "token_hit_rate") > 0.28,
        "the prefixes of 20 subjects are computed once: {}",
        of(2, "token_hit_rate")
    );
    for system in 0..3 {
        let share = of(system, "optimum_share");
        assert!((0.5..=1.0).contains(&share), "system {system} has {share} of the optimum");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let chunked = "scheduler = { policy = \"chunked-prefill\"";
    let cut = message(&[
        ("scheduler = { policy = \"blendserve\", known_outputs_from = 2048", chunked),
        ("step_cost =", "router = \"density-cut\"\nstep_cost ="),
    ]);
    assert!(cut.contains("only blendserve has a tree that batches are cut along"), "{cut}");
    let ordered = message(&[("\"blendserve\",", "\"blendserve\", order = \"dfs\", group_prefixes = true,")]);
    assert!(ordered.contains("expected density beside `group_prefixes = true`"), "{ordered}");
    let cached = message(&[
        ("\"blendserve\",", "\"blendserve\", group_prefixes = true,"),
        ("step_cost =", "enable_prefix_caching = true\nstep_cost ="),
    ]);
    assert!(cached.contains("groups of requests have no prefix cache"), "{cached}");
    let staged = message(&[("step_cost =", "pipeline_parallel_size = 2\nstep_cost =")]);
    assert!(staged.contains("one pipeline stage"), "{staged}");
    let launched = message(&[("step_cost =", "separate_attention = true\nstep_cost =")]);
    assert!(launched.contains("`separate_attention` has no effect beside `step_cost`"), "{launched}");
}
