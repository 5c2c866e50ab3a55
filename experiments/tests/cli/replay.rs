//! `servesim replay` where there is no GPU: comparing with measured times, and saying what is missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;

use calibration::replay::schedule::{Line, RunChoice, ScheduleReader, ScheduledStep};
use profiles::{Evidence, Operator};
use serde_json::Value;

use super::support::Place;

/// A recorded run in `out`, and the steps of its system `chunked` under seed 1.
fn recorded() -> (Place, Vec<ScheduledStep>) {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures", "--record-steps"]);
    let choice = RunChoice { system: Some("chunked".to_owned()), seed: Some(1) };
    let reader = ScheduleReader::open(&place.path("out/schedule.jsonl.gz"), &choice).expect("it was recorded");
    let steps = reader.collect::<Result<_, _>>().expect("it is sound");
    (place, steps)
}

/// A table of measured times: those that `factor` gives, in terms of the predicted time.
fn measured(steps: &[ScheduledStep], factor: impl Fn(u64) -> f64) -> String {
    let mut table = String::from("step,time_ms\n");
    for step in steps {
        writeln!(table, "{},{}", step.step, step.predicted_ns() as f64 * factor(step.step) / 1e6).expect("memory");
    }
    table
}

const CHUNKED: [&str; 6] = ["replay", "out", "--system", "chunked", "--seed", "1"];

#[test]
fn times_that_are_a_tenth_longer_than_predicted_are_found_to_be_so() {
    let (place, steps) = recorded();
    let twice = measured(&steps, |_| 1.25) + measured(&steps, |_| 1.25 * 1.02).trim_start_matches("step,time_ms\n");
    place.write("m.csv", &twice);
    let json = place.succeed(&[&CHUNKED[..], &["--compare", "m.csv", "-o", "cmp", "--json"]].concat()).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON and nothing else");
    let all = &json["buckets"][0];
    assert_eq!(all["steps"], steps.len());
    // The median of two passes lies between them.
    let expected = 1.0 - 1.0 / (1.25 * 1.01);
    for key in ["median_error", "p90_error"] {
        assert!((all[key].as_f64().expect("a number") - expected).abs() < 1e-4, "{key}: {all}");
    }
    assert!((all["bias"].as_f64().expect("a number") + expected).abs() < 1e-4, "{all}");
    assert!((json["clock"]["at_end"].as_f64().expect("a number") + expected).abs() < 1e-4, "{json}");
    assert!((json["noise_floor"]["median"].as_f64().expect("a number") - 0.02 / 1.01).abs() < 1e-4, "{json}");
    let files = ["figures/replay_scatter.png", "figures/replay_scatter.svg", "replay_buckets.csv", "replay_steps.csv"];
    assert_eq!(place.files("cmp"), files);
    let table = place.text("cmp/replay_steps.csv");
    assert_eq!(table.lines().count(), steps.len() + 1);
    assert!(table.starts_with("step,replica,start_s,phase,"), "{table}");
    let message = place.fail(2, &[&CHUNKED[..], &["--compare", "m.csv", "-o", "cmp"]].concat());
    assert!(message.contains("cmp already holds replay_steps.csv, replay_buckets.csv"), "{message}");
    place.succeed(&[&CHUNKED[..], &["--compare", "m.csv", "-o", "cmp", "--force"]].concat());
}

#[test]
fn some_steps_can_be_compared_and_errors_are_told_apart_by_phase() {
    let (place, steps) = recorded();
    let some: Vec<ScheduledStep> = steps.into_iter().step_by(3).collect();
    place.write("m.csv", &measured(&some, |_| 1.0));
    let said = place.succeed(&[&CHUNKED[..], &["--compare", "m.csv"]].concat()).stdout;
    assert!(said.contains("noise floor: unknown, as no step was measured twice"), "{said}");
    assert!(said.contains("predictions stand on: measured 0.0 %, fitted"), "{said}");
    assert!(said.contains("meta-llama/Llama-3.1-8B predicted for H100-SXM-80GB, chunked-prefill"), "{said}");
    for phase in ["decode", "mixed"] {
        assert!(said.lines().any(|line| line.contains("phase") && line.contains(phase)), "{said}");
    }
    assert!(said.contains("clock: 0.00 % at the end"), "{said}");
}

#[test]
fn what_the_times_contain_decides_what_they_are_compared_with() {
    let (place, steps) = recorded();
    place.write("m.csv", &measured(&steps, |_| 1.0));
    let bias = |contains: &str| -> f64 {
        let said = place.succeed(&[&CHUNKED[..], &["--compare", "m.csv", "--contains", contains, "--json"]].concat());
        let json: Value = serde_json::from_str(&said.stdout).expect("JSON");
        json["buckets"][0]["bias"].as_f64().expect("a number")
    };
    assert!(bias("step").abs() < 1e-9);
    assert!(bias("kernels") < -0.01, "the host's time is in the step and not in the kernels");
}

