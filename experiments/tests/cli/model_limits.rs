//! What the kinds of layers a model has make impossible, and what is said about what they make inexact.

use super::support::Place;

const JAMBA: (&str, &str) = ("model = \"meta-llama/Llama-3.1-8B\"", "model = \"ai21labs/AI21-Jamba-1.5-Mini\"");
const FOUR_GPUS: (&str, &str) = ("replicas = 2", "tensor_parallel_size = 4");

/// The share of prompt tokens that each run of the small experiment found cached.
fn hit_rates(place: &Place) -> Vec<f64> {
    let said = place.succeed(&["run", "x.toml", "--json", "--no-figures", "--force"]);
    let json: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    let runs = json["runs"].as_array().expect("runs");
    runs.iter().map(|run| run["measures"]["token_hit_rate"].as_f64().expect("a number")).collect()
}

#[test]
fn state_space_models_do_not_skip_prompts_whose_states_nobody_kept() {
    let prefixes = |changes: &[(&str, &str)]| hit_rates(&Place::with_small(changes));
    assert!(prefixes(&[]).iter().all(|rate| *rate > 0.1), "attention blocks are shared");
    let place = Place::with_small(&[JAMBA, FOUR_GPUS]);
    assert!(hit_rates(&place).iter().all(|rate| *rate == 0.0), "states are not");
    assert!(place.text("results/x/experiment.lock.toml").contains("enable_prefix_caching = false"));
}

#[test]
fn prefix_caching_asked_for_on_a_state_space_model_is_refused() {
    let on = ("tensor_parallel_size = 4", "tensor_parallel_size = 4\nenable_prefix_caching = true");
    let message = Place::with_small(&[JAMBA, FOUR_GPUS, on]).fail(2, &["run", "x.toml"]);
    let expected = "error: prefixes of ai21labs/AI21-Jamba-1.5-Mini cannot be cached\n  --> x.toml:17:25\n";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.contains("blocks hold keys and values alone"), "{message}");
    assert!(message.contains("\"marconi\" keep states"), "{message}");
}

#[test]
fn the_cache_that_a_sliding_window_would_free_is_spoken_of() {
    let windowed = ("model = \"meta-llama/Llama-3.1-8B\"", "model = \"mistralai/Mistral-7B-v0.1\"");
    let note = "note: `chunked`: layers of mistralai/Mistral-7B-v0.1 with a sliding window of 4096 tokens are charged KV cache for \
                the whole context";
    let said = Place::with_small(&[windowed]).succeed(&["run", "x.toml", "--no-figures"]);
    assert!(said.stderr.contains(note), "{}", said.stderr);
    // Within the window there is nothing to free.
    let inside = [windowed, ("max_model_len = 8192", "max_model_len = 4096")];
    let said = Place::with_small(&inside).succeed(&["run", "x.toml", "--no-figures"]);
    assert!(!said.stderr.contains("sliding window"), "{}", said.stderr);
}

/// The shipped Llama-3.1-8B as a configuration file that does not say for which contexts it was made.
fn made_for_any_context(place: &Place) {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/data/models/llama-3.1-8b.json");
    let text = std::fs::read_to_string(shipped).expect("the shipped model");
    let mut model: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    model["config"].as_object_mut().expect("a table").remove("max_position_embeddings").expect("it is there");
    place.write("config.json", &model["config"].to_string());
}

#[test]
fn a_model_that_does_not_say_how_long_its_contexts_are_leaves_a_lock_file_that_runs() {
    let place = Place::with_small(&[
        ("model = \"meta-llama/Llama-3.1-8B\"", "model = \"config.json\""),
        ("max_model_len = 8192\n", ""),
        ("max_num_batched_tokens = 8192", "max_num_batched_tokens = 16384"),
    ]);
    made_for_any_context(&place);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    place.succeed(&["run", "out/experiment.lock.toml", "-o", "again", "--no-figures"]);
}

