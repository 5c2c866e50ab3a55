//! Figures from folders as `servesim sweep` and `servesim cache` leave them.

use std::fmt::Write as _;
use std::fs;

use sim::Summary;

use super::*;
use crate::figures::svg;

/// A folder with a table of runs: swept keys, systems and seeds, and measures by a rule; other measures are empty.
fn sweep(keys: &[(&str, &[&str])], measure: impl Fn(&str, &[&str], u64, &str) -> Option<f64>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let names = Summary::columns().iter().map(|column| column.name.as_str());
    let leading = keys.iter().map(|(key, _)| *key).chain(["system", "seed"]);
    let mut text = leading.chain(names.clone()).collect::<Vec<_>>().join(",") + "\n";
    let points = keys.iter().fold(vec![Vec::new()], |points: Vec<Vec<&str>>, (_, values)| {
        points.iter().flat_map(|point| values.iter().map(|value| [point.as_slice(), &[*value]].concat())).collect()
    });
    for point in points {
        for system in ["chunked", "layered"] {
            for seed in [1, 2, 3] {
                let lead = point.iter().map(|value| (*value).to_owned()).chain([system.to_owned(), seed.to_string()]);
                let of = |name| measure(system, &point, seed, name).map(|value| value.to_string()).unwrap_or_default();
                let _ = writeln!(text, "{}", lead.chain(names.clone().map(of)).collect::<Vec<_>>().join(","));
            }
        }
    }
    fs::write(folder.path().join("summary.csv"), text).expect("writable");
    fs::write(folder.path().join("sweep.json"), "{}").expect("writable");
    folder
}

/// TTFT grows with the first key, and TBT shrinks; attainment falls.
fn usual(system: &str, point: &[&str], seed: u64, name: &str) -> Option<f64> {
    let load: f64 = point.first().map_or(1.0, |value| value.parse().expect("a number"));
    let factor = if system == "layered" { 0.8 } else { 1.0 } + 0.01 * seed as f64;
    match name {
        "p99_ttft_ms" | "mean_normalized_latency_ms" => Some(100.0 * load * factor),
        "p99_itl_ms" => Some(40.0 / load * factor),
        "output_throughput" => Some(900.0 * load),
        "slo_attainment" => Some((1.0 - 0.05 * load * factor).max(0.0)),
        "total_output_tokens" => Some(1e6),
        "idle_energy_j" => Some(2e4),
        "dynamic_energy_j" => Some(1e5 * factor),
        "products_energy_j" => Some(6e4 * factor),
        "experts_energy_j" => Some(4e4 * factor),
        _ => None,
    }
}

fn made(folder: &tempfile::TempDir, name: &str, asked: &Asked) -> Result<Vec<Named>, Missing> {
    let source = Source::new(Results::open(folder.path()).expect("results")).expect("readable");
    FIGURES.iter().find(|entry| entry.name == name).expect("it is in the catalogue").make(&source, asked)
}

fn words(named: &Named) -> Vec<String> {
    named.figure.draw().shapes.into_iter().filter_map(|shape| shape.text).collect()
}

fn why(result: Result<Vec<Named>, Missing>) -> String {
    match result {
        Ok(_) => panic!("it was drawn"),
        Err(Missing::Lacks(why)) => why,
        Err(Missing::Unreadable(error)) => panic!("{error}"),
    }
}

#[test]
fn a_swept_rate_gives_lines_attainment_and_frontiers_with_one_curve_per_system() {
    let folder = sweep(&[("workload.rate", &["2", "4", "10"])], usual);
    let asked = Asked::default();
    for (name, file, labels) in [
        ("lines", "p99_ttft_ms_vs_rate", ["Offered rate (req/s)", "P99 TTFT (ms)"]),
        ("attainment_vs_rate", "attainment_vs_rate", ["Offered rate (req/s)", "Requests in time (%)"]),
        ("ttft_tbt_frontier", "ttft_tbt_frontier", ["P99 TTFT (ms)", "P99 TBT (ms)"]),
        ("throughput_vs_latency", "throughput_vs_latency", ["Output throughput (tok/s)", "better: → ↓"]),
    ] {
        let figures = made(&folder, name, &asked).expect("it can be drawn");
        assert_eq!((figures.len(), figures[0].name.as_str()), (1, file));
        let words = words(&figures[0]);
        for label in labels.into_iter().chain(["chunked", "layered"]) {
            assert!(words.iter().any(|word| word == label), "{name}: no {label:?} in {words:?}");
        }
    }
}

