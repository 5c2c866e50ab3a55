//! `compatibility = "simdistserve"`: one key for what DistServe's own simulator does.

use super::support::Place;

/// OPT-13B on one A100 under DistServe's engine, to five digits. The overhead of 100 ns per token is that of contexts in decode
/// passes, so it is in the coefficients there.
const STEP_COST: &str = r#"form = "polynomial"
source = "simdistserve/estimators/profile_data, OPT-13B, TP 1"

[prefill]
base_ms = 18.103
per_token_ms = 0.101912
per_token_squared_ms = 7.122e-6

[decode]
base_ms = 19.935
per_context_token_ms = 7.269e-4
per_request_ms = 0.038407

[overheads]
per_stage_prefill_ms = 1.0
per_step_ms = 2.0
per_step_token_ms = 1e-4
"#;

const EXPERIMENT: &str = r#"name = "x"
model = "facebook/opt-13b"

[workload]
requests = 1
arrivals = "all-at-once"
input = { distribution = "fixed", tokens = 512 }
output = { distribution = "fixed", tokens = 2 }

[[system]]
name = "as simdistserve"
compatibility = "simdistserve"
gpu = "A100-SXM-80GB"
step_cost = "opt-13b.step-cost"
"#;

/// The same said key by key.
const SPELLED_OUT: &str = r#"enable_prefix_caching = false
block_size = 1
scheduler = { policy = "prefill-first", watermark = 0.0, max_num_batched_tokens = 16384, max_num_seqs = 1024 }
transfer = { mode = "after-prefill", network = "instant" }
gpu = "A100-SXM-80GB"
step_cost = "opt-13b.step-cost"
prefill = {}
decode = { num_gpu_blocks_override = 50000 }
"#;

fn place(changes: &[(&str, &str)]) -> Place {
    let place = Place::new();
    place.write("opt-13b.step-cost", STEP_COST);
    let text = changes.iter().fold(EXPERIMENT.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "no `{old}`");
        text.replacen(old, new, 1)
    });
    place.write("x.toml", &text);
    place
}

/// TTFT and gap before the second token of all requests, in milliseconds.
fn times(place: &Place) -> (f64, f64) {
    let said = place.succeed(&["run", "x.toml", "--json", "--no-figures", "-o", "out"]).stdout;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let of = |name: &str| said["runs"][0]["measures"][name].as_f64().expect("a time");
    (of("mean_ttft_ms"), of("mean_tpot_ms"))
}

fn assert_ms(measured: f64, expected: f64) {
    assert!((measured - expected).abs() < 1e-3, "{measured} ms, expected {expected} ms");
}

#[test]
fn a_prompt_alone_takes_as_long_as_in_that_simulator() {
    let (ttft, gap) = times(&place(&[]));
    assert_ms(ttft, 72.149 + 1.0 + 2.0512);
    assert_ms(gap, 19.935 + 513.0 * (6.269e-4 + 1e-4) + 0.038_507 + 2.0);
}

#[test]
fn all_prompts_that_wait_are_one_pass_and_so_are_all_decodes() {
    let (ttft, gap) = times(&place(&[("requests = 1\n", "requests = 32\n")]));
    let tokens = 32.0 * 512.0;
    assert_ms(ttft, 18.103 + tokens * (0.101_912 + 1e-4) + tokens * 512.0 * 7.122e-6 + 3.0);
    assert_ms(gap, 19.935 + 32.0 * 513.0 * (6.269e-4 + 1e-4) + 32.0 * 0.038_507 + 2.0);
}

#[test]
fn it_is_the_keys_that_it_is_said_to_set() {
    let many = ("requests = 1\narrivals = \"all-at-once\"", "requests = 200\nrate = 4");
    let mode = place(&[many]);
    let keys = "compatibility = \"simdistserve\"\ngpu = \"A100-SXM-80GB\"\nstep_cost = \"opt-13b.step-cost\"\n";
    let spelled_out = place(&[many, (keys, SPELLED_OUT)]);
    for place in [&mode, &spelled_out] {
        place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    }
    assert!(mode.read("out/requests.csv") == spelled_out.read("out/requests.csv"));
    mode.succeed(&["run", "out/experiment.lock.toml", "-o", "again", "--no-figures"]);
    assert!(mode.read("out/requests.csv") == mode.read("again/requests.csv"));
    assert!(mode.read("out/experiment.lock.toml") == mode.read("again/experiment.lock.toml"));
}

#[test]
fn what_it_settles_cannot_be_said_beside_it() {
    let gpu = "gpu = \"A100-SXM-80GB\"\n";
    for (added, expected) in [
        ("scheduler = \"orca\"\n", "`scheduler` beside `compatibility = \"simdistserve\"`"),
        ("transfer = \"pull\"\n", "`transfer` beside"),
        ("block_size = 16\n", "`block_size` beside"),
        ("prefilled_elsewhere = true\n", "`prefilled_elsewhere` beside"),
        ("decode = { num_gpu_blocks_override = 100 }\n", "`num_gpu_blocks_override` of the decode pool beside"),
        ("prefill = { scheduler = \"orca\" }\n", "`scheduler` beside"),
        ("mixed = {}\n", "`mixed` beside"),
    ] {
        let message = place(&[(gpu, &format!("{gpu}{added}"))]).fail(2, &["run", "x.toml"]);
        assert!(message.contains(expected), "{added}: {message}");
    }
    let message = place(&[("step_cost = \"opt-13b.step-cost\"\n", "")]).fail(2, &["run", "x.toml"]);
    assert!(message.contains("needs a `step_cost`"), "{message}");
}
