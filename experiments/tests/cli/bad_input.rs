//! What a user sees who wrote something wrong: the place, what is wrong, and what would be right.

use super::support::Place;

/// The message about the small experiment with these changes.
fn message(changes: &[(&str, &str)]) -> String {
    Place::with_small(changes).fail(2, &["run", "x.toml"])
}

/// The message about the small experiment with this setting.
fn about_setting(setting: &str) -> String {
    Place::with_small(&[]).fail(2, &["run", "x.toml", "--set", setting])
}

#[test]
fn an_unknown_key_is_shown_with_the_nearest_one() {
    assert_eq!(
        message(&[("max_num_seqs", "max_num_seq")]),
        r#"error: unknown key `max_num_seq` in `[system.scheduler]`
  --> x.toml:19:73
   |
19 | scheduler = { policy = "chunked-prefill", max_num_batched_tokens = 512, max_num_seq = 64 }
   |                                                                         ^^^^^^^^^^^ did you mean `max_num_seqs`?
"#
    );
}

#[test]
fn every_wrong_key_is_shown_at_once() {
    assert_eq!(
        message(&[("model = ", "modle = "), ("ttft", "tttf")]),
        r#"error: unknown key `modle` at the top of the file
 --> x.toml:3:1
  |
3 | modle = "meta-llama/Llama-3.1-8B"
  | ^^^^^ did you mean `model`?

error: unknown key `tttf` in `[slo]`
 --> x.toml:4:9
  |
4 | slo = { tttf = "1 s", tbt = "50 ms" }
  |         ^^^^ did you mean `ttft`?
"#
    );
}

#[test]
fn a_key_in_the_wrong_table_is_sent_home() {
    let message = message(&[("replicas = 2", "skip_bad_rows = true")]);
    assert!(message.contains("unknown key `skip_bad_rows` in `[[system]]`"), "{message}");
    assert!(message.contains("`skip_bad_rows` belongs to `[workload]`"), "{message}");
}

#[test]
fn a_wrong_unit_says_what_it_measures_and_what_was_expected() {
    assert_eq!(
        message(&[("\"50 ms\"", "\"50 GB\"")]),
        r#"error: wrong value for `slo.tbt`
 --> x.toml:4:29
  |
4 | slo = { ttft = "1 s", tbt = "50 GB" }
  |                             ^^^^^^^ `GB` is a unit of data size; expected a time in ns, us, µs, ms, s, min, h
"#
    );
}

#[test]
fn a_number_without_the_unit_it_needs_is_refused() {
    assert_eq!(
        message(&[("\"50 ms\"", "50")]),
        r#"error: wrong value for `slo.tbt`
 --> x.toml:4:29
  |
4 | slo = { ttft = "1 s", tbt = 50 }
  |                             ^^ expected a number with its unit (ns, us, µs, ms, s, min, h), such as "125 ms"
"#
    );
}

#[test]
fn a_negative_rate_is_refused() {
    assert_eq!(
        message(&[("rate = 20", "rate = -20")]),
        r#"error: wrong value for `workload.arrivals.rate`
 --> x.toml:8:42
  |
8 | arrivals = { process = "poisson", rate = -20 }
  |                                          ^^^ expected a rate above 0
"#
    );
}

#[test]
fn a_rate_that_is_no_number_is_refused() {
    assert_eq!(
        message(&[("rate = 20", "rate = nan")]),
        r#"error: wrong value for `workload.arrivals.rate`
 --> x.toml:8:42
  |
8 | arrivals = { process = "poisson", rate = nan }
  |                                          ^^^ expected a rate above 0, and a finite one
"#
    );
}

#[test]
fn a_model_that_does_not_fit_says_by_how_much() {
    let message = message(&[("replicas = 2", "model = \"meta-llama/Llama-3.1-70B\"")]);
    let gib = |text: &str| -> f64 {
        let after = message.split(text).nth(1).unwrap_or_else(|| panic!("no `{text}` in {message}"));
        let (number, _) = after.split_once(" GiB").unwrap_or_else(|| panic!("no GiB after `{text}` in {message}"));
        number.parse().unwrap_or_else(|_| panic!("`{number}` is no number"))
    };
    let (needs, may, missing) = (gib("needs "), gib("may use "), gib("H100-SXM-80GB: "));
    assert!((missing - (needs - may)).abs() < 0.11, "each is rounded to 0.1 GiB: {message}");
    // 70.6 billion parameters of two bytes.
    assert!((gib("weights ") * f64::from(1 << 30) - 141.1e9).abs() < 0.06 * f64::from(1 << 30), "{message}");
    assert!(message.starts_with("error: meta-llama/Llama-3.1-70B does not fit H100-SXM-80GB: "), "{message}");
    assert!(message.contains(" GiB too much\n  --> x.toml:15:7\n"), "{message}");
    assert!(message.contains("the smallest tensor_parallel_size that fits is 2"), "{message}");
}

