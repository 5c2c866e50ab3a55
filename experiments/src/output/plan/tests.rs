use std::collections::BTreeMap;

use profiles::CostTotals;
use sim::{
    Ending, Measures, Outcome, Rejection, ReplicaOutcome, RequestCounts, Role, Slos, StepWork, SystemFacts,
    WeightedHistogram,
};
use workloads::{RequestId, SimDuration, SimTime};

use super::*;

/// A request that is scheduled after a tenth, has its first token after half, and its last of three at the end.
pub(in super::super) fn completed(id: u64, arrival: u64, end: u64) -> RequestRecord {
    let at = |tenths: u64| SimTime::from_nanos(arrival + (end - arrival) * tenths / 10);
    RequestRecord {
        id: RequestId(id),
        session: None,
        ending: Ending::Completed,
        replica: 0,
        arrival: at(0),
        first_scheduled: at(1),
        first_token: at(5),
        last_token: at(10),
        input_tokens: 100,
        cached_tokens: 16,
        output_tokens: 3,
        preemptions: 1,
        max_gap: SimDuration::from_nanos((end - arrival) * 3 / 10),
        energy_nj: 1_234_567_891,
        handover: None,
    }
}

pub(in super::super) fn rejected(id: u64, arrival: u64) -> RequestRecord {
    let ending = Ending::Rejected(Rejection::ExceedsKvCache);
    let nothing = RequestRecord {
        cached_tokens: 0,
        output_tokens: 0,
        preemptions: 0,
        energy_nj: 0,
        ..completed(id, arrival, arrival)
    };
    RequestRecord { ending, ..nothing }
}

pub(in super::super) fn step(replica: u32, start: u64, end: u64) -> StepRecord {
    StepRecord {
        replica,
        slot: 0,
        scheduled: SimTime::from_nanos(start),
        start: SimTime::from_nanos(start),
        end: SimTime::from_nanos(end),
        prefill_tokens: 512,
        prefill_requests: 2,
        decode_requests: 30,
        decode_context_tokens: 12_000,
        admitted: 1,
        preempted: 0,
        waiting: 4,
        running: 32,
        free_blocks: 1000,
        prefill_layers: None,
        dynamic_energy_j: 2.5,
        work: Some(StepWork { flops: 9e12, memory_bytes: 2e10, link_bytes: 0.0, expert_load_bytes: 5e9 }),
    }
}

/// From one nanosecond to another.
fn between(start: u64, end: u64) -> Range<SimTime> {
    SimTime::from_nanos(start)..SimTime::from_nanos(end)
}

/// The summary of a run of two seconds with one request that takes `e2e` nanoseconds.
pub(crate) fn summary(e2e: u64) -> Summary {
    let mut measures = Measures::new(Slos::default(), None);
    measures.request(&completed(0, 0, e2e));
    summary_of(measures)
}

/// The summary of a run of two thousand requests whose first tokens take `fastest` to ten times `fastest` nanoseconds at random.
pub(crate) fn long_summary(fastest: u64) -> Summary {
    let mut measures = Measures::new(Slos::default(), None).with_samples();
    for id in 0..2000 {
        let tenths = 10.0 + 90.0 * workloads::Streams::new(1, "first tokens").uniform(id);
        let request = completed(id, id * 1000, 100 * fastest);
        let first_token = request.arrival + SimDuration::from_nanos((fastest as f64 * tenths / 10.0) as u64);
        measures.request(&RequestRecord { first_token, ..request });
    }
    summary_of(measures)
}

