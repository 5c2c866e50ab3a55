//! The experiment files that come with the project.

use std::path::Path;

use super::support::{Place, shared_data};

fn shipped(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).to_string_lossy().into_owned()
}

/// The measures of each run.
fn measures(said: &str) -> Vec<serde_json::Value> {
    let json: serde_json::Value = serde_json::from_str(said).expect("JSON");
    json["runs"].as_array().expect("runs").iter().map(|run| run["measures"].clone()).collect()
}

#[test]
fn the_quick_start_shows_that_whole_prompts_stall_generation() {
    let file = shipped("quickstart.toml");
    let said = Place::new().succeed(&["run", &file, "--set", "workload.requests=1500", "--set", "seeds=[1]", "--json"]);
    let runs = measures(&said.stdout);
    let itl = |run: usize| runs[run]["p99_itl_ms"].as_f64().expect("a number");
    assert!(itl(1) > 2.0 * itl(0), "chunked {} ms, prefill first {} ms", itl(0), itl(1));
}

#[test]
fn layered_prefill_reads_fewer_experts_and_answers_sooner() {
    let file = shipped("layered.toml");
    let settings = ["--set", "workload.requests=150", "--set", "seeds=[1]", "--json", "--no-figures"];
    let said = Place::new().succeed(&[["run", file.as_str()].as_slice(), &settings].concat());
    let runs = measures(&said.stdout);
    for (measure, least_change) in [("mean_ttft_ms", 0.7), ("mean_tpot_ms", 0.8), ("expert_load_bytes", 0.7)] {
        let of = |run: usize| runs[run][measure].as_f64().expect("a number");
        assert!(of(1) < least_change * of(0), "{measure}: chunked {}, layered {}", of(0), of(1));
    }
}

#[test]
fn four_ways_at_equal_cost_serve_everything_and_decoding_apart_bounds_the_gaps() {
    for study in ["four_ways_qwen3_30b", "four_ways_llama_70b"] {
        let file = shipped(&format!("studies/{study}.toml"));
        let settings = ["--set", "workload.requests=100", "--set", "seeds=[1]", "--json", "--no-figures"];
        let said = Place::new().succeed(&[["run", file.as_str()].as_slice(), &settings].concat());
        let runs = measures(&said.stdout);
        assert_eq!(runs.len(), 4, "{study}");
        assert!(runs.iter().all(|run| run["completed"] == 100), "{study}");
        let of = |run: usize, measure: &str| runs[run][measure].as_f64().expect("a number");
        assert!(of(2, "p99_itl_ms") < of(0, "p99_itl_ms"), "{study}");
        let hourly = |run: usize| of(run, "cost_usd") / of(run, "duration_s");
        assert!((1..4).all(|run| (hourly(run) / hourly(0) - 1.0).abs() < 0.1), "{study}");
    }
}

#[test]
fn groups_save_more_of_shared_documents_than_a_cache_and_sorting_comes_between() {
    let file = shipped("batchllm.toml");
    let said = Place::new().succeed(&["run", &file, "--set", "seeds=[1]", "--json", "--no-figures"]);
    let runs = measures(&said.stdout);
    let of = |run: usize, measure: &str| runs[run][measure].as_f64().expect("a number");
    let speed = |run: usize| of(run, "request_throughput");
    assert!(of(0, "token_saving") < 0.6 && of(2, "token_saving") > 0.85, "vllm and batchllm");
    assert!(speed(0) < speed(1) && speed(1) < speed(2), "vllm, sorted, batchllm");
    assert!(speed(3) < speed(2), "reading every context costs time");
}

#[test]
fn an_engine_that_overlaps_gains_from_a_mix_of_labels_and_long_answers() {
    let file = shipped("offline.toml");
    let place = Place::new();
    let text = std::fs::read_to_string(file).expect("it is shipped").replace("40_000", "8_000").replace("2000", "400");
    place.write("offline.toml", &text);
    let said = place.succeed(&["run", "offline.toml", "--json", "--no-figures"]);
    let runs = measures(&said.stdout);
    assert!(runs.iter().all(|run| run["completed"] == 8400));
    let of = |run: usize, measure: &str| runs[run][measure].as_f64().expect("a number");
    assert!(of(1, "token_saving") > of(0, "token_saving"), "depth first, and as they come");
    let speed = |run: usize| of(run, "total_token_throughput");
    assert!(speed(3) > 1.1 * speed(1), "depth first, attention beside all else and before it");
    assert!(speed(4) > 1.05 * speed(3), "both ends at once, and depth first");
    assert!(speed(4) > 1.2 * speed(0), "both ends at once, and one after the other as they come");
}

