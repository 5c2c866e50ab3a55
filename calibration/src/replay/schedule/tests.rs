use super::*;
use crate::replay::testing::{file, lines, run, steps};

fn read(text: &str, choice: &RunChoice) -> Result<(RunHeader, Vec<ScheduledStep>), String> {
    let (folder, path) = file(text);
    let read = || {
        let reader = ScheduleReader::open(&path, choice)?;
        let header = reader.header().clone();
        Ok((header, reader.collect::<Result<Vec<_>, _>>()?))
    };
    read().map_err(|error: crate::replay::ReplayError| {
        error.to_string().replace(&folder.path().display().to_string(), "HERE")
    })
}

fn any() -> RunChoice {
    RunChoice::default()
}

#[test]
fn what_was_written_reads_back_the_same() {
    let (header, written) = (run("a", 1), steps(5));
    let (read_header, read_steps) = read(&lines(&[(header.clone(), written.clone())]), &any()).expect("sound");
    assert_eq!((read_header, read_steps), (header, written));
}

#[test]
fn operators_of_a_step_add_up_to_its_time() {
    for step in steps(3) {
        let operators: u64 = step.operators_ns.values().sum();
        let evidence: u64 = step.evidence_ns.values().sum();
        let rounding = Operator::COUNT as u64;
        assert!(step.predicted_ns().abs_diff(operators) <= rounding, "{step:?}");
        assert!(step.predicted_ns().abs_diff(evidence) <= rounding, "{step:?}");
        assert!(step.kernels_ns() < step.predicted_ns(), "the host is no kernel");
        let half = step.kernels_ns_of(16, 32);
        assert!(half > step.kernels_ns() as f64 / 2.0 && half < step.kernels_ns() as f64, "the head is not halved");
        let whole = step.kernels_ns_of(32, 32);
        assert!((whole - step.kernels_ns() as f64).abs() < 1e-6);
    }
}

#[test]
fn what_kernels_stand_on_adds_up_to_their_time_and_leaves_out_the_host() {
    for step in steps(3) {
        let part = |evidence| step.kernels_evidence_ns_of(evidence, 16, 32).expect("the schedule tells");
        let all: f64 = Evidence::ALL.into_iter().map(part).sum();
        assert!((all - step.kernels_ns_of(16, 32)).abs() <= Operator::COUNT as f64, "{step:?}");
        let whole = |evidence| step.kernels_evidence_ns_of(evidence, 32, 32).expect("the schedule tells");
        let host_ns = step.operators_ns[&Operator::Host] as f64;
        let fitted_ns = step.evidence_ns[&Evidence::Fitted] as f64;
        assert!(whole(Evidence::Fitted) <= fitted_ns - host_ns + Operator::COUNT as f64, "{step:?}");
        let silent = ScheduledStep { operator_evidence_ns: BTreeMap::new(), ..step };
        assert_eq!(silent.kernels_evidence_ns_of(Evidence::Fitted, 32, 32), None, "older schedules do not tell");
    }
}

#[test]
fn a_step_whose_times_contradict_each_other_is_refused_with_its_line() {
    type Change = dyn Fn(&mut ScheduledStep);
    let changed = |change: &Change| {
        let mut some = steps(3);
        change(&mut some[1]);
        read(&lines(&[(run("a", 1), some)]), &any())
    };
    changed(&|step| step.stage_ns[0] += 5).expect("rounding is no contradiction");
    let cases: [(&Change, &str); 4] = [
        (&|step| step.stage_ns[0] *= 2, "line 4: step 1: `stage_ns` adds up to "),
        (&|step| step.operators_ns.clear(), "and `operators_ns` to 0 ns; expected the same"),
        (&|step| step.evidence_ns.clear(), "and `evidence_ns` to 0 ns; expected the same"),
        (
            &|step| step.operator_evidence_ns.values_mut().for_each(BTreeMap::clear),
            "`operator_evidence_ns` of embedding adds up to 0 ns, and `operators_ns` has ",
        ),
    ];
    for (change, expected) in cases {
        let message = changed(change).expect_err(expected);
        assert!(message.contains(expected), "expected {expected}\ngot {message}");
    }
}

