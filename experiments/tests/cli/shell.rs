//! What makes a shell a comfortable place: completions, pages, a file to start from, explanations.

use std::process::Command;

use super::support::Place;

#[test]
fn bash_takes_the_completions_and_they_know_every_command() {
    let place = Place::new();
    let script = place.succeed(&["completions", "bash"]).stdout;
    place.write("servesim.bash", &script);
    let asked = "source servesim.bash; COMP_WORDS=(servesim ex); COMP_CWORD=1; _servesim servesim ex servesim; \
                 echo \"${COMPREPLY[@]}\"";
    let answer = Command::new("bash").args(["-c", asked]).current_dir(place.path("")).output().expect("bash runs");
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert_eq!(answer.trim(), "explain", "completions of `servesim ex`");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(place.succeed(&["completions", shell]).stdout.contains("goodput"), "{shell}");
    }
}

#[test]
fn every_command_has_a_page_and_none_is_a_page_of_help() {
    let place = Place::new();
    place.succeed(&["man", "-o", "man1"]);
    let pages: Vec<String> = std::fs::read_dir(place.path("man1"))
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    for page in ["servesim.1", "servesim-run.1", "servesim-trace-stats.1"] {
        assert!(pages.contains(&page.to_owned()), "no {page}: {pages:?}");
    }
    assert!(!pages.iter().any(|page| page.contains("help")), "{pages:?}");
    let text = String::from_utf8(place.read("man1/servesim-run.1")).expect("text");
    assert!(text.contains("--set") || text.contains("\\-\\-set"), "{text}");
}

#[test]
fn a_file_to_start_from_runs_and_is_never_written_over_another() {
    let place = Place::new();
    let said = place.succeed(&["init"]);
    assert!(said.stderr.contains("run it: servesim run experiment.toml"), "{}", said.stderr);
    place.succeed(&["run", "experiment.toml", "--set", "workload.requests=20", "--set", "seeds=[1]", "--no-figures"]);
    let again = place.fail(2, &["init"]);
    assert!(again.contains("--force"), "{again}");
    place.succeed(&["init", "--force", "--for", "layered"]);
    assert!(String::from_utf8(place.read("experiment.toml")).expect("text").contains("layered-prefill"));
}

#[test]
fn files_that_a_start_names_are_found_from_wherever_it_is_run() {
    let place = Place::new();
    let config = r#"{ "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 3072,
        "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24, "num_key_value_heads": 8,
        "vocab_size": 128256, "max_position_embeddings": 131072, "tie_word_embeddings": true, "torch_dtype": "bfloat16" }"#;
    place.write("own/model.json", config);
    let gpu = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles/data/devices/h100-sxm-80gb.toml");
    place.write("own/gpu.toml", &std::fs::read_to_string(gpu).expect("it is shipped"));
    // Paths in a file start where it lies: what was named from here has to be named from there.
    std::fs::create_dir_all(place.path("elsewhere/deep")).expect("a folder");
    let model = ["--model", "own/model.json", "--gpu", "own/gpu.toml"];
    for file in ["elsewhere/deep/x.toml", "x.toml", "own/x.toml"] {
        place.succeed(&[&["init", file][..], &model].concat());
        let absolute = place.path(file);
        let few = ["--set", "workload.requests=5", "--set", "seeds=[1]", "--no-figures", "--force", "-o"];
        let run = [&["run", absolute.to_str().expect("UTF-8")][..], &few, &["out"]].concat();
        place.succeed(&run);
    }
    let text = place.text("elsewhere/deep/x.toml");
    assert!(
        text.contains("model = \"../../own/model.json\"") && text.contains("gpu = \"../../own/gpu.toml\""),
        "{text}"
    );
    assert!(place.text("own/x.toml").contains("model = \"model.json\""));
}

#[test]
fn a_start_that_does_not_fit_says_so_and_where() {
    let place = Place::new();
    let said = place.fail(2, &["init", "big.toml", "--model", "meta-llama/Llama-3.1-70B"]);
    assert!(said.contains("does not run as it stands") && said.contains("big.toml:"), "{said}");
}

#[test]
fn a_word_is_explained_and_a_misspelt_one_answered() {
    let place = Place::new();
    let said = place.succeed(&["explain", "max_num_seqs"]);
    assert!(said.stdout.contains("Most requests running at a time."), "{}", said.stdout);
    let json = place.succeed(&["explain", "p99_ttft_ms", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["facts"]["unit"], "ms");
    let said = place.fail(2, &["explain", "max_num_sequences"]);
    assert!(said.contains("max_num_seqs"), "{said}");
}

#[test]
fn what_is_misspelt_anywhere_is_answered_with_what_was_meant() {
    let place = Place::with_small(&[]);
    let papers = format!("{}/papers", env!("CARGO_MANIFEST_DIR"));
    let run = |setting: &str| place.fail(2, &["run", "x.toml", "--set", setting]);
    for (said, meant) in [
        (place.fail(2, &["explian", "x"]), "explain"),
        (place.fail(2, &["run", "x.toml", "--ouput", "y"]), "--output"),
        (place.fail(2, &["trace", "stats", "azure-conv"]), "azure-conv-2023"),
        (place.fail(2, &["trace", "stats", "x.csv", "--from", "azur"]), "azure"),
        (place.fail(2, &["profiles", "show", "Qwen/Qwen3-14"]), "Qwen/Qwen3-14B"),
        (place.fail(2, &["reproduce", "marcony", "--papers", &papers]), "marconi"),
        (run("workload.rat=4"), "rate"),
        (run("sytem.gpu=A100"), "system"),
        (run("system.chunkd.gpu=L40S"), "chunked"),
        (run("system.gpu=H100-SXM-80"), "H100-SXM-80GB"),
        (run("model=Qwen/Qwen3-14"), "Qwen/Qwen3-14B"),
        (run("system.chunked.scheduler.policy=chunked-prefil"), "chunked-prefill"),
        (run("workload.generator=azure-conv"), "azure-conv-2023"),
        (place.fail(2, &["run", "y.toml"]), "did you mean x.toml?"),
    ] {
        assert!(said.contains(meant), "no `{meant}` in:\n{said}");
    }
}