fn summary_of(mut measures: Measures) -> Summary {
    let mut cost = CostTotals::default();
    cost.operator_mut(profiles::Operator::DenseFfn).time_ns_by_evidence = [3e8, 1e8, 0.0];
    let outcome = Outcome {
        first_arrival: SimTime::ZERO,
        end: SimTime::from_nanos(2_000_000_000),
        requests: RequestCounts { issued: 1, completed: 1, ..RequestCounts::default() },
        replicas: vec![ReplicaOutcome {
            role: Role::Serve,
            requests: 1,
            steps: 3,
            preemptions: 1,
            prefill_tokens: 84,
            decode_tokens: 2,
            prompt_tokens: 100,
            cached_tokens: 16,
            handed_over: 0,
            taken_over: 0,
            stage_busy: vec![SimDuration::from_nanos(500_000_000)],
            stage_idle: vec![SimDuration::from_nanos(1_500_000_000)],
            attention_busy: None,
            optimum_ns: None,
            kv_blocks: 100,
            kv_blocks_peak: 7,
            devices: 1,
            idle_energy_j: 100.0,
            dynamic_energy_j: 20.0,
            cost,
        }],
        transfers: None,
        mixed: None,
    };
    let facts = SystemFacts {
        devices: 1,
        usd_per_hour: Some(3.6),
        prefill_usd_per_hour: None,
        decode_usd_per_hour: None,
        peak_flops: 1e15,
        peak_memory_bytes_per_s: 3e12,
    };
    Summary::new(&mut measures, &outcome, &facts)
}

/// Runs all labels one after the other through a plan and returns the files by name.
pub(in super::super) fn written(
    options: OutputOptions,
    labels: Vec<RunLabel>,
    observe: impl Fn(usize, &mut RunOutputs<'_>),
) -> BTreeMap<String, Vec<u8>> {
    let directory = tempfile::tempdir().expect("a folder");
    let runs = labels.len();
    let plan = OutputPlan::new(directory.path(), options, labels, &[]).expect("writable");
    for run in 0..runs {
        let mut outputs = plan.start(run, 100.0, None).expect("writable");
        observe(run, &mut outputs);
        outputs.finish(between(0, 2_000_000_000), &WeightedHistogram::new()).expect("writable");
    }
    let summaries: Vec<_> = (0..runs as u64).map(|run| summary(1_000_000_000 + run * 100_000_000)).collect();
    plan.finish(&summaries).expect("writable");
    files(directory.path())
}

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("the folder is there").map(|entry| entry.expect("readable"));
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().expect("plain name");
            (name, fs::read(entry.path()).expect("readable"))
        })
        .collect()
}

const ALL: OutputOptions = OutputOptions {
    requests: true,
    handovers: false,
    steps: true,
    power: true,
    perfetto: true,
    schedule: false,
    parquet: false,
    force: false,
};

fn two_systems() -> Vec<RunLabel> {
    ["chunked", "prefill-first"].into_iter().flat_map(|system| [1, 2].map(|seed| RunLabel::new(system, seed))).collect()
}

fn text(files: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    String::from_utf8(files[name].clone()).expect("CSV is text")
}

