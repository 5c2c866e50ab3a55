//! Compressed traces, whole and broken.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use workloads::{ReadOptions, TraceError, WorkloadError};

use super::{file, message, plain, read, rows, skipping};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const HEADER: &str = "arrival_s,input_tokens,output_tokens\n";

fn text(rows: u32) -> String {
    let rows = (0..rows).map(|row| format!("{row},{},{}\n", row * 7919 % 4000 + 1, row * 104_729 % 500 + 1));
    HEADER.to_owned() + &rows.collect::<String>()
}

#[test]
fn gzip_is_recognised_by_its_content_not_its_name() {
    assert_eq!(rows("trace", gzip(&text(100))), rows("trace", text(100)));
    assert_eq!(rows("trace.csv.gz", text(100)), rows("trace", text(100)), "a plain file of that name is read as well");
}

#[test]
fn all_members_of_a_file_are_read() {
    let mut content = gzip(HEADER);
    content.extend(gzip("0,1,2\n1,3,"));
    content.extend(gzip("4\n"));
    assert_eq!(rows("t.gz", content), [plain(0, 1, 2, 2), plain(1_000_000_000, 3, 4, 3)]);
}

#[test]
fn a_file_cut_anywhere_ends_early_and_is_never_half_a_trace() {
    let content = gzip(&text(300));
    for length in 2..content.len() {
        let (_folder, path) = file("t.csv.gz", &content[..length]);
        for options in [ReadOptions::default(), skipping()] {
            match read(&path, &options) {
                Err(WorkloadError::Trace(TraceError::TruncatedGzip { .. })) => {}
                other => panic!("cut to {length} of {} bytes: {:?}", content.len(), other.map(|rows| rows.len())),
            }
        }
    }
}

#[test]
fn a_truncated_file_says_where_it_ends_and_why() {
    let content = gzip(&text(2));
    assert_eq!(
        message("t.csv.gz", &content[..content.len() - 8], &ReadOptions::default()),
        "t.csv.gz: the gzip file ends early, after line 3: probably an incomplete download; fetch it again (the rows that are \
         there are not used, since nothing tells how many are missing)"
    );
}

#[test]
fn a_file_with_a_wrong_checksum_is_damaged() {
    let mut content = gzip(&text(2));
    let checksum = content.len() - 8;
    content[checksum] ^= 1;
    assert_eq!(
        message("t.csv.gz", content, &ReadOptions::default()),
        "t.csv.gz: the gzip file is damaged somewhere after line 3 (corrupt gzip stream does not have a matching checksum); \
         fetch it again"
    );
}

#[test]
fn what_follows_a_member_must_be_one_too() {
    let mut content = gzip(&text(2));
    content.extend(b"rubbish that is no gzip member");
    assert_eq!(
        message("t.csv.gz", content, &skipping()),
        "t.csv.gz: the gzip file is damaged somewhere after line 3 (invalid gzip header); fetch it again"
    );
}

#[test]
fn an_empty_compressed_file_is_an_empty_trace() {
    assert_eq!(
        message("t.csv.gz", gzip(""), &ReadOptions::default()),
        "t.csv.gz: the trace is empty: 0 lines and not one usable row"
    );
}

#[test]
fn a_line_without_end_is_not_swallowed_whole() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..65 {
        encoder.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    assert_eq!(
        message("t.gz", encoder.finish().unwrap(), &ReadOptions::default()),
        "t.gz, line 1: longer than 64 MiB without a line end; traces have one row per line"
    );
}
