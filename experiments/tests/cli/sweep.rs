//! Sweeps: every system at every point under every seed, on one machine or in parts.

use std::collections::{BTreeMap, BTreeSet};

use super::support::Place;

/// Four points of the small experiment: 16 runs.
pub(crate) const SWEPT: &str =
    "[sweep]\n\"workload.rate\" = [10, 20]\n\"system.scheduler.max_num_batched_tokens\" = [256, 512]\n";

/// A folder with the small experiment, swept, its rate at the top of `[workload]`.
pub(crate) fn place(sweep: &str) -> Place {
    Place::with_small(&[
        ("arrivals = { process = \"poisson\", rate = 20 }\n", "rate = 20\n"),
        ("[output]\nsteps = true\nperfetto = true\n", sweep),
        ("scheduler = { policy = \"prefill-first\", max_num_batched_tokens = 8192 }", "scheduler = \"sarathi\""),
    ])
}

/// All files but those that say how the runs came about.
pub(crate) fn tables(place: &Place, folder: &str) -> BTreeMap<String, String> {
    let files = place.files(folder).into_iter();
    let files = files.filter(|name| !name.starts_with("runs/") && !name.starts_with("slurm/"));
    files.map(|name| (name.clone(), place.text(&format!("{folder}/{name}")))).collect()
}

/// Holds them against each other, without printing all of them.
pub(crate) fn assert_same(place: &Place, one: &str, other: &str) {
    assert_same_as(place, one, &tables(place, other));
}

/// Holds a folder against what one was.
pub(crate) fn assert_same_as(place: &Place, folder: &str, expected: &BTreeMap<String, String>) {
    let found = tables(place, folder);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "files of {folder}");
    for (name, text) in &found {
        let differs = text.lines().zip(expected[name].lines()).find(|(one, other)| one != other);
        assert!(*text == expected[name], "{folder}/{name} differs: {differs:?}");
    }
}

/// The rows of a table, each a map from column to field.
pub(crate) fn rows(place: &Place, file: &str) -> Vec<BTreeMap<String, String>> {
    let bytes = place.read(file);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let names = reader.headers().expect("a header").clone();
    let row = |row: csv::StringRecord| {
        names.iter().zip(&row).map(|(name, field)| (name.to_owned(), field.to_owned())).collect()
    };
    reader.records().map(|record| row(record.expect("well formed"))).collect()
}

#[test]
fn every_system_is_run_at_every_point_under_every_seed() {
    let place = place(SWEPT);
    let said = place.succeed(&["sweep", "x.toml", "-o", "out"]);
    assert!(said.stderr.contains("16 runs: 4 points × 2 systems × 2 seeds\n"), "{}", said.stderr);
    assert!(
        said.stdout.contains("workload.rate = 20, system.scheduler.max_num_batched_tokens = 512\n"),
        "{}",
        said.stdout
    );
    assert_eq!(
        place.files("out"),
        ["comparison.csv", "experiment.lock.toml", "intervals.csv", "runs/1-of-1.jsonl", "summary.csv", "sweep.json"]
    );
    let text = place.text("out/summary.csv");
    assert!(
        text.starts_with("workload.rate,system.scheduler.max_num_batched_tokens,system,seed,duration_s,"),
        "{text}"
    );
    let rows = rows(&place, "out/summary.csv");
    let order: Vec<String> = rows
        .iter()
        .map(|row| {
            let field = |name: &str| row[name].as_str();
            [field("workload.rate"), field("system.scheduler.max_num_batched_tokens"), field("system"), field("seed")]
                .join(" ")
        })
        .collect();
    let expected = ["10 256", "10 512", "20 256", "20 512"].iter().flat_map(|point| {
        ["chunked", "first"].into_iter().flat_map(move |system| [1, 2].map(|seed| format!("{point} {system} {seed}")))
    });
    assert_eq!(order, expected.collect::<Vec<_>>());
}

