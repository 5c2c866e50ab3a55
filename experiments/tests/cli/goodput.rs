//! `servesim goodput`: the highest rate at which the objectives hold.

use super::support::{Place, SMALL};

/// A queue with deterministic service: one prompt at a time, 100 ms each, and its token comes with it.
const ONE_AT_A_TIME: &str = r#"name = "one at a time"
seeds = [1, 2, 3]
model = "facebook/opt-13b"
slo = { ttft = "250 ms", attainment = 0.9 }
goodput = { most_extension = 1 }

[workload]
requests = 6000
arrivals = { process = "poisson", rate = 1 }
input = { distribution = "fixed", tokens = 100 }
output = { distribution = "fixed", tokens = 1 }

[[system]]
name = "queue"
gpu = "A100-SXM-80GB"
step_cost = "cost.toml"
price = "2 USD/h"
scheduler = { policy = "prefill-first", max_num_batched_tokens = 2048, max_num_seqs = 1 }
"#;

const HUNDRED_MS: &str = "form = \"polynomial\"\nsource = \"a test\"\n\n[prefill]\nbase_ms = 100.0\nper_token_ms = 0.0\n\
                          per_token_squared_ms = 0.0\n\n[decode]\nbase_ms = 100.0\nper_context_token_ms = 0.0\nper_request_ms = 0.0\n";

fn queue(changes: &[(&str, &str)]) -> Place {
    let place = Place::new();
    let mut text = ONE_AT_A_TIME.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "there is no `{old}`");
        text = text.replacen(old, new, 1);
    }
    place.write("x.toml", &text);
    place.write("cost.toml", HUNDRED_MS);
    place
}

/// Share of customers of an M/D/1 queue that wait no longer than `wait` service times, at load `load`: Erlang's formula
/// (Crommelin 1932): `P(W ≤ t) = (1 − ρ) Σ [−ρ (t − k)]^k / k! · e^(ρ (t − k))`, k = 0 … ⌊t⌋.
fn waits_at_most(wait: f64, load: f64) -> f64 {
    let mut factorial = 1.0;
    let mut sum = 0.0;
    for k in 0..=(wait.floor() as i32) {
        factorial *= f64::from(k.max(1));
        let left = wait - f64::from(k);
        sum += (-load * left).powi(k) / factorial * (load * left).exp();
    }
    (1.0 - load) * sum
}

/// The load at which a share of customers waits no longer than `wait` service times.
pub(crate) fn load_of(wait: f64, share: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if waits_at_most(wait, middle) >= share { low = middle } else { high = middle }
    }
    low
}

