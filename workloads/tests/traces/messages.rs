//! What is said of bad traces: whole messages.

use std::fmt::Write as _;

use workloads::{ReadOptions, TraceFormat, TraceReader};

use super::{file, message, plain, skipping};

fn said(name: &str, content: &str) -> String {
    message(name, content, &ReadOptions::default())
}

fn said_as(format: TraceFormat, name: &str, content: &str) -> String {
    message(name, content, &ReadOptions { format: Some(format), ..ReadOptions::default() })
}

const TOKENS: &str = "a whole number of tokens from 1 to 4294967295";

/// What is said of an Azure trace whose second row is this.
fn azure(row: &str) -> String {
    said("t.csv", &format!("TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.68,374,44\r\n{row}\r\n"))
}

/// What is said of a trace of our own whose only row is this.
fn csv(row: &str) -> String {
    said("t.csv", &format!("arrival_s,input_tokens,output_tokens,session,spans\n{row}\n"))
}

/// What is said of a Mooncake trace of this row.
fn mooncake(row: &str) -> String {
    said_as(TraceFormat::Mooncake, "t.jsonl", row)
}

#[test]
fn numbers_of_tokens_that_are_none() {
    for (found, shown) in [
        ("-4", "`-4`"),
        ("NaN", "`NaN`"),
        ("99999999999", "`99999999999`"),
        ("12.5", "`12.5`"),
        ("", "nothing"),
        ("1e3", "`1e3`"),
    ] {
        assert_eq!(
            azure(&format!("2023-11-16 18:15:47.0,{found},44")),
            format!("t.csv, line 3, column 2 (`ContextTokens`): found {shown}, expected {TOKENS}")
        );
    }
}

#[test]
fn zero_input_and_zero_output() {
    let reason = "(such requests failed or asked nothing)";
    assert_eq!(
        azure("2023-11-16 18:15:47.0,0,44"),
        format!("t.csv, line 3, column 2 (`ContextTokens`): found 0, expected {TOKENS} {reason}")
    );
    assert_eq!(
        azure("2023-11-16 18:15:47.0,374,0"),
        format!("t.csv, line 3, column 3 (`GeneratedTokens`): found 0, expected {TOKENS} {reason}")
    );
}

