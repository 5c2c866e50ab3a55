//! Measured runs held against simulated ones.

mod bad_cases;
mod ground_truth;
mod import;
mod places;
mod remarks;

use serde_json::{Value, json};

use super::support::Place;

/// A run of a small model as metadata say it.
pub(super) fn meta() -> Value {
    json!({
        "model": "meta-llama/Llama-3.1-8B",
        "gpu": "NVIDIA H100 80GB HBM3",
        "n_gpus": 1,
        "tensor_parallel": 1,
        "engine": "vLLM",
        "engine_version": "0.19.0",
        "weights_dtype": "bfloat16",
        "scheduler": {
            "policy": "fcfs", "max_num_seqs": 64, "max_num_batched_tokens": 2048, "max_model_len": 8192,
            "prefix_caching": true,
        },
        "kv_cache": { "total_gpu_blocks": 20_000, "block_size": 16 },
    })
}

/// Twenty requests, one per second, each with the same latency.
pub(super) fn requests() -> String {
    let row = |number| format!("{number},{number}.0,500,51,0.03,0.008,0.43,ok\n");
    let header = "request_id,arrival_s,input_tokens,output_tokens,ttft_s,tpot_s,e2e_s,status\n".to_owned();
    std::iter::once(header).chain((0..20).map(row)).collect()
}

/// A folder `run` with this case.
pub(super) fn place(meta: &Value, requests: &str) -> Place {
    let place = Place::new();
    place.write("run/meta.json", &meta.to_string());
    place.write("run/requests.csv", requests);
    place
}

fn json_of(said: &str) -> Value {
    serde_json::from_str(said).expect("JSON")
}

#[test]
fn a_run_is_simulated_and_every_figure_gets_its_error() {
    let place = place(&meta(), &requests());
    let said = json_of(&place.succeed(&["validate", "run", "--json"]).stdout);
    assert_eq!(said["cases"][0]["scored"], true);
    for (metric, statistic, measured) in [
        ("ttft", "mean", 0.03),
        ("tpot", "p50", 0.008),
        ("e2e", "p99", 0.43),
        ("output_throughput", "mean", 20.0 * 51.0 / 19.43),
    ] {
        let errors = said["errors"].as_array().expect("errors");
        let error = errors.iter().find(|error| error["metric"] == metric && error["statistic"] == statistic);
        let error = error.unwrap_or_else(|| panic!("no {metric} {statistic}"));
        let number = |key: &str| error[key].as_f64().expect("a number");
        assert!((number("measured") - measured).abs() < 1e-6 * measured, "{metric}: {}", number("measured"));
        let follows = 100.0 * (number("simulated") - measured) / measured;
        assert!((number("error_percent") - follows).abs() < 1e-6, "{metric}");
        assert!(number("error_percent").abs() < 100.0, "{metric}: {error}");
    }
}

#[test]
fn the_experiment_that_was_made_runs_by_itself_and_gives_the_same() {
    let place = place(&meta(), &requests());
    let validated = json_of(&place.succeed(&["validate", "run", "-o", "out", "--no-figures", "--json"]).stdout);
    let of = |metric: &str| {
        let errors = validated["errors"].as_array().expect("errors");
        let is_it = |error: &&Value| error["metric"] == metric && error["statistic"] == "mean";
        errors.iter().find(is_it).expect("the figure")["simulated"].as_f64().expect("a number")
    };
    let run = json_of(&place.succeed(&["run", "out/cases/run/experiment.toml", "-o", "again", "--json"]).stdout);
    let measure = |name: &str| run["runs"][0]["measures"][name].as_f64().expect("a number") * 1e-3;
    for (metric, name) in [("ttft", "mean_ttft_ms"), ("tpot", "mean_tpot_ms"), ("e2e", "mean_e2el_ms")] {
        assert!((of(metric) / measure(name) - 1.0).abs() < 1e-6, "{metric}: {} and {}", of(metric), measure(name));
    }
}

#[test]
fn tables_figures_and_a_page_are_left_behind() {
    let place = place(&meta(), &requests());
    place.succeed(&["validate", "run", "-o", "out"]);
    let files = place.files("out");
    for name in [
        "assumptions.csv",
        "cases.csv",
        "cases/run/experiment.toml",
        "cases/run/requests.csv",
        "cases/run/trace.csv",
        "errors.csv",
        "figures/errors_own.svg",
        "figures/run_ttft.svg",
        "figures/scatter_ttft.svg",
        "groups.csv",
        "validation.md",
    ] {
        assert!(files.iter().any(|file| file == name), "{name} is not among {files:?}");
    }
    assert!(place.text("out/validation.md").contains("| own | ttft mean | 1 |"));
    assert_eq!(place.text("out/cases/run/requests.csv").lines().count(), 21);
}

