//! The schedule of a run against its other outputs.

use std::collections::BTreeMap;
use std::io::Read as _;

use calibration::replay::schedule::{RunChoice, ScheduleReader, ScheduledStep, list_runs};

use super::support::Place;

/// The steps of one run of `out`.
fn steps(place: &Place, system: &str, seed: u64) -> Vec<ScheduledStep> {
    let choice = RunChoice { system: Some(system.to_owned()), seed: Some(seed) };
    let reader = ScheduleReader::open(&place.path("out/schedule.jsonl.gz"), &choice).expect("the run is there");
    reader.collect::<Result<_, _>>().expect("the schedule is sound")
}

/// The rows of a CSV file without quoted fields that belong to a run, by column.
fn rows(text: &str, system: &str, seed: u64) -> Vec<BTreeMap<String, String>> {
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let rows = lines.map(|row| header.iter().cloned().zip(row).collect::<BTreeMap<_, _>>());
    rows.filter(|row| row["system"] == system && row["seed"] == seed.to_string()).collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> u64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} is `{}`", row[column]))
}

fn recorded(changes: &[(&str, &str)]) -> Place {
    let place = Place::with_small(changes);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures", "--record-steps"]);
    place
}

#[test]
fn tokens_of_each_request_add_up_to_its_record() {
    let place = recorded(&[]);
    let runs = list_runs(&place.path("out/schedule.jsonl.gz")).expect("a schedule");
    assert_eq!(runs.len(), 4, "two systems under two seeds: {runs:?}");
    for (system, seed) in runs {
        let mut computed: BTreeMap<u64, u64> = BTreeMap::new();
        let mut generated: BTreeMap<u64, u64> = BTreeMap::new();
        for step in steps(&place, &system, seed) {
            for piece in &step.prefill {
                *computed.entry(piece.request).or_default() += u64::from(piece.new_tokens);
                *generated.entry(piece.request).or_default() += u64::from(piece.completes);
            }
            for (request, _) in step.decode {
                *generated.entry(request).or_default() += 1;
            }
        }
        let requests = rows(&place.text("out/requests.csv"), &system, seed);
        assert_eq!(requests.len(), 60);
        for request in &requests {
            let id = number(request, "id");
            assert_eq!(number(request, "preemptions"), 0, "nothing is computed twice");
            assert_eq!(
                computed[&id],
                number(request, "input_tokens") - number(request, "cached_tokens"),
                "{request:?}"
            );
            assert_eq!(generated[&id], number(request, "output_tokens"), "{request:?}");
        }
    }
}

#[test]
fn each_step_is_the_one_that_the_table_of_steps_has() {
    let place = recorded(&[]);
    for (system, seed) in [("chunked", 1), ("first", 2)] {
        let table = rows(&place.text("out/steps.csv"), system, seed);
        let schedule = steps(&place, system, seed);
        assert_eq!(table.len(), schedule.len());
        for (row, step) in table.iter().zip(&schedule) {
            assert_eq!(number(row, "replica"), u64::from(step.replica));
            assert_eq!(number(row, "prefill_tokens"), u64::from(step.prefill_tokens()));
            assert_eq!(number(row, "prefill_requests"), step.prefill.len() as u64);
            assert_eq!(number(row, "decode_requests"), step.decode.len() as u64);
            assert_eq!(number(row, "decode_context_tokens"), step.decode_context_tokens());
            assert_eq!(number(row, "free_kv_blocks"), u64::from(step.free_blocks));
            let seconds: f64 = row["duration_s"].parse().expect("a number");
            assert!((seconds * 1e9 - step.predicted_ns() as f64).abs() < 0.5, "one stage, no waiting: {row:?}");
            let operators: u64 = step.operators_ns.values().sum();
            assert!(operators.abs_diff(step.predicted_ns()) < 20, "operators add up to the step: {step:?}");
        }
    }
}

/// A request that decodes attends to one token more in each step, and its prompt's pieces lie end to end.
#[test]
fn contexts_grow_without_gaps() {
    let place = recorded(&[]);
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    for step in steps(&place, "chunked", 1) {
        for piece in &step.prefill {
            let context = u64::from(piece.context_tokens);
            let before = next.insert(piece.request, context + u64::from(piece.new_tokens));
            assert!(before.is_none_or(|before| before == context), "{piece:?} after {before:?}");
        }
        for (request, context) in step.decode {
            let before = next.insert(request, u64::from(context));
            assert_eq!(before, Some(u64::from(context) - 1), "request {request}");
        }
    }
}

#[test]
fn the_same_seed_records_the_same_bytes_on_any_number_of_threads() {
    let place = recorded(&[]);
    place.succeed(&["run", "x.toml", "-o", "again", "--no-figures", "--record-steps", "-j", "1"]);
    assert!(place.read("out/schedule.jsonl.gz") == place.read("again/schedule.jsonl.gz"));
    assert_eq!(place.read("out/summary.csv"), place.read("again/summary.csv"));
    place.succeed(&["run", "x.toml", "-o", "plain", "--no-figures"]);
    assert!(!place.path("plain/schedule.jsonl.gz").exists());
    assert_eq!(place.read("out/summary.csv"), place.read("plain/summary.csv"), "watching changes nothing");
    place.succeed(&["run", "out/experiment.lock.toml", "-o", "locked", "--no-figures"]);
    assert!(
        place.read("out/schedule.jsonl.gz") == place.read("locked/schedule.jsonl.gz"),
        "the lock file remembers it"
    );
}

#[test]
fn a_schedule_is_one_gzip_stream_of_json_lines() {
    let place = recorded(&[]);
    let mut text = String::new();
    let file = place.read("out/schedule.jsonl.gz");
    flate2::read::GzDecoder::new(file.as_slice()).read_to_string(&mut text).expect("one stream, checksum right");
    let kinds: Vec<String> = text
        .lines()
        .map(|line| {
            let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).expect("an object");
            line.keys().next().expect("a key").clone()
        })
        .collect();
    assert_eq!(kinds[0], "schedule");
    for kind in ["run", "end"] {
        assert_eq!(kinds.iter().filter(|found| *found == kind).count(), 4, "{kind}");
    }
}

/// Preempted requests compute their tokens again, and pipelines carry several steps at once; neither makes or loses a token.
#[test]
fn every_token_comes_from_one_row_with_preemptions_and_pipelines() {
    let place = recorded(&[(
        "max_model_len = 8192\nscheduler = { policy = \"chunked-prefill\"",
        "max_model_len = 2048\nnum_gpu_blocks_override = 130\npipeline_parallel_size = 2\nscheduler = { policy = \"chunked-prefill\"",
    )]);
    let requests = rows(&place.text("out/requests.csv"), "chunked", 1);
    let preemptions: u64 = requests.iter().map(|request| number(request, "preemptions")).sum();
    assert!(preemptions > 0, "the cache is too large for this test to show anything");
    let mut generated: BTreeMap<u64, u64> = BTreeMap::new();
    for step in steps(&place, "chunked", 1) {
        assert_eq!(step.stage_ns.len(), 2);
        let completing = step.prefill.iter().filter(|piece| piece.completes).map(|piece| piece.request);
        for request in completing.chain(step.decode.iter().map(|&(request, _)| request)) {
            *generated.entry(request).or_default() += 1;
        }
    }
    for request in requests.iter().filter(|request| request["status"] == "completed") {
        assert_eq!(generated[&number(request, "id")], number(request, "output_tokens"), "{request:?}");
    }
}
