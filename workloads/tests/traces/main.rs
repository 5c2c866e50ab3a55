//! Traces: every format with its oddities, every message, and the public traces themselves where they are at hand.

mod arbitrary;
mod formats;
mod gzip;
mod messages;
mod published;
mod round_trip;
mod servegen;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use workloads::{ContentId, ReadOptions, SessionId, Span, TraceReader, TraceRow, WorkloadError};

/// The folder of public data, where there is one: `../shared/data` beside the repository, or `$SERVESIM_SHARED_DATA`.
fn shared_data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("SERVESIM_SHARED_DATA").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// A folder with one file of this content.
fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("the temporary folder is writable");
    (folder, path)
}

fn skipping() -> ReadOptions {
    ReadOptions { skip_bad_rows: true, ..ReadOptions::default() }
}

/// All rows, or the first error, which may come when the file is opened.
fn read(path: &Path, options: &ReadOptions) -> Result<Vec<TraceRow>, WorkloadError> {
    TraceReader::open(path, options)?.collect()
}

/// All rows of a file of this content.
fn rows(name: &str, content: impl AsRef<[u8]>) -> Vec<TraceRow> {
    let (_folder, path) = file(name, content);
    read(&path, &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// What is said of a file of this content, with the path cut to its name.
fn message(name: &str, content: impl AsRef<[u8]>, options: &ReadOptions) -> String {
    let (folder, path) = file(name, content);
    let error = read(&path, options).expect_err("the trace is bad");
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

/// A row as a test states it: arrival in ns, input and output tokens, line.
fn plain(nanos: u64, input_tokens: u32, output_tokens: u32, line: u64) -> TraceRow {
    let arrival = workloads::SimTime::from_nanos(nanos);
    TraceRow { arrival, input_tokens, output_tokens, spans: None, session: None, line }
}

fn with_spans(mut row: TraceRow, spans: &[(u64, u32)]) -> TraceRow {
    let spans = spans.iter().map(|&(content, tokens)| Span { content: ContentId(content), tokens }).collect();
    row.spans = Some(spans);
    row
}

fn in_session(row: TraceRow, session: u64) -> TraceRow {
    TraceRow { session: Some(SessionId(session)), ..row }
}