#[test]
fn the_share_that_is_asked_for_is_drawn_though_the_file_of_a_sweep_leaves_it_to_its_default() {
    let asked_for = |slo: &str| {
        let folder = sweep(&[("workload.rate", &["2", "4", "10"])], usual);
        fs::write(folder.path().join("experiment.lock.toml"), format!("slo = {{ {slo} }}\n")).expect("writable");
        let words = words(&made(&folder, "attainment_vs_rate", &Asked::default()).expect("it can be drawn")[0]);
        words.into_iter().filter(|word| word.contains("asked for")).collect::<Vec<_>>()
    };
    assert_eq!(asked_for("ttft = \"1 s\""), ["90 % asked for"]);
    assert_eq!(asked_for("ttft = \"1 s\", attainment = 0.999"), ["99.9 % asked for"]);
    assert!(asked_for("ttft = \"1 s\", ttft_attainment = 0.95").is_empty(), "each limit is judged by itself");
}

/// A folder with a plan of two systems on two types of GPU, and what the search was told of its cost.
fn plan() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let columns = "deployment,system,gpu,tensor_parallel_size,pipeline_parallel_size,data_parallel_size,replicas,decode_gpu,\
                   decode_tensor_parallel_size,decode_pipeline_parallel_size,decode_data_parallel_size,decode_replicas,\
                   max_num_batched_tokens,usd_per_hour,decode_usd_per_hour,status,reason,p99_ttft_ms,p99_itl_ms,\
                   energy_j_per_output_token,frontier,winner\n";
    let rows = [
        "one: a,one,H100,2,1,,1,,,,,,512,4,,misses,,,,,false,false",
        "one: b,one,H100,2,1,,2,,,,,,512,8,,serves,,900,40,2,true,true",
        "one: c,one,H100,4,2,,1,,,,,,512,16,,serves,,800,50,2.5,true,false",
        "one: d,one,L40S,8,1,,2,,,,,,512,17,,not simulated,costs more than is asked for,,,,false,false",
        "two: e,two,H100,2,1,,1,L40S,1,1,,3,,10,6,serves,,950,20,3,true,false",
        "two: f,two,H100,8,1,,2,L40S,1,1,,3,,30,6,serves,,100,20,3,false,false",
        "two: g,two,L40S,1,1,,any,L40S,1,1,,any,,,,cannot be,too large,,,,false,false",
    ];
    fs::write(folder.path().join("plan.csv"), columns.to_owned() + &rows.join("\n") + "\n").expect("writable");
    let lock = "[plan]\nfrontier_cost = 2.5\nrate = \"8 req/s\"\n";
    fs::write(folder.path().join("experiment.lock.toml"), lock).expect("writable");
    folder
}

#[test]
fn a_plan_shows_what_serves_by_every_two_measures_and_says_what_is_not_shown() {
    let folder = plan();
    let figures = made(&folder, "frontier", &Asked::default()).expect("it can be drawn");
    let words = words(&figures[0]);
    let has = |label: &str| words.iter().filter(|word| *word == label).count();
    assert_eq!(["Cost ($/h)", "P99 TTFT (ms)", "P99 TBT (ms)", "Energy (J/tok)"].map(has), [3; 4], "{words:?}");
    // 30 $/h is more than 2.5 times the cheapest that serves, 8 $/h.
    let left_out = "not shown: 1 miss the objectives, 1 were not simulated, 1 cannot be, 1 serve but cost too much";
    assert_eq!(has(left_out), 1, "{words:?}");
    let rows = figures[0].figure.vega()["data"]["values"].clone();
    let names: Vec<_> = rows.as_array().expect("rows").iter().map(|row| row["deployment"].clone()).collect();
    assert_eq!(names, ["one: b", "one: c", "two: e"]);
}