#[test]
fn what_other_programs_call_a_key_finds_it() {
    for (from, to, label) in [
        ("seeds = [1, 2]", "random_seed = [1, 2]", "did you mean `seeds`?"),
        ("replicas = 2", "tp = 2", "did you mean `tensor_parallel_size`?"),
        ("replicas = 2", "request_rate = 2", "did you mean `rate`? It belongs to `[workload]`"),
        ("max_num_seqs", "batch_size", "did you mean `max_num_seqs`?"),
        ("ttft", "e2el", "did you mean `e2e`?"),
    ] {
        let message = message(&[(from, to)]);
        assert!(message.contains(label), "{to}: {message}");
    }
}

#[test]
fn the_header_of_one_table_where_there_may_be_several_is_shown_how_to_write() {
    let place = Place::new();
    place.write(
        "x.toml",
        "model = \"meta-llama/Llama-3.1-8B\"\n[workload]\ngenerator = \"sharegpt-8k\"\n[system]\nname = \"a\"\n",
    );
    let message = place.fail(2, &["run", "x.toml"]);
    assert!(message.contains("help: the header of one table of a list is [[system]]"), "{message}");
}

#[test]
fn a_choice_that_is_none_says_where_the_choices_are_explained() {
    let message = message(&[("\"chunked-prefill\"", "\"fcfs\"")]);
    assert!(message.contains("help: servesim explain system.scheduler.policy: what each of them is"), "{message}");
    let explained = Place::new().succeed(&["explain", "system.scheduler.policy"]).stdout;
    assert!(explained.contains("Orca"), "{explained}");
}

#[test]
fn a_number_where_there_may_be_a_distribution_is_shown_as_one() {
    let place = Place::new();
    let system = "[[system]]\nname = \"a\"\ngpu = \"H100-SXM-80GB\"\n";
    let workload = "model = \"meta-llama/Llama-3.1-8B\"\n[workload]\nrate = 1\ninput = 300\noutput = \"fixed\"\n";
    place.write("x.toml", &(workload.to_owned() + system));
    let message = place.fail(2, &["run", "x.toml"]);
    assert!(message.contains("help: always the same is { distribution = \"fixed\", tokens = 300 }"), "{message}");
}

#[test]
fn a_model_or_device_that_is_not_shipped_is_told_how_to_be_described() {
    let model = message(&[("model = \"meta-llama/Llama-3.1-8B\"", "model = \"Qwen/Qwen2.5-7B\"")]);
    assert!(model.contains("write the path of its Hugging Face config.json"), "{model}");
    let device = message(&[("replicas = 2", "replicas = 2"), ("gpu = \"H100-SXM-80GB\"", "gpu = \"V100\"")]);
    assert!(device.contains("write the path of a file with its datasheet (docs/gpu-file.md)"), "{device}");
}

#[test]
fn an_axis_that_a_figure_does_not_have_is_not_ignored() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    let message = place.fail(2, &["plot", "out", "ttft_cdf", "e2e_cdf", "--y", "p99_ttft_ms"]);
    assert!(message.contains("--y has no effect on `ttft_cdf`, `e2e_cdf`; figures that take it: lines,"), "{message}");
    let message = place.fail(2, &["plot", "out", "time_breakdown", "--x", "workload.rate"]);
    assert!(message.contains("--x has no effect on `time_breakdown`"), "{message}");
    let message = place.fail(2, &["plot", "out", "ttft_cdf", "--where", "workload.rate=2"]);
    assert!(message.contains("it has no swept keys that `--where` could hold; figures that have: lines,"), "{message}");
}

#[test]
fn a_folder_of_results_names_the_experiment_that_it_holds() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    let message = place.fail(2, &["run", "out"]);
    assert!(message.contains("; the folder's own experiment is out/experiment.lock.toml"), "{message}");
}

#[test]
fn tensor_parallelism_that_does_not_divide_the_heads_is_refused() {
    assert_eq!(
        message(&[("replicas = 2", "tensor_parallel_size = 5")]).trim_end(),
        r"error: meta-llama/Llama-3.1-8B cannot be spread over GPUs this way
  --> x.toml:16:24
   |
16 | tensor_parallel_size = 5
   |                        ^ tensor_parallel_size = 5 does not divide the 32 query heads of meta-llama/Llama-3.1-8B; use 1, 2, 4, 8, 16 or 32"
    );
}