#[test]
fn what_a_lock_file_remembers_of_a_model_that_is_not_used_is_not_checked_and_said_so() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    let other = ["run", "out/experiment.lock.toml", "-o", "again", "--no-figures", "--set"];
    let message = place.fail(2, &[&other[..], &["model=Qwen/Qwen3-8B"]].concat());
    let expected = "warning: the digest of model meta-llama/Llama-3.1-8B was not checked: this run does not use it\n";
    assert!(message.contains(expected), "{message}");
    assert!(message.contains("step costs of chunked is not the one this lock file was made with"), "{message}");
}

const LLAMA_70B: (&str, &str) = ("model = \"meta-llama/Llama-3.1-8B\"", "model = \"meta-llama/Llama-3.1-70B\"");

/// Seventy billion parameters, their replicas said to be of this shape.
fn large(shape: &str) -> Place {
    Place::with_small(&[LLAMA_70B, ("replicas = 2", shape)])
}

#[test]
fn collectives_do_not_leave_a_server_over_a_link_nobody_named() {
    let message = large("tensor_parallel_size = 16").fail(2, &["run", "x.toml"]);
    let expected = "error: 16 GPUs exchange data in every layer, and a server of H100-SXM-80GB has 8\n";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.contains("NVLink 4 does not reach other servers"), "{message}");
    assert!(message.contains("network = \"400 Gbit/s InfiniBand\""), "{message}");

    let link = "tensor_parallel_size = 16\nlink = { bandwidth = \"400 Gbit/s\", latency = \"20 us\" }";
    large(link).succeed(&["run", "x.toml", "--no-figures"]);
}

#[test]
fn stages_do_not_leave_a_server_over_a_link_nobody_named() {
    let shape = "tensor_parallel_size = 4\npipeline_parallel_size = 4";
    let message = large(shape).fail(2, &["run", "x.toml"]);
    let expected = "error: 4 stages of 4 GPUs do not fit a server of H100-SXM-80GB, which has 8\n";
    assert!(message.starts_with(expected), "{message}");
    let network = format!("{shape}\nnetwork = \"25 Gbit/s Ethernet\"");
    large(&network).succeed(&["run", "x.toml", "--no-figures"]);
    // Two stages share a server, and no collective leaves it.
    large("tensor_parallel_size = 4\npipeline_parallel_size = 2").succeed(&["run", "x.toml", "--no-figures"]);
}

#[test]
fn replicas_of_two_servers_are_as_quick_as_the_network_between_lets_them() {
    let share = |network: &str| {
        let place = large(&format!("tensor_parallel_size = 16\nnetwork = {network}"));
        place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
        let summary = place.text("out/summary.csv");
        let mut lines = summary.lines();
        let column = lines.next().unwrap().split(',').position(|name| name == "all_reduce_time_share").unwrap();
        lines.next().unwrap().split(',').nth(column).unwrap().parse::<f64>().unwrap()
    };
    let shares = [
        "\"NDR InfiniBand\"",
        "\"25 Gbit/s Ethernet\"",
        "{ between_servers = \"25 Gbit/s Ethernet\", adapters_per_server = 1 }",
    ]
    .map(share);
    assert!(shares.is_sorted_by(|a, b| a < b), "{shares:?}");
}

#[test]
fn servers_are_described_in_ways_that_can_be() {
    let message = |network: &str| large(&format!("tensor_parallel_size = 16\n{network}")).fail(2, &["run", "x.toml"]);
    let unknown = message("network = \"a fast one\"");
    assert!(unknown.contains("servers cannot be connected this way"), "{unknown}");
    assert!(unknown.contains("`a fast one` is not a network; expected a speed and a kind"), "{unknown}");
    let adapters =
        message("network = { between_servers = \"NDR InfiniBand\", gpus_per_server = 4, adapters_per_server = 8 }");
    assert!(adapters.contains("more network adapters than GPUs"), "{adapters}");
    let both = message("network = \"NDR InfiniBand\"\nlink = { bandwidth = \"400 Gbit/s\" }");
    assert!(both.contains("`link` beside `network`"), "{both}");
}