#[test]
fn requests_csv_says_what_happened_to_each_request() {
    let options = OutputOptions { steps: false, power: false, perfetto: false, ..ALL };
    let files = written(options, vec![RunLabel::new("chunked, 512", 7)], |_, outputs| {
        outputs.request(&completed(0, 1_000_000_000, 3_000_000_000));
        outputs.request(&RequestRecord { output_tokens: 1, ..completed(1, 0, 1_000) });
        outputs.request(&rejected(2, 5));
    });
    insta::assert_snapshot!(text(&files, "requests.csv"), @r#"
    system,seed,id,arrival_s,input_tokens,cached_tokens,output_tokens,queue_s,ttft_s,tpot_s,max_tbt_s,e2e_s,preemptions,energy_j,replica,status
    "chunked, 512",7,0,1.000000000,100,16,3,0.200000000,1.000000000,0.500000000,0.600000000,2.000000000,1,1.234567891,0,completed
    "chunked, 512",7,1,0.000000000,100,16,1,0.000000100,0.000000500,,,0.000001000,1,1.234567891,0,completed
    "chunked, 512",7,2,0.000000005,100,0,0,,,,,,0,0.000000000,0,rejected_kv_cache
    "#);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["gaps.csv", "intervals.csv", "requests.csv", "summary.csv"]);
}

#[test]
fn gaps_csv_says_how_often_each_gap_occurred() {
    let directory = tempfile::tempdir().expect("a folder");
    let options = OutputOptions { steps: false, power: false, perfetto: false, ..ALL };
    let plan = OutputPlan::new(directory.path(), options, vec![RunLabel::new("a", 1)], &[]).expect("writable");
    let mut gaps = WeightedHistogram::new();
    for (ns, count) in [(20_000_000, 3), (8_123_456, 40), (8_123_457, 2)] {
        gaps.add(SimDuration::from_nanos(ns), count);
    }
    plan.start(0, 100.0, None).expect("writable").finish(between(0, 1), &gaps).expect("writable");
    plan.finish(&[summary(1)]).expect("writable");
    insta::assert_snapshot!(text(&files(directory.path()), "gaps.csv"), @"
    system,seed,tbt_s,gaps
    a,1,0.008123456,42
    a,1,0.020000000,3
    ");
}

#[test]
fn steps_csv_says_what_each_step_did() {
    let options = OutputOptions { requests: false, power: false, perfetto: false, ..ALL };
    let files = written(options, vec![RunLabel::new("a", 1)], |_, outputs| {
        assert!(outputs.wants_steps() && outputs.wants_step_work());
        outputs.step(&step(0, 1_500_000_000, 1_520_000_000));
        outputs.step(&StepRecord { prefill_layers: Some((4, 8)), ..step(3, 0, 1) });
    });
    insta::assert_snapshot!(text(&files, "steps.csv"), @"
    system,seed,replica,slot,scheduled_s,start_s,duration_s,prefill_tokens,prefill_requests,decode_requests,decode_context_tokens,admitted,preempted,waiting,running,free_kv_blocks,prefill_first_layer,prefill_end_layer,dynamic_energy_j,flops,memory_bytes,link_bytes,expert_load_bytes
    a,1,0,0,1.500000000,1.500000000,0.020000000,512,2,30,12000,1,0,4,32,1000,,,2.500000000,9000000000000,20000000000,0,5000000000
    a,1,3,0,0.000000000,0.000000000,0.000000001,512,2,30,12000,1,0,4,32,1000,4,8,2.500000000,9000000000000,20000000000,0,5000000000
    ");
}

#[test]
fn power_csv_says_what_the_devices_draw_each_second() {
    let options = OutputOptions { requests: false, steps: false, perfetto: false, ..ALL };
    let files = written(options, vec![RunLabel::new("a", 1)], |_, outputs| {
        assert!(outputs.wants_steps());
        outputs.step(&step(0, 500_000_000, 1_500_000_000));
        outputs.step(&step(1, 1_000_000_000, 1_100_000_000));
    });
    // Steps of 2.5 J: half of the first one in each second, the second one in the second.
    insta::assert_snapshot!(text(&files, "power.csv"), @"
    system,seed,start_s,end_s,dynamic_power_w,power_w
    a,1,0.000000000,1.000000000,1.250000000,101.250000000
    a,1,1.000000000,2.000000000,3.750000000,103.750000000
    ");
}

#[test]
fn power_csv_is_cut_to_the_run() {
    let directory = tempfile::tempdir().expect("a folder");
    let options = OutputOptions { requests: false, steps: false, perfetto: false, ..ALL };
    let plan = OutputPlan::new(directory.path(), options, vec![RunLabel::new("a", 1)], &[]).expect("writable");
    let mut outputs = plan.start(0, 100.0, None).expect("writable");
    outputs.step(&step(0, 1_500_000_000, 2_000_000_000));
    outputs.step(&step(0, 2_000_000_000, 2_100_000_000));
    outputs.finish(between(1_500_000_000, 3_250_000_000), &WeightedHistogram::new()).expect("writable");
    plan.finish(&[summary(1)]).expect("writable");
    // 2.5 J in the half second that the run is in, 2.5 J in the next one, and none in the quarter before the end.
    insta::assert_snapshot!(text(&files(directory.path()), "power.csv"), @"
    system,seed,start_s,end_s,dynamic_power_w,power_w
    a,1,1.500000000,2.000000000,5.000000000,105.000000000
    a,1,2.000000000,3.000000000,2.500000000,102.500000000
    a,1,3.000000000,3.250000000,0.000000000,100.000000000
    ");
}

#[test]
fn files_are_the_same_to_the_byte_on_any_number_of_threads() {
    let observe = |run: usize, outputs: &mut RunOutputs<'_>| {
        for id in 0..2_000 + 500 * (3 - run as u64) {
            outputs.step(&step(0, id * 100, id * 100 + 90));
            outputs.request(&completed(id, id * 100, id * 150 + 1_000));
        }
    };
    let one_by_one = written(ALL, two_systems(), observe);
    assert_eq!(one_by_one.len(), 8);
    let directory = tempfile::tempdir().expect("a folder");
    let plan = OutputPlan::new(directory.path(), ALL, two_systems(), &[]).expect("writable");
    std::thread::scope(|scope| {
        for run in (0..4).rev() {
            let plan = &plan;
            scope.spawn(move || {
                let mut outputs = plan.start(run, 100.0, None).expect("writable");
                observe(run, &mut outputs);
                outputs.finish(between(0, 2_000_000_000), &WeightedHistogram::new()).expect("writable");
            });
        }
    });
    let summaries: Vec<_> = (0..4).map(|run| summary(1_000_000_000 + run * 100_000_000)).collect();
    plan.finish(&summaries).expect("writable");
    let at_once = files(directory.path());
    for (name, bytes) in &one_by_one {
        assert!(*bytes == at_once[name], "{name} differs");
    }
}

#[test]
fn results_that_are_there_are_not_replaced_unless_asked() {
    let directory = tempfile::tempdir().expect("a folder");
    for name in ["requests.csv", "experiment.lock.toml"] {
        fs::write(directory.path().join(name), "precious").expect("writable");
    }
    let plan = |options| OutputPlan::new(directory.path(), options, two_systems(), &["experiment.lock.toml"]);
    let error = plan(ALL).err().expect("it refuses").to_string();
    let expected = "already holds requests.csv, experiment.lock.toml; write elsewhere with -o, or replace with --force";
    assert!(error.ends_with(expected), "{error}");
    let unfinished = plan(OutputOptions { force: true, ..ALL }).expect("it was told to");
    drop(unfinished);
    let files = files(directory.path());
    assert_eq!(text(&files, "requests.csv"), "precious", "what is there stays until the new file is complete");
    assert_eq!(files.len(), 2, "nothing else is left");
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_anything_runs() {
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("writable");
    let error = OutputPlan::new(&file.join("results"), ALL, two_systems(), &[]).err().expect("it is below a file");
    assert!(error.to_string().starts_with("cannot create the output folder"), "{error}");
}

#[test]
fn summary_csv_has_a_row_per_run_and_every_figure() {
    let label = RunLabel { point: vec![("workload.rate".to_owned(), "4".to_owned())], ..RunLabel::new("a", 1) };
    let options = OutputOptions {
        requests: false,
        handovers: false,
        steps: false,
        power: false,
        perfetto: false,
        schedule: false,
        parquet: false,
        force: false,
    };
    let files = written(options, vec![label.clone(), RunLabel { seed: 2, ..label }], |_, _| {});
    let mut reader = csv::Reader::from_reader(files["summary.csv"].as_slice());
    let header = reader.headers().expect("a header").clone();
    assert_eq!(header.len(), 3 + Summary::columns().len());
    let rows: Vec<_> = reader.records().map(|row| row.expect("well formed")).collect();
    assert_eq!(rows.len(), 2);
    let cell = |row: usize, name: &str| &rows[row][header.iter().position(|column| column == name).expect("a column")];
    assert_eq!((cell(1, "system"), cell(1, "seed"), cell(1, "workload.rate")), ("a", "2", "4"));
    assert_eq!((cell(0, "mean_e2el_ms"), cell(1, "mean_e2el_ms")), ("1000", "1100"));
    assert_eq!((cell(0, "completed"), cell(0, "slo_attainment"), cell(0, "percentile_method")), ("1", "", "exact"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_when_the_run_ends() {
    let directory = tempfile::tempdir().expect("a folder");
    let options = OutputOptions { steps: false, power: false, perfetto: false, force: true, ..ALL };
    // The file of the run is the device that is always full.
    std::os::unix::fs::symlink("/dev/full", directory.path().join("requests.csv.part.1")).expect("a link");
    let plan = OutputPlan::new(directory.path(), options, two_systems(), &[]).expect("writable");
    let mut outputs = plan.start(1, 100.0, None).expect("writable");
    for id in 0..10_000 {
        outputs.request(&completed(id, 0, 1_000));
    }
    let error =
        outputs.finish(between(0, 2_000_000_000), &WeightedHistogram::new()).expect_err("nothing fits").to_string();
    assert!(error.contains("requests.csv.part.1") && error.contains("No space left"), "{error}");
}
