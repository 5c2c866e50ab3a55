//! Traces that are not what they should be.

use std::io::Write as _;

use super::support::Place;

const HEADER: &str = "arrival_s,input_tokens,output_tokens\n";
const EXPERIMENT: &str = "model = \"meta-llama/Llama-3.1-8B\"\n[workload]\ntrace = \"t.csv\"\n[[system]]\nname = \"a\"\ngpu = \"H100-SXM-80GB\"\n";

fn with_trace(rows: &str) -> Place {
    let place = Place::new();
    place.write("x.toml", EXPERIMENT);
    place.write("t.csv", &format!("{HEADER}{rows}"));
    place
}

#[test]
fn a_malformed_row_is_named_by_file_line_and_column() {
    let place = with_trace("0,100,10\n1,-5,10\n");
    let message = place.fail(2, &["run", "x.toml"]);
    assert_eq!(
        message,
        "error: the workload cannot be read: HERE/t.csv, line 3, column 2 (`input_tokens`): found `-5`, expected a whole number \
         of tokens from 1 to 4294967295\n"
    );
}

#[test]
fn malformed_rows_are_left_out_counted_and_reported_if_asked() {
    let place = with_trace("0,100,10\n1,many,10\n2,100,10\n");
    let said = place.succeed(&["run", "x.toml", "--set", "workload.skip_bad_rows=true", "--no-figures", "-o", "out"]);
    assert!(
        said.stderr.contains("warning: rows of the trace left out: 1 malformed\n  HERE/t.csv, line 3"),
        "{}",
        said.stderr
    );
    assert_eq!(place.text("out/requests.csv").lines().count(), 3);
}

#[test]
fn a_row_without_tokens_is_refused_or_left_out() {
    let place = with_trace("0,100,10\n1,100,0\n");
    let message = place.fail(2, &["run", "x.toml"]);
    assert!(message.contains("t.csv, line 3, column 3 (`output_tokens`): found 0"), "{message}");
    let said = place.succeed(&["run", "x.toml", "--set", "workload.skip_bad_rows=true", "--no-figures", "--force"]);
    assert!(said.stderr.contains("left out: 1 malformed"), "{}", said.stderr);
}

#[test]
fn a_clock_that_goes_backwards_is_refused() {
    let message = with_trace("5,100,10\n4,100,10\n").fail(2, &["run", "x.toml"]);
    assert!(message.contains("t.csv, line 3: the clock goes backwards"), "{message}");
}

#[test]
fn an_empty_trace_is_refused() {
    let message = with_trace("").fail(2, &["run", "x.toml"]);
    assert!(message.contains("t.csv: the trace is empty"), "{message}");
    let place = Place::new();
    place.write("x.toml", EXPERIMENT);
    place.write("t.csv", "");
    let message = place.fail(2, &["run", "x.toml"]);
    assert!(message.starts_with("error: the trace cannot be read\n --> x.toml:3:9\n"), "{message}");
}

#[test]
fn a_truncated_gzip_file_is_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(HEADER.as_bytes()).expect("memory can be written");
    for n in 0..2000 {
        writeln!(gzip, "{n},{},10", 100 + n * 7919 % 1013).expect("memory can be written");
    }
    let bytes = gzip.finish().expect("memory can be written");
    let place = Place::new();
    place.write("x.toml", &EXPERIMENT.replace("t.csv", "t.csv.gz"));
    std::fs::write(place.path("t.csv.gz"), &bytes[..bytes.len() / 2]).expect("the file can be written");
    let message = place.fail(2, &["run", "x.toml"]);
    assert!(message.contains("t.csv.gz: the gzip file ends early"), "{message}");
}

#[test]
fn a_published_trace_that_is_not_there_says_where_to_get_it() {
    let place = Place::new();
    place.write("x.toml", &EXPERIMENT.replace("t.csv", "AzureLLMInferenceTrace_conv.csv"));
    assert_eq!(
        place.fail(2, &["run", "x.toml"]),
        r#"error: the trace cannot be read
 --> x.toml:3:9
  |
3 | trace = "AzureLLMInferenceTrace_conv.csv"
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ HERE/AzureLLMInferenceTrace_conv.csv: No such file or directory (os error 2)
  |
  = help: it is part of the Azure Public Dataset (github.com/Azure/AzurePublicDataset, data/); without it, `generator = "azure-conv-2023"` and the like make similar requests
"#
    );
}

#[test]
fn a_conversion_that_fails_leaves_no_half_a_trace() {
    let place = Place::new();
    place.write("in.csv", "arrival_s,input_tokens,output_tokens\n0,30,2\n1,many,2\n");
    let message = place.fail(2, &["trace", "convert", "in.csv", "out.jsonl"]);
    assert!(message.starts_with("error: in.csv, line 3, column 2 (`input_tokens`): found `many`"), "{message}");
    assert!(!place.path("out.jsonl").exists(), "the first row alone is no trace");
}
