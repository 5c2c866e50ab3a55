//! Folders as commands leave them, and as they come after an accident.

use std::fs;
use std::path::Path;

use super::*;

const SUMMARY: &str = "workload.rate,system,seed,mean_ttft_ms,percentile_method\n\
                       2,chunked,1,10.5,exact\n2,chunked,18446744073709551615,11.5,exact\n4,chunked,1,,exact\n4,\"a, b\",1,9,exact\n";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("writable");
    }
    folder
}

fn message(error: &ResultsError, directory: &Path) -> String {
    error.to_string().replace(&directory.display().to_string(), "DIR")
}

#[test]
fn each_command_is_known_by_what_it_writes() {
    for (files, kind) in [
        (&[("summary.csv", SUMMARY)][..], Kind::Run),
        (&[("summary.csv", SUMMARY), ("sweep.json", "{}")], Kind::Sweep),
        (&[("sweep.json", "{}")], Kind::Sweep),
        (&[("goodput.csv", ""), ("probes.csv", "")], Kind::Goodput),
        (&[("plan.csv", "")], Kind::Plan),
        (&[("caches.parquet", "")], Kind::Cache),
    ] {
        let folder = folder(files);
        assert_eq!(Results::open(folder.path()).expect("results").kind(), kind, "{files:?}");
    }
}