#[test]
fn the_offline_mix_runs_with_every_engine_and_its_order_stands() {
    let text = std::fs::read_to_string(shipped("studies/offline_mix.toml")).expect("it is shipped");
    let place = Place::new();
    place.write("mix.toml", &text.replace("10_000", "1_000").replace("count = 625", "count = 63"));
    let said = place.succeed(&["run", "mix.toml", "--set", "seeds=[1]", "--json", "--no-figures"]);
    let runs = measures(&said.stdout);
    assert!(runs.iter().all(|run| run["completed"] == 4000));
    let speed = |run: usize| runs[run]["total_token_throughput"].as_f64().expect("a number");
    assert_eq!(runs.len(), 11);
    assert!(speed(0) < speed(1) && speed(1) < speed(2), "vllm, sorted, groups");
    assert!(
        speed(2) < speed(7) && speed(6) < speed(8),
        "overlap adds to groups, and BlendServe's order to depth first"
    );
    assert!(speed(9) > speed(7) && speed(9) > speed(8), "groups in BlendServe's order are faster than either alone");
    assert!(speed(10) < speed(9), "a prefix that is read once is what groups gain by there");
}

#[test]
fn the_loads_of_the_benchmarks_run() {
    let file = shipped("bench/load_a.toml");
    let said = Place::new().succeed(&["run", &file, "--set", "workload.requests=500", "--json"]);
    assert_eq!(measures(&said.stdout)[0]["completed"], 500);
    let file = shipped("bench/load_a_pools.toml");
    let said = Place::new().succeed(&["run", &file, "--set", "workload.requests=500", "--json"]);
    assert_eq!(measures(&said.stdout)[0]["completed"], 500);
    let file = shipped("bench/load_b.toml");
    let said = Place::new().succeed(&["run", &file, "--set", "workload.requests=500", "--json"]);
    assert_eq!(measures(&said.stdout)[0]["completed"], 500);
}

#[test]
fn the_azure_trace_replays_whole() {
    let Some(data) = shared_data() else {
        return println!("SKIPPED: the_azure_trace_replays_whole needs ../shared/data");
    };
    println!("USED: the_azure_trace_replays_whole");
    let trace = data.join("traces/azure2023/AzureLLMInferenceTrace_conv.csv.gz");
    let setting = format!("workload.trace={}", trace.display());
    let file = shipped("azure_conv.toml");
    let said = Place::new().succeed(&["run", &file, "--set", &setting, "--json", "--no-figures"]);
    for run in measures(&said.stdout) {
        assert_eq!(run["completed"].as_u64().expect("a number") + run["rejected"].as_u64().expect("a number"), 19_366);
    }
}

#[test]
fn mooncake_replays_with_its_published_sharing() {
    let Some(data) = shared_data() else {
        return println!("SKIPPED: mooncake_replays_with_its_published_sharing needs ../shared/data");
    };
    println!("USED: mooncake_replays_with_its_published_sharing");
    let trace = data.join("traces/mooncake/conversation_trace.jsonl.gz").display().to_string();
    let place = Place::new();
    let stats: serde_json::Value =
        serde_json::from_str(&place.succeed(&["trace", "stats", &trace, "--json"]).stdout).expect("JSON");
    assert_eq!(stats["rows"], 12_031);
    let infinite = stats["prefix"]["token_hit_ratio"].as_f64().expect("a number");
    assert!((infinite - 0.374).abs() < 5e-4, "{infinite}");

    let setting = format!("workload.trace={trace}");
    let file = shipped("mooncake.toml");
    let said =
        place.succeed(&["run", &file, "--set", &setting, "--set", "workload.requests=1000", "--json", "--no-figures"]);
    let rates: Vec<f64> =
        measures(&said.stdout).iter().map(|run| run["token_hit_rate"].as_f64().expect("a number")).collect();
    let [round_robin, .., affinity] = rates.as_slice() else { panic!("{rates:?}") };
    assert!(affinity > round_robin, "prefix affinity {affinity}, round robin {round_robin}");
}