#[test]
fn operators_have_the_names_that_tables_give_them() {
    for operator in Operator::ALL {
        assert_eq!(serde_json::to_value(operator).expect("a name"), operator.name());
    }
    for evidence in Evidence::ALL {
        assert_eq!(serde_json::to_value(evidence).expect("a name"), evidence.name());
    }
}

#[test]
fn one_of_several_runs_has_to_be_chosen() {
    let text = lines(&[(run("a", 1), steps(2)), (run("a", 2), steps(3)), (run("b", 1), steps(4))]);
    let choose = |system: Option<&str>, seed| read(&text, &RunChoice { system: system.map(str::to_owned), seed });
    assert_eq!(choose(Some("a"), Some(2)).expect("one run").1.len(), 3);
    assert_eq!(choose(Some("b"), None).expect("one run").1.len(), 4);
    let message = choose(Some("a"), None).expect_err("two runs");
    assert!(
        message.contains("2 runs fit; choose one by system and seed: `a` with seed 1, `a` with seed 2"),
        "{message}"
    );
    let message = choose(Some("c"), None).expect_err("none");
    assert!(message.contains("no run is of that system and seed; there are `a` with seed 1"), "{message}");
}

#[test]
fn a_schedule_that_was_cut_off_or_changed_is_refused_with_its_line() {
    let text = lines(&[(run("a", 1), steps(3))]);
    let all: Vec<&str> = text.lines().collect();
    let without = |line: usize| {
        let kept = all.iter().enumerate().filter(|(n, _)| *n != line).map(|(_, text)| *text);
        kept.collect::<Vec<_>>().join("\n")
    };
    let cut = all[..4].join("\n");
    let changes = [
        (cut.as_str(), "HERE/schedule.jsonl, line 5: the file ends inside a run"),
        (&without(3), "line 4: step 2 where step 1 was expected: lines are missing"),
        (&without(4), "line 5: the run ends with RunEnd { steps: 3"),
        (&without(0), "line 1: expected `{\"schedule\":{\"version\":1}}`"),
        (
            &text.replace("\"version\":1", "\"version\":2"),
            "line 1: a schedule of version 2; this program reads version 1",
        ),
        (
            &text.replace("\"slot\":0", "\"slot\":0,\"speculated\":4"),
            "line 3: not a line of a schedule: unknown field `speculated`",
        ),
        (
            &text.replace("\"sampled\":2", "\"sampled\":1"),
            "line 3: step 0: samples 1 positions; 1 requests decode and 1 prompts complete",
        ),
        (
            &text.replace("[1,501]", "[1,9000]"),
            "line 4: step 1: request 1 attends to 9000 tokens; expected 1 to max_model_len",
        ),
        (&text.replace("\"block_size\":16", "\"block_size\":0"), "line 2: `block_size` is 0; expected at least 1"),
        ("", "line 1: the file is empty"),
    ];
    for (text, expected) in changes {
        let message = read(text, &any()).expect_err(expected);
        assert!(message.contains(expected), "expected {expected}\ngot {message}");
    }
}

#[test]
fn layers_that_prompts_do_not_reach_are_part_of_a_step() {
    let mut some = steps(2);
    some[0].prefill_layers = Some(ScheduledLayers { start: 8, end: 16 });
    let text = lines(&[(run("a", 1), some.clone())]);
    assert_eq!(read(&text, &any()).expect("sound").1, some);
    some[0].prefill_layers = Some(ScheduledLayers { start: 8, end: 33 });
    let message = read(&lines(&[(run("a", 1), some)]), &any()).expect_err("32 layers");
    assert!(message.contains("step 0: prompts pass through layers 8 to 33 of 32"), "{message}");
}

#[test]
fn compressed_schedules_are_read_as_well() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("schedule.jsonl.gz");
    let mut gzip =
        flate2::write::GzEncoder::new(std::fs::File::create(&path).expect("writable"), flate2::Compression::fast());
    gzip.write_all(lines(&[(run("a", 7), steps(2))]).as_bytes()).expect("writable");
    gzip.finish().expect("writable");
    assert_eq!(list_runs(&path).expect("sound"), [("a".to_owned(), 7)]);
    assert_eq!(ScheduleReader::open(&path, &any()).expect("sound").count(), 2);
    let whole = std::fs::read(&path).expect("it was written");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("writable");
    let message = list_runs(&path).expect_err("half of it").to_string();
    assert!(message.contains(": the compressed file ends in the middle: it was cut"), "{message}");
}
