//! Published runs of real engines: the errors do not grow.

use serde_json::Value;

use super::json_of;
use crate::cli::support::{Place, shared_data};

/// Medians of the absolute errors of means, in percent, that a group must not exceed: TTFT, TPOT, E2E. A little above what
/// the shipped profiles and the engine's defaults give; docs/validation.md has the figures themselves.
const GUARDS: [(&str, [f64; 3]); 7] = [
    ("residency_h100", [3.0, 1.5, 1.5]),
    ("blis_h100", [3.5, 3.0, 3.0]),
    ("llmservingsim_rtx4090_8b", [1.5, 1.0, 1.2]),
    ("llmservingsim_rtxpro6000_8b", [15.0, 6.0, 8.0]),
    ("llmservingsim_rtxpro6000_moe_dp2_ep", [3.0, 1.5, 1.5]),
    ("apex", [10.0, 3.0, 3.0]),
    ("blis_h100_overloaded", [42.0, 23.0, 36.0]),
];

fn group_error(said: &Value, group: &str, metric: &str) -> f64 {
    let groups = said["groups"].as_array().expect("groups");
    let is_it = |one: &&Value| one["group"] == group && one["metric"] == metric && one["statistic"] == "mean";
    let one = groups.iter().find(is_it).unwrap_or_else(|| panic!("no {metric} of {group}"));
    one["median_abs_error_percent"].as_f64().expect("a number")
}

#[test]
fn the_errors_of_published_runs_do_not_grow() {
    let Some(data) = shared_data() else {
        return println!("SKIPPED: the_errors_of_published_runs_do_not_grow needs ../shared/data");
    };
    println!("USED: the_errors_of_published_runs_do_not_grow");
    let folder = data.join("ground_truth");
    let mut cases: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("requests.csv").is_file())
        .map(|path| path.display().to_string())
        .collect();
    cases.sort();
    let arguments: Vec<&str> = ["validate", "--json"].into_iter().chain(cases.iter().map(String::as_str)).collect();
    let said = json_of(&Place::new().succeed(&arguments).stdout);
    for case in said["cases"].as_array().expect("cases") {
        assert_eq!(case["scored"], true, "{case}");
    }
    for (group, limits) in GUARDS {
        for (metric, limit) in ["ttft", "tpot", "e2e"].into_iter().zip(limits) {
            let error = group_error(&said, group, metric);
            println!("{group}: mean {metric} is off by {error:.1} % in the median case, at most {limit} %");
            assert!(error <= limit, "{group}: mean {metric} is off by {error:.1} %, more than {limit} %");
        }
    }
}

#[test]
fn every_tenth_operating_point_is_scored_or_listed() {
    let Some(data) = shared_data() else {
        return println!("SKIPPED: every_tenth_operating_point_is_scored_or_listed needs ../shared/data");
    };
    println!("USED: every_tenth_operating_point_is_scored_or_listed");
    let place = Place::new();
    let folder = data.join("ground_truth/aiconfigurator_silicon");
    place.write("silicon/meta.json", &std::fs::read_to_string(folder.join("meta.json")).expect("metadata"));
    let table = std::fs::read_to_string(folder.join("cases_h200.csv")).expect("a table");
    let kept: Vec<&str> = table
        .lines()
        .enumerate()
        .filter(|(number, _)| *number == 0 || number % 10 == 5)
        .map(|(_, line)| line)
        .collect();
    place.write("silicon/cases.csv", &(kept.join("\n") + "\n"));
    let said = json_of(&place.succeed(&["validate", "silicon", "--json"]).stdout);
    let cases = said["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), kept.len() - 1, "no row is dropped");
    let scored = cases.iter().filter(|case| case["scored"] == true).count();
    assert!(3 * scored > cases.len(), "{scored} of {} scored", cases.len());
    assert!(cases.iter().all(|case| case["scored"] == true || case["reason"].is_string()));
    let error = group_error(&said, "silicon_hopper", "tpot");
    println!("{scored} of {} rows scored; mean TPOT is off by {error:.1} % in the median case", cases.len());
    assert!(error < 15.0, "mean TPOT is off by {error:.1} %");
    let error = group_error(&said, "silicon_hopper", "ttft");
    println!("mean TTFT is off by {error:.1} % in the median case");
    assert!(error < 26.0, "mean TTFT is off by {error:.1} %");
}

#[test]
fn short_prompts_wait_for_the_launches_of_a_model_with_many_operators() {
    let Some(data) = shared_data() else {
        return println!(
            "SKIPPED: short_prompts_wait_for_the_launches_of_a_model_with_many_operators needs ../shared/data"
        );
    };
    println!("USED: short_prompts_wait_for_the_launches_of_a_model_with_many_operators");
    let place = Place::new();
    let folder = data.join("ground_truth/aiconfigurator_silicon");
    place.write("silicon/meta.json", &std::fs::read_to_string(folder.join("meta.json")).expect("metadata"));
    let table = std::fs::read_to_string(folder.join("cases.csv")).expect("a table");
    let (head, rows) = table.split_once('\n').expect("a head");
    let few_clients = |row: &&str| ["_c4_", "_c8_", "_c16_"].iter().any(|clients| row.contains(clients));
    let kept: Vec<&str> = rows
        .lines()
        .filter(|row| row.contains("qwen3_235b_a22b_fp8_h100_sxm_trtllm_agg_"))
        .filter(|row| row.contains("_512x") || row.contains("_1024x"))
        .filter(few_clients)
        .collect();
    place.write("silicon/cases.csv", &format!("{head}\n{}\n", kept.join("\n")));
    let said = json_of(&place.succeed(&["validate", "silicon", "--json"]).stdout);
    let error = group_error(&said, "silicon_hopper/trtllm", "ttft");
    println!("mean TTFT of {} points is off by {error:.1} % in the median case", kept.len());
    // 20.2 % if launches took the 5 us of the engine's profile.
    assert!(error < 15.0, "mean TTFT is off by {error:.1} %");
}

#[test]
fn full_batches_are_as_fast_and_draw_as_much_as_was_measured() {
    let Some(data) = shared_data() else {
        return println!("SKIPPED: full_batches_are_as_fast_and_draw_as_much_as_was_measured needs ../shared/data");
    };
    println!("USED: full_batches_are_as_fast_and_draw_as_much_as_was_measured");
    let place = Place::new();
    let folder = data.join("ground_truth/mlenergy_llm_power");
    place.write("power/meta.json", &std::fs::read_to_string(folder.join("meta.json")).expect("metadata"));
    let table = std::fs::read_to_string(folder.join("cases.csv")).expect("a table");
    let (head, rows) = table.split_once('\n').expect("a head");
    // Full batches of at most 128 requests keep the test quick.
    let is_small =
        |row: &&str| row.split(',').nth(11).and_then(|limit| limit.parse().ok()).is_some_and(|limit: u32| limit <= 128);
    let kept: Vec<&str> = rows.lines().filter(|row| row.contains(",H100,")).filter(is_small).step_by(7).collect();
    place.write("power/cases.csv", &format!("{head}\n{}\n", kept.join("\n")));
    let said = json_of(&place.succeed(&["validate", "power", "--json"]).stdout);
    for (metric, limit) in [("output_throughput", 10.0), ("power", 11.0)] {
        let error = group_error(&said, "mlenergy", metric);
        println!("{metric} of {} full batches is off by {error:.1} % in the median case", kept.len());
        assert!(error < limit, "{metric} is off by {error:.1} %, more than {limit} %");
    }
}
