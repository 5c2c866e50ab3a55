//! One row after another of any trace.

use std::path::{Path, PathBuf};

use super::error::TraceError;
use super::input::Lines;
use super::row_format::{RawRow, RowFormat};
use super::servegen::{self, ServeGen};
use super::{ReadOptions, Skipped, TraceFormat, TraceInfo, recognise};
use crate::error::WorkloadError;
use crate::row::TraceRow;
use crate::time::SimTime;

/// The rows of a trace, streamed in order of arrival. After an error there are no more.
pub struct TraceReader {
    path: PathBuf,
    options: ReadOptions,
    info: TraceInfo,
    skipped: Skipped,
    rows: Rows,
    clock: Clock,
    ended: bool,
}

enum Rows {
    Lines { lines: Lines, format: Box<dyn RowFormat> },
    ServeGen(ServeGen),
}

/// The trace's own clock.
#[derive(Default)]
struct Clock {
    first: Option<i64>,
    /// Time and line of the row before.
    last: (i64, u64),
}

impl TraceReader {
    /// Opens a trace: a file, or a folder of `ServeGen` clients.
    ///
    /// # Errors
    /// If it cannot be opened, or its start tells no format or not the one asked for.
    pub fn open(path: impl AsRef<Path>, options: &ReadOptions) -> Result<TraceReader, WorkloadError> {
        let path = path.as_ref();
        let servegen = match options.format {
            Some(format) => format == TraceFormat::ServeGen,
            None => servegen::is_named_so(path),
        };
        let (info, rows) = if servegen {
            open_servegen(path, options)?
        } else {
            let mut lines = Lines::open(path)?;
            if options.format.is_none() && lines.peek()? && recognise::is_servegen(lines.current()) {
                open_servegen(path, options)?
            } else {
                let opened = recognise::open(path, &mut lines, options.format)?;
                (opened.info, Rows::Lines { lines, format: opened.rows })
            }
        };
        Ok(TraceReader {
            path: path.to_owned(),
            options: options.clone(),
            info,
            skipped: Skipped::default(),
            rows,
            clock: Clock::default(),
            ended: false,
        })
    }

    /// The same trace once more, from its first row.
    ///
    /// # Errors
    /// As [`TraceReader::open`].
    pub fn reopen(&self) -> Result<TraceReader, WorkloadError> {
        TraceReader::open(&self.path, &self.options)
    }

    /// What it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it was opened.
    pub fn options(&self) -> &ReadOptions {
        &self.options
    }

    /// What kind of trace it is.
    pub fn info(&self) -> &TraceInfo {
        &self.info
    }

    /// What has been left out so far.
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn next_row(&mut self) -> Result<Option<TraceRow>, TraceError> {
        let row = match &mut self.rows {
            Rows::ServeGen(servegen) => Ok(servegen.next()),
            Rows::Lines { lines, format } => {
                next_line(&self.path, lines, format.as_mut(), self.options.skip_bad_rows, &mut self.skipped)
            }
        };
        match row? {
            Some((row, line)) => self.clock.place(&self.path, row, line).map(Some),
            None if self.clock.first.is_none() => Err(self.empty()),
            None => Ok(None),
        }
    }

    fn empty(&self) -> TraceError {
        let lines = match &self.rows {
            Rows::Lines { lines, .. } => lines.number(),
            Rows::ServeGen(servegen) => servegen.windows(),
        };
        TraceError::Empty { path: self.path.clone(), lines, skipped: self.skipped.examples.first().cloned() }
    }
}

fn open_servegen(path: &Path, options: &ReadOptions) -> Result<(TraceInfo, Rows), TraceError> {
    let servegen = ServeGen::open(path, options)?;
    Ok((servegen.info(path), Rows::ServeGen(servegen)))
}

/// The next row that is neither malformed (if those are skipped) nor a failed request, and its line.
fn next_line(
    path: &Path,
    lines: &mut Lines,
    format: &mut dyn RowFormat,
    skip_bad_rows: bool,
    skipped: &mut Skipped,
) -> Result<Option<(RawRow, u64)>, TraceError> {
    while lines.advance()? {
        let line = lines.number();
        let mut row = RawRow::default();
        match format.parse(lines.current(), line, &mut row) {
            Ok(()) if row.output_tokens == 0 => skipped.failed(path, line),
            Ok(()) => return Ok(Some((row, line))),
            Err(what) => {
                let error = TraceError::Row { path: path.to_owned(), line, what };
                if !skip_bad_rows {
                    return Err(error);
                }
                skipped.bad(&error);
            }
        }
    }
    Ok(None)
}

impl Clock {
    /// The row with its time made relative to the first one.
    fn place(&mut self, path: &Path, row: RawRow, line: u64) -> Result<TraceRow, TraceError> {
        let first = *self.first.get_or_insert(row.nanos);
        if row.nanos < self.last.0 && self.last.1 > 0 {
            let relative = |nanos: i64| i128::from(nanos) - i128::from(first);
            return Err(TraceError::ClockBackwards {
                path: path.to_owned(),
                line,
                nanos: relative(row.nanos),
                earlier_line: self.last.1,
                earlier_nanos: relative(self.last.0),
            });
        }
        self.last = (row.nanos, line);
        Ok(TraceRow {
            arrival: SimTime::from_nanos(row.nanos.abs_diff(first)),
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            spans: row.spans,
            session: row.session,
            line,
        })
    }
}

impl Iterator for TraceReader {
    type Item = Result<TraceRow, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.next_row();
        self.ended = !matches!(row, Ok(Some(_)));
        row.map_err(WorkloadError::from).transpose()
    }
}
