//! Whatever a file holds, reading it ends in rows or in an error.

use std::fmt::Write as _;

use proptest::prelude::*;
use workloads::{ReadOptions, TraceFormat};

use super::{file, read};

/// Reads the content as what it looks like and as a format it was said to be.
fn survive(content: &[u8], said: TraceFormat) {
    let (_folder, path) = file("t", content);
    for (format, skip_bad_rows) in [(None, false), (None, true), (Some(said), true)] {
        let options = ReadOptions { format, skip_bad_rows, seed: 1 };
        if let Ok(rows) = read(&path, &options) {
            assert!(rows.iter().all(|row| row.input_tokens > 0 && row.output_tokens > 0));
            assert!(rows.windows(2).all(|pair| pair[0].arrival <= pair[1].arrival));
        }
    }
}

fn any_format() -> impl Strategy<Value = TraceFormat> {
    proptest::sample::select(&TraceFormat::ALL[..])
}

const HEADERS: [&str; 11] = [
    "TIMESTAMP,ContextTokens,GeneratedTokens",
    "Timestamp,Session ID,Model,Request tokens,Response tokens",
    "arrival_s,input_tokens,output_tokens,block_hash_ids",
    "arrival_s,input_tokens,output_tokens,session,spans",
    "num_prefill_tokens,num_decode_tokens",
    r#"{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1]}"#,
    r#"{"chat_id": 1, "parent_chat_id": -1, "timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1]}"#,
    r#"{"StartTimeOffset": 1, "ContextTokens": 1, "GeneratedTokens": 1}"#,
    r#"{"arrival_s": 0, "input_tokens": 1, "output_tokens": 1, "spans": "1:1"}"#,
    "0,62.8,1.03,Gamma,0.94,0.017",
    "\u{1f}\u{8b}",
];

/// Pieces that readers look for, and numbers at the edges of their ranges.
const PIECES: [&str; 36] = [
    ",",
    ",",
    ",",
    "\n",
    "\n",
    "\r\n",
    ":",
    " ",
    "\"",
    "{",
    "}",
    "[",
    "]",
    "-",
    ".",
    "0",
    "1",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "-1",
    "NaN",
    "2023-11-16 18:15:46.68",
    "2262-04-11 23:47:17",
    "1677-09-21 00:12:44",
    "9999-12-31 23:59:59.9999999+23:59",
    "7:512 9:100",
    "\"timestamp\": 5",
    "\"input_length\": 600",
    "\"output_length\": 3",
    "\"hash_ids\": [0, -1]",
    "Gamma",
    "null",
    "é",
];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![4 => proptest::sample::select(&PIECES[..]).prop_map(str::to_owned), 1 => any::<u64>().prop_map(|n| n.to_string())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes(content in proptest::collection::vec(any::<u8>(), 0..400), said in any_format()) {
        survive(&content, said);
    }

    #[test]
    fn any_rows_behind_a_known_start(
        header in proptest::sample::select(&HEADERS[..]),
        pieces in proptest::collection::vec(piece(), 0..60),
        said in any_format(),
    ) {
        survive(format!("{header}\n{}", pieces.concat()).as_bytes(), said);
    }

    #[test]
    fn any_numbers_in_whole_rows(
        header in proptest::sample::select(&HEADERS[..6]),
        rows in proptest::collection::vec(proptest::collection::vec(piece(), 4), 0..8),
        said in any_format(),
    ) {
        let mut text = header.to_owned();
        for row in rows {
            let _ = write!(text, "\n{}", row.join(","));
        }
        survive(text.as_bytes(), said);
    }
}
