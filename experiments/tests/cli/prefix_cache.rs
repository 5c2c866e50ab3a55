//! Prefix caches of hybrid models in experiment files.

use super::support::Place;

const HYBRID: (&str, &str) = ("meta-llama/Llama-3.1-8B", "marconi/hybrid-7b");
const WRITTEN: &str = "max_model_len = 8192\n";

/// The small experiment on the 7B hybrid, all of its systems with this prefix cache, and changed otherwise.
fn with_cache(cache: &str, changes: &[(&str, &str)]) -> Place {
    let keys = format!("{WRITTEN}prefix_cache = {cache}\n");
    let second = "[[system]]\nname = \"first\"\ninherit = \"chunked\"\nscheduler = { policy = \"prefill-first\", \
                  max_num_batched_tokens = 8192 }\n";
    Place::with_small(&[&[HYBRID, (WRITTEN, keys.as_str()), (second, "")], changes].concat())
}

fn message(cache: &str, changes: &[(&str, &str)]) -> String {
    with_cache(cache, changes).fail(2, &["run", "x.toml"])
}

#[test]
fn marconi_tunes_itself_as_the_paper_does_and_the_lock_file_says_so() {
    let place = with_cache("\"marconi\"", &[]);
    place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    let lock = place.text("out/experiment.lock.toml");
    for line in ["policy = \"marconi\"", "tuning_window = 5", "flops = \"paper\""] {
        assert!(lock.contains(line), "{line} in {lock}");
    }
    assert!(!lock.contains("enable_prefix_caching"), "{lock}");
    let first = place.read("out/summary.csv");
    place.succeed(&["run", "out/experiment.lock.toml", "--no-figures", "-o", "again"]);
    assert_eq!(first, place.read("again/summary.csv"), "the lock file is the experiment");
}

#[test]
fn what_cannot_be_kept_is_refused_where_it_is_written() {
    let blocks = message("\"vllm\"", &[]);
    assert!(blocks.contains("blocks alone are of no use to marconi/hybrid-7b"), "{blocks}");
    let transformer = message("\"marconi\"", &[("marconi/hybrid-7b", "meta-llama/Llama-3.1-8B")]);
    assert!(transformer.contains("has no states to keep"), "{transformer}");
    let twice = message("\"none\"", &[("replicas = 2", "enable_prefix_caching = false")]);
    assert!(twice.contains("`prefix_cache` says what is kept"), "{twice}");
    let staged = message("\"sglang-plus\"", &[("replicas = 2", "pipeline_parallel_size = 7")]);
    assert!(staged.contains("has no attention layers, and so no KV cache"), "{staged}");
    let window = message("{ policy = \"marconi\", alpha = 1, tuning_window = 7 }", &[]);
    assert!(window.contains("`tuning_window` has no effect beside `alpha`"), "{window}");
    let idle = message("{ policy = \"sglang-plus\", alpha = 1 }", &[]);
    assert!(idle.contains("`alpha` has no effect"), "{idle}");
    let whole = (
        "{ policy = \"chunked-prefill\", max_num_batched_tokens = 512, max_num_seqs = 64 }",
        "{ policy = \"orca\", max_num_seqs = 64 }",
    );
    let uncut = message("\"marconi\"", &[whole]);
    assert!(uncut.contains("this scheduler never cuts a prompt"), "{uncut}");
    assert!(uncut.contains("checkpoint_interval = 256"), "{uncut}");
    with_cache("{ policy = \"marconi\", checkpoint_interval = 256 }", &[whole]).succeed(&[
        "run",
        "x.toml",
        "--no-figures",
    ]);
}

/// Stages hold half of the layers each, two attention layers and twelve recurrent ones: half of the KV and half of the states.
#[test]
fn every_pipeline_stage_keeps_its_share_of_a_prefix() {
    let place = with_cache("\"sglang-plus\"", &[("replicas = 2", "pipeline_parallel_size = 2")]);
    let said = place.succeed(&["run", "x.toml", "--no-figures", "-v", "-o", "out"]).stderr;
    let checkpoint = 12 * (8192 * 128 + 3 * (8192 + 2 * 128)) * 2;
    let expected = format!("checkpoints of {checkpoint} bytes beside {} per token", 65_536 / 2);
    assert!(said.contains(&expected), "{expected} in {said}");
}

/// Its second system in two pools.
fn with_pools(cache: &str, mode: &str) -> Place {
    let keys = format!("{WRITTEN}prefix_cache = {cache}\n");
    let second = "[[system]]\nname = \"first\"\ninherit = \"chunked\"\nscheduler = { policy = \"prefill-first\", \
                  max_num_batched_tokens = 8192 }\n";
    let pools = format!(
        "[[system]]\nname = \"pools\"\ninherit = \"chunked\"\ntransfer = {{ mode = \"{mode}\" }}\n[system.prefill]\n[system.decode]\n"
    );
    Place::with_small(&[HYBRID, (WRITTEN, keys.as_str()), (second, pools.as_str())])
}

/// Keys and values of every prompt token, and the states of 24 layers once per request.
#[test]
fn states_go_from_prefill_to_decode_with_keys_and_values() {
    let said = with_pools("\"marconi\"", "after-prefill").succeed(&["run", "x.toml", "--json", "--no-figures"]).stdout;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let runs = said["runs"].as_array().expect("runs");
    let pools = &runs.iter().find(|run| run["system"] == "pools").expect("it ran")["measures"];
    let number = |name: &str| pools[name].as_f64().unwrap_or_else(|| panic!("{name} is {}", pools[name]));
    let state = f64::from(24 * (8192 * 128 + 3 * (8192 + 2 * 128)) * 2);
    let of_tokens = number("kv_transfer_bytes") - number("kv_transfers") * state;
    assert!(of_tokens > 0.0 && of_tokens % 65_536.0 == 0.0, "{of_tokens} bytes beside states");
    assert!(of_tokens / 65_536.0 <= number("total_input_tokens"), "{pools}");
}

#[test]
fn states_are_not_handed_over_where_nothing_counts_them() {
    let message = |cache: &str, mode: &str| with_pools(cache, mode).fail(2, &["run", "x.toml"]);
    let pushed = message("\"none\"", "push-by-layer");
    assert!(pushed.contains("its layers are not alike"), "{pushed}");
    let pulled = message("\"marconi\"", "pull");
    assert!(pulled.contains("waits beside the `max_num_seqs` requests"), "{pulled}");
    let blocks = message("\"vllm-plus\"", "after-prefill");
    assert!(blocks.contains("blocks with states of their own cannot be handed over"), "{blocks}");
}

/// Blocks of `vllm-plus` weigh 32 tokens of 64 KiB and a state of 24 layers: 26 times as much.
#[test]
fn blocks_with_states_are_as_many_as_the_same_memory_holds() {
    let blocks = |cache: &str| {
        let place = with_cache(cache, &[("replicas = 2", "block_size = 32")]);
        let said = place.succeed(&["run", "x.toml", "--no-figures", "-v", "-o", "out"]).stderr;
        let before = said.split(" KV blocks").next().expect("it tells").to_owned();
        before.rsplit(' ').next().expect("a number").parse::<f64>().expect("a number")
    };
    let (plain, heavy) = (blocks("\"sglang-plus\""), blocks("\"vllm-plus\""));
    let states = f64::from(24 * (8192 * 128 + 3 * (8192 + 2 * 128)) * 2);
    let expected = plain * 32.0 * 65_536.0 / (32.0 * 65_536.0 + states);
    assert!((heavy - expected).abs() <= 1.0, "{plain} blocks of KV, {heavy} with states");
}