#[test]
fn a_point_of_a_sweep_is_what_run_makes_of_it() {
    let place = place(SWEPT);
    place.succeed(&["sweep", "x.toml", "-o", "out"]);
    let without = String::from_utf8(place.read("x.toml")).expect("text").replace(SWEPT, "");
    place.write("y.toml", &without);
    let settings = ["--set", "workload.rate=10", "--set", "system.scheduler.max_num_batched_tokens=512"];
    place.succeed(&[&["run", "y.toml", "-o", "run", "--no-figures"][..], &settings].concat());
    let of_point = |folder: &str, prefix: &str| -> Vec<String> {
        let text = place.text(&format!("{folder}/summary.csv"));
        text.lines()
            .filter_map(|line| line.strip_prefix(prefix))
            .skip(usize::from(prefix.is_empty()))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(of_point("out", "10,512,"), of_point("run", ""));
    let comparison = |folder: &str, prefix: &str| -> Vec<String> {
        let text = place.text(&format!("{folder}/comparison.csv"));
        text.lines()
            .filter_map(|line| line.strip_prefix(prefix))
            .filter(|line| line.starts_with("first,"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(comparison("out", "10,512,"), comparison("run", ""));
    assert!(comparison("run", "").len() > 20);
}

#[test]
fn the_same_seed_asks_for_the_same_tokens_of_every_system_at_every_rate() {
    let place = place("[sweep]\n\"workload.rate\" = [5, 10, 40]\n");
    place.succeed(&["sweep", "x.toml", "-o", "out"]);
    let mut asked: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for row in rows(&place, "out/summary.csv") {
        let tokens = (row["total_input_tokens"].clone(), row["total_output_tokens"].clone());
        asked.entry(row["seed"].clone()).or_default().insert(tokens);
    }
    assert!(asked.values().all(|tokens| tokens.len() == 1), "requests of a seed differ: {asked:?}");
    assert_ne!(asked["1"], asked["2"], "seeds ask for the same");
}

#[test]
fn arrivals_of_a_seed_at_twice_the_rate_are_the_same_in_half_the_time() {
    let place = place("");
    let requests = |rate: &str, folder: &str| {
        place.succeed(&["run", "x.toml", "-o", folder, "--no-figures", "--set", &format!("workload.rate={rate}")]);
        let rows = rows(&place, &format!("{folder}/requests.csv"));
        let of_first = rows.into_iter().filter(|row| row["system"] == "chunked" && row["seed"] == "1");
        let mut requests: Vec<(u64, f64, String, String)> = of_first
            .map(|row| {
                let number = |name: &str| row[name].parse().expect("a number");
                (
                    row["id"].parse().expect("a number"),
                    number("arrival_s"),
                    row["input_tokens"].clone(),
                    row["output_tokens"].clone(),
                )
            })
            .collect();
        requests.sort_by_key(|request| request.0);
        requests
    };
    let (slow, fast) = (requests("10", "slow"), requests("20", "fast"));
    assert_eq!(slow.len(), 60);
    for (slow, fast) in slow.iter().zip(&fast) {
        assert_eq!((slow.0, &slow.2, &slow.3), (fast.0, &fast.2, &fast.3));
        assert!((slow.1 - 2.0 * fast.1).abs() < 1e-7, "{slow:?} {fast:?}");
    }
}

#[test]
fn what_is_the_same_run_at_several_points_is_run_once() {
    let place = place("[sweep]\n\"system.chunked.max_model_len\" = [2048, 4096, 8192]\n");
    let text = place.text("x.toml").replace("inherit = \"chunked\"\n", "inherit = \"chunked\"\nmax_model_len = 8192\n");
    place.write("x.toml", &text);
    let said = place.succeed(&["sweep", "x.toml", "-o", "out"]);
    assert!(said.stderr.contains("12 runs: 3 points × 2 systems × 2 seeds, 8 of them different\n"), "{}", said.stderr);
    assert_eq!(place.text("out/runs/1-of-1.jsonl").lines().count(), 8);
    let figures: BTreeSet<String> = rows(&place, "out/summary.csv")
        .into_iter()
        .filter(|row| row["system"] == "first" && row["seed"] == "1")
        .map(|row| row["mean_ttft_ms"].clone())
        .collect();
    assert_eq!(figures.len(), 1, "what is not swept for a system does not change it");
}

#[test]
fn listed_points_and_settings_go_together_and_tables_may_be_parquet() {
    let place = place(
        "[sweep]\npoints = [{ \"workload.rate\" = 10, \"system.first.gpu\" = \"L40S\" }, { \"workload.rate\" = 20, \"system.first.gpu\" = \"A100-SXM-80GB\" }]\n",
    );
    place.succeed(&["sweep", "x.toml", "-o", "csv", "--set", "seeds=[3]"]);
    place.succeed(&["sweep", "x.toml", "-o", "parquet", "--set", "seeds=[3]", "--format", "parquet"]);
    let gpus: Vec<_> = rows(&place, "csv/summary.csv").into_iter().map(|row| row["system.first.gpu"].clone()).collect();
    assert_eq!(gpus, ["L40S", "L40S", "A100-SXM-80GB", "A100-SXM-80GB"]);
    assert_eq!(
        place.files("parquet"),
        [
            "comparison.parquet",
            "experiment.lock.toml",
            "intervals.parquet",
            "runs/1-of-1.jsonl",
            "summary.parquet",
            "sweep.json"
        ]
    );
}

#[test]
fn the_lock_file_of_a_sweep_gives_the_same_bytes_from_elsewhere() {
    let place = place("[sweep]\n\"workload.trace\" = [\"t.csv\", \"u.csv\"]\n\"workload.rate\" = [5, 10]\n");
    let small = place.text("x.toml");
    let head = &small[..small.find("[workload]").expect("a workload")];
    let tail = &small[small.find("[[system]]").expect("a system")..];
    place.write("data/x.toml", &format!("{head}{tail}"));
    place.write("data/t.csv", "arrival_s,input_tokens,output_tokens\n0,100,10\n1,2000,40\n1.5,50,30\n");
    place.write("data/u.csv", "arrival_s,input_tokens,output_tokens\n0,900,10\n1,20,40\n");
    place.succeed(&["sweep", "data/x.toml", "-o", "deep/first", "--set", "seeds=[4]"]);
    place.succeed(&["sweep", "deep/first/experiment.lock.toml", "-o", "again"]);
    assert_same(&place, "again", "deep/first");

    place.write("data/u.csv", "arrival_s,input_tokens,output_tokens\n0,900,10\n1,21,40\n");
    let message = place.fail(2, &["sweep", "again/experiment.lock.toml", "-o", "third"]);
    assert!(message.contains("u.csv is not the one this lock file was made with"), "{message}");
    let message = place.fail(2, &["sweep", "data/x.toml", "-o", "deep/first", "--set", "seeds=[4]", "--resume"]);
    assert!(
        message
            .contains("holds another sweep, which differs in the experiment file, its settings or what it stands on"),
        "{message}"
    );
}

#[test]
fn a_point_that_cannot_be_is_found_before_anything_runs() {
    let place = place("[sweep]\n\"workload.rate\" = [10, -3]\n\"system.gpu\" = [\"L40S\", \"L40\"]\n");
    let message = place.fail(2, &["sweep", "x.toml", "-o", "out"]);
    assert!(message.contains("x.toml:27:24\n") && message.contains("workload.rate\" = [10, -3]"), "{message}");
    assert!(
        message.contains(
            "at 2 of 4 points of `[sweep]`, the first workload.rate = -3, system.gpu = L40S; nothing was run"
        ),
        "{message}"
    );
    assert!(message.contains("no shipped device is named `L40`"), "{message}");
    assert!(message.contains("at the point workload.rate = 10, system.gpu = L40 of `[sweep]`"), "{message}");
    assert_eq!(place.files("out"), Vec::<String>::new());
}

#[test]
fn what_is_wrong_everywhere_is_said_once_and_not_blamed_on_a_point() {
    let place = place(SWEPT);
    let message = place.fail(2, &["sweep", "x.toml", "-o", "out", "--set", "system.chunked.replicas=0"]);
    assert_eq!(message.matches("error").count(), 1, "{message}");
    assert!(!message.contains("point"), "{message}");
}

#[test]
fn what_a_sweep_would_have_to_ignore_is_refused() {
    let place = place(SWEPT);
    let message = place.fail(2, &["sweep", "x.toml", "--set", "output.steps=true"]);
    assert!(message.contains("a sweep does not write what `output.steps` asks for"), "{message}");
    let message = Place::with_small(&[]).fail(2, &["sweep", "x.toml"]);
    assert!(message.contains("this file sweeps nothing"), "{message}");
}

#[test]
fn a_run_that_fails_is_reported_and_does_not_stop_the_others() {
    let place = place("[sweep]\n\"workload.requests\" = [2, 3]\n");
    let small = place.text("x.toml");
    let (head, tail) =
        (&small[..small.find("[workload]").expect("there")], &small[small.find("[[system]]").expect("there")..]);
    place.write("x.toml", &format!("{head}[workload]\ntrace = \"t.csv\"\n{tail}"));
    place.write("t.csv", "arrival_s,input_tokens,output_tokens\n0,100,10\n1,200,40\n1.5,fifty,30\n");
    let message = place.fail(1, &["sweep", "x.toml", "-o", "out"]);
    assert!(message.contains("4 of 8 rows are of runs that failed, all of them in failures.csv"), "{message}");
    assert!(message.contains("workload.requests = 3, system `chunked`, seed 1: "), "{message}");
    assert_eq!(rows(&place, "out/summary.csv").len(), 4);
    let failures = rows(&place, "out/failures.csv");
    assert_eq!(failures.len(), 4);
    assert!(failures[3]["error"].contains("t.csv, line 4"), "{failures:?}");
    assert_eq!((failures[3]["system"].as_str(), failures[3]["workload.requests"].as_str()), ("first", "3"));

    // Failures are tried again, and are the same.
    let before = tables(&place, "out");
    place.fail(1, &["sweep", "x.toml", "-o", "out", "--resume"]);
    assert_same_as(&place, "out", &before);
    assert_eq!(place.text("out/runs/1-of-1.jsonl").lines().count(), 12, "four that succeeded, four that failed twice");
}

#[test]
fn four_parts_merged_are_the_same_bytes_as_one() {
    let place = place(SWEPT);
    place.succeed(&["sweep", "x.toml", "-o", "one", "--jobs", "1"]);
    for part in ["3/4", "1/4", "4/4"] {
        place.succeed(&["sweep", "x.toml", "-o", "four", "--shard", part]);
    }
    let message = place.fail(1, &["merge", "four"]);
    assert!(message.contains("4 of 16 runs are missing, the first: workload.rate = 10, "), "{message}");
    assert!(message.contains("there are 1-of-4.jsonl, 3-of-4.jsonl, 4-of-4.jsonl"), "{message}");
    assert!(!place.files("four").contains(&"summary.csv".to_owned()), "there are no tables of a part");
    for command in ["report", "plot"] {
        let message = place.fail(2, &[command, "four"]);
        assert!(
            message.contains(if command == "plot" { "nothing can be drawn of four" } else { "`servesim merge` does" }),
            "{message}"
        );
    }
    place.succeed(&["sweep", "x.toml", "-o", "elsewhere", "--shard", "2/4"]);
    let message = place.fail(2, &["merge", "four", "elsewhere"]);
    assert!(message.contains("say with -o into which folder"), "{message}");
    place.succeed(&["merge", "four", "elsewhere", "-o", "merged"]);
    assert_same(&place, "merged", "one");
    place.succeed(&["sweep", "x.toml", "-o", "four", "--shard", "2/4"]);
    place.succeed(&["merge", "four"]);
    assert_same(&place, "four", "one");
    let said = place.succeed(&["merge", "four", "elsewhere", "-o", "merged", "--force"]);
    assert!(said.stderr.contains("4 runs were done more than once, with the same results"), "{}", said.stderr);
    assert_same(&place, "merged", "one");
}

#[test]
fn folders_of_different_sweeps_are_not_merged() {
    let place = place(SWEPT);
    place.succeed(&["sweep", "x.toml", "-o", "a"]);
    place.succeed(&["sweep", "x.toml", "-o", "b", "--set", "seeds=[1]"]);
    let message = place.fail(2, &["merge", "a", "b", "-o", "c"]);
    assert!(message.contains("a and b are of different sweeps: they differ in the seeds"), "{message}");
    // Nor into the folder of another.
    let message = place.fail(2, &["merge", "a", "-o", "b"]);
    assert!(message.contains("b holds another sweep, which differs in the seeds"), "{message}");
    place.succeed(&["merge", "a", "-o", "b", "--force"]);
    assert_same(&place, "b", "a");
    assert!(!place.files("b").iter().any(|name| name.starts_with("runs/")), "runs of the other are gone");
    place.succeed(&["merge", "a", "-o", "./a", "--force"]);
    let message = place.fail(2, &["merge", "nothing"]);
    assert!(message.contains("nothing holds no sweep: there is no sweep.json in it"), "{message}");
}

#[test]
fn the_job_scripts_of_slurm_are_written_and_say_what_to_run() {
    let place = place(SWEPT);
    let arguments =
        ["sweep", "x.toml", "-o", "out", "--launcher", "slurm", "--shards", "4", "--jobs", "2", "--dry-run"];
    let said = place.succeed(&[&arguments[..], &["--sbatch", "--time=10", "--set", "workload.requests=30"]].concat());
    assert!(said.stdout.contains("out/slurm/parts.sbatch\n"), "{}", said.stdout);
    let script = place.text("out/slurm/parts.sbatch");
    for line in [
        "#SBATCH --array=1-4\n",
        "#SBATCH --cpus-per-task=2\n",
        "#SBATCH --time=10\n",
        "--shard \"$SLURM_ARRAY_TASK_ID/4\"",
        "--set workload.requests=30",
    ] {
        assert!(script.contains(line), "{script}");
    }
    // The scripts are what Slurm would run, task by task.
    for task in ["1", "2", "3", "4"] {
        shell(&place, "out/slurm/parts.sbatch", task);
    }
    shell(&place, "out/slurm/merge.sbatch", "");
    place.succeed(&["sweep", "x.toml", "-o", "one", "--set", "workload.requests=30"]);
    assert_same(&place, "out", "one");
}

fn shell(place: &Place, script: &str, task: &str) {
    let mut command = std::process::Command::new("bash");
    let output = command.arg(place.path(script)).env("SLURM_ARRAY_TASK_ID", task).output().expect("bash starts");
    assert!(output.status.success(), "{script}, task {task}: {}", String::from_utf8_lossy(&output.stderr));
}
