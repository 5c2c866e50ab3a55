//! `ServeGen`: requests drawn from a description of clients.

use std::path::Path;

use tempfile::TempDir;
use workloads::{ReadOptions, TraceFormat, TraceReader, TraceRow};

use super::{read, skipping};

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn draw(path: &Path, seed: u64) -> Vec<TraceRow> {
    read(path, &ReadOptions { seed, ..ReadOptions::default() }).unwrap_or_else(|error| panic!("{error}"))
}

fn said(path: &Path, root: &TempDir) -> String {
    let error = read(path, &ReadOptions::default()).unwrap_err();
    error.to_string().replace(&format!("{}/", root.path().display()), "")
}

/// Silence, then Gamma gaps at 20/s, then Weibull gaps at 5/s.
const TRACE: &str = "0,0,0,,0,0\r\n600,20,2.0,Gamma,0.25,0.2\r\n1200,5,3.0,Weibull,0.5,0.03\r\n";
const DATASET: &str = r#"{
  "0": {"input_tokens": "{100: 0.5, 300: 0.5}", "output_tokens": "{7: 1.0}", "reason_ratio": "{0.0: 1.0}"},
  "21600": {"input_tokens": "{}", "output_tokens": "{}"}
}"#;

#[test]
fn rates_and_lengths_come_out_as_described() {
    let folder = folder(&[("chunk-3-trace.csv", TRACE), ("chunk-3-dataset.json", DATASET)]);
    // Over many seeds, since bursts make the count of one run vary: by CV 2 and √5, about √(λt)·CV per window.
    let runs: Vec<Vec<TraceRow>> = (0..20).map(|seed| draw(folder.path(), seed)).collect();
    let (mut first, mut second, mut long) = (0, 0, 0);
    for row in runs.iter().flatten() {
        match row.line {
            2 => first += 1,
            3 => second += 1,
            line => panic!("a request in the window of line {line}, which is silent"),
        }
        assert!(matches!(row.input_tokens, 100 | 300) && row.output_tokens == 7);
        long += u32::from(row.input_tokens == 300);
    }
    let runs = runs.len() as f64;
    let (first, second) = (f64::from(first) / runs, f64::from(second) / runs);
    assert!(
        (first / 12_000.0 - 1.0).abs() < 4.0 * 2.0 / (12_000.0 * runs).sqrt(),
        "{first} requests, not 600 s · 20/s"
    );
    assert!(
        (second / 3000.0 - 1.0).abs() < 4.0 * 5_f64.sqrt() / (3000.0 * runs).sqrt(),
        "{second} requests, not 600 s · 5/s"
    );
    let share = f64::from(long) / ((first + second) * runs);
    assert!((share - 0.5).abs() < 0.01, "{share} of the prompts have 300 tokens, which has a probability of 0.5");
}

#[test]
fn rows_stand_in_order_and_start_at_the_first_request() {
    let other = "0,8,1.0,Poisson,0,0\n600,8,1.0,Poisson,0,0\n";
    let folder = folder(&[
        ("chunk-3-trace.csv", TRACE),
        ("chunk-3-dataset.json", DATASET),
        ("chunk-12-trace.csv", other),
        ("chunk-12-dataset.json", DATASET),
        ("README.md", "not a client"),
    ]);
    let rows = draw(folder.path(), 1);
    assert_eq!(rows[0].arrival.as_nanos(), 0);
    assert!(rows.windows(2).all(|pair| pair[0].arrival <= pair[1].arrival));
    let expected = 12_000.0 + 3000.0 + 9600.0;
    assert!((rows.len() as f64 / expected - 1.0).abs() < 0.1, "{} requests of both clients", rows.len());
}

#[test]
fn equal_seeds_draw_equal_requests_and_a_client_is_the_same_alone_and_in_company() {
    let silent = "0,0,0,,0,0\n";
    let both = folder(&[
        ("chunk-3-trace.csv", TRACE),
        ("chunk-3-dataset.json", DATASET),
        ("chunk-4-trace.csv", silent),
        ("chunk-4-dataset.json", DATASET),
    ]);
    let folder_rows = draw(both.path(), 5);
    assert_eq!(folder_rows, draw(both.path(), 5));
    assert_ne!(folder_rows, draw(both.path(), 6));
    for name in ["chunk-3-trace.csv", "chunk-3-dataset.json"] {
        assert_eq!(folder_rows, draw(&both.path().join(name), 5), "{name} names the client as well as its folder");
    }
    let mut reader = TraceReader::open(both.path(), &ReadOptions { seed: 5, ..ReadOptions::default() }).unwrap();
    reader.next();
    assert_eq!(reader.reopen().unwrap().map(Result::unwrap).collect::<Vec<_>>(), folder_rows);
}

#[test]
fn it_is_told_that_the_requests_are_drawn() {
    let zero = DATASET.replace("{7: 1.0}", "{0: 0.001, 7: 0.999}");
    let folder = folder(&[("chunk-3-trace.csv", TRACE), ("chunk-3-dataset.json", &zero)]);
    let reader = TraceReader::open(folder.path(), &ReadOptions::default()).unwrap();
    let info = reader.info();
    assert_eq!(info.format, TraceFormat::ServeGen);
    assert!(info.has_times && !info.has_prefixes && !info.has_sessions);
    assert_eq!(
        info.notes,
        [
            "requests are drawn at random from the description of 1 client",
            "length 0 is never drawn, though 1 of the length tables give it a probability (at most 1.0e-3)",
        ]
    );
}