#[test]
fn a_setting_that_means_nothing_beside_the_policy_is_not_ignored() {
    assert_eq!(
        message(&[("\"chunked-prefill\"", "\"orca\", long_prefill_token_threshold = 4")]),
        r#"error: `long_prefill_token_threshold` has no effect with policy = "orca"
  --> x.toml:19:32
   |
19 | scheduler = { policy = "orca", long_prefill_token_threshold = 4, max_num_batched_tokens = 512, max_num_seqs = 64 }
   |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ it belongs to "chunked-prefill"
"#
    );
}

#[test]
fn expert_routing_of_a_model_without_experts_is_not_ignored() {
    let message = message(&[("replicas = 2", "routing = \"qwen3-30b-a3b-measured\"")]);
    assert!(
        message.starts_with("error: `routing` has no effect on a model without experts\n  --> x.toml:16:1\n"),
        "{message}"
    );
}

#[test]
fn a_sweep_is_not_ignored() {
    let message = message(&[("[output]", "[sweep]\n\"workload.rate\" = [1, 2]\n[output]")]);
    assert!(message.contains("this command does not sweep, and would have to ignore it"), "{message}");
}

#[test]
fn misspelt_names_find_their_nearest() {
    let label = |changes: &[(&str, &str)]| {
        let message = message(changes);
        message.split("^ ").nth(1).unwrap_or(&message).lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(label(&[("Llama-3.1-8B", "Llama-3.1-8")]), "did you mean `meta-llama/Llama-3.1-8B`?");
    assert_eq!(label(&[("H100-SXM-80GB", "H100-SXM-80")]), "did you mean `H100-SXM-80GB`?");
    assert_eq!(label(&[("inherit = \"chunked\"", "inherit = \"chunk\"")]), "did you mean `chunked`?");
    assert_eq!(
        label(&[("\"prefill-first\"", "\"prefil-first\"")]),
        "did you mean \"prefill-first\"? Expected \"chunked-prefill\", \"sarathi\", \"prefill-first\", \"orca\", \
         \"splitwise\", \"layered-prefill\", \"batchllm\" or \"blendserve\""
    );
}

#[test]
fn systems_that_inherit_in_a_circle_are_found() {
    assert_eq!(
        message(&[("replicas = 2", "inherit = \"first\"")]),
        r#"error: systems inherit from each other in a circle
  --> x.toml:23:11
   |
23 | inherit = "chunked"
   |           ^^^^^^^^^ `chunked` itself inherits, in the end, from here
"#
    );
}

#[test]
fn a_missing_key_is_explained() {
    let message = message(&[("gpu = \"H100-SXM-80GB\"\n", "")]);
    assert!(message.starts_with("error: `gpu` is missing in `[[system]]`\n  --> x.toml:13:1\n"), "{message}");
    assert!(message.contains("help: `gpu`: What it runs on"), "{message}");
}

#[test]
fn two_origins_of_requests_are_one_too_many() {
    let message = message(&[("requests = 60", "requests = 60\ngenerator = \"azure-conv-2023\"")]);
    assert!(message.contains("`input` has no effect beside `generator`"), "{message}");
    assert!(message.contains("take one of the two out"), "{message}");
}

#[test]
fn requests_longer_than_the_model_was_made_for_are_not_extrapolated() {
    assert_eq!(
        message(&[("max_model_len = 8192", "max_model_len = 200_000")]).trim_end(),
        r"error: meta-llama/Llama-3.1-8B was not made for so long requests
  --> x.toml:18:17
   |
18 | max_model_len = 200_000
   |                 ^^^^^^^ at most 131072, its `max_position_embeddings`"
    );
}

#[test]
fn text_that_is_not_toml_is_shown_where_it_breaks() {
    let message = message(&[("seeds = [1, 2]", "seeds = [1, 2")]);
    assert!(message.starts_with("error: this is not TOML\n --> x.toml:3:1\n"), "{message}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let message = Place::new().fail(2, &["run", "nowhere.toml"]);
    assert_eq!(
        message,
        "error: cannot read the experiment file nowhere.toml: No such file or directory (os error 2)\n"
    );
}

#[test]
fn settings_of_the_command_line_are_shown_in_the_argument() {
    assert_eq!(
        about_setting("workload.reqests=3"),
        "error: unknown key `reqests` in `[workload]`\n --> --set:1:10\n  |\n1 | workload.reqests=3\n  |          ^^^^^^^ did \
         you mean `requests`?\n"
    );
    assert_eq!(
        about_setting("slo.ttft=5 parsecs"),
        "error: wrong value for `slo.ttft`\n --> --set:1:10\n  |\n1 | slo.ttft=5 parsecs\n  |          ^^^^^^^^^ `parsecs` is \
         not a unit; expected a time in ns, us, µs, ms, s, min, h\n"
    );
    assert_eq!(
        about_setting("system.chunkd.gpu=L4"),
        "error: `chunkd` is neither a system of this file nor a key of `[[system]]`\n --> --set:1:8\n  |\n1 | \
         system.chunkd.gpu=L4\n  |        ^^^^^^ did you mean `chunked`?\n"
    );
    assert!(about_setting("nothing").contains("expected KEY=VALUE, such as workload.rate=4"));
    assert!(about_setting("system.chunked=3").contains("`chunked` is a whole system"));
    assert!(about_setting("name.x=3").contains("`name` has no keys inside"));
}

#[test]
fn settings_of_the_command_line_reach_one_system_or_all() {
    let place = Place::with_small(&[]);
    let settings = ["system.gpu=A100-SXM-80GB", "system.first.replicas=3", "seeds=[3]"];
    let mut arguments = vec!["run", "x.toml", "--no-figures", "-o", "out"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
    place.succeed(&arguments);
    let lock = place.text("out/experiment.lock.toml");
    assert_eq!(lock.matches("gpu = \"A100-SXM-80GB\"").count(), 2, "{lock}");
    assert_eq!(lock.matches("replicas = 3").count(), 1, "{lock}");
    assert_eq!(lock.matches("replicas = 2").count(), 1, "{lock}");
    assert!(lock.contains("seeds = [3]"), "{lock}");
}

#[test]
fn what_a_child_does_not_say_it_inherits() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    let lock = place.text("out/experiment.lock.toml");
    let child = lock.split("[[system]]").nth(2).expect("two systems");
    for line in [
        "name = \"first\"",
        "replicas = 2",
        "max_model_len = 8192",
        "policy = \"power-of-two-choices\"",
        "policy = \"prefill-first\"",
        "max_num_batched_tokens = 8192",
        "max_num_seqs = 64",
    ] {
        assert!(child.contains(&format!("\n{line}\n")), "`{line}` is missing in {child}");
    }
    assert!(!lock.contains("inherit"), "{lock}");
}

#[test]
fn requests_that_cannot_be_served_are_rejected_and_counted() {
    let place = Place::with_small(&[("max_model_len = 8192", "max_model_len = 600")]);
    let said = place.succeed(&["run", "x.toml", "--no-figures", "-o", "out", "--json"]);
    assert!(said.stderr.contains("warning: `chunked` rejected "), "{}", said.stderr);
    assert!(said.stderr.contains(" longer than max_model_len"), "{}", said.stderr);
    let requests = place.text("out/requests.csv");
    assert_eq!(requests.lines().count(), 1 + 2 * 2 * 60, "every request has a row");
    assert!(requests.contains("rejected"), "rejected ones are marked");

    let place = Place::with_small(&[("replicas = 2", "replicas = 2\nnum_gpu_blocks_override = 30")]);
    let said = place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    assert!(said.stderr.contains(" larger than the KV cache"), "{}", said.stderr);
}

#[test]
fn sessions_that_come_slower_than_asked_are_told() {
    let turns = "requests = 60\nsessions = { turns = { distribution = \"fixed\", tokens = 6 }, think = { distribution = \"fixed\", duration = \"30 s\" } }";
    let place = Place::with_small(&[("requests = 60", turns)]);
    let said = place.succeed(&["run", "x.toml", "--no-figures", "-o", "out"]);
    assert!(said.stderr.contains("warning: requests came at "), "{}", said.stderr);
    assert!(said.stderr.contains(", not at the 120.000 its arrivals make in the long run"), "{}", said.stderr);
}

#[test]
fn a_key_that_is_at_home_in_several_tables_names_each_once() {
    let place = Place::with_small(&[("replicas = 2", "replicas = 2\nearly_query = true")]);
    let message = place.fail(2, &["run", "x.toml"]);
    assert_eq!(message.matches("`[system.attention_offload]`").count(), 1, "{message}");
}

#[test]
fn misspelt_commands_find_their_nearest() {
    let message = Place::new().fail(2, &["trace", "stat"]);
    assert!(message.contains("a similar subcommand exists: 'stats'"), "{message}");
}
