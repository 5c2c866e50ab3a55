//! Where results go, and what must not happen to what is there.

use super::support::Place;

#[test]
fn results_go_into_a_folder_named_after_the_file() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "--no-figures"]);
    assert_eq!(
        place.files("results/x"),
        [
            "comparison.csv",
            "experiment.lock.toml",
            "gaps.csv",
            "intervals.csv",
            "replicas.csv",
            "requests.csv",
            "steps.csv",
            "summary.csv",
            "trace.json.gz",
        ]
    );
}

#[test]
fn figures_are_drawn_by_default() {
    let place = Place::with_small(&[]);
    let said = place.succeed(&["run", "x.toml", "-o", "out"]);
    let figures = place.files("out/figures");
    assert_eq!(
        figures,
        [
            "run_chunked.png",
            "run_chunked.svg",
            "steps_chunked.png",
            "steps_chunked.svg",
            "tbt_cdf.png",
            "tbt_cdf.svg",
            "ttft_cdf.png",
            "ttft_cdf.svg",
        ]
    );
    for figure in figures {
        assert!(said.stdout.contains(&format!("out/figures/{figure}\n")), "{}", said.stdout);
    }
}

#[test]
fn results_that_are_there_are_kept_unless_force_is_said() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    place.write("out/summary.csv", "precious");
    let message = place.fail(2, &["run", "x.toml", "-o", "out", "--no-figures"]);
    assert_eq!(
        message,
        "error: out already holds requests.csv, gaps.csv, steps.csv, trace.json.gz, summary.csv, intervals.csv, comparison.csv, \
         experiment.lock.toml, replicas.csv; write elsewhere with -o, or replace with --force\n"
    );
    assert_eq!(place.text("out/summary.csv"), "precious");
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures", "--force"]);
    assert!(place.text("out/summary.csv").starts_with("system,seed,"));
}

#[test]
fn a_folder_that_cannot_be_made_is_found_before_simulating() {
    // A million requests would take a while.
    let place = Place::with_small(&[("requests = 60", "requests = 1_000_000_000_000")]);
    place.write("file", "in the way");
    let message = place.fail(2, &["run", "x.toml", "-o", "file/out"]);
    assert!(message.starts_with("error: cannot create the output folder file/out: "), "{message}");
    let message = place.fail(2, &["run", "x.toml", "-o", "file"]);
    assert!(message.starts_with("error: cannot create the output folder file: "), "{message}");
}

#[test]
fn a_run_that_fails_leaves_nothing_that_looks_finished() {
    let place = Place::new();
    place.write("t.csv", "arrival_s,input_tokens,output_tokens\n0,100,10\n1,100,ten\n");
    place.write(
        "x.toml",
        "model = \"meta-llama/Llama-3.1-8B\"\n[workload]\ntrace = \"t.csv\"\n[[system]]\nname = \"a\"\ngpu = \"H100-SXM-80GB\"\n",
    );
    let message = place.fail(2, &["run", "x.toml", "-o", "out"]);
    assert!(message.contains("t.csv, line 3"), "{message}");
    assert_eq!(place.files("out"), Vec::<String>::new());
}

#[test]
fn force_leaves_nothing_of_earlier_results_beside_new_ones() {
    let place = Place::with_small(&[]);
    place.succeed(&["run", "x.toml", "-o", "out"]);
    place.write("out/notes.txt", "mine");
    place.write("out/figures/mine.svg", "<svg/>");
    place.write("out/figures/run_mine.svg", "<svg/>");
    let fewer = ["--set", "output.steps=false", "--set", "output.perfetto=false"];
    let mut arguments = vec!["run", "x.toml", "-o", "out", "--no-figures", "--force", "--format", "parquet"];
    arguments.extend(fewer);
    place.succeed(&arguments);
    assert_eq!(
        place.files("out"),
        [
            "comparison.parquet",
            "experiment.lock.toml",
            "figures/mine.svg",
            "figures/run_mine.svg",
            "gaps.parquet",
            "intervals.parquet",
            "notes.txt",
            "replicas.parquet",
            "requests.parquet",
            "summary.parquet"
        ]
    );
}