#[test]
fn times_that_are_none() {
    assert_eq!(
        azure("yesterday,374,44"),
        "t.csv, line 3, column 1 (`TIMESTAMP`): found `yesterday`, expected a time such as `2023-11-16 18:15:46.6805900`, \
         between the years 1678 and 2262"
    );
    for found in ["-1.5", "nan", "inf", "1e300"] {
        assert_eq!(
            csv(&format!("{found},1,1,,")),
            format!(
                "t.csv, line 2, column 1 (`arrival_s`): found `{found}`, expected a time in seconds, from 0 up to 292 years"
            )
        );
    }
    assert_eq!(
        mooncake(r#"{"timestamp": -3, "input_length": 5, "output_length": 5}"#),
        "t.jsonl, line 1, field `timestamp`: found `-3`, expected a time in milliseconds, from 0 up to 292 years"
    );
}

#[test]
fn too_few_and_too_many_fields() {
    let header = "expected 3 as in the header (`TIMESTAMP,ContextTokens,GeneratedTokens`)";
    let row = "2023-11-16 18:15:47.0,374";
    assert_eq!(azure(row), format!("t.csv, line 3, whole row: found 2 fields (`{row}`), {header}"));
    let row = "2023-11-16 18:15:47.0,1,374,1";
    assert_eq!(azure(row), format!("t.csv, line 3, whole row: found 4 fields (`{row}`), {header}"));
}

#[test]
fn a_missing_column() {
    assert_eq!(
        said("t.csv", "TIMESTAMP,ContextTokens,Model\n2023-11-16 18:15:46.68,374,gpt\n"),
        "t.csv: a trace in format `azure` needs a column `GeneratedTokens`, and the first line has only: \
         `TIMESTAMP,ContextTokens,Model`"
    );
    assert_eq!(
        said_as(TraceFormat::BurstGpt, "t.csv", "arrival_s,input_tokens,output_tokens\n0,1,1\n"),
        "t.csv: a trace in format `burstgpt` needs a column `Timestamp`, and the first line has only: \
         `arrival_s,input_tokens,output_tokens`"
    );
}

#[test]
fn a_missing_field() {
    assert_eq!(
        said("t.jsonl", r#"{"timestamp": 0, "input_length": 5, "hash_ids": [1]}"#),
        "t.jsonl: a trace in format `mooncake` needs a field `output_length`, and the first line has only: \
         `{\"timestamp\": 0, \"input_length\": 5, \"hash_ids\": [1]}`"
    );
    let second =
        "{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 5}\n{\"timestamp\": 0, \"input_length\": 5}\n";
    assert_eq!(
        mooncake(second),
        "t.jsonl, line 2, field `output_length`: found nothing, expected a value in every row"
    );
}

#[test]
fn lines_that_are_no_json_objects() {
    let good = r#"{"timestamp": 0, "input_length": 5, "output_length": 5}"#;
    assert_eq!(
        said("t.jsonl", &format!("{good}\n{{\"timestamp\": 0, \"inp")),
        "t.jsonl, line 2, whole row: found `{\"timestamp\": 0, \"inp` (EOF while parsing a string at byte 21), expected a JSON \
         object"
    );
    assert_eq!(
        said("t.jsonl", &format!("{good}\n{{\"timestamp\": NaN}}")),
        "t.jsonl, line 2, whole row: found `{\"timestamp\": NaN}` (expected value at byte 15), expected a JSON object"
    );
    assert_eq!(
        said("t.jsonl", &format!("{good}\n[0, 5, 5]")),
        "t.jsonl, line 2, whole row: found `[0, 5, 5]`, expected a JSON object"
    );
}

#[test]
fn numbers_in_quotes() {
    assert_eq!(
        mooncake(r#"{"timestamp": 0, "input_length": "5", "output_length": 5}"#),
        format!("t.jsonl, line 1, field `input_length`: found `\"5\"`, expected {TOKENS}")
    );
}

#[test]
fn block_ids_that_do_not_fit_their_prompt() {
    assert_eq!(
        mooncake(r#"{"timestamp": 0, "input_length": 1100, "output_length": 5, "hash_ids": [1]}"#),
        "t.jsonl, line 1, field `hash_ids`: found 1 block ids, expected 3 for 1100 tokens in blocks of 512 (the last may be \
         partial)"
    );
    assert_eq!(
        mooncake(r#"{"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": ["a"]}"#),
        "t.jsonl, line 1, field `hash_ids`: found `\"a\"`, expected block ids: whole numbers of 64 bits"
    );
    assert_eq!(
        mooncake(r#"{"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": 7}"#),
        "t.jsonl, line 1, field `hash_ids`: found `7`, expected an array of block ids"
    );
}

#[test]
fn spans_that_do_not_fit_their_prompt() {
    assert_eq!(
        csv("0,600,1,,7:512"),
        "t.csv, line 2, column 5 (`spans`): found spans of 512 tokens in all, expected 600 like `input_tokens`"
    );
    for bad in ["7", "7:", "a:600", "7:0", "7:-1", "7:600:1"] {
        assert_eq!(
            csv(&format!("0,600,1,,{bad}")),
            format!(
                "t.csv, line 2, column 5 (`spans`): found `{bad}`, expected spans `content:tokens`, such as `7:512 9:100`"
            )
        );
    }
    assert_eq!(
        said("t.jsonl", r#"{"arrival_s": 0, "input_tokens": 5, "output_tokens": 5, "spans": [[7, 5]]}"#),
        "t.jsonl, line 1, field `spans`: found `[[7, 5]]`, expected spans `content:tokens`, such as `7:512 9:100`"
    );
}

#[test]
fn a_session_that_is_no_number() {
    assert_eq!(
        csv("0,600,1,alice,"),
        "t.csv, line 2, column 4 (`session`): found `alice`, expected the number of a session, a whole number of 64 bits, or \
         nothing"
    );
}

#[test]
fn qwen_chats_that_are_no_numbers() {
    let row = |chat: &str, parent: &str| {
        format!(
            r#"{{"chat_id": {chat}, "parent_chat_id": {parent}, "timestamp": 0.5, "input_length": 5, "output_length": 5, "hash_ids": [1]}}"#
        )
    };
    assert_eq!(
        said("t.jsonl", &row("-7", "-1")),
        "t.jsonl, line 1, field `chat_id`: found `-7`, expected a whole number"
    );
    assert_eq!(
        said("t.jsonl", &row("7", "-2")),
        "t.jsonl, line 1, field `parent_chat_id`: found `-2`, expected the `chat_id` of the turn before, or -1"
    );
}

#[test]
fn a_clock_that_goes_backwards_even_when_bad_rows_are_skipped() {
    let text = "arrival_s,input_tokens,output_tokens\n100,1,1\n103.5,1,1\n98.75,1,1\n";
    let expected = "t.csv, line 4: the clock goes backwards: this row comes -1.250000000 s after the first one, but line 3 \
                    came 3.500000000 s after it. Traces are streamed, so their rows must stand in order of arrival: sort the \
                    file by its time first";
    for options in [ReadOptions::default(), skipping()] {
        assert_eq!(message("t.csv", text, &options), expected);
    }
}

#[test]
fn empty_traces() {
    assert_eq!(said("t.csv", ""), "t.csv: the trace is empty: 0 lines and not one usable row");
    assert_eq!(said("t.csv", "\n\r\n"), "t.csv: the trace is empty: 2 lines and not one usable row");
    assert_eq!(
        said("t.csv", "arrival_s,input_tokens,output_tokens\n"),
        "t.csv: the trace is empty: 1 line and not one usable row"
    );
}

#[test]
fn traces_of_which_every_row_is_left_out() {
    let text = "arrival_s,input_tokens,output_tokens\n0,0,1\n";
    let reason = "column 2 (`input_tokens`): found 0, expected a whole number of tokens from 1 to 4294967295 (such requests \
                  failed or asked nothing)";
    let found = message("t.csv", text, &skipping());
    let (start, rest) = found.split_once("; the first row left out: ").expect("the reason is told");
    assert_eq!(start, "t.csv: the trace is empty: 2 lines and not one usable row");
    assert_eq!(rest, format!("t.csv, line 2, {reason}"));
}

const CATALOGUE: &str = "
  azure           CSV with the columns TIMESTAMP, ContextTokens, GeneratedTokens
  burstgpt        CSV with the columns Timestamp, Request tokens, Response tokens
  sharegpt-blocks CSV with the columns arrival_s, input_tokens, output_tokens, block_hash_ids
  csv             CSV with the columns arrival_s, input_tokens, output_tokens
  vidur           CSV with the columns num_prefill_tokens, num_decode_tokens
  qwen-bailian    JSON lines with the fields chat_id, timestamp, input_length, output_length
  mooncake        JSON lines with the fields timestamp, input_length, output_length
  apex            JSON lines with the fields StartTimeOffset, ContextTokens, GeneratedTokens
  sharegpt-blocks JSON lines with the fields arrival_s, input_tokens, output_tokens, block_hash_ids
  jsonl           JSON lines with the fields arrival_s, input_tokens, output_tokens
  servegen        chunk-N-trace.csv (no header: t_s, rate, cv, pattern, 2 arguments) beside chunk-N-dataset.json, or their folder
";

#[test]
fn formats_that_are_unknown() {
    let zstd = "it is zstd-compressed; unpack it first (gzip is unpacked on the fly)";
    let array = "it is a JSON array; write one object per line, for example with `jq -c '.[]'`";
    let piece = "its first line starts a JSON object but is not a whole one; JSON lines have one per line";
    let header = "it starts neither with the header of one nor with a JSON object (in a CSV file of your own, call the columns \
                  arrival_s, in seconds, input_tokens and output_tokens)";
    let commas = "its columns have to be parted by commas";
    for (content, why, start) in [
        (&b"dear diary,\nit rained"[..], header, "`dear diary,`"),
        (b"time;input;output\n", commas, "`time;input;output`"),
        (br#"{"prompt": "hi"}"#, "the fields of its first row fit none", r#"`{"prompt": "hi"}`"#),
        (b"{\n", piece, "`{`"),
        (b"[{\"a\": 1}]", array, "`[{\"a\": 1}]`"),
        (b"\x28\xb5\x2f\xfd\x00\x01", zstd, "`(\u{fffd}/\u{fffd}\\u{0}\\u{1}`"),
    ] {
        assert_eq!(
            message("t", content, &ReadOptions::default()),
            format!(
                "t: not a trace in any format known here: {why}. Looked for:{CATALOGUE}The file starts with: {start}"
            )
        );
    }
}

#[test]
fn a_long_first_line_is_cut() {
    let found = said("t", &"long ".repeat(1000));
    assert!(found.ends_with(&format!("The file starts with: `{}…`", "long ".repeat(40))), "{found}");
}

#[test]
fn a_format_that_the_file_cannot_have() {
    let found = said_as(TraceFormat::Mooncake, "t.csv", "arrival_s,input_tokens,output_tokens\n0,1,1\n");
    assert!(
        found.starts_with(
            "t.csv: not a trace in any format known here: it was said to be `mooncake`, but it has no JSON lines. Looked for:"
        ),
        "{found}"
    );
}

#[test]
fn a_file_that_is_not_there() {
    let (folder, path) = file("t.csv", "");
    let missing = path.with_file_name("no.csv");
    let error = TraceReader::open(&missing, &ReadOptions::default()).err().unwrap();
    let name = error.to_string().replace(&format!("{}/", folder.path().display()), "");
    assert_eq!(name, "no.csv: No such file or directory (os error 2)");
}

#[test]
fn bad_rows_can_be_skipped_and_are_counted_with_reasons() {
    let mut text = String::from("arrival_s,input_tokens,output_tokens\n0,10,1\n");
    for row in 1..=9 {
        let _ = writeln!(text, "{row},-{row},1");
    }
    text.push_str("10,20,2\n");
    let (_folder, path) = file("t.csv", text);
    let mut reader = TraceReader::open(&path, &skipping()).unwrap();
    let rows: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(rows, [plain(0, 10, 1, 2), plain(10_000_000_000, 20, 2, 12)]);
    let skipped = reader.skipped();
    assert_eq!((skipped.count(), skipped.bad_rows, skipped.failed_requests), (9, 9, 0));
    assert_eq!(skipped.examples.len(), 5, "a few reasons are enough");
    assert_eq!(
        skipped.examples[0],
        format!("{}, line 3, column 2 (`input_tokens`): found `-1`, expected {TOKENS}", path.display())
    );
}

#[test]
fn after_an_error_there_are_no_more_rows() {
    let (_folder, path) = file("t.csv", "arrival_s,input_tokens,output_tokens\n0,1,1\n1,x,1\n2,1,1\n");
    let outcomes: Vec<bool> =
        TraceReader::open(&path, &ReadOptions::default()).unwrap().map(|row| row.is_ok()).collect();
    assert_eq!(outcomes, [true, false]);
}