/// The schedule in `out` as if all products had been measured, in `measured.jsonl`.
fn with_measured_products(place: &Place) {
    let mut text = String::new();
    flate2::read::GzDecoder::new(place.read("out/schedule.jsonl.gz").as_slice())
        .read_to_string(&mut text)
        .expect("gzip");
    let mut changed = String::new();
    for line in text.lines() {
        let mut line: Line = serde_json::from_str(line).expect("a line of a schedule");
        if let Line::Step(step) = &mut line {
            let products_ns = step.operators_ns[&Operator::QkvProjection];
            step.operator_evidence_ns
                .insert(Operator::QkvProjection, BTreeMap::from([(Evidence::Measured, products_ns)]));
            step.evidence_ns = BTreeMap::from([
                (Evidence::Measured, products_ns),
                (Evidence::Fitted, step.predicted_ns() - products_ns),
            ]);
        }
        writeln!(changed, "{}", serde_json::to_string(&line).expect("JSON")).expect("memory");
    }
    place.write("measured.jsonl", &changed);
}

#[test]
fn evidence_is_told_of_what_is_compared() {
    let (place, steps) = recorded();
    with_measured_products(&place);
    place.write("m.csv", &measured(&steps, |_| 1.0));
    let evidence = |contains: &str| -> String {
        let of = ["replay", "measured.jsonl", "--system", "chunked", "--seed", "1", "--compare", "m.csv"];
        let said = place.succeed(&[&of[..], &["--contains", contains, "--json"]].concat());
        let json: Value = serde_json::from_str(&said.stdout).expect("JSON");
        json["evidence"].as_str().expect("text").to_owned()
    };
    let sum = |of: &dyn Fn(&ScheduledStep) -> u64| steps.iter().map(of).sum::<u64>() as f64;
    let products_ns = sum(&|step| step.operators_ns[&Operator::QkvProjection]);
    let of_steps = 100.0 * products_ns / sum(&ScheduledStep::predicted_ns);
    let of_kernels = 100.0 * products_ns / sum(&ScheduledStep::kernels_ns);
    // Both are told with one digit, so one taken for the other is seen.
    assert!(of_kernels > of_steps + 0.2, "the host is in the steps: {of_kernels} % against {of_steps} %");
    assert!(evidence("step").starts_with(&format!("measured {of_steps:.1} %, fitted ")), "{}", evidence("step"));
    assert!(
        evidence("kernels").starts_with(&format!("measured {of_kernels:.1} %, fitted ")),
        "{}",
        evidence("kernels")
    );
}

#[test]
fn times_in_another_unit_or_none_at_all_are_refused_and_leave_nothing() {
    let (place, steps) = recorded();
    for (factor, far) in [(1e3, "1000 above"), (1e-3, "1000 below")] {
        place.write("m.csv", &measured(&steps, |_| factor));
        let message = place.fail(2, &[&CHUNKED[..], &["--compare", "m.csv", "-o", "cmp"]].concat());
        let expected =
            format!("m.csv: times lie a factor of {far} the predicted ones (median): are these milliseconds?");
        assert!(message.contains(&expected) && message.contains("The first: step 0, time_ms "), "{message}");
    }
    place.write("m.csv", &measured(&steps, |_| 50.0));
    place.succeed(&[&CHUNKED[..], &["--compare", "m.csv"]].concat());
    place.write("m.csv", "step,time_ms\n");
    let message = place.fail(2, &[&CHUNKED[..], &["--compare", "m.csv", "-o", "cmp"]].concat());
    assert!(message.contains("m.csv: holds no row: below the names of the columns, expected a line"), "{message}");
    assert!(!place.path("cmp").exists(), "a folder for nothing");
}

#[test]
fn wrong_input_is_named() {
    let (place, steps) = recorded();
    place.write("m.csv", &measured(&steps[..3], |_| 1.0));
    let message = place.fail(2, &["replay", "out", "--compare", "m.csv"]);
    assert!(message.contains("4 runs fit; choose one by system and seed: `chunked` with seed 1"), "{message}");
    place.write("late.csv", "step,time_ms\n1000000,3\n");
    let message = place.fail(2, &[&CHUNKED[..], &["--compare", "late.csv"]].concat());
    assert!(message.contains("late.csv has a time for step 1000000, and the run has the steps 0 to "), "{message}");
    place.write("nan.csv", "step,time_ms\n0,NaN\n");
    let message = place.fail(2, &[&CHUNKED[..], &["--compare", "nan.csv"]].concat());
    assert!(message.contains("nan.csv, line 2: time_ms is `NaN`; expected a positive number"), "{message}");
    place.write("empty/x", "");
    let message = place.fail(2, &["replay", "empty", "--compare", "m.csv"]);
    assert!(message.contains("empty holds no schedule.jsonl.gz: record one with `servesim run"), "{message}");
    let message = place.fail(2, &[&CHUNKED[..], &["--compare", "m.csv", "--layers", "3"]].concat());
    assert!(message.contains("cannot be used with"), "options without effect are refused: {message}");
    let message = place.fail(2, &CHUNKED);
    assert!(message.contains("--output"), "measured times are worth a file: {message}");
}

/// Where a driver is installed, this is no place to start measuring.
#[test]
fn without_a_driver_it_says_so_and_what_to_do() {
    if calibration::gpu::Gpu::open(0).is_ok() {
        println!("NOT RUN: there is a GPU here");
        return;
    }
    let (place, _) = recorded();
    let message = place.fail(1, &[&CHUNKED[..], &["--steps", "5", "-o", "gpu"]].concat());
    assert!(message.contains("error: "), "{message}");
    assert!(message.contains("help: ") || message.contains("libcuda"), "{message}");
    assert!(!place.path("gpu").exists(), "nothing is left behind, not even the folder");
}
