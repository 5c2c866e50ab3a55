//! Layered prefill in experiment files.

use calibration::replay::schedule::{RunChoice, ScheduleReader, ScheduledStep};

use super::support::Place;

/// The small experiment with this scheduler and other changes.
fn with_scheduler(scheduler: &str, changes: &[(&str, &str)]) -> Place {
    let written = "{ policy = \"chunked-prefill\", max_num_batched_tokens = 512, max_num_seqs = 64 }";
    let second = "[[system]]\nname = \"first\"\ninherit = \"chunked\"\nscheduler = { policy = \"prefill-first\", \
                  max_num_batched_tokens = 8192 }\n";
    Place::with_small(&[&[(written, scheduler), (second, "")], changes].concat())
}

fn message(scheduler: &str, changes: &[(&str, &str)]) -> String {
    with_scheduler(scheduler, changes).fail(2, &["run", "x.toml"])
}

#[test]
fn its_settings_have_the_values_of_the_paper_and_its_code() {
    let place = with_scheduler("\"layered-prefill\"", &[]);
    place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    let lock = place.text("out/experiment.lock.toml");
    for line in [
        "policy = \"layered-prefill\"",
        "max_num_batched_tokens = 8192",
        "max_num_seqs = 256",
        "groups = \"per-tokens\"",
        "reference_chunk = 512",
        "collapse_without_decodes = false",
    ] {
        assert!(lock.contains(line), "{line} in {lock}");
    }
}

#[test]
fn groups_that_cannot_be_are_refused_where_they_are_written() {
    let no_table = message("{ policy = \"layered-prefill\", groups = \"table\", num_stages = 8 }", &[]);
    assert!(no_table.contains("there is no table for 8 stages"), "{no_table}");
    assert!(no_table.contains("^ expected 4, 12, 16 or 24"), "{no_table}");
    let many = message("{ policy = \"layered-prefill\", groups = \"fixed\", num_groups = 33 }", &[]);
    assert!(many.contains("^^ 33 groups of 32 layers: a group has at least one"), "{many}");
    let unsaid = message("{ policy = \"layered-prefill\", groups = \"fixed\" }", &[]);
    assert!(unsaid.contains("expected `num_groups` beside it"), "{unsaid}");
    let idle = message("{ policy = \"layered-prefill\", num_groups = 4 }", &[]);
    assert!(idle.contains("`num_groups` has no effect with `groups = \"per-tokens\"`"), "{idle}");
    assert!(idle.contains("^ it belongs to `groups = \"fixed\"`"), "{idle}");
    let other_policy = message("{ policy = \"sarathi\", groups = \"table\" }", &[]);
    assert!(other_policy.contains("it belongs to \"layered-prefill\""), "{other_policy}");
}

#[test]
fn pipeline_stages_are_refused_with_the_reason() {
    let said = message("\"layered-prefill\"", &[("replicas = 2", "pipeline_parallel_size = 2")]);
    assert!(said.contains("layered prefill runs on one pipeline stage"), "{said}");
    assert!(said.contains("^ expected 1 with `policy = \"layered-prefill\"`"), "{said}");
    assert!(said.contains("the stages that hold the others would stand still"), "{said}");
}

#[test]
fn budgets_are_of_prompt_tokens_and_may_be_smaller_than_the_requests_that_run() {
    let place = with_scheduler("{ policy = \"layered-prefill\", max_num_batched_tokens = 32, max_num_seqs = 64 }", &[]);
    place.succeed(&["run", "x.toml", "--no-figures"]);
}

#[test]
fn steps_and_schedules_say_which_layers_prompts_pass() {
    let place = with_scheduler("{ policy = \"layered-prefill\", groups = \"fixed\", num_groups = 3 }", &[]);
    place.succeed(&["run", "x.toml", "--no-figures", "--record-steps", "-o", "out"]);
    let table = place.text("out/steps.csv");
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let column = |name| header.iter().position(|column| *column == name).expect("a column");
    let (first, end) = (column("prefill_first_layer"), column("prefill_end_layer"));
    let mut seen: Vec<String> = lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|cells| format!("{}..{}", cells[first], cells[end]))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, ["..", "0..11", "11..22", "22..32"], "32 layers in three groups, and steps without prompts");

    // The reader holds pieces, layers and sampled positions of every step against each other.
    let choice = RunChoice { system: Some("chunked".to_owned()), seed: Some(1) };
    let reader = ScheduleReader::open(&place.path("out/schedule.jsonl.gz"), &choice).expect("the run is there");
    let steps: Vec<ScheduledStep> = reader.collect::<Result<_, _>>().expect("the schedule is sound");
    assert!(steps.iter().any(|step| step.prefill_layers.is_some_and(|layers| layers.end == 32)));
}
