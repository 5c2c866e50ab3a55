//! Every format, as its files really are.

use workloads::{ReadOptions, TraceFormat, TraceInfo, TraceReader};

use super::{file, in_session, plain, rows, with_spans};

/// Contents numbered from here on are one prompt's own.
const PRIVATE: u64 = 1 << 61;

fn info(name: &str, content: &str) -> TraceInfo {
    let (_folder, path) = file(name, content);
    TraceReader::open(&path, &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}")).info().clone()
}

const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
    2023-11-16 23:59:59.9999999,100,20\r\n2023-11-17 00:00:00.0000001,200,30\r\n2023-11-17 00:00:01.5,300,40";

#[test]
fn azure_2023_with_crlf_seven_decimals_and_no_last_newline() {
    let expected = [plain(0, 100, 20, 2), plain(200, 200, 30, 3), plain(1_500_000_100, 300, 40, 4)];
    assert_eq!(rows("t.csv", AZURE), expected);
    let info = info("t.csv", AZURE);
    assert_eq!(info.format, TraceFormat::Azure);
    assert!(info.has_times && !info.has_prefixes && !info.has_sessions);
}

#[test]
fn azure_2024_with_an_offset_and_sometimes_no_decimals() {
    let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
        2024-05-10 00:00:00+00:00,100,20\n2024-05-10 00:00:00.009930+00:00,200,30\n";
    assert_eq!(rows("t.csv", text), [plain(0, 100, 20, 2), plain(9_930_000, 200, 30, 3)]);
}

#[test]
fn line_ends_may_be_mixed_and_blank_lines_say_nothing() {
    let text = "\u{feff}TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
        2023-11-16 00:00:00.0,100,20\n\n2023-11-16 00:00:01.0,200,30\r\n   \n";
    assert_eq!(rows("t.csv", text), [plain(0, 100, 20, 2), plain(1_000_000_000, 200, 30, 4)]);
}

#[test]
fn columns_are_found_by_name_whatever_their_order_and_quotes() {
    let text = "\"GeneratedTokens\",\"TIMESTAMP\",\"ContextTokens\"\n\"20\",\"2023-11-16 00:00:00.0\",\"100\"\n";
    assert_eq!(rows("t.csv", text), [plain(0, 100, 20, 2)]);
}

#[test]
fn a_burst_and_a_long_silence_are_kept_as_they_are() {
    let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
        2023-11-16 00:00:00.0,1,1\n2023-11-16 00:00:00.0,2,2\n2023-12-16 00:00:00.0,3,3\n";
    let month = 30 * 86_400_000_000_000;
    assert_eq!(rows("t.csv", text), [plain(0, 1, 1, 2), plain(0, 2, 2, 3), plain(month, 3, 3, 4)]);
}

#[test]
fn mooncake_in_milliseconds_with_blocks_of_512_the_last_one_partial() {
    let text = r#"{"timestamp": 3000, "input_length": 1100, "output_length": 5, "hash_ids": [0, 14, 15]}
{"timestamp": 3000, "input_length": 1024, "output_length": 6, "hash_ids": [0, 14]}
{"timestamp": 6051, "input_length": 7, "output_length": 8, "hash_ids": [99]}"#;
    assert_eq!(
        rows("t.jsonl", text),
        [
            with_spans(plain(0, 1100, 5, 1), &[(0, 512), (14, 512), (15, 76)]),
            with_spans(plain(0, 1024, 6, 2), &[(0, 512), (14, 512)]),
            with_spans(plain(3_051_000_000, 7, 8, 3), &[(99, 7)]),
        ]
    );
    let info = info("t.jsonl", text);
    assert_eq!((info.format, info.has_prefixes, info.block_tokens), (TraceFormat::Mooncake, true, Some(512)));
}

#[test]
fn mooncake_without_block_ids_shares_nothing() {
    let text = "{\"timestamp\": 0, \"input_length\": 10, \"output_length\": 5}\n\
        {\"timestamp\": 1.5, \"input_length\": 10, \"output_length\": 5, \"hash_ids\": []}\n";
    assert_eq!(rows("t.jsonl", text), [plain(0, 10, 5, 1), plain(1_500_000, 10, 5, 2)]);
    assert!(!info("t.jsonl", text).has_prefixes);
}

#[test]
fn burstgpt_without_sessions() {
    let text = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
        5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1087,230,1317,API log\n";
    assert_eq!(rows("t.csv", text), [plain(0, 472, 18, 2), plain(40_000_000_000, 1087, 230, 3)]);
    assert!(!info("t.csv", text).has_sessions);
}

