//! Vidur's tables of lengths.
//!
//! CSV with `num_prefill_tokens` and `num_decode_tokens`, and in some files `arrived_at` (seconds). Without it the trace
//! has lengths only: its arrivals must come from an arrival process. Source: repository `microsoft/vidur`, `data/`.

use super::error::{RowError, TraceError};
use super::field;
use super::header::Header;
use super::row_format::{RawRow, RowFormat};
use super::table::{Column, Table};

/// The column of times that may be there.
pub(super) const TIME_COLUMN: &str = "arrived_at";

struct Vidur {
    table: Table,
    arrived_at: Option<Column>,
    num_prefill_tokens: Column,
    num_decode_tokens: Column,
}

/// The reader of this format's rows.
pub(super) fn format(header: &Header) -> Result<Box<dyn RowFormat>, TraceError> {
    Ok(Box::new(Vidur {
        arrived_at: header.find(TIME_COLUMN),
        num_prefill_tokens: header.require("num_prefill_tokens")?,
        num_decode_tokens: header.require("num_decode_tokens")?,
        table: header.table(),
    }))
}

impl RowFormat for Vidur {
    fn parse(&mut self, line: &[u8], _number: u64, row: &mut RawRow) -> Result<(), RowError> {
        self.table.split(line)?;
        let seconds = |text: &[u8]| field::time(text, 1_000_000_000, "seconds");
        row.nanos = self.arrived_at.map_or(Ok(0), |column| self.table.parse(line, column, seconds))?;
        row.input_tokens = self.table.parse(line, self.num_prefill_tokens, field::tokens)?;
        row.output_tokens = self.table.parse(line, self.num_decode_tokens, field::tokens)?;
        Ok(())
    }
}