#[test]
fn the_cheapest_on_every_type_of_gpu_is_split_by_pool_and_where_none_serves_that_is_said() {
    let figures = made(&plan(), "deployment_costs", &Asked::default()).expect("it can be drawn");
    let words = words(&figures[0]);
    for label in [
        "plan: H100 2 × TP2, 512 tok",
        "L40S: dearer ones were not simulated",
        "H100 1 × TP2 + L40S 3 × TP1",
        "L40S + L40S: cannot be",
        "8.000",
        "10.00",
    ] {
        assert!(words.iter().any(|word| word == label), "{label}: {words:?}");
    }
    let rows = figures[0].figure.vega()["data"]["values"].clone();
    let of = |row: &str| -> Vec<(String, f64)> {
        let of_row = rows.as_array().expect("rows").iter().filter(|value| value["row"] == row);
        of_row
            .map(|value| (value["part"].as_str().expect("a name").to_owned(), value["value"].as_f64().expect("$")))
            .collect()
    };
    let both = [("H100".to_owned(), 4.0), ("L40S".to_owned(), 6.0)];
    assert_eq!(of("H100 1 × TP2 + L40S 3 × TP1"), both, "the second pool has its price, the first one the rest");
    let message = why(made(&plan(), "goodput_bars", &Asked::default()));
    assert!(message.contains("`frontier` and `deployment_costs`"), "{message}");
}

#[test]
fn a_plan_of_placements_shows_what_each_holds_per_gpu() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = "algorithm,placement,plan,gpus,goodput_rps,fails_at_rps,goodput_rps_per_gpu,requests_per_usd,requests_per_joule,\
                 left_out,winner\nlow-affinity,pair,false,2,3,3.1,1.5,,,,false\nlow-affinity,two pairs,true,4,6,6.2,1.5,,,,true\n\
                 low-affinity,large,false,8,,,,,,too slow,false\n";
    fs::write(folder.path().join("plan.csv"), table).expect("writable");
    let words = words(&made(&folder, "goodput_bars", &Asked::default()).expect("it can be drawn")[0]);
    let wanted = ["low-affinity: plans", "two pairs (the plan)", "low-affinity: candidates", "pair"];
    let places: Vec<_> = wanted.iter().map(|label| words.iter().position(|word| word == label)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{words:?}");
    assert!(!words.iter().any(|word| word == "large"), "what holds nothing has no bar: {words:?}");
    let message = why(made(&folder, "frontier", &Asked::default()));
    assert!(message.contains("is of placements"), "{message}");
}

#[test]
fn any_measure_can_be_drawn_over_any_key_and_other_keys_make_curves_or_are_held() {
    let keys: [(&str, &[&str]); 2] =
        [("workload.rate", &["2", "4"]), ("system.scheduler.max_num_batched_tokens", &["256", "1024"])];
    let folder = sweep(&keys, usual);
    let asked = Asked { measures: vec!["p99_itl_ms".to_owned()], ..Asked::default() };
    let both = words(&made(&folder, "lines", &asked).expect("it can be drawn")[0]);
    for label in ["chunked, 256", "layered, 1024", "curves: max_num_batched_tokens"] {
        assert!(both.iter().any(|word| word == label), "{both:?}");
    }
    let held = vec![(keys[1].0.to_owned(), "256".to_owned())];
    let one = words(&made(&folder, "lines", &Asked { held, ..asked.clone() }).expect("it can be drawn")[0]);
    assert!(one.iter().any(|word| word == "chunked") && !one.iter().any(|word| word.contains("256")), "{one:?}");
    let never = vec![(keys[1].0.to_owned(), "300".to_owned())];
    let message = why(made(&folder, "lines", &Asked { held: never, ..asked.clone() }));
    assert_eq!(message, "`system.scheduler.max_num_batched_tokens` was never 300; it was 256, 1024");
    let message = why(made(&folder, "lines", &Asked { keys: vec!["workload.rat".to_owned()], ..asked }));
    assert!(message.starts_with("`workload.rat` was not swept; workload.rate, "), "{message}");
    let measures = vec!["goodput".to_owned()];
    let message = why(made(&folder, "lines", &Asked { measures, ..Asked::default() }));
    assert!(message.contains("has no column `goodput`"), "{message}");
}

