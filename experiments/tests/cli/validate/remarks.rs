//! What has to be seen beside the errors: requests that were rejected, tables that nobody could use.

use super::{json_of, meta, place, requests};
use crate::cli::support::Place;

/// Two hundred requests, of which the first `long` are longer than the simulated engine takes.
fn with_long_requests(long: usize) -> Place {
    let row = |number: usize| {
        let input = if number < long { 9000 } else { 500 };
        format!("{number},{number}.0,{input},51,0.03,0.008,0.43,ok\n")
    };
    let header = "request_id,arrival_s,input_tokens,output_tokens,ttft_s,tpot_s,e2e_s,status\n".to_owned();
    place(&meta(), &std::iter::once(header).chain((0..200).map(row)).collect::<String>())
}

/// The only case's cell of `cases.csv`.
fn cell(place: &Place, column: &str) -> String {
    let mut reader = csv::Reader::from_path(place.path("out/cases.csv")).expect("a table");
    let place = reader.headers().expect("a header").iter().position(|name| name == column).expect("the column");
    reader.records().next().expect("a row").expect("a row")[place].to_owned()
}

#[test]
fn requests_that_only_the_simulated_engine_rejects_are_a_warning() {
    let place = with_long_requests(2);
    let said = place.succeed(&["validate", "run", "-o", "out", "--no-figures"]);
    let warning = "warning: run: the simulated engine rejected 2 of 200 requests that the real one served (2 longer than \
                   max_model_len): only the others are scored\n";
    assert!(said.stderr.contains(warning), "{}", said.stderr);
    assert_eq!(cell(&place, "rejected"), "2");
    let said = place.succeed(&["validate", "run", "--json"]);
    assert!(said.stderr.contains(warning), "{}", said.stderr);
    assert_eq!(json_of(&said.stdout)["cases"][0]["rejected"], 2);
}

#[test]
fn a_case_of_which_more_than_a_hundredth_is_rejected_is_not_scored() {
    let place = with_long_requests(3);
    let said = place.fail(2, &["validate", "run", "-o", "out", "--no-figures"]);
    assert!(said.contains("not scored: run: the simulated engine rejected 3 of 200 requests"), "{said}");
    assert_eq!((cell(&place, "scored").as_str(), cell(&place, "rejected").as_str()), ("false", "3"));
    assert!(cell(&place, "reason").contains("3 longer than max_model_len"));
}

#[test]
fn a_request_that_failed_in_reality_too_does_not_count_as_rejected() {
    let place = with_long_requests(3);
    let failed =
        place.text("run/requests.csv").replace("\n0,0.0,9000,51,0.03,0.008,0.43,ok", "\n0,0.0,9000,51,,,,error");
    place.write("run/requests.csv", &failed);
    let said = place.fail(2, &["validate", "run"]);
    assert!(said.contains("rejected 2 of 199 requests"), "{said}");
}

#[test]
fn columns_that_nobody_reads_are_named() {
    let colourful = |line: &str| format!("{line},{}\n", if line.starts_with("request_id") { "colour" } else { "red" });
    let place = place(&meta(), &requests().lines().map(colourful).collect::<String>());
    let said = place.succeed(&["validate", "run", "-o", "out", "--no-figures"]);
    assert!(said.stderr.contains("note: run: column `colour` of requests.csv is not read\n"), "{}", said.stderr);
    assert!(place.text("out/assumptions.csv").contains("run,column `colour` of requests.csv is not read\n"));
    let header = "name,model,gpu,engine,engine_version,concurrency,requests,input_tokens,output_tokens,ttft_mean_ms,tpot_mean_s\n";
    place.write("runs/meta.json", "{}");
    place.write("runs/cases.csv", &format!("{header}a,Qwen/Qwen3-8B,H100,vLLM,0.19.0,4,40,500,100,50,0.008\n"));
    let said = place.succeed(&["validate", "runs", "--json"]).stderr;
    let note = "note: runs/a: column `ttft_mean_ms` of cases.csv is not read; did you mean `ttft_mean_s`?\n";
    assert!(said.contains(note), "{said}");
}

/// A table of one kernel of a device.
fn table(device: &str, rows: &str) -> String {
    format!(
        "# format = 1\n# kernel = \"gemm\"\n# device = \"{device}\"\n# cache = \"cold\"\n# launch = \"graph\"\n# source = \
         \"made up\"\n# date = \"2026-11-25\"\nm,n,k,weights,activations,scaling,time_us\n{rows}"
    )
}

const ROWS: &str = "1,4096,4096,bf16,bf16,none,20\n64,4096,4096,bf16,bf16,none,21\n";

#[test]
fn tables_that_no_case_can_use_are_named_and_refused_if_none_can_be_used() {
    let place = place(&meta(), &requests());
    place.write("tables/a.csv", &table("A100-SXM-80GB", ROWS));
    let arguments = ["validate", "run", "--kernel-tables", "tables", "--json"];
    let said = place.fail(2, &arguments);
    let note = "note: tables/a.csv is not used: it is of A100-SXM-80GB, which no case was measured on\n";
    assert!(said.contains(note), "{said}");
    assert!(said.contains("no case can use any of the kernel tables") && said.contains("on H100-SXM-80GB"), "{said}");
    place.write("tables/h.csv", &table("H100-SXM-80GB", ROWS));
    let said = place.succeed(&arguments);
    assert!(said.stderr.contains(note) && !said.stderr.contains("h.csv is not used"), "{}", said.stderr);
}

#[test]
fn what_is_said_of_a_table_is_said_once_for_all_cases() {
    let place = place(&meta(), &requests());
    place.write("again/meta.json", &meta().to_string());
    place.write("again/requests.csv", &requests());
    place.write("h.csv", &table("H100-SXM-80GB", &format!("{ROWS}1,4096,4096,bf16,bf16,none,40\n")));
    let said = place.succeed(&["validate", "run", "again", "--kernel-tables", "h.csv"]).stderr;
    let sentence = "1 shape occurs more than once with times that differ by more than 10 %";
    assert_eq!(said.matches(sentence).count(), 1, "{said}");
}