#[test]
fn a_client_without_its_other_file() {
    let folder =
        folder(&[("chunk-3-trace.csv", TRACE), ("chunk-3-dataset.json", DATASET), ("chunk-5-trace.csv", TRACE)]);
    let what = "chunk-5-trace.csv: there is no `chunk-5-dataset.json` (or .gz) beside it";
    assert_eq!(said(folder.path(), &folder), what);
    assert_eq!(said(&folder.path().join("chunk-5-trace.csv"), &folder), what);
    let reader = TraceReader::open(folder.path(), &skipping()).unwrap();
    let note = &reader.info().notes[1];
    assert_eq!(*note, format!("client left out: {}/{what}", folder.path().display()));
}

#[test]
fn a_folder_without_clients() {
    let folder = folder(&[("notes.txt", "")]);
    let said = read(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    let path = folder.path().display();
    assert_eq!(
        said,
        format!("{path}: a folder is read as ServeGen clients, but there is no chunk-N-trace.csv (or .gz) in it")
    );
}

#[test]
fn a_client_that_is_not_named_like_one() {
    let folder = folder(&[("rates.csv", TRACE)]);
    assert_eq!(
        said(&folder.path().join("rates.csv"), &folder),
        "rates.csv: this is the rate of a ServeGen client, whose lengths stand in a file of the same name; to find it, the \
         name must end in `-trace.csv` or `-trace.csv.gz`"
    );
}

/// What is said of a client with these two files.
fn said_of(trace: &str, dataset: &str) -> String {
    let folder = folder(&[("chunk-0-trace.csv", trace), ("chunk-0-dataset.json", dataset)]);
    said(folder.path(), &folder)
}

#[test]
fn windows_that_cannot_be() {
    for (trace, message) in [
        (
            "0,-1,1,Gamma,1,1\n",
            "chunk-0-trace.csv, line 1, column 2 (`rate_rps`): found `-1`, expected a rate in requests/s, from 0 to 1e9",
        ),
        (
            "0,nan,1,Gamma,1,1\n",
            "chunk-0-trace.csv, line 1, column 2 (`rate_rps`): found `nan`, expected a rate in requests/s, from 0 to 1e9",
        ),
        (
            "0,1,1,Pareto,1,1\n",
            "chunk-0-trace.csv, line 1, column 4 (`arrival_pattern`): found `Pareto`, expected Gamma, Weibull, Poisson or \
             Exponential where the rate is > 0",
        ),
        (
            "0,1,1,Weibull,0,1\n",
            "chunk-0-trace.csv, line 1, column 5 (`shape`): found `0`, expected a shape from 0.01 to 1e6",
        ),
        (
            "600,1,1,Gamma,1,1\n0,1,1,Gamma,1,1\n",
            "chunk-0-trace.csv, line 2, column 1 (`t_s`): found 0 s below 600 s, expected windows in order of time",
        ),
        (
            "0,1,1,Gamma\n",
            "chunk-0-trace.csv, line 1, whole row: found 4 fields (`0,1,1,Gamma`), expected 6 as in the header \
             (`t_s,rate_rps,cv,arrival_pattern,shape,scale`)",
        ),
    ] {
        assert_eq!(said_of(trace, DATASET), message);
    }
}

#[test]
fn datasets_that_cannot_be() {
    let window = "0,1,1,Gamma,1,1\n";
    assert_eq!(
        said_of(window, "{"),
        "chunk-0-dataset.json: not a ServeGen dataset (EOF while parsing an object at line 1 column 1); expected {start: \
         {\"input_tokens\": \"{…}\", …}, …}"
    );
    assert_eq!(
        said_of(window, r#"{"0": {"input_tokens": "{5: 0.5}", "output_tokens": "{5: 1.0}"}}"#),
        "chunk-0-dataset.json: period `0`, field `input_tokens`: found probabilities that sum up to 0.5, expected a sum of 1"
    );
    assert_eq!(
        said_of(window, r#"{"0": {"input_tokens": "{5: 1.0}"}}"#),
        "chunk-0-dataset.json: period `0`, field `output_tokens`: found nothing, expected a table of probabilities"
    );
    assert_eq!(
        said_of(window, r#"{"morning": {}}"#),
        "chunk-0-dataset.json: period `morning`, whole row: found `morning`, expected the start of a period in seconds"
    );
    let silent = r#"{"0": {"input_tokens": "{}", "output_tokens": "{}"}}"#;
    let found = said_of(window, silent);
    assert!(
        found.starts_with("chunk-0-dataset.json: no lengths for 0 s, where ")
            && found.ends_with(
                "chunk-0-trace.csv (line 1) has 1 requests/s; the period it lies in needs both `input_tokens` and \
                 `output_tokens`"
            ),
        "{found}"
    );
}

#[test]
fn clients_that_are_all_silent() {
    assert_eq!(
        said_of("0,0,0,,0,0\n600,0,0,,0,0\n", DATASET).rsplit_once(": ").unwrap().1,
        "2 lines and not one usable row"
    );
}
