//! What is written is what is read.

use std::path::PathBuf;

use proptest::prelude::*;
use workloads::trace::Losses;
use workloads::{ContentId, ReadOptions, SessionId, SimTime, Span, TraceFormat, TraceRow, TraceWriter, WorkloadError};

use super::{file, in_session, plain, read, with_spans};

/// Writes the rows to a file of this name and reads them back.
fn there_and_back(name: &str, format: TraceFormat, rows: &[TraceRow]) -> (Vec<TraceRow>, Losses) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let losses = write(path.clone(), format, rows).unwrap_or_else(|error| panic!("{error}"));
    (read(&path, &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}")), losses)
}

fn write(path: PathBuf, format: TraceFormat, rows: &[TraceRow]) -> Result<Losses, WorkloadError> {
    let mut writer = TraceWriter::create(path, format, false)?;
    for row in rows {
        writer.write(row)?;
    }
    assert_eq!(writer.rows(), rows.len() as u64);
    writer.finish()
}

/// Rows in order, the first at 0, numbered as the lines they will stand on.
fn rows(
    gap_nanos: impl Strategy<Value = u64>,
    spans: impl Strategy<Value = Option<Vec<(u64, u32)>>>,
    first_line: u64,
) -> impl Strategy<Value = Vec<TraceRow>> {
    let row = (gap_nanos, 1..5000_u32, 1..5000_u32, spans, proptest::option::of(any::<u64>()));
    proptest::collection::vec(row, 1..20).prop_map(move |rows| {
        let mut now = 0;
        let numbered = rows.into_iter().enumerate();
        let make = numbered.map(|(index, (gap, input, output, spans, session))| {
            now += if index == 0 { 0 } else { gap };
            let sum = spans.as_ref().map(|spans| spans.iter().map(|span| span.1).sum());
            TraceRow {
                arrival: SimTime::from_nanos(now),
                input_tokens: sum.unwrap_or(input),
                output_tokens: output,
                spans: spans.map(|spans| {
                    spans.into_iter().map(|(content, tokens)| Span { content: ContentId(content), tokens }).collect()
                }),
                session: session.map(SessionId),
                line: index as u64 + first_line,
            }
        });
        make.collect()
    })
}

fn any_spans() -> impl Strategy<Value = Option<Vec<(u64, u32)>>> {
    proptest::option::of(proptest::collection::vec((0..ContentId::LIMIT, 1..3000_u32), 1..6))
}

/// Blocks of 512 tokens, the last one partial.
fn blocks() -> impl Strategy<Value = Option<Vec<(u64, u32)>>> {
    let blocks = (proptest::collection::vec(0..1_u64 << 60, 1..6), 1..=512_u32).prop_map(|(ids, last)| {
        let count = ids.len();
        ids.into_iter().enumerate().map(|(index, id)| (id, if index + 1 == count { last } else { 512 })).collect()
    });
    proptest::option::of(blocks)
}

