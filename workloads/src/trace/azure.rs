//! Azure's LLM inference traces of 2023 and 2024.
//!
//! CSV `TIMESTAMP,ContextTokens,GeneratedTokens` with times such as `2023-11-16 18:15:46.6805900` (2023: CRLF line ends,
//! no newline at the end) or `2024-05-10 00:00:00.009930+00:00` (2024). Source: the repository `AzurePublicDataset`,
//! files `AzureLLMInferenceDataset2023.md` and `AzureLLMInferenceDataset2024.md`; Patel et al., "Splitwise", ISCA 2024.

use std::io::Write as _;

use super::error::{RowError, TraceError};
use super::field;
use super::header::Header;
use super::row_format::{RawRow, RowFormat};
use super::table::{Column, Table};
use super::writer::Losses;
use crate::row::TraceRow;

struct Azure {
    table: Table,
    timestamp: Column,
    context_tokens: Column,
    generated_tokens: Column,
}

/// The reader of this format's rows.
pub(super) fn format(header: &Header) -> Result<Box<dyn RowFormat>, TraceError> {
    Ok(Box::new(Azure {
        timestamp: header.require("TIMESTAMP")?,
        context_tokens: header.require("ContextTokens")?,
        generated_tokens: header.require("GeneratedTokens")?,
        table: header.table(),
    }))
}

impl RowFormat for Azure {
    fn parse(&mut self, line: &[u8], _number: u64, row: &mut RawRow) -> Result<(), RowError> {
        self.table.split(line)?;
        row.nanos = self.table.parse(line, self.timestamp, field::date_time)?;
        row.input_tokens = self.table.parse(line, self.context_tokens, field::tokens)?;
        row.output_tokens = self.table.parse(line, self.generated_tokens, field::tokens)?;
        Ok(())
    }
}

pub(super) const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";

/// Resolution of the 7 decimals.
const NANOS_PER_STEP: u64 = 100;
const NANOS_PER_DAY: u64 = 86_400_000_000_000;

/// Appends the row, dated from the first day of the year 2000 on.
pub(super) fn write_row(row: &TraceRow, out: &mut Vec<u8>, losses: &mut Losses) -> Result<(), String> {
    let nanos = row.arrival.as_nanos();
    losses.spans += u64::from(row.spans.is_some());
    losses.sessions += u64::from(row.session.is_some());
    losses.rounded_times += u64::from(!nanos.is_multiple_of(NANOS_PER_STEP));
    // Rounded down, so that the order of the rows is kept.
    let (day, time) = (nanos / NANOS_PER_DAY, nanos % NANOS_PER_DAY / NANOS_PER_STEP);
    let (year, month, day) = date(day).ok_or_else(|| format!("{} lies beyond the year 2261", row.arrival))?;
    let (seconds, steps) = (time / 10_000_000, time % 10_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (input, output) = (row.input_tokens, row.output_tokens);
    writeln!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{steps:07},{input},{output}\r")
        .expect("a vector takes all that is written to it");
    Ok(())
}

/// The date so many days after 2000-01-01, up to the last year that fits in 64 bits of nanoseconds since 1970.
fn date(mut days: u64) -> Option<(u64, u64, u64)> {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let year = (2000..2262).find(|&year| {
        let length = 365 + u64::from(leap(year));
        let inside = days < length;
        if !inside {
            days -= length;
        }
        inside
    })?;
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    Some((year, month as u64 + 1, days + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SimTime;

    #[test]
    fn dates_written_are_the_dates_read() {
        let first = field::date_time(b"2000-01-01 00:00:00").unwrap();
        for day in [0, 30, 31, 58, 59, 60, 365, 366, 36_524, 36_525, 95_000] {
            let nanos = day * NANOS_PER_DAY + 45_296_000_000_700;
            let row = TraceRow {
                arrival: SimTime::from_nanos(nanos),
                input_tokens: 3,
                output_tokens: 4,
                spans: None,
                session: None,
                line: 0,
            };
            let mut out = Vec::new();
            write_row(&row, &mut out, &mut Losses::default()).unwrap();
            let text = out.split(|&byte| byte == b',').next().unwrap();
            assert_eq!(field::date_time(text), Ok(first + nanos.cast_signed()), "{}", String::from_utf8_lossy(text));
        }
    }
}
