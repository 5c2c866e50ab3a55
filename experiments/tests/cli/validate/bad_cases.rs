//! Cases that cannot be scored: each is listed with its reason.

use serde_json::{Value, json};

use super::{json_of, meta, place, requests};
use crate::cli::support::Place;

/// Why the case `run` is not scored; a good case beside it is.
fn reason(place: &Place) -> String {
    place.write("good/meta.json", &meta().to_string());
    place.write("good/requests.csv", &requests());
    let said = json_of(&place.succeed(&["validate", "run", "good", "--json"]).stdout);
    let cases = said["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 2, "no case is dropped: {cases:?}");
    assert_eq!((&cases[0]["scored"], &cases[1]["scored"]), (&json!(false), &json!(true)), "{cases:?}");
    cases[0]["reason"].as_str().expect("a reason").to_owned()
}

fn changed(key: &str, value: Value) -> Value {
    let mut meta = meta();
    meta[key] = value;
    meta
}

#[test]
fn a_case_without_metadata_is_listed() {
    let place = Place::new();
    place.write("run/requests.csv", &requests());
    let why = reason(&place);
    assert!(why.contains("meta.json is missing"), "{why}");
}

#[test]
fn models_and_gpus_nobody_knows_are_named() {
    for (key, name) in [("model", "acme/Giant-9000B"), ("gpu", "Abacus 3000")] {
        let why = reason(&place(&changed(key, json!(name)), &requests()));
        assert!(why.contains(name), "{why}");
    }
    let why = reason(&place(&changed("engine", Value::Null), &requests()));
    assert!(why.contains("`engine` is absent; expected the name of the engine"), "{why}");
}

#[test]
fn requests_without_arrival_times_cannot_be_replayed() {
    let why = reason(&place(&meta(), &requests().replace("arrival_s", "when")));
    assert!(why.contains("requests.csv: column `arrival_s` is missing"), "{why}");
    let why = reason(&place(&meta(), &requests().replace("\n3,3.0,", "\n3,,")));
    assert!(why.contains("line 5: `arrival_s` is empty"), "{why}");
}

#[test]
fn a_latency_column_of_another_name_is_not_passed_over() {
    let why = reason(&place(&meta(), &requests().replace("ttft_s", "ttft_ms")));
    assert!(
        why.contains("column `ttft_s` is missing (the time to the first token, in seconds); found `ttft_ms`"),
        "{why}"
    );
    let why = reason(&place(&meta(), &requests().replace("ttft_s", "TTFT").replace("e2e_s", "e2e_ms")));
    assert!(why.contains("column `ttft_s` is missing") && why.contains("; found `"), "{why}");
    let why = reason(&place(&meta(), &requests().replace("e2e_s", "whole")));
    assert!(why.contains("column `e2e_s` is missing (the time to the last, in seconds)"), "{why}");
}

#[test]
fn a_needed_column_of_a_table_of_runs_is_missing_and_not_empty() {
    let place = Place::new();
    place.write("run/meta.json", "{}");
    place.write("run/cases.csv", "models,gpu,engine\nQwen/Qwen3-8B,H100,vLLM\n");
    let why = reason(&place);
    assert!(why.contains("line 2: `model` is missing (found the column `models`)"), "{why}");
}

#[test]
fn units_that_cannot_be_right_are_refused() {
    // A TPOT of 9 s, and one of 0.5 us.
    let slow = requests().replace("0.03,0.008,0.43", "0.03,9.0,450.03");
    let why = reason(&place(&meta(), &slow));
    assert!(why.contains("the mean time per output token is 9.0") && why.contains("are these seconds?"), "{why}");
    let fast = requests().replace("0.03,0.008,0.43", "0.03,0.0000005,0.030025");
    let why = reason(&place(&meta(), &fast));
    assert!(why.contains("5.000e-7"), "{why}");
    let milliseconds = requests().replace("0.03,0.008,0.43", "30,8,430");
    let why = reason(&place(&meta(), &milliseconds));
    assert!(why.contains("are these seconds?"), "{why}");
}

#[test]
fn times_that_contradict_each_other_are_refused() {
    let why = reason(&place(&meta(), &requests().replace("0.03,0.008,0.43", "0.5,0.008,0.43")));
    assert!(why.contains("the last token (e2e_s = 0.43) came before the first (ttft_s = 0.5)"), "{why}");
    let why = reason(&place(&meta(), &requests().replace("0.03,0.008,0.43", "0.03,0.004,0.43")));
    assert!(why.contains("line 2") && why.contains("tpot_s = 0.004"), "{why}");
}

#[test]
fn settings_that_do_not_fit_say_what_would() {
    let mut large = meta();
    large["kv_cache"]["total_gpu_blocks"] = json!(10_000_000);
    let why = reason(&place(&large, &requests()));
    assert!(why.contains("does not fit"), "{why}");
    let why = reason(&place(&changed("n_gpus", json!(4)), &requests()));
    assert!(why.contains("`n_gpus` is 4; expected 1"), "{why}");
    let mut policy = meta();
    policy["scheduler"]["policy"] = json!("priority");
    let why = reason(&place(&policy, &requests()));
    assert!(why.contains("\"priority\"; expected fcfs"), "{why}");
    let why = reason(&place(&changed("settings", json!({ "engine.step_gab": "1 ms" })), &requests()));
    assert!(why.contains("step_gab") && why.contains("step_gap"), "{why}");
}

#[test]
fn nothing_but_bad_cases_is_wrong_input() {
    let place = Place::new();
    place.write("run/requests.csv", &requests());
    let said = place.fail(2, &["validate", "run"]);
    assert!(said.contains("no case could be scored") && said.contains("not scored: run"), "{said}");
    let said = place.fail(2, &["validate", "nowhere"]);
    assert!(said.contains("nowhere"), "{said}");
    place.write("empty/readme.txt", "");
    assert!(place.fail(2, &["validate", "empty"]).contains("holds no case"));
}

#[test]
fn rows_of_a_table_are_scored_or_listed_one_by_one() {
    let place = Place::new();
    place.write("run/meta.json", "{}");
    let header = "name,model,gpu,engine,engine_version,concurrency,rate_rps,requests,input_tokens,output_tokens,ttft_mean_s,tpot_mean_s\n";
    let good = "a,Qwen/Qwen3-8B,H100,vLLM,0.19.0,4,,40,500,100,0.05,0.008\n";
    let slow = "b,Qwen/Qwen3-8B,H100,vLLM,0.19.0,4,,40,500,100,50,8\n";
    let aimless = "c,Qwen/Qwen3-8B,H100,vLLM,0.19.0,,,40,500,100,0.05,0.008\n";
    let strange = "d,acme/Nine,H100,vLLM,0.19.0,4,,40,500,100,0.05,0.008\n";
    place.write("run/cases.csv", &format!("{header}{good}{slow}{aimless}{strange}"));
    let said = json_of(&place.succeed(&["validate", "run", "--json"]).stdout);
    let cases = said["cases"].as_array().expect("cases");
    let scored: Vec<_> = cases.iter().map(|case| case["scored"].as_bool().expect("a flag")).collect();
    assert_eq!(scored, [true, false, false, false], "{cases:?}");
    let why = |index: usize| cases[index]["reason"].as_str().expect("a reason");
    assert!(why(1).contains("are these seconds?"), "{}", why(1));
    assert!(why(2).contains("`concurrency` is empty"), "{}", why(2));
    assert!(why(3).contains("acme/Nine"), "{}", why(3));
}