fn without_sessions(mut rows: Vec<TraceRow>) -> Vec<TraceRow> {
    for row in &mut rows {
        row.session = None;
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn own_csv_keeps_everything(rows in rows(0..1_u64 << 55, any_spans(), 2)) {
        let (read, losses) = there_and_back("t.csv.gz", TraceFormat::Csv, &rows);
        prop_assert_eq!((read, losses), (rows, Losses::default()));
    }

    #[test]
    fn own_json_lines_keep_everything(rows in rows(0..1_u64 << 55, any_spans(), 1)) {
        let (read, losses) = there_and_back("t.jsonl", TraceFormat::Jsonl, &rows);
        prop_assert_eq!((read, losses), (rows, Losses::default()));
    }

    #[test]
    fn mooncake_keeps_blocks_and_milliseconds(
        rows in rows((0..1_u64 << 34).prop_map(|ms| ms * 1_000_000), blocks(), 1)
    ) {
        let rows = without_sessions(rows);
        let (read, losses) = there_and_back("t.jsonl.gz", TraceFormat::Mooncake, &rows);
        prop_assert_eq!((read, losses), (rows, Losses::default()));
    }

    #[test]
    fn azure_keeps_lengths_and_steps_of_100_ns(
        rows in rows((0..1_u64 << 48).prop_map(|steps| steps * 100), Just(None), 2)
    ) {
        let rows = without_sessions(rows);
        let (read, losses) = there_and_back("t.csv", TraceFormat::Azure, &rows);
        prop_assert_eq!((read, losses), (rows, Losses::default()));
    }

    /// However a prompt is cut into spans: in Mooncake's format two prompts share exactly the whole blocks in which they
    /// agree.
    #[test]
    fn mooncake_shares_the_blocks_in_which_prompts_agree(rows in rows(Just(0), any_shared_spans(), 1)) {
        let rows = without_sessions(rows);
        let (read, _) = there_and_back("t.jsonl", TraceFormat::Mooncake, &rows);
        for (a, a_read) in rows.iter().zip(&read) {
            for (b, b_read) in rows.iter().zip(&read) {
                prop_assert_eq!(whole_blocks(common(a, b)), whole_blocks(common(a_read, b_read)));
            }
        }
    }
}

/// Spans of few contents and lengths, so that prompts agree often.
fn any_shared_spans() -> impl Strategy<Value = Option<Vec<(u64, u32)>>> {
    let tokens = prop_oneof![Just(512_u32), Just(1024), Just(300), Just(812)];
    proptest::collection::vec((0..3_u64, tokens), 1..6).prop_map(Some)
}

fn whole_blocks(tokens: u32) -> u32 {
    tokens / 512
}

/// Tokens in which two prompts agree from their start.
fn common(a: &TraceRow, b: &TraceRow) -> u32 {
    let spans = |row: &TraceRow| row.spans.clone().expect("every row has spans");
    let mut common = 0;
    for (a, b) in spans(a).into_iter().zip(spans(b)) {
        if a.content != b.content {
            break;
        }
        common += a.tokens.min(b.tokens);
        if a.tokens != b.tokens {
            break;
        }
    }
    common
}

#[test]
fn what_a_format_cannot_hold_is_told() {
    let rows = [
        in_session(with_spans(plain(0, 600, 5, 2), &[(1, 512), (2, 88)]), 4),
        with_spans(plain(1_000_050, 600, 5, 3), &[(1, 500), (2, 100)]),
    ];
    let told = |format: TraceFormat| there_and_back("t", format, &rows).1.sentences(format);
    assert_eq!(
        told(TraceFormat::Azure),
        [
            "azure: 2 rows lost what their prompts share with others",
            "azure: 1 row lost the session they belong to",
            "azure: 1 row had their arrival rounded down to a multiple of 100 ns",
        ]
    );
    assert_eq!(
        told(TraceFormat::Mooncake),
        [
            "mooncake: 1 row had their prompts cut into blocks of 512 tokens; only whole ones are shared",
            "mooncake: 1 row lost the session they belong to",
            "mooncake: 1 row had their arrival rounded down to a multiple of 1 ms",
        ]
    );
    assert!(told(TraceFormat::Csv).is_empty() && told(TraceFormat::Jsonl).is_empty());
}

#[test]
fn a_file_that_exists_is_kept_unless_overwriting_is_allowed() {
    let (folder, path) = file("t.csv", "precious");
    let said = write(path.clone(), TraceFormat::Csv, &[]).unwrap_err().to_string();
    assert_eq!(
        said.replace(&format!("{}/", folder.path().display()), ""),
        "t.csv: the file exists already; remove it, choose another name, or allow overwriting it"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    TraceWriter::create(&path, TraceFormat::Csv, true).unwrap().finish().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "arrival_s,input_tokens,output_tokens,session,spans\n");
}

/// What is said when these rows are written to t.csv.
fn refused(format: TraceFormat, rows: &[TraceRow]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let said = write(folder.path().join("t.csv"), format, rows).unwrap_err().to_string();
    said.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn rows_that_no_reader_would_take_are_refused() {
    assert_eq!(
        refused(TraceFormat::Csv, &[plain(1_000_000_000, 1, 1, 0), plain(0, 1, 1, 0)]),
        "t.csv: row 2 cannot be written: it arrives at 0.000000000 s, before the row above it at 1.000000000 s"
    );
    assert_eq!(
        refused(TraceFormat::Csv, &[plain(0, 5, 0, 0)]),
        "t.csv: row 1 cannot be written: it has 5 input and 0 output tokens, and both must be at least 1"
    );
    assert_eq!(
        refused(TraceFormat::Csv, &[with_spans(plain(0, 5, 1, 0), &[(1, 4)])]),
        "t.csv: row 1 cannot be written: its spans have 4 tokens in all and its prompt 5; no span may be empty"
    );
    assert_eq!(
        refused(TraceFormat::Azure, &[plain(u64::MAX, 5, 1, 0)]),
        "t.csv: row 1 cannot be written: 18446744073.709551615 s lies beyond the year 2261"
    );
}

#[test]
fn formats_that_are_only_read() {
    assert_eq!(
        refused(TraceFormat::BurstGpt, &[]),
        "t.csv: traces can be written as csv, jsonl, mooncake or azure, not as burstgpt"
    );
}