#[test]
fn the_same_case_gives_the_same_bytes_on_any_number_of_threads() {
    let place = place(&meta(), &requests());
    place.write("runs/a/meta.json", &meta().to_string());
    place.write("runs/a/requests.csv", &requests());
    place.write("runs/b/meta.json", &meta().to_string());
    place.write("runs/b/requests.csv", &requests().replace(",500,", ",900,"));
    place.succeed(&["validate", "runs", "-o", "one", "-j", "1"]);
    place.succeed(&["validate", "runs", "-o", "two", "-j", "2"]);
    for name in ["errors.csv", "validation.md", "figures/scatter_ttft.svg"] {
        assert_eq!(place.read(&format!("one/{name}")), place.read(&format!("two/{name}")), "{name}");
    }
}

#[test]
fn warm_up_is_left_out_of_the_score_and_of_nothing_else() {
    let cold = requests().replace("0,0.0,500,51,0.03,0.008,0.43", "0,0.0,500,51,9.0,0.008,9.4");
    let mean = |meta: &Value| {
        let said = json_of(&place(meta, &cold).succeed(&["validate", "run", "--json"]).stdout);
        let errors = said["errors"].as_array().expect("errors").clone();
        let is_it = |error: &&Value| error["metric"] == "ttft" && error["statistic"] == "mean";
        errors.iter().find(is_it).expect("TTFT")["measured"].as_f64().expect("a number")
    };
    assert!((mean(&meta()) - (9.0 + 19.0 * 0.03) / 20.0).abs() < 1e-9);
    let mut skipping = meta();
    skipping["score"] = json!({ "skip_requests": 1 });
    assert!((mean(&skipping) - 0.03).abs() < 1e-9);
    skipping["score"] = json!({ "skip_s": 0.5 });
    assert!((mean(&skipping) - 0.03).abs() < 1e-9);
}

#[test]
fn what_the_data_do_not_say_is_told() {
    let mut silent = meta();
    silent["scheduler"]["max_num_seqs"].take();
    silent["kv_cache"] = json!({ "block_size": 16, "colour": "red" });
    let said = json_of(&place(&silent, &requests()).succeed(&["validate", "run", "--json"]).stdout);
    let assumptions = said["cases"][0]["assumptions"].to_string();
    for sentence in ["max_num_seqs", "KV blocks is not recorded", "`kv_cache.colour` of meta.json is not used"] {
        assert!(assumptions.contains(sentence), "{sentence}: {assumptions}");
    }
}

#[test]
fn a_client_that_never_has_more_in_flight_is_driven_by_its_plan() {
    let mut closed = meta();
    closed["client"] = json!({ "arrivals": "planned", "max_concurrency": 1 });
    let planned = requests()
        .replace("arrival_s,", "arrival_s,scheduled_arrival_s,")
        .lines()
        .enumerate()
        .map(|(number, line)| {
            let (id, rest) = line.split_once(',').expect("a table");
            if number == 0 {
                format!("{line}\n")
            } else {
                format!("{id},{},0.0,{}\n", rest.split(',').next().unwrap(), rest.split_once(',').unwrap().1)
            }
        })
        .collect::<String>();
    let place = place(&closed, &planned);
    place.succeed(&["validate", "run", "-o", "out", "--no-figures"]);
    assert!(place.text("out/cases/run/experiment.toml").contains("max_concurrency = 1"));
    let trace = place.text("out/cases/run/trace.csv");
    assert!(trace.lines().skip(1).all(|line| line.starts_with("0.000000000,")), "{trace}");
}

#[test]
fn settings_are_laid_over_every_case() {
    let place = place(&meta(), &requests());
    let ttft = |arguments: &[&str]| {
        let arguments = [&["validate", "run", "--json"], arguments].concat();
        let said = json_of(&place.succeed(&arguments).stdout);
        said["errors"][0]["simulated"].as_f64().expect("a number")
    };
    assert!(ttft(&["--set", "system.engine.step_gap=\"20 ms\""]) > ttft(&[]) + 0.01);
}

#[test]
fn a_constant_is_chosen_on_other_models_than_it_is_scored_with() {
    let place = Place::new();
    for (name, model) in [("a", "Qwen/Qwen3-8B"), ("b", "meta-llama/Llama-3.1-8B"), ("c", "meta-llama/Llama-2-7b-hf")] {
        let mut meta = meta();
        meta["model"] = json!(model);
        meta["scheduler"]["max_model_len"] = json!(4096);
        meta["kv_cache"]["total_gpu_blocks"] = json!(4000);
        place.write(&format!("runs/{name}/meta.json"), &meta.to_string());
        place.write(&format!("runs/{name}/requests.csv"), &requests());
    }
    let vary = "system.engine.step_gap=0 ms,500 ms";
    let said = json_of(&place.succeed(&["validate", "runs", "--vary", vary, "--json"]).stdout);
    let models = said["models"].as_array().expect("models");
    assert_eq!(models.len(), 3);
    for model in models {
        assert_eq!(
            model["settings"],
            json!(["system.engine.step_gap=0 ms"]),
            "half a second a step is best for nobody"
        );
    }
    assert!(place.fail(2, &["validate", "runs/a", "--vary", vary]).contains("two are needed"));
    assert!(place.fail(2, &["validate", "runs", "--vary", "system.engine.step_gap"]).contains("KEY=V1,V2"));
}