#[test]
fn keys_of_one_system_make_no_curves_of_another() {
    let keys: [(&str, &[&str]); 2] =
        [("workload.rate", &["2", "4"]), ("system.chunked.scheduler.max_num_seqs", &["8", "16"])];
    let words = words(&made(&sweep(&keys, usual), "lines", &Asked::default()).expect("it can be drawn")[0]);
    let curves: Vec<&String> = words.iter().filter(|word| word.contains("ed, ")).collect();
    assert_eq!(curves, ["chunked, 8", "chunked, 16", "layered, 8"]);
}

#[test]
fn a_system_that_inherits_a_swept_key_keeps_all_its_points() {
    let keys: [(&str, &[&str]); 2] =
        [("workload.rate", &["2", "4"]), ("system.chunked.scheduler.max_num_seqs", &["8", "16"])];
    let inherits = |system: &str, point: &[&str], seed, name: &str| {
        let by: f64 = point[1].parse().expect("a number");
        usual(system, point, seed, name).map(|value| value * by)
    };
    let words = words(&made(&sweep(&keys, inherits), "lines", &Asked::default()).expect("it can be drawn")[0]);
    let curves: Vec<&String> = words.iter().filter(|word| word.contains("ed, ")).collect();
    assert_eq!(curves, ["chunked, 8", "chunked, 16", "layered, 8", "layered, 16"]);
}

#[test]
fn only_names_that_figures_get_are_taken_for_figures() {
    let systems = ["my system".to_owned()];
    for ours in [
        "ttft_cdf.svg",
        "ttft_cdf-2.svg",
        "p99_ttft_ms_vs_rate.pdf",
        "steps_my-system.png",
        "run_my-system_decode.vl.json",
    ] {
        assert!(is_figure(ours, &systems), "{ours}");
    }
    for other in ["us_vs_them.svg", "run_1.png", "steps_to_take.svg", "run_my-system_old.svg", "ttft_cdf.txt"] {
        assert!(!is_figure(other, &systems), "{other}");
    }
}

#[test]
fn more_curves_than_can_be_told_apart_are_refused_with_the_remedy() {
    let keys: [(&str, &[&str]); 2] =
        [("workload.rate", &["2", "4"]), ("workload.input.mean", &["1", "2", "3", "4", "5"])];
    let message = why(made(&sweep(&keys, usual), "lines", &Asked::default()));
    assert_eq!(
        message,
        "there would be 10 curves, more than 8 that can be told apart; hold a key with --where workload.input.mean=…"
    );
}

#[test]
fn two_swept_keys_make_a_map_per_system_with_every_cell_and_its_interval() {
    let keys: [(&str, &[&str]); 2] = [("workload.rate", &["10", "2"]), ("system.kv.capacity", &["40 GB", "8 GB"])];
    let folder = sweep(&keys, usual);
    let words = words(&made(&folder, "heatmap", &Asked::default()).expect("it can be drawn")[0]);
    let has = |label: &str| words.iter().filter(|word| *word == label).count();
    assert_eq!(
        (has("chunked"), has("layered"), has("↑ capacity (GB)"), has("Offered rate (req/s) →")),
        (1, 1, 1, 1),
        "{words:?}"
    );
    // 1 − 0.05 × 2 × 1.02 = 89.8 % in both rows of the chunked map; seeds differ by 0.1 %: ± 4.303 × 0.1 ÷ √3.
    assert_eq!((has("89.8"), has("±0.248")), (2, 4), "{words:?}");
    let numbers: Vec<&String> = words.iter().filter(|word| ["8", "40"].contains(&word.as_str())).collect();
    assert_eq!(numbers, ["8", "40"], "rows are in the order of their values");
    let lone = sweep(&[("workload.rate", &["2", "4"])], usual);
    assert!(why(made(&lone, "heatmap", &Asked::default())).starts_with("needs two keys"));
}

