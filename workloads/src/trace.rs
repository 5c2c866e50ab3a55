//! Traces of real requests: read from any of the public formats, written in some of them.
//!
//! [`TraceReader::open`] recognises the format from the content (or takes [`ReadOptions::format`]), unpacks gzip on the
//! fly, and streams: its memory does not grow with the trace (except for Qwen-Bailian, whose conversations must be
//! remembered). Whatever is wrong is an error that names file, line and field; nothing is left out silently.
//!
//! # servesim's own format
//!
//! A CSV file with a header (`csv`), or one JSON object per line with fields of the same names (`jsonl`):
//!
//! | column | meaning |
//! |---|---|
//! | `arrival_s` | when the request arrives, in seconds; rows stand in order of arrival, the first row is the start |
//! | `input_tokens` | length of its prompt, at least 1 |
//! | `output_tokens` | how many tokens it generates, at least 1 |
//! | `session` | optional: number of the conversation it belongs to |
//! | `spans` | optional: what its prompt consists of, as `content:tokens` separated by blanks, `input_tokens` in all |
//!
//! A `content` is a number of up to 64 bits that stands for a text; two prompts share a prefix exactly as far as their
//! spans agree from the first one on. Without spans a prompt shares nothing. (Contents from 2^62 on are renamed when read,
//! equal ones alike.) Columns may stand in any order; others are allowed, and named in [`TraceInfo::notes`].
//!
//! ```csv
//! arrival_s,input_tokens,output_tokens,session,spans
//! 0.000000000,612,129,1,7:512 100:100
//! 0.250000000,520,55,,7:512 101:8
//! 1.500000000,374,44,,
//! ```
//!
//! ```json
//! {"arrival_s": 0.25, "input_tokens": 520, "output_tokens": 55, "spans": "7:512 101:8"}
//! ```

mod apex;
mod azure;
mod blocks;
mod burstgpt;
mod error;
mod field;
mod format;
mod header;
mod input;
mod mooncake;
mod plain;
mod qwen_bailian;
mod reader;
mod recognise;
mod row_format;
mod servegen;
mod sharegpt_blocks;
mod table;
mod vidur;
mod writer;

use std::path::{Path, PathBuf};

pub use error::{RowError, TraceError};
pub use format::{TraceFormat, UnknownFormatName};
pub use reader::TraceReader;
pub use writer::{Losses, TraceWriter};

/// How to read a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format it has; `None`: find out.
    pub format: Option<TraceFormat>,
    /// Leave out rows that are malformed instead of stopping at the first, and count them in [`Skipped`]. A file that
    /// ends early, a damaged one and a clock that goes backwards are errors all the same.
    pub skip_bad_rows: bool,
    /// Seed of what is drawn at random; only `ServeGen` draws.
    pub seed: u64,
}

/// What kind of trace a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceInfo {
    /// The file or folder.
    pub path: PathBuf,
    /// Its format.
    pub format: TraceFormat,
    /// Whether its rows have arrival times. Without, they all arrive at 0, and times must come from an arrival process.
    pub has_times: bool,
    /// Whether it has a place for what prompts share (single rows may still say nothing).
    pub has_prefixes: bool,
    /// Whether it has a place for sessions (single rows may still belong to none).
    pub has_sessions: bool,
    /// Prompt tokens per block id, in formats that have block ids.
    pub block_tokens: Option<u32>,
    /// What of the file is not used or had to be interpreted, a sentence each.
    pub notes: Vec<String>,
}

impl TraceInfo {
    fn new(path: &Path, format: TraceFormat) -> Self {
        TraceInfo {
            path: path.to_owned(),
            format,
            has_times: true,
            has_prefixes: false,
            has_sessions: false,
            block_tokens: None,
            notes: Vec::new(),
        }
    }

    /// Notes which columns or fields of a file in servesim's own format mean nothing to it.
    fn note_unread(&mut self, kind: &str, names: &[String]) {
        if !names.is_empty() {
            let shown = |name: &String| if name.is_empty() { "one without a name".to_owned() } else { name.clone() };
            let names = names.iter().map(shown).collect::<Vec<_>>().join(", ");
            self.notes.push(format!("{kind} that are not read: {names}"));
        }
    }
}

/// Rows that were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Malformed rows ([`ReadOptions::skip_bad_rows`]).
    pub bad_rows: u64,
    /// Requests that the trace marks as failed by 0 response tokens (`BurstGPT`).
    pub failed_requests: u64,
    /// Reasons of the first few malformed rows and of the first failed request, with file and line.
    pub examples: Vec<String>,
}

impl Skipped {
    /// How many reasons are kept.
    const EXAMPLES: u64 = 5;

    /// All rows that were left out.
    pub fn count(&self) -> u64 {
        self.bad_rows + self.failed_requests
    }

    fn bad(&mut self, error: &TraceError) {
        self.bad_rows += 1;
        if self.bad_rows <= Self::EXAMPLES {
            self.examples.push(error.to_string());
        }
    }

    fn failed(&mut self, path: &Path, line: u64) {
        self.failed_requests += 1;
        // They are all alike.
        if self.failed_requests == 1 {
            self.examples.push(format!("{}, line {line}: a failed request (0 response tokens)", path.display()));
        }
    }
}