#[test]
fn burstgpt_with_sessions_and_units_in_its_header() {
    let text = "Timestamp(s),Session ID,Elapsed time(s),Model,Request tokens,Response tokens,Total tokens,Log Type\n\
        5.5,7,1.2,ChatGPT,472,18,490,Conversation log\n6,,0.1,GPT-4,10,20,30,API log\n6.25,7.0,3,ChatGPT,5,6,11,Conversation log\n";
    let expected = [
        in_session(plain(0, 472, 18, 2), 7),
        plain(500_000_000, 10, 20, 3),
        in_session(plain(750_000_000, 5, 6, 4), 7),
    ];
    assert_eq!(rows("t.csv", text), expected);
    assert!(info("t.csv", text).has_sessions);
}

#[test]
fn burstgpt_failures_are_left_out_and_counted_apart() {
    let text = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
        0,ChatGPT,0,0,0,API log\n1,ChatGPT,10,2,12,API log\n2,ChatGPT,10,0,10,API log\n";
    let (_folder, path) = file("t.csv", text);
    let mut reader = TraceReader::open(&path, &ReadOptions::default()).unwrap();
    let rows: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(rows, [plain(0, 10, 2, 3)], "the clock starts with the first request that is there");
    let skipped = reader.skipped();
    assert_eq!((skipped.failed_requests, skipped.bad_rows, skipped.count()), (2, 0, 2));
    assert_eq!(skipped.examples, [format!("{}, line 2: a failed request (0 response tokens)", path.display())]);
}

#[test]
fn qwen_bailian_turns_belong_to_the_session_of_their_first() {
    let text = r#"{"chat_id": 10, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 20, "output_length": 3, "type": "text", "turn": 1, "hash_ids": [5, 6]}
{"chat_id": 11, "parent_chat_id": 10, "timestamp": 62.0, "input_length": 40, "output_length": 3, "type": "text", "turn": 2, "hash_ids": [5, 6, 8]}
{"chat_id": 12, "parent_chat_id": 11, "timestamp": 63.0, "input_length": 16, "output_length": 3, "type": "text", "turn": 3, "hash_ids": [5]}
{"chat_id": 13, "parent_chat_id": 3, "timestamp": 64.0, "input_length": 20, "output_length": 3, "type": "file", "turn": 2, "hash_ids": [5]}"#;
    assert_eq!(
        rows("t.jsonl", text),
        [
            in_session(with_spans(plain(0, 20, 3, 1), &[(5, 16), (6, 4)]), 10),
            in_session(with_spans(plain(886_000_000, 40, 3, 2), &[(5, 16), (6, 16), (8, 8)]), 10),
            in_session(with_spans(plain(1_886_000_000, 16, 3, 3), &[(5, 16)]), 10),
            // Its first turn lies before the trace; and its last 4 tokens have no id, so they are its own.
            in_session(with_spans(plain(2_886_000_000, 20, 3, 4), &[(5, 16), (PRIVATE + 4, 4)]), 3),
        ]
    );
    let info = info("t.jsonl", text);
    assert_eq!((info.format, info.has_sessions, info.block_tokens), (TraceFormat::QwenBailian, true, Some(16)));
}

#[test]
fn sharegpt_blocks_name_full_blocks_only() {
    let csv = "request_id,arrival_s,input_tokens,output_tokens,block_hash_ids\n\
        a,0.0,40,5,1 2\nb,0.386902,32,6,1 9\nc,0.5,7,8,\n";
    let expected = [
        with_spans(plain(0, 40, 5, 2), &[(1, 16), (2, 16), (PRIVATE + 2, 8)]),
        with_spans(plain(386_902_000, 32, 6, 3), &[(1, 16), (9, 16)]),
        plain(500_000_000, 7, 8, 4),
    ];
    assert_eq!(rows("t.csv", csv), expected);
    let jsonl = r#"{"arrival_s": 0.25, "input_tokens": 40, "output_tokens": 5, "block_hash_ids": [1, 2]}"#;
    assert_eq!(rows("t.jsonl", jsonl), [with_spans(plain(0, 40, 5, 1), &[(1, 16), (2, 16), (PRIVATE + 1, 8)])]);
    for (name, text) in [("t.csv", csv), ("t.jsonl", jsonl)] {
        let info = info(name, text);
        assert_eq!((info.format, info.block_tokens), (TraceFormat::ShareGptBlocks, Some(16)));
    }
}

#[test]
fn apex_counts_nanoseconds() {
    let text = r#"{"ContextTokens": 304, "GeneratedTokens": 822, "StartTimeOffset": 618518284, "RequestID": "a", "TotalTokens": 1126}
{"ContextTokens": 5, "GeneratedTokens": 1, "StartTimeOffset": 1236439963, "RequestID": "b", "TotalTokens": 6}"#;
    assert_eq!(rows("t.jsonl", text), [plain(0, 304, 822, 1), plain(617_921_679, 5, 1, 2)]);
    assert_eq!(info("t.jsonl", text).format, TraceFormat::Apex);
}

