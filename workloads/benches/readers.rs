//! How many rows per second the trace readers read.

#![allow(missing_docs, reason = "criterion's macros generate functions without documentation")]

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::Compression;
use flate2::write::GzEncoder;
use workloads::{ReadOptions, TraceReader};

const ROWS: u32 = 100_000;

/// A file of `ROWS` lines behind a header, compressed if its name ends in `.gz`.
fn file(folder: &Path, name: &str, header: &str, row: impl Fn(u32) -> String) -> PathBuf {
    let path = folder.join(name);
    let mut text = header.to_owned();
    text.extend((0..ROWS).map(row));
    let mut file = File::create(&path).expect("the temporary folder is writable");
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut encoder = GzEncoder::new(file, Compression::default());
        encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish().map(drop)).expect("the disk is not full");
    } else {
        file.write_all(text.as_bytes()).expect("the disk is not full");
    }
    path
}

fn azure_row(row: u32) -> String {
    let (hour, minute, second) = (row / 36_000 % 24, row / 600 % 60, row / 10 % 60);
    let (decimals, input, output) = (row % 10 * 1_000_000, row % 4000 + 1, row % 700 + 1);
    format!("2023-11-16 {hour:02}:{minute:02}:{second:02}.{decimals:07},{input},{output}\r\n")
}

fn plain_row(row: u32) -> String {
    format!("{}.{:09},{},{},,\n", row / 10, row % 10 * 100_000_000, row % 4000 + 1, row % 700 + 1)
}

/// A prompt of 24 blocks, as in Mooncake's conversations (12,035 tokens on average).
fn mooncake_row(row: u32) -> String {
    let ids: Vec<String> = (0..24).map(|block| (row * 24 + block).to_string()).collect();
    let (time, ids) = (row * 300, ids.join(", "));
    format!("{{\"timestamp\": {time}, \"input_length\": 12035, \"output_length\": 343, \"hash_ids\": [{ids}]}}\n")
}

fn apex_row(row: u32) -> String {
    let (time, input, output) = (u64::from(row) * 300_000_000, row % 1000 + 1, row % 700 + 1);
    format!(
        "{{\"ContextTokens\": {input}, \"GeneratedTokens\": {output}, \"RequestID\": \"{row:032x}\", \"StartTimeOffset\": {time}}}\n"
    )
}

fn read(path: &Path) -> u64 {
    let reader = TraceReader::open(path, &ReadOptions::default()).expect("the trace can be opened");
    reader.map(|row| u64::from(row.expect("every row is good").input_tokens)).sum()
}

fn readers(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";
    let plain = "arrival_s,input_tokens,output_tokens,session,spans\n";
    let mut group = criterion.benchmark_group("readers");
    group.throughput(Throughput::Elements(u64::from(ROWS))).sample_size(10);
    for (name, path) in [
        ("azure", file(folder.path(), "azure.csv", azure, azure_row)),
        ("azure_gzip", file(folder.path(), "azure.csv.gz", azure, azure_row)),
        ("plain_csv", file(folder.path(), "plain.csv", plain, plain_row)),
        ("apex_jsonl", file(folder.path(), "apex.jsonl", "", apex_row)),
        ("mooncake_jsonl", file(folder.path(), "mooncake.jsonl", "", mooncake_row)),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| black_box(read(&path))));
    }
    group.finish();
}

criterion_group!(benches, readers);
criterion_main!(benches);
