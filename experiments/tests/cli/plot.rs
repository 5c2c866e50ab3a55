//! Figures from folders of results.

use super::support::Place;

/// Names of the figures of a folder, by the ending of their files.
fn named(place: &Place, folder: &str, end: &str) -> Vec<String> {
    place.files(folder).into_iter().filter_map(|name| name.strip_suffix(end).map(str::to_owned)).collect()
}

#[test]
fn every_figure_that_a_run_can_give_is_drawn_in_every_format() {
    let place = Place::with_small(&[("steps = true", "steps = true\npower = true")]);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    let said = place.succeed(&["plot", "out"]);
    let figures = [
        "cost_breakdown",
        "e2e_cdf",
        "energy_breakdown",
        "energy_by_operator",
        "goodput_bars",
        "load_over_time",
        "queue_and_kv",
        "run_chunked",
        "run_first",
        "steps_chunked",
        "steps_first",
        "tbt_cdf",
        "throughput_vs_latency",
        "time_breakdown",
        "tpot_cdf",
        "ttft_cdf",
        "ttft_tbt_frontier",
        "work",
    ];
    for end in [".svg", ".pdf", ".png", ".vl.json"] {
        assert_eq!(named(&place, "out/figures", end), figures, "{end}");
    }
    assert!(said.stdout.contains("out/figures/work.pdf\n"), "{}", said.stdout);
    assert!(said.stderr.contains("7 other kinds of figures need what is not there"), "{}", said.stderr);
    assert!(place.read("out/figures/work.pdf").starts_with(b"%PDF-1.4\n"));
    let again = place.read("out/figures/queue_and_kv.pdf");
    place.succeed(&["plot", "out", "queue_and_kv", "-o", "elsewhere", "--format", "pdf"]);
    assert_eq!(place.files("elsewhere"), ["queue_and_kv.pdf"]);
    assert!(place.read("elsewhere/queue_and_kv.pdf") == again, "the same results give the same bytes");
}

#[test]
fn what_a_run_draws_itself_is_what_its_tables_give() {
    // A window leaves out requests and gaps, from tables and figures alike.
    let window = "measure = { window = \"stated\", warmup = \"0.5 s\", cooldown = \"0.3 s\" }\n[workload]";
    let place = Place::with_small(&[("[workload]", window)]);
    place.succeed(&["run", "x.toml", "-o", "out"]);
    place.succeed(&["plot", "out", "ttft_cdf", "tbt_cdf", "steps", "run", "-o", "again", "--format", "svg"]);
    for name in ["ttft_cdf", "tbt_cdf", "steps_chunked", "run_chunked"] {
        let name = format!("{name}.svg");
        assert_eq!(place.text(&format!("out/figures/{name}")), place.text(&format!("again/{name}")), "{name}");
    }
}

#[test]
fn parquet_tables_give_the_same_figures_as_csv_tables() {
    let place = Place::with_small(&[]);
    for format in ["csv", "parquet"] {
        place.succeed(&["run", "x.toml", "-o", format, "--no-figures", "--format", format]);
        place.succeed(&["plot", format, "--format", "svg"]);
    }
    let names = named(&place, "csv/figures", ".svg");
    assert!(names.len() > 12, "{names:?}");
    assert_eq!(names, named(&place, "parquet/figures", ".svg"));
    for name in names {
        let of = |format: &str| place.text(&format!("{format}/figures/{name}.svg"));
        assert!(of("csv") == of("parquet"), "{name}");
    }
}

#[test]
fn a_folder_says_what_it_can_give_and_what_the_others_need() {
    let place = Place::with_small(&[("steps = true", "steps = false")]);
    place.succeed(&["run", "x.toml", "-o", "out", "--no-figures"]);
    let list = place.succeed(&["plot", "out", "--list"]).stdout;
    let row =
        |name: &str| list.lines().find(|line| line.trim_start().starts_with(name)).expect("it is listed").to_owned();
    assert!(row("ttft_cdf").trim_end().ends_with("yes"), "{list}");
    assert!(row("steps").contains("no: needs a table of steps: run with `--set output.steps=true`"), "{list}");
    assert!(row("heatmap").contains("needs two keys that were swept"), "{list}");
    let message = place.fail(2, &["plot", "out", "steps"]);
    assert_eq!(message, "error: `steps` cannot be drawn: needs a table of steps: run with `--set output.steps=true`\n");
    let message = place.fail(2, &["plot", "out", "ttft_cfd"]);
    assert!(message.contains("there is no figure `ttft_cfd`; did you mean `ttft_cdf`?"), "{message}");
    let message = place.fail(2, &["plot", "out", "--x", "workload.rate"]);
    assert!(message.contains("`workload.rate` was not swept: nothing was"), "{message}");
    let message = place.fail(2, &["plot", "."]);
    assert!(message.contains("holds no results"), "{message}");
}

#[test]
fn a_search_for_goodput_and_a_study_of_caches_give_their_figures() {
    let place = Place::with_small(&[("steps = true", "steps = false"), ("seeds = [1, 2]", "seeds = [1]")]);
    place.succeed(&["goodput", "x.toml", "-o", "search", "--set", "goodput.tolerance=0.2"]);
    place.succeed(&["plot", "search", "attainment_vs_rate", "goodput_bars", "-o", "figures", "--format", "svg"]);
    assert_eq!(
        place.text("figures/attainment_vs_rate.svg"),
        place.text("search/figures/attainment_vs_rate.svg"),
        "the tables say all that the search knew"
    );
    assert!(place.text("figures/goodput_bars.svg").contains("aria-label=\"Goodput (req/s)\""));
}

#[test]
fn a_sweep_gives_maps_and_lines_over_its_keys() {
    let swept = "[sweep]\n\"workload.arrivals.rate\" = [10, 20]\n\"system.chunked.scheduler.max_num_batched_tokens\" = [256, 512]\n\n[output]";
    let place = Place::with_small(&[("[output]", swept), ("steps = true\nperfetto = true", "figures = false")]);
    place.succeed(&["sweep", "x.toml", "-o", "out"]);
    place.succeed(&["plot", "out", "heatmap", "lines", "attainment_vs_rate", "--format", "svg"]);
    assert_eq!(named(&place, "out/figures", ".svg"), ["attainment_vs_rate", "heatmap", "p99_ttft_ms_vs_rate"]);
    let lines = place.text("out/figures/p99_ttft_ms_vs_rate.svg");
    for word in
        ["Offered rate (req/s)", "P99 TTFT (ms)", "chunked, 256", "chunked, 512", "curves: max_num_batched_tokens"]
    {
        assert!(lines.contains(&format!("aria-label=\"{word}\"")), "{word}");
    }
}

#[test]
fn folders_of_other_commands_say_where_their_figures_are() {
    let place = Place::new();
    for (file, said) in [
        ("errors.csv", "is of `servesim validate`: it draws its figures itself, into figures/"),
        ("claims.csv", "is of `servesim reproduce`: its page is reproduction.md"),
        ("replay_steps.csv", "is of `servesim replay`: it draws its figure itself"),
        ("gemm.csv", "is of `servesim calibrate`: kernel tables have no figures here"),
    ] {
        let folder = file.replace('.', "_");
        place.write(&format!("{folder}/{file}"), "x\n1\n");
        for command in ["plot", "report"] {
            let message = place.fail(2, &[command, &folder]);
            assert!(message.contains(said), "{command}: {message}");
        }
    }
}
