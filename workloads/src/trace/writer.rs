//! Traces written in servesim's own format and in those of others that can hold them.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::error::TraceError;
use super::{TraceFormat, azure, mooncake, plain};
use crate::error::WorkloadError;
use crate::row::TraceRow;
use crate::time::SimTime;

/// Writes rows to a file, gzip-compressed if its name ends in `.gz`. Only [`TraceWriter::finish`] makes it whole.
pub struct TraceWriter {
    path: PathBuf,
    format: TraceFormat,
    output: Output,
    /// The row at hand.
    text: Vec<u8>,
    rows: u64,
    last: SimTime,
    losses: Losses,
}

enum Output {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

/// What a format could not hold of the rows written, as numbers of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Rows whose prompt structure was dropped.
    pub spans: u64,
    /// Rows whose prompts now share whole blocks only, with ids made up for them.
    pub reblocked: u64,
    /// Rows whose session was dropped.
    pub sessions: u64,
    /// Rows whose time was rounded down.
    pub rounded_times: u64,
}

impl Losses {
    /// One sentence per kind of loss, none if all is kept.
    pub fn sentences(&self, format: TraceFormat) -> Vec<String> {
        let resolution = if format == TraceFormat::Azure { "100 ns" } else { "1 ms" };
        let block = mooncake::BLOCK_TOKENS;
        [
            (self.spans, "lost what their prompts share with others".to_owned()),
            (
                self.reblocked,
                format!("had their prompts cut into blocks of {block} tokens; only whole ones are shared"),
            ),
            (self.sessions, "lost the session they belong to".to_owned()),
            (self.rounded_times, format!("had their arrival rounded down to a multiple of {resolution}")),
        ]
        .into_iter()
        .filter(|(rows, _)| *rows > 0)
        .map(|(rows, what)| format!("{format}: {rows} row{} {what}", if rows == 1 { "" } else { "s" }))
        .collect()
    }
}

impl TraceWriter {
    /// Starts a file in `csv`, `jsonl`, `mooncake` or `azure` format.
    ///
    /// # Errors
    /// If the format cannot be written, the file exists and `overwrite` is false, or it cannot be created.
    pub fn create(path: impl AsRef<Path>, format: TraceFormat, overwrite: bool) -> Result<TraceWriter, WorkloadError> {
        let path = path.as_ref().to_owned();
        let header = match format {
            TraceFormat::Csv => plain::COLUMNS.join(",") + "\n",
            TraceFormat::Azure => azure::HEADER.to_owned(),
            TraceFormat::Jsonl | TraceFormat::Mooncake => String::new(),
            _ => return Err(TraceError::NotWritable { path, format }.into()),
        };
        let mut options = OpenOptions::new();
        options.write(true);
        if overwrite {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let file = match options.open(&path) {
            Ok(file) => BufWriter::with_capacity(128 << 10, file),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(TraceError::Exists { path }.into());
            }
            Err(source) => return Err(TraceError::Io { path, source }.into()),
        };
        let gzip = path.extension().is_some_and(|extension| extension == "gz");
        let output = if gzip {
            Output::Gzip(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Output::Plain(file)
        };
        let (text, losses) = (header.into_bytes(), Losses::default());
        let mut writer = TraceWriter { path, format, output, text, rows: 0, last: SimTime::ZERO, losses };
        writer.flush_text()?;
        Ok(writer)
    }

    /// Appends a row.
    ///
    /// # Errors
    /// If it cannot be written, comes before the last one, or contradicts itself.
    pub fn write(&mut self, row: &TraceRow) -> Result<(), WorkloadError> {
        self.rows += 1;
        self.check(row).map_err(|what| self.unwritable(what))?;
        self.last = row.arrival;
        match self.format {
            TraceFormat::Csv => plain::write_csv_row(row, &mut self.text),
            TraceFormat::Jsonl => plain::write_json_row(row, &mut self.text),
            TraceFormat::Mooncake => mooncake::write_row(row, &mut self.text, &mut self.losses),
            _ => {
                let written = azure::write_row(row, &mut self.text, &mut self.losses);
                written.map_err(|what| self.unwritable(what))?;
            }
        }
        Ok(self.flush_text()?)
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Completes the file and says what it could not hold.
    ///
    /// # Errors
    /// If the rest cannot be written.
    pub fn finish(self) -> Result<Losses, WorkloadError> {
        let TraceWriter { path, output, losses, .. } = self;
        let flushed = match output {
            Output::Plain(mut file) => file.flush(),
            Output::Gzip(encoder) => encoder.finish().and_then(|mut file| file.flush()),
        };
        flushed.map_err(|source| TraceError::Io { path, source })?;
        Ok(losses)
    }

    /// What no reader would take.
    fn check(&self, row: &TraceRow) -> Result<(), String> {
        if row.arrival < self.last {
            return Err(format!("it arrives at {}, before the row above it at {}", row.arrival, self.last));
        }
        if row.input_tokens == 0 || row.output_tokens == 0 {
            let (input, output) = (row.input_tokens, row.output_tokens);
            return Err(format!("it has {input} input and {output} output tokens, and both must be at least 1"));
        }
        let Some(spans) = &row.spans else { return Ok(()) };
        let sum: u64 = spans.iter().map(|span| u64::from(span.tokens)).sum();
        if sum != u64::from(row.input_tokens) || spans.iter().any(|span| span.tokens == 0) {
            let input = row.input_tokens;
            return Err(format!("its spans have {sum} tokens in all and its prompt {input}; no span may be empty"));
        }
        Ok(())
    }

    fn unwritable(&self, what: String) -> TraceError {
        TraceError::Unwritable { path: self.path.clone(), row: self.rows, what }
    }

    fn flush_text(&mut self) -> Result<(), TraceError> {
        let written = match &mut self.output {
            Output::Plain(file) => file.write_all(&self.text),
            Output::Gzip(encoder) => encoder.write_all(&self.text),
        };
        self.text.clear();
        written.map_err(|source| TraceError::Io { path: self.path.clone(), source })
    }
}