#[test]
fn a_run_says_which_columns_of_a_trace_it_does_not_read() {
    let place = Place::new();
    place.write("trace.csv", "arrival_s,input_tokens,output_tokens,span\n0,30,2,7:30\n1,30,2,7:30\n");
    place.write(
        "x.toml",
        "model = \"meta-llama/Llama-3.1-8B\"\nworkload = { trace = \"trace.csv\" }\n[[system]]\nname = \"a\"\ngpu = \"H100\"\n",
    );
    let said = place.succeed(&["run", "x.toml", "--no-figures"]);
    assert!(said.stderr.contains("trace.csv: ") && said.stderr.contains("span"), "{}", said.stderr);
}

#[test]
fn the_gpu_file_of_the_documentation_works() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/gpu-file.md")).expect("the page");
    let file = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let place = Place::with_small(&[]);
    place.write("my_gpu.toml", file);
    let settings = ["--set", "system.gpu=my_gpu.toml", "--set", "system.architecture=hopper"];
    let mut arguments = vec!["run", "x.toml", "--no-figures"];
    arguments.extend(settings);
    place.succeed(&arguments);
}

#[test]
fn more_kv_blocks_than_fit_are_refused_where_they_are_asked_for() {
    let blocks = ("replicas = 2", "replicas = 2\nnum_gpu_blocks_override = 1000000");
    let message = Place::with_small(&[blocks]).fail(2, &["run", "x.toml"]);
    assert!(message.contains("num_gpu_blocks_override = 1000000"), "{message}");
    assert!(message.contains("with so many blocks each GPU of stage 0 needs"), "{message}");
    assert!(message.contains("leave it out to take as many blocks as fit"), "{message}");
}

#[test]
fn a_cache_that_cannot_hold_the_longest_request_is_spoken_of() {
    let few = ("max_model_len = 8192", "max_model_len = 8192\nnum_gpu_blocks_override = 500");
    let note = "note: `chunked`: the KV cache of an engine holds 8000 tokens, fewer than max_model_len = 8192";
    let said = Place::with_small(&[few]).succeed(&["run", "x.toml", "--no-figures"]);
    assert!(said.stderr.contains(note), "{}", said.stderr);
    let said = Place::with_small(&[]).succeed(&["run", "x.toml", "--no-figures"]);
    assert!(!said.stderr.contains("the KV cache of an engine"), "{}", said.stderr);
}

#[test]
fn an_engine_whose_cache_has_no_room_for_its_longest_request_does_not_start_as_vllm_does_not() {
    // 128k tokens of Llama-3.1-8B are 16 GiB, and a share of 0.36 of an H100 leaves less beside its weights.
    let tight = ("max_model_len = 8192", "max_model_len = 131072\ngpu_memory_utilization = 0.36");
    let message = Place::with_small(&[tight]).fail(2, &["run", "x.toml"]);
    let expected = "error: vLLM does not start: a request of `max_model_len` tokens has no room in the KV cache\n";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.contains("tokens, and max_model_len = 131072"), "{message}");
    // Where it may, the limit comes down to what there is; other engines start, and say what they will reject.
    let fits = ("0.36", "0.36\nfit_max_model_len = true");
    let place = Place::with_small(&[tight, fits]);
    let said = place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]).stderr;
    assert!(!said.contains("longer requests are rejected"), "{said}");
    place.succeed(&["run", "out/experiment.lock.toml", "-o", "again", "--no-figures"]);
    assert!(place.read("out/summary.csv") == place.read("again/summary.csv"), "the lock file says the same");
    let bare = ("0.36", "0.36\nengine = \"none\"");
    let said = Place::with_small(&[tight, bare]).succeed(&["run", "x.toml", "--no-figures"]).stderr;
    assert!(said.contains("fewer than max_model_len = 131072: longer requests are rejected"), "{said}");
}