#[test]
fn bars_are_stacked_from_what_runs_have_and_grouped_by_point() {
    let folder = sweep(&[("workload.rate", &["2", "4"])], usual);
    let words = words(&made(&folder, "energy_breakdown", &Asked::default()).expect("it can be drawn")[0]);
    // (20 kJ + 100 kJ × 1.02) ÷ 1e6 tokens.
    for label in ["rate 2", "rate 4", "idle", "dynamic", "0.1220", "Energy per output token (J/tok)"] {
        assert!(words.iter().any(|word| word == label), "{label}: {words:?}");
    }
    assert!(!words.iter().any(|word| word.contains("prefill")), "parts that nobody has are left out: {words:?}");
    let of_operators =
        self::words(&made(&folder, "energy_by_operator", &Asked::default()).expect("it can be drawn")[0]);
    for label in ["idle", "products", "experts", "0.1220"] {
        assert!(of_operators.iter().any(|word| word == label), "{label}: {of_operators:?}");
    }
    assert!(!of_operators.iter().any(|word| word.contains("attention")), "{of_operators:?}");
    assert_eq!(why(made(&folder, "cost_breakdown", &Asked::default())), "no run has it");
    assert_eq!(why(made(&folder, "expert_bytes", &Asked::default())), "no model here has experts");
}

#[test]
fn a_table_of_caches_gives_the_hit_rate_over_capacity() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = "cache,policy,capacity_bytes,seed,token_hit_rate\nlru,x,4e10,1,0.2\nlru,x,8e10,1,0.4\nlru,x,4e10,2,0.3\nlru,x,8e10,2,0.4\n";
    fs::write(folder.path().join("caches.csv"), table).expect("writable");
    let figures = made(&folder, "hit_rate_vs_capacity", &Asked::default()).expect("it can be drawn");
    let json = figures[0].figure.vega();
    let first = &json["data"]["values"][0];
    assert_eq!((&first["series"], &first["x"], &first["y"]), (&"lru".into(), &40.0.into(), &25.0.into()));
    assert!(why(made(&folder, "lines", &Asked::default())).contains("keeps no table of runs"));
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let folder = sweep(&[("workload.rate", &["2", "4"])], usual);
    let draw =
        || svg(&made(&folder, "ttft_tbt_frontier", &Asked::default()).expect("it can be drawn")[0].figure.draw());
    assert_eq!(draw(), draw());
}

#[test]
fn figures_have_names_of_their_own() {
    let mut names: Vec<&str> = FIGURES.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FIGURES.len());
    assert!(
        TAKE_KEYS.iter().chain(&TAKE_MEASURES).all(|name| names.contains(name)),
        "an axis of a figure that is none"
    );
}

#[test]
fn the_gallery_names_every_figure_and_has_every_picture() {
    let docs = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    let page = fs::read_to_string(docs.join("gallery.md")).expect("the page is there");
    for entry in &FIGURES {
        assert!(page.contains(&format!("`{}`", entry.name)), "{} is not in the gallery", entry.name);
    }
    let pictures: Vec<&str> = page.split("](figures/").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(pictures.len() >= FIGURES.len(), "{pictures:?}");
    for picture in pictures {
        let size =
            fs::metadata(docs.join("figures").join(picture)).unwrap_or_else(|error| panic!("{picture}: {error}")).len();
        assert!(size < 80_000, "{picture} has {size} bytes");
    }
}