#[test]
fn vidur_lengths_need_an_arrival_process_unless_they_have_times() {
    let lengths =
        "num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n3772,54,3826,69.8\n2015,156,2171,12.9\n";
    assert_eq!(rows("t.csv", lengths), [plain(0, 3772, 54, 2), plain(0, 2015, 156, 3)]);
    assert!(!info("t.csv", lengths).has_times);
    let times = "arrived_at,num_prefill_tokens,num_decode_tokens\n1.5,3772,54\n2.25,2015,156\n";
    assert_eq!(rows("t.csv", times), [plain(0, 3772, 54, 2), plain(750_000_000, 2015, 156, 3)]);
    assert!(info("t.csv", times).has_times);
}

#[test]
fn own_csv_as_documented() {
    let text = "arrival_s,input_tokens,output_tokens,session,spans\n\
        0.000000000,612,129,1,7:512 100:100\n0.250000000,520,55,,7:512 101:8\n1.500000000,374,44,,\n";
    let expected = [
        in_session(with_spans(plain(0, 612, 129, 2), &[(7, 512), (100, 100)]), 1),
        with_spans(plain(250_000_000, 520, 55, 3), &[(7, 512), (101, 8)]),
        plain(1_500_000_000, 374, 44, 4),
    ];
    assert_eq!(rows("t.csv", text), expected);
    let info = info("t.csv", text);
    assert_eq!((info.format, info.has_prefixes, info.has_sessions), (TraceFormat::Csv, true, true));
    assert!(info.notes.is_empty());
}

#[test]
fn own_json_lines_as_documented() {
    let text = r#"{"arrival_s": 0.25, "input_tokens": 520, "output_tokens": 55, "spans": "7:512 101:8", "session": 3}
{"arrival_s": 0.5, "input_tokens": 1, "output_tokens": 2, "spans": null}"#;
    let expected =
        [in_session(with_spans(plain(0, 520, 55, 1), &[(7, 512), (101, 8)]), 3), plain(250_000_000, 1, 2, 2)];
    assert_eq!(rows("t.jsonl", text), expected);
    assert_eq!(info("t.jsonl", text).format, TraceFormat::Jsonl);
}

#[test]
fn contents_out_of_range_are_renamed_alike_in_all_rows() {
    let text = "arrival_s,input_tokens,output_tokens,spans\n0,9,1,18446744073709551615:9\n1,8,1,18446744073709551615:8\n\
        2,8,1,18446744073709551614:8\n";
    let contents: Vec<u64> = rows("t.csv", text).into_iter().map(|row| row.spans.unwrap()[0].content.0).collect();
    assert_eq!(contents[0], contents[1]);
    assert_ne!(contents[0], contents[2]);
    assert!(contents.iter().all(|&content| content < workloads::ContentId::LIMIT));
}

#[test]
fn columns_that_mean_nothing_are_named() {
    let text = "request_id,arrival_s,input_tokens,output_tokens,sesion\na,0,1,1,4\n";
    assert_eq!(info("t.csv", text).notes, ["columns that are not read: request_id, sesion"]);
    let text = r#"{"arrival_s": 0, "input_tokens": 1, "output_tokens": 1, "ttft_s": 0.5}"#;
    assert_eq!(info("t.jsonl", text).notes, ["fields that are not read: ttft_s"]);
}

#[test]
fn a_format_that_is_named_is_not_guessed() {
    let text = "request_id,arrival_s,input_tokens,output_tokens,block_hash_ids\na,0.0,40,5,1 2\n";
    let (_folder, path) = file("t.csv", text);
    let options = ReadOptions { format: Some(TraceFormat::Csv), ..ReadOptions::default() };
    let reader = TraceReader::open(&path, &options).unwrap();
    assert_eq!(reader.info().notes, ["columns that are not read: request_id, block_hash_ids"]);
    assert_eq!(reader.map(Result::unwrap).collect::<Vec<_>>(), [plain(0, 40, 5, 2)]);
}

#[test]
fn a_trace_can_be_read_twice() {
    let (_folder, path) = file("t.csv", AZURE);
    let mut reader = TraceReader::open(&path, &ReadOptions::default()).unwrap();
    reader.next().unwrap().unwrap();
    let again: Vec<_> = reader.reopen().unwrap().map(Result::unwrap).collect();
    assert_eq!(again, rows("t.csv", AZURE));
}

#[test]
fn every_format_is_found_by_its_name() {
    for format in TraceFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert_eq!(
        "azur".parse::<TraceFormat>().unwrap_err().to_string(),
        "no trace format is called `azur`; there are azure, mooncake, burstgpt, qwen-bailian, servegen, sharegpt-blocks, \
         apex, vidur, csv, jsonl"
    );
}