fn json(place: &Place, arguments: &[&str]) -> serde_json::Value {
    let arguments = [&["goodput", "x.toml", "--json", "--no-figures"], arguments].concat();
    serde_json::from_str(&place.succeed(&arguments).stdout).expect("JSON and nothing else")
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_goodput_of_a_queue_is_the_one_that_queueing_theory_gives() {
    // 250 ms are 1.5 service times of waiting and one of service.
    let theory = load_of(1.5, 0.9) / 0.1;
    let found = json(&queue(&[]), &[]);
    let system = &found["systems"][0];
    let (rate, fails) = (number(&system["goodput_rps"]), number(&system["fails_at_rps"]));
    let (low, high) = (number(&system["goodput_low_rps"]), number(&system["goodput_high_rps"]));
    assert!((rate / theory - 1.0).abs() < 0.03, "{rate} req/s, theory {theory}");
    assert!(rate < fails && fails <= 1.02 * rate, "{rate}, {fails}: the tolerance is 2 %");
    assert!(low <= theory && theory <= high, "the interval {low} … {high} misses {theory}");
    assert!(high / low < 1.25, "the interval {low} … {high} says nothing");
    assert!((number(&system["requests_per_usd"]) / (rate * 3600.0 / 2.0) - 1.0).abs() < 1e-9);
    assert!(system["requests_per_joule"].is_null(), "a step-cost file knows no energy");
}

#[test]
fn few_requests_are_made_more_where_noise_leaves_it_open() {
    let theory = load_of(1.5, 0.9) / 0.1;
    let place = queue(&[("requests = 6000", "requests = 300"), ("most_extension = 1", "most_extension = 64")]);
    let found = json(&place, &["--set", "seeds=[4]", "--set", "goodput.tolerance=0.1"]);
    let system = &found["systems"][0];
    let (rate, low, high) =
        (number(&system["goodput_rps"]), number(&system["goodput_low_rps"]), number(&system["goodput_high_rps"]));
    assert!(low <= theory && theory <= high, "the interval {low} … {high} misses {theory}");
    assert!((rate / theory - 1.0).abs() < 0.1 && high / low < 1.25, "{rate}, {low} … {high}: theory {theory}");
    let requests = |probe: &serde_json::Value| number(&probe["requests_per_run"]);
    let probes = system["probes"].as_array().expect("a list");
    assert!(probes.iter().any(|probe| requests(probe) > 1000.0), "near the limit, 300 requests cannot tell");
    assert!(probes.iter().any(|probe| (requests(probe) - 300.0).abs() < 0.5), "far from it they can");
    let said =
        place.succeed(&["goodput", "x.toml", "--no-figures", "--force", "--set", "goodput.tolerance=0.05"]).stdout;
    assert!(said.contains("rates took more than the 300 requests asked for, up to"), "{said}");
}

#[test]
fn a_rate_that_is_only_swallowed_as_a_burst_does_not_hold() {
    // Alone, 300 requests are answered within 20 s at any rate below 30/s; the server keeps up with 10/s.
    let burst = queue(&[("250 ms", "20 s"), ("6000", "300")]);
    let swallowed = number(&json(&burst, &["--set", "seeds=[1]"])["systems"][0]["goodput_rps"]);
    assert!(swallowed > 20.0, "{swallowed}");
    let longer = queue(&[("250 ms", "20 s"), ("6000", "300"), ("most_extension = 1", "most_extension = 16")]);
    let kept_up = number(&json(&longer, &["--set", "seeds=[1]"])["systems"][0]["goodput_rps"]);
    assert!((9.0..10.7).contains(&kept_up), "{kept_up}");
    // Still short enough to be swallowed somewhat above: these rates neither hold nor fail beyond noise.
    let between = queue(&[("250 ms", "20 s"), ("6000", "300"), ("most_extension = 1", "most_extension = 4")]);
    let said = between.succeed(&["goodput", "x.toml", "--no-figures", "--set", "seeds=[1]"]).stderr;
    assert!(!said.contains("also meets the objectives"), "{said}");
    let found = json(&between, &["--set", "seeds=[1]", "-o", "again"]);
    let (fails, high) = (&found["systems"][0]["fails_at_rps"], &found["systems"][0]["goodput_high_rps"]);
    assert!(number(high) > 1.05 * number(fails), "{fails}, {high}");
}

#[test]
fn limits_judged_by_themselves_are_easier_than_together_and_each_can_have_its_share() {
    // Answers of one token have no TPOT: with a second limit that all meet, the P90 of TTFT decides as alone.
    let alone = json(&queue(&[]), &["--set", "seeds=[1]", "-o", "a"]);
    let apart = json(
        &queue(&[]),
        &[
            "--set",
            "seeds=[1]",
            "--set",
            "slo={ttft=\"250 ms\", tpot=\"1 ms\", ttft_attainment=0.9, tpot_attainment=1.0}",
        ],
    );
    let rate = |found: &serde_json::Value| number(&found["systems"][0]["goodput_rps"]);
    assert!((rate(&alone) - rate(&apart)).abs() < 1e-12);
    assert_eq!(apart["systems"][0]["fails_first"], "ttft");
    let tighter = json(&queue(&[]), &["--set", "seeds=[1]", "--set", "slo.ttft_attainment=0.99"]);
    assert!(rate(&tighter) < rate(&alone), "P99 within the limit is harder than P90");
    assert!(number(&alone["systems"][0]["goodput_low_rps"]) < number(&alone["systems"][0]["goodput_rps"]));
}

#[test]
fn every_rate_that_was_tried_is_written_with_every_seed_whatever_the_number_of_threads() {
    let place = queue(&[("requests = 6000", "requests = 400")]);
    place.succeed(&["goodput", "x.toml", "-o", "one", "-j", "1"]);
    place.succeed(&["goodput", "x.toml", "-o", "two", "-j", "3"]);
    let files = place.files("one");
    assert_eq!(
        files,
        [
            "experiment.lock.toml",
            "figures/attainment_vs_rate.png",
            "figures/attainment_vs_rate.svg",
            "goodput.csv",
            "probes.csv"
        ]
    );
    for file in &files {
        assert!(place.read(&format!("one/{file}")) == place.read(&format!("two/{file}")), "{file} depends on threads");
    }
    let probes = place.text("one/probes.csv");
    let mut reader = csv::Reader::from_reader(probes.as_bytes());
    let names: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    assert_eq!(names[..3], ["rate", "system", "seed"]);
    assert!(names.contains(&"slo_attainment".to_owned()));
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("well formed")).collect();
    let rates: Vec<f64> = rows.iter().map(|row| row[0].parse().expect("a rate")).collect();
    assert!(rates.is_sorted() && rows.len().is_multiple_of(3), "every rate has its three seeds");
    place.succeed(&["goodput", "one/experiment.lock.toml", "-o", "again"]);
    assert!(place.read("one/probes.csv") == place.read("again/probes.csv"), "the lock file gives the same again");
}

