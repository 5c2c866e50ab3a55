//! What can be wrong with a trace: every message names the file, the line, the field, what was found and what would be
//! right.

use std::fmt;
use std::path::PathBuf;

use super::format::TraceFormat;

/// Why a trace cannot be read or written. All of them are fatal for the file; only [`TraceError::Row`] can be skipped
/// over, with [`ReadOptions::skip_bad_rows`](super::ReadOptions::skip_bad_rows).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be opened, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A compressed file stops before its end.
    #[error(
        "{}: the gzip file ends early, after line {lines}: probably an incomplete download; fetch it again (the rows that \
         are there are not used, since nothing tells how many are missing)",
        path.display()
    )]
    TruncatedGzip {
        /// Which file.
        path: PathBuf,
        /// Whole lines that could be read.
        lines: u64,
    },
    /// A compressed file whose content contradicts its checksum or is no gzip from some point on.
    #[error("{}: the gzip file is damaged somewhere after line {lines} ({source}); fetch it again", path.display())]
    CorruptGzip {
        /// Which file.
        path: PathBuf,
        /// Whole lines that could be read.
        lines: u64,
        /// What the decoder said.
        source: std::io::Error,
    },
    /// The content looks like none of the known formats.
    #[error("{}: not a trace in any format known here: {why}. Looked for:\n{}The file starts with: {start}",
        path.display(), TraceFormat::catalogue())]
    UnknownFormat {
        /// Which file.
        path: PathBuf,
        /// What speaks against it, as far as that can be told.
        why: String,
        /// The start of its first line.
        start: String,
    },
    /// A column (or, in JSON lines, a field of the first row) that the format needs is not there.
    #[error(
        "{}: a trace in format `{format}` needs {} `{missing}`, and the first line has only: {found}",
        path.display(), if *json { "a field" } else { "a column" }
    )]
    MissingColumn {
        /// Which file.
        path: PathBuf,
        /// The format it was taken for.
        format: TraceFormat,
        /// Whether it is one of JSON lines.
        json: bool,
        /// The name that is missing.
        missing: &'static str,
        /// The names that are there.
        found: String,
    },
    /// A row that says nothing sensible.
    #[error("{}, line {line}, {what}", path.display())]
    Row {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: u64,
        /// Which field, what was found there, what would be right.
        what: RowError,
    },
    /// No usable row.
    #[error(
        "{}: the trace is empty: {} and not one usable row{}",
        path.display(),
        if *lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") },
        skipped.as_ref().map_or(String::new(), |first| format!("; the first row left out: {first}"))
    )]
    Empty {
        /// Which file.
        path: PathBuf,
        /// Lines read.
        lines: u64,
        /// Why the first row that was skipped was skipped.
        skipped: Option<String>,
    },
    /// A row that came before the row above it.
    #[error(
        "{}, line {line}: the clock goes backwards: this row comes {} after the first one, but line {earlier_line} came \
         {} after it. Traces are streamed, so their rows must stand in order of arrival: sort the file by its time first",
        path.display(), Seconds(*nanos), Seconds(*earlier_nanos)
    )]
    ClockBackwards {
        /// Which file.
        path: PathBuf,
        /// Line of the row that comes too early.
        line: u64,
        /// Its time, in ns after the first row.
        nanos: i128,
        /// Line of the row before it.
        earlier_line: u64,
        /// That row's time, in ns after the first row.
        earlier_nanos: i128,
    },
    /// A line that no row of a trace can have.
    #[error(
        "{}, line {line}: longer than {} MiB without a line end; traces have one row per line",
        path.display(), limit_bytes >> 20
    )]
    LineTooLong {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: u64,
        /// How many bytes a line may have.
        limit_bytes: usize,
    },
    /// A `ServeGen` client of which one of the two files is missing or says something impossible.
    #[error("{}: {what}", path.display())]
    ServeGen {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The format can be read but not written.
    #[error(
        "{}: traces can be written as csv, jsonl, mooncake or azure, not as {format}",
        path.display()
    )]
    NotWritable {
        /// Which file.
        path: PathBuf,
        /// The format asked for.
        format: TraceFormat,
    },
    /// The file is there and may not be replaced.
    #[error("{}: the file exists already; remove it, choose another name, or allow overwriting it", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// A row that cannot be written in the format asked for.
    #[error("{}: row {row} cannot be written: {what}", path.display())]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Which row, counted from 1.
        row: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// What is wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    place: Place,
    found: String,
    expected: String,
}

/// Where in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Row,
    Field(String),
    Column(usize, String),
}

impl RowError {
    /// Something wrong with the row as a whole.
    pub(super) fn whole(found: impl Into<String>, expected: impl Into<String>) -> Self {
        RowError { place: Place::Row, found: found.into(), expected: expected.into() }
    }

    /// The same fault, located in the field of this name.
    pub(super) fn in_field(self, name: &str) -> Self {
        RowError { place: Place::Field(name.to_owned()), ..self }
    }

    /// The same fault, located in the column of this name and number (counted from 0).
    pub(super) fn in_column(self, index: usize, name: &str) -> Self {
        RowError { place: Place::Column(index + 1, name.to_owned()), ..self }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Row => write!(f, "whole row: ")?,
            Place::Field(name) => write!(f, "field `{name}`: ")?,
            Place::Column(number, name) => write!(f, "column {number} (`{name}`): ")?,
        }
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

/// A signed time in seconds, all nine decimals.
struct Seconds(i128);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09} s", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

/// At most `limit` characters of `bytes` in back quotes, control characters escaped.
pub(super) fn quote(bytes: &[u8], limit: usize) -> String {
    // A character takes at most 4 bytes, so the rest need not be looked at.
    let head = &bytes[..bytes.len().min(limit * 4)];
    let text = String::from_utf8_lossy(head);
    let mut quoted = String::from("`");
    let mut characters = text.chars();
    for character in characters.by_ref().take(limit) {
        if character.is_control() {
            quoted.extend(character.escape_default());
        } else {
            quoted.push(character);
        }
    }
    let cut = characters.next().is_some() || head.len() < bytes.len();
    quoted.push_str(if cut { "…`" } else { "`" });
    quoted
}
