//! Intervals of one run in sweeps, and windows that compared systems share.

use std::collections::BTreeMap;
use std::fs;

use super::support::Place;
use super::sweep::{assert_same, assert_same_as, rows, tables};

/// The small experiment at two rates, with these lines of its own and so many requests.
fn place(lines: &str, requests: u32) -> Place {
    let requests = format!("requests = {requests}");
    Place::with_small(&[
        ("seeds = [1, 2]\n", lines),
        ("requests = 60", &requests),
        ("arrivals = { process = \"poisson\", rate = 20 }\n", "rate = 20\n"),
        ("[output]\nsteps = true\nperfetto = true\n", "[sweep]\n\"workload.rate\" = [10, 20]\n"),
    ])
}

/// Runs the point at 20 requests per second by itself into `run`.
fn run_point(place: &Place) {
    let text = place.text("x.toml");
    let (without, _) = text.split_once("[sweep]").expect("it is swept");
    place.write("y.toml", without);
    place.succeed(&["run", "y.toml", "-o", "run", "--no-figures"]);
}

/// Rows of a table by these columns.
fn by<'a>(
    rows: &'a [BTreeMap<String, String>],
    columns: [&str; 2],
) -> BTreeMap<[&'a str; 2], &'a BTreeMap<String, String>> {
    rows.iter().map(|row| (columns.map(|column| row[column].as_str()), row)).collect()
}

#[test]
fn a_sweep_of_one_seed_has_the_intervals_that_run_gives_each_of_its_points() {
    let place = place("seeds = [1]\n", 1500);
    place.succeed(&["sweep", "x.toml", "-o", "out"]);
    run_point(&place);
    let (swept, run) = (rows(&place, "out/intervals.csv"), rows(&place, "run/intervals.csv"));
    let swept: Vec<_> = swept.into_iter().filter(|row| row["workload.rate"] == "20").collect();
    let (swept, run) = (by(&swept, ["system", "measure"]), by(&run, ["system", "measure"]));
    assert_eq!(swept.keys().collect::<Vec<_>>(), run.keys().collect::<Vec<_>>());
    let mut methods: BTreeMap<&str, u32> = BTreeMap::new();
    for (what, of_run) in &run {
        for column in ["mean", "mean_low", "mean_high", "method", "n", "note"] {
            assert_eq!(swept[what][column], of_run[column], "{what:?}: {column}");
        }
        *methods.entry(of_run["method"].as_str()).or_default() += 1;
    }
    assert!(methods["batch-means"] > 10 && methods["batch-shares"] > 20, "{methods:?}");
    let (swept, run) = (rows(&place, "out/comparison.csv"), rows(&place, "run/comparison.csv"));
    let swept: Vec<_> = swept.into_iter().filter(|row| row["workload.rate"] == "20").collect();
    let (swept, run) = (by(&swept, ["system", "measure"]), by(&run, ["system", "measure"]));
    let mut percentiles = 0;
    for (what, of_run) in &run {
        let of_sweep = swept[what];
        assert_eq!(of_sweep["difference"], of_run["difference"], "{what:?}");
        if of_run["method"] == "block-bootstrap" {
            // Single requests are not kept, so it cannot be this; the other way has to come near it.
            assert_eq!(of_sweep["method"], "batch-shares", "{what:?}");
            percentiles += 1;
        } else {
            assert_eq!(of_sweep["difference_low"], of_run["difference_low"], "{what:?}");
            assert_eq!(of_sweep["method"], of_run["method"], "{what:?}");
        }
    }
    assert!(percentiles > 10, "{percentiles} differences of percentiles have an interval");
    place.succeed(&["plot", "out", "lines", "--y", "p90_ttft_ms", "--format", "vega,svg"]);
    let figure: serde_json::Value =
        serde_json::from_str(&place.text("out/figures/p90_ttft_ms_vs_rate.vl.json")).expect("a specification");
    let points = figure["data"]["values"].as_array().expect("values");
    let point = points.iter().find(|point| point["series"] == "first" && point["x"] == 20.0).expect("a point");
    let row = rows(&place, "run/intervals.csv");
    let row = by(&row, ["system", "measure"])[&["first", "p90_ttft_ms"]];
    for (end, column) in [("low", "mean_low"), ("high", "mean_high")] {
        let (drawn, written) = (point[end].as_f64().expect("an interval"), row[column].parse::<f64>().expect("one"));
        assert!((drawn / written - 1.0).abs() < 1e-9, "{end}: {drawn} and {written}");
    }
    let said = figure["description"].as_str().expect("a title");
    assert!(said.ends_with("; intervals: 95 %, within the run (one seed)"), "{said}");
}

#[test]
fn intervals_of_one_seed_are_the_same_bytes_in_parts_and_after_an_interruption() {
    let place = place("seeds = [1]\n", 400);
    place.succeed(&["sweep", "x.toml", "-o", "one"]);
    let before = tables(&place, "one");
    assert!(before["intervals.csv"].contains(",batch-means,"), "{}", before["intervals.csv"]);
    for part in ["1/2", "2/2"] {
        place.succeed(&["sweep", "x.toml", "-o", "two", "--shard", part]);
    }
    place.succeed(&["merge", "two"]);
    assert_same(&place, "two", "one");
    let runs = place.text("one/runs/1-of-1.jsonl");
    fs::write(place.path("one/runs/1-of-1.jsonl"), &runs[..runs.len() / 2]).expect("writable");
    place.succeed(&["sweep", "x.toml", "-o", "one", "--resume"]);
    assert_same_as(&place, "one", &before);
}

#[test]
fn compared_systems_are_measured_over_one_window_in_runs_and_in_sweeps_and_in_parts_of_these() {
    let place = place("seeds = [1, 2]\nmeasure = \"auto\"\n", 500);
    let said = place.succeed(&["sweep", "x.toml", "-o", "out"]).stderr;
    assert_eq!(said.matches("all systems are measured over one window").count(), 1, "{said}");
    let mut starts: BTreeMap<[String; 2], Vec<f64>> = BTreeMap::new();
    for row in rows(&place, "out/summary.csv") {
        let place = ["workload.rate", "seed"].map(|column| row[column].clone());
        starts.entry(place).or_default().push(row["measured_from_s"].parse().expect("a number"));
    }
    assert_eq!(starts.len(), 4);
    for (at, starts) in &starts {
        assert!(starts.len() == 2 && starts[0].to_bits() == starts[1].to_bits(), "{at:?}: {starts:?}");
    }
    assert!(starts.values().any(|starts| starts[0] > 0.0), "nothing is left out anywhere: {starts:?}");
    for part in ["1/3", "2/3", "3/3"] {
        place.succeed(&["sweep", "x.toml", "-o", "three", "--shard", part]);
    }
    place.succeed(&["merge", "three"]);
    assert_same(&place, "three", "out");
    run_point(&place);
    let said = place.succeed(&["run", "y.toml", "-o", "again", "--no-figures"]).stderr;
    assert!(
        said.contains("measured from the end of the warm-up on, all systems in one window per seed: from "),
        "{said}"
    );
    let of = |file: &str| -> Vec<Vec<String>> {
        let rows = rows(&place, file);
        let here = rows.iter().filter(|row| row.get("workload.rate").is_none_or(|rate| rate == "20"));
        here.map(|row| ["system", "seed", "measured_from_s", "mean_ttft_ms"].map(|of| row[of].clone()).to_vec())
            .collect()
    };
    assert_eq!(of("out/summary.csv"), of("run/summary.csv"));
}

#[test]
fn a_system_on_its_own_has_its_own_window_so_that_who_stands_beside_it_matters() {
    let place = place("seeds = [1]\nmeasure = \"auto\"\n", 500);
    run_point(&place);
    let start = |folder: &str, system: &str| -> f64 {
        let rows = rows(&place, &format!("{folder}/summary.csv"));
        let row = rows.iter().find(|row| row["system"] == system).expect("a row");
        row["measured_from_s"].parse().expect("a number")
    };
    let text = place.text("y.toml");
    let second = text.rfind("[[system]]").expect("two systems");
    place.write("alone.toml", &text[..second]);
    place.succeed(&["run", "alone.toml", "-o", "alone", "--no-figures"]);
    assert!(start("alone", "chunked") <= start("run", "chunked"), "the latest of the ends is everybody's");
    assert_eq!(start("run", "chunked").to_bits(), start("run", "first").to_bits());
}