#[test]
fn the_same_file_runs_as_an_experiment_and_says_which_limits_are_met() {
    let place = Place::new();
    let text =
        SMALL.replace("tbt = \"50 ms\" }", "tbt = \"50 ms\", tbt_attainment = 0.5 }\ngoodput = { tolerance = 0.1 }");
    place.write("x.toml", &text);
    let said = place.succeed(&["run", "x.toml", "--no-figures"]).stdout;
    assert!(
        said.contains(
            "objectives for 90 % of requests (ttft), 50 % of requests (tbt): chunked meets (ttft 100.0 %, tbt"
        ),
        "{said}"
    );
}

#[test]
fn a_search_that_ends_at_an_end_says_what_to_do() {
    let place = queue(&[("250 ms", "99 ms"), ("6000", "100")]);
    let said = place.succeed(&["goodput", "x.toml", "--no-figures"]).stdout;
    assert!(said.contains("none from 0.01 on") && said.contains("all limits: 0.0 % at 0.01"), "{said}");
    assert!(said.contains("Loosen [slo], or lower goodput.lowest_rate."), "{said}");
    let said = place.succeed(&["goodput", "x.toml", "--no-figures", "--force", "--set", "slo.ttft=1000 s"]).stdout;
    assert!(
        said.contains("above 10000") && said.contains("raise goodput.highest_rate, or workload.requests"),
        "{said}"
    );
}

#[test]
fn too_few_requests_to_reach_a_steady_state_are_named() {
    let place = queue(&[("250 ms", "20 s"), ("6000", "300")]);
    let said = place.succeed(&["goodput", "x.toml", "--no-figures"]).stderr;
    assert!(
        said.contains("the rate found is that of a burst, not one it could keep up; raise workload.requests"),
        "{said}"
    );
}

#[test]
fn what_has_no_objectives_or_no_rate_is_refused_where_it_stands() {
    let refused = |old: &str, new: &str| queue(&[(old, new)]).fail(2, &["goodput", "x.toml"]);
    insta::assert_snapshot!(refused("slo = { ttft = \"250 ms\", attainment = 0.9 }\n", "slo = { attainment = 0.9 }\n"));
    insta::assert_snapshot!(refused("process = \"poisson\", rate = 1", "process = \"closed-loop\", concurrency = 4"));
    insta::assert_snapshot!(refused("requests = 6000", "requests = 6000\nmax_concurrency = 8"));
    insta::assert_snapshot!(refused("most_extension = 1", "lowest_rate = 5, highest_rate = 4"));
    insta::assert_snapshot!(refused(", attainment = 0.9 }", ", tbt_attainment = 0.9 }"));
}

#[test]
fn a_trace_at_its_own_times_is_scaled_and_says_so_and_one_without_times_is_refused() {
    let place = queue(&[]);
    let rows: Vec<String> = (0..200).map(|row| format!("{},100,1\n", f64::from(row) * 0.5)).collect();
    let rows = rows.concat();
    place.write("t.csv", &format!("arrival_s,input_tokens,output_tokens\n{rows}"));
    let text = ONE_AT_A_TIME.replace(
        "requests = 6000\narrivals = { process = \"poisson\", rate = 1 }\ninput = { distribution = \"fixed\", tokens = 100 }\n\
         output = { distribution = \"fixed\", tokens = 1 }",
        "trace = \"t.csv\"",
    );
    place.write("x.toml", &text);
    let said = place.succeed(&["goodput", "x.toml", "--no-figures"]);
    assert!(
        said.stderr.contains("note: the trace's own times are stretched or squeezed to each rate"),
        "{}",
        said.stderr
    );
    let rows: String = (0..200).map(|_| "0,100,1\n").collect();
    place.write("t.csv", &format!("arrival_s,input_tokens,output_tokens\n{rows}"));
    let message = place.fail(2, &["goodput", "x.toml", "--no-figures", "--force"]);
    insta::assert_snapshot!(message);
}