#[test]
fn folders_without_results_or_with_those_of_several_commands_are_refused_with_the_reason() {
    let none = folder(&[("requests.csv.part", "")]);
    let error = Results::open(none.path()).expect_err("nothing finished");
    assert_eq!(
        message(&error, none.path()),
        "DIR holds no results: none of summary, goodput, plan or caches (.csv or .parquet); requests.csv.part is of a \
         command that has not finished"
    );
    let above = folder(&[]);
    std::fs::create_dir(above.path().join("first")).expect("a folder");
    std::fs::write(above.path().join("first/summary.csv"), SUMMARY).expect("a table");
    let error = Results::open(above.path()).expect_err("one level too high");
    assert!(message(&error, above.path()).ends_with("; these in it do: DIR/first"), "{error}");
    let error = Results::open(&above.path().join("first/summary.csv")).expect_err("a file");
    assert!(message(&error, above.path()).starts_with("DIR/first/summary.csv is a file; name the folder"), "{error}");
    let both = folder(&[("summary.csv", SUMMARY), ("plan.csv", "")]);
    let error = Results::open(both.path()).expect_err("two commands");
    assert!(error.to_string().contains("(plan: plan.csv, run: summary.csv)"), "{error}");
    let error = Results::open(&both.path().join("nowhere")).expect_err("no folder");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn columns_are_numbers_where_every_field_is_and_names_and_seeds_stay_words() {
    let folder = folder(&[("summary.csv", SUMMARY)]);
    let table = Results::open(folder.path()).expect("results").table("summary").expect("readable");
    assert_eq!((table.len(), table.names().count()), (4, 5));
    assert_eq!(table.numbers("workload.rate").expect("numbers"), [2.0, 2.0, 4.0, 4.0]);
    let ttft = table.numbers("mean_ttft_ms").expect("numbers");
    assert!(ttft[..2] == [10.5, 11.5] && ttft[2].is_nan(), "{ttft:?}");
    let (system, seed) = (table.words("system").expect("words"), table.words("seed").expect("words"));
    assert_eq!(system.names(), ["chunked", "a, b"]);
    assert_eq!(system.codes(), [0, 0, 0, 1]);
    assert_eq!(seed.get(1), "18446744073709551615", "no digit of a seed is lost");
}

#[test]
fn parquet_files_read_as_the_csv_files_they_were_made_from() {
    let (text, binary) = (folder(&[("summary.csv", SUMMARY)]), folder(&[("summary.csv", SUMMARY)]));
    crate::output::to_parquet(&binary.path().join("summary.csv")).expect("convertible");
    let read = |directory: &Path| Results::open(directory).expect("results").table("summary").expect("readable");
    let (csv, parquet) = (read(text.path()), read(binary.path()));
    assert!(parquet.path.ends_with("summary.parquet"));
    for name in csv.names() {
        assert_eq!(csv.words(name).expect("there"), parquet.words(name).expect("there"), "{name}");
    }
    assert_eq!(csv.names().collect::<Vec<_>>(), parquet.names().collect::<Vec<_>>());
    let only = Results::open(binary.path()).expect("results").columns("summary", &["seed"]).expect("readable");
    assert_eq!((only.len(), only.names().collect::<Vec<_>>()), (4, vec!["seed"]));
}

#[test]
fn what_is_wrong_is_named_by_file_line_and_column() {
    let folder = folder(&[("summary.csv", "system,seed,mean_ttft_ms\na,1,2.5\nb,1,fast\n")]);
    let results = Results::open(folder.path()).expect("results");
    let table = results.table("summary").expect("readable");
    let not_a_number = table.numbers("mean_ttft_ms").expect_err("a word");
    assert_eq!(
        message(&not_a_number, folder.path()),
        "DIR/summary.csv line 3, column `mean_ttft_ms`: `fast` is not a number"
    );
    let missing = results.columns("summary", &["mean_ttft"]).expect_err("no such column");
    assert_eq!(
        message(&missing, folder.path()),
        "DIR/summary.csv has no column `mean_ttft`; did you mean `mean_ttft_ms`?"
    );
    let no_table = results.table("steps").expect_err("no such table");
    assert!(message(&no_table, folder.path()).starts_with("DIR has no table `steps`"), "{no_table}");

    fs::write(folder.path().join("summary.csv"), "system,seed,mean_ttft_ms\na,1,2.5\nb,1\n").expect("writable");
    let torn = results.table("summary").expect_err("a torn line");
    assert_eq!(message(&torn, folder.path()), "DIR/summary.csv: line 3 has 2 fields where the header has 3");
    fs::remove_file(folder.path().join("summary.csv")).expect("there");
    fs::write(folder.path().join("summary.parquet"), "PAR1").expect("writable");
    let broken = results.table("summary").expect_err("not Parquet");
    assert!(message(&broken, folder.path()).starts_with("DIR/summary.parquet: "), "{broken}");
}

#[test]
fn runs_are_sorted_out_by_point_system_and_seed() {
    let folder = folder(&[("summary.csv", SUMMARY)]);
    let runs = Runs::read(&Results::open(folder.path()).expect("results"), "summary").expect("readable");
    assert_eq!(
        (runs.keys().collect::<Vec<_>>(), runs.values_of("workload.rate")),
        (vec!["workload.rate"], &["2".to_owned(), "4".to_owned()][..])
    );
    let at = |system, rate| runs.estimate("mean_ttft_ms", system, &[("workload.rate", rate)]).expect("numbers");
    let two = at("chunked", "2").expect("two seeds");
    // Student's t with one degree of freedom: 12.706 × (0.5 √2) ÷ √2.
    assert!((two.mean - 11.0).abs() < 1e-12 && (two.interval.expect("two seeds").1 - 17.353).abs() < 1e-3, "{two:?}");
    assert_eq!(at("chunked", "4"), None, "an empty field is no value");
    assert_eq!(at("a, b", "4"), Some(Estimate { mean: 9.0, interval: None, seeds: 1 }));
    assert_eq!(at("a, b", "2"), None);
}

#[test]
fn one_seed_has_the_intervals_within_its_runs_and_says_so() {
    let summary = "workload.rate,system,seed,mean_ttft_ms\n2,a,7,10\n4,a,7,12\n";
    let intervals = "workload.rate,system,measure,unit,seeds,mean,mean_low,mean_high,method,n,note\n\
                     2,a,mean_ttft_ms,ms,1,10,9,13,batch-means,20,\n4,a,mean_ttft_ms,ms,1,12,,,,,one seed: no interval\n";
    let folder = folder(&[("summary.csv", summary), ("intervals.csv", intervals)]);
    let runs = Runs::read(&Results::open(folder.path()).expect("results"), "summary").expect("readable");
    let at = |rate| runs.estimate("mean_ttft_ms", "a", &[("workload.rate", rate)]).expect("numbers").expect("a value");
    assert_eq!((at("2").interval, at("4").interval), (Some((9.0, 13.0)), None));
    assert_eq!(at("2").scaled(0.1), Estimate { mean: 1.0, interval: Some((0.9, 1.3)), seeds: 1 });
    assert_eq!(runs.interval_words(), "95 %, within the run (one seed)");
}