#[test]
fn an_engine_that_forgets_nothing_hits_what_the_trace_repeats() {
    let Some(data) = shared_data() else {
        return println!("SKIPPED: an_engine_that_forgets_nothing_hits_what_the_trace_repeats needs ../shared/data");
    };
    println!("USED: an_engine_that_forgets_nothing_hits_what_the_trace_repeats");
    let place = Place::new();
    let h100 = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/data/devices/h100-sxm-80gb.toml");
    let roomy: String = std::fs::read_to_string(&h100)
        .expect("the shipped device")
        .lines()
        .map(|line| if line.starts_with("memory_gib") { "memory_gib = 2000\n".to_owned() } else { format!("{line}\n") })
        .collect();
    place.write("roomy.toml", &roomy);
    let trace = format!("workload.trace={}", data.join("traces/mooncake/conversation_trace.jsonl.gz").display());
    let gpu = format!("system.round-robin.gpu={}", place.path("roomy.toml").display());
    let file = shipped("mooncake.toml");
    let mut arguments = vec!["run", &file, "--json", "--no-figures"];
    let one_engine = ["system.round-robin.replicas=1", "system.round-robin.tensor_parallel_size=8", "workload.rate=3"];
    for setting in [trace.as_str(), gpu.as_str()].iter().chain(&one_engine) {
        arguments.extend(["--set", setting]);
    }
    let rate = measures(&place.succeed(&arguments).stdout)[0]["token_hit_rate"].as_f64().expect("a number");
    // As `trace stats` counts it without an engine: at this rate nobody misses what somebody else is still computing.
    assert!((rate - 0.374).abs() < 5e-4, "{rate}");
}

#[test]
fn a_prefill_pool_keeps_prompts_out_of_the_way_of_answers_and_the_network_shows_in_the_second_token() {
    let file = shipped("disaggregated.toml");
    let said = Place::new().succeed(&["run", &file, "--set", "workload.requests=500", "--set", "seeds=[1]", "--json"]);
    let runs = measures(&said.stdout);
    let of = |run: usize, name: &str| runs[run][name].as_f64().expect("a number");
    let (colocated, nvlink, ethernet, pushed) = (0, 1, 2, 3);
    assert!(of(nvlink, "p99_itl_ms") < 0.5 * of(colocated, "p99_itl_ms"));
    assert!(of(ethernet, "mean_handover_wait_ms") > 20.0 * of(nvlink, "mean_handover_wait_ms"));
    assert!(of(pushed, "mean_handover_wait_ms") < 0.9 * of(ethernet, "mean_handover_wait_ms"));
    assert_eq!(runs[ethernet]["kv_transfer_bytes"], runs[pushed]["kv_transfer_bytes"]);
}

#[test]
fn a_served_hybrid_model_answers_sooner_where_states_are_kept_and_vllm_plus_waits_for_memory() {
    let file = shipped("hybrid.toml");
    let settings = ["--set", "workload.requests=400", "--set", "seeds=[1]", "--json", "--no-figures"];
    let said = Place::new().succeed(&[["run", file.as_str()].as_slice(), &settings].concat());
    let runs = measures(&said.stdout);
    let of = |run: usize, measure: &str| runs[run][measure].as_f64().expect("a number");
    let (none, vllm, marconi) = (0, 1, 3);
    assert!(runs.iter().all(|run| run["completed"] == 400));
    assert!(of(marconi, "token_hit_rate") > 0.2, "{}", of(marconi, "token_hit_rate"));
    assert!(of(marconi, "median_ttft_ms") < 0.9 * of(none, "median_ttft_ms"));
    assert!(of(vllm, "median_ttft_ms") > 2.0 * of(none, "median_ttft_ms"), "{}", of(vllm, "median_ttft_ms"));
}
