//! The commands beside `run`.

use std::path::Path;

use super::support::Place;

#[test]
fn the_reference_pages_are_up_to_date() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (page, file) in [
        ("experiment-file", "experiment-file.md"),
        ("measures", "measures.md"),
        ("cache-study", "cache-study.md"),
        ("kernel-tables", "kernel-tables.md"),
    ] {
        let committed = std::fs::read_to_string(docs.join(file)).unwrap_or_default();
        let written = Place::new().succeed(&["reference", page]).stdout;
        assert!(committed == written, "docs/{file} is stale: cargo run -p servesim -- reference {page} > docs/{file}");
    }
}

#[test]
fn a_generated_trace_has_the_statistics_of_its_generator() {
    let place = Place::new();
    place.succeed(&[
        "trace",
        "generate",
        "azure-conv-2023",
        "-o",
        "t.csv.gz",
        "--requests",
        "3000",
        "--rate",
        "5",
        "--seed",
        "7",
    ]);
    let of_file: serde_json::Value =
        serde_json::from_str(&place.succeed(&["trace", "stats", "t.csv.gz", "--json"]).stdout).expect("JSON");
    let arguments = ["trace", "stats", "azure-conv-2023", "--requests", "3000", "--rate", "5", "--seed", "7", "--json"];
    let of_generator: serde_json::Value = serde_json::from_str(&place.succeed(&arguments).stdout).expect("JSON");
    for key in ["rows", "input", "output"] {
        assert_eq!(of_file[key], of_generator[key], "{key}");
    }
    assert_eq!(of_file["rows"], 3000);
    let rate = of_file["rate_rps"].as_f64().expect("a number");
    assert!((4.5..5.5).contains(&rate), "{rate}");
}

#[test]
fn a_converted_trace_keeps_what_prompts_share() {
    let place = Place::new();
    place.write(
        "t.csv",
        "arrival_s,input_tokens,output_tokens,session,spans\n0,612,129,1,7:512 100:100\n0.25,520,55,,7:512 101:8\n",
    );
    place.succeed(&["trace", "convert", "t.csv", "t.jsonl"]);
    place.succeed(&["trace", "convert", "t.jsonl", "again.csv"]);
    let stats = |file: &str| place.succeed(&["trace", "stats", file, "--json"]).stdout;
    let hits = |file: &str| -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&stats(file)).expect("JSON")["prefix"]["hit_tokens"].clone()
    };
    assert_eq!(hits("t.csv"), 512);
    assert_eq!(hits("t.jsonl"), 512);
    assert_eq!(hits("again.csv"), 512);
    let message = place.fail(2, &["trace", "convert", "t.csv", "t.jsonl"]);
    assert!(message.contains("t.jsonl: the file exists already"), "{message}");
    let message = place.fail(2, &["trace", "convert", "t.csv", "t.dat"]);
    assert!(message.contains("does not tell its format"), "{message}");
}

#[test]
fn the_workload_of_an_experiment_replays_as_a_trace() {
    let place = Place::with_small(&[]);
    place.succeed(&["trace", "generate", "x.toml", "-o", "t.csv"]);
    assert_eq!(place.text("t.csv").lines().count(), 61);
    let stats = place.succeed(&["trace", "stats", "x.toml", "--json"]).stdout;
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    assert!(stats["prefix"]["hit_tokens"].as_u64().expect("a number") > 60 * 40, "system prompts are shared: {stats}");
}

#[test]
fn models_and_devices_are_listed_and_shown() {
    let place = Place::new();
    let list = place.succeed(&["profiles", "list"]).stdout;
    for name in ["meta-llama/Llama-3.1-8B", "Qwen/Qwen3-30B-A3B", "H100-SXM-80GB", "A100-SXM-40GB"] {
        assert!(list.contains(name), "{list}");
    }
    let shown = place.succeed(&["profiles", "show", "meta-llama/Llama-3.1-8B", "--json"]).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["kv_bytes_per_token_16bit"], 131_072);
    assert!(place.succeed(&["profiles", "show", "h100-sxm-80gb"]).stdout.contains("source"));
    let message = place.fail(2, &["profiles", "show", "H100-SXM-80G"]);
    assert!(message.contains("did you mean `H100-SXM-80GB`?"), "{message}");
}

#[test]
fn models_and_devices_of_ones_own_are_shown_from_their_files() {
    let place = Place::new();
    place.write(
        "tiny.json",
        r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 3072, "intermediate_size": 8192,
            "num_hidden_layers": 28, "num_attention_heads": 24, "num_key_value_heads": 8, "vocab_size": 128256,
            "max_position_embeddings": 131072, "tie_word_embeddings": true, "torch_dtype": "bfloat16"}"#,
    );
    let shown = place.succeed(&["profiles", "show", "tiny.json", "--json"]).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    // Llama-3.2-3B has 3.21 billion parameters.
    let parameters = shown["parameters"].as_f64().expect("a number");
    assert!((3.205e9..3.215e9).contains(&parameters), "{shown}");
    let shown = place.succeed(&["profiles", "show", "tiny.json"]).stdout;
    let layers = shown.lines().find(|line| line.starts_with("28 layers")).expect("its layers");
    for part in ["query_heads 24", "kv_heads 8", "head_dim 128", "dense (gated, intermediate_size 8192)"] {
        assert!(layers.contains(part), "{shown}");
    }
    assert!(!layers.contains("bias"), "there are none: {shown}");
    place.write("mine.toml", "name = \"Mine\"\nsms = 40\n");
    let message = place.fail(2, &["profiles", "show", "mine.toml"]);
    assert!(message.contains("mine.toml: missing: `memory_gib`, `memory_bandwidth_gb_per_s`"), "{message}");
    let message = place.fail(2, &["profiles", "show", "min.toml"]);
    assert!(message.contains("did you mean mine.toml?"), "{message}");
}

#[test]
fn json_holds_what_the_tables_hold() {
    let place = Place::with_small(&[]);
    let said = place.succeed(&["run", "x.toml", "--json", "--no-figures"]);
    let json: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON and nothing else");
    assert_eq!(json["runs"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["name"], "small");
    assert!(json["runs"][0]["measures"]["mean_ttft_ms"].as_f64().expect("a number") > 0.0);
}

#[test]
fn quiet_says_nothing_and_verbose_says_what_was_resolved() {
    let place = Place::with_small(&[]);
    let said = place.succeed(&["run", "x.toml", "-q", "--no-figures"]);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    let said = place.succeed(&["run", "x.toml", "-v", "--no-figures", "--force"]);
    assert!(said.stderr.contains("chunked: meta-llama/Llama-3.1-8B on 2 x H100-SXM-80GB, "), "{}", said.stderr);
}

#[test]
fn an_option_that_means_nothing_for_what_is_looked_at_is_not_ignored() {
    let place = Place::new();
    place.write("t.csv", "arrival_s,input_tokens,output_tokens\n0,100,10\n");
    assert!(place.fail(2, &["trace", "stats", "t.csv", "--rate", "3"]).contains("a trace is looked at as it is"));
    assert!(
        place.fail(2, &["trace", "stats", "sharegpt-8k", "--from", "csv"]).contains("for traces, and this is none")
    );
    let message = place.fail(2, &["trace", "stats", "azure-conv"]);
    assert!(message.contains("no generator is named \"azure-conv\"; there are azure-conv-2023"), "{message}");
}
