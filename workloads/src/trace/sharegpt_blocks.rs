//! Requests with the ids of their full 16-token prompt blocks, as vLLM's prefix cache hashes them.
//!
//! CSV or JSON lines with `arrival_s` (seconds), `input_tokens`, `output_tokens` and `block_hash_ids`: in CSV numbers
//! separated by blanks, in JSON an array. Only full blocks have an id, so the end of a prompt is shared with nobody.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::blocks;
use super::error::{RowError, TraceError};
use super::field;
use super::header::Header;
use super::row_format::{RawRow, RowFormat, json_field, json_ids, json_row};
use super::table::{Column, Table};

/// Tokens per block id: vLLM's default block size.
pub(super) const BLOCK_TOKENS: u32 = 16;

struct Csv {
    table: Table,
    arrival: Column,
    input_tokens: Column,
    output_tokens: Column,
    block_hash_ids: Column,
}

/// The reader of this format's rows in CSV.
pub(super) fn csv_format(header: &Header) -> Result<Box<dyn RowFormat>, TraceError> {
    Ok(Box::new(Csv {
        arrival: header.require("arrival_s")?,
        input_tokens: header.require("input_tokens")?,
        output_tokens: header.require("output_tokens")?,
        block_hash_ids: header.require("block_hash_ids")?,
        table: header.table(),
    }))
}

impl RowFormat for Csv {
    fn parse(&mut self, line: &[u8], number: u64, row: &mut RawRow) -> Result<(), RowError> {
        self.table.split(line)?;
        row.nanos = self.table.parse(line, self.arrival, |text| field::time(text, 1_000_000_000, "seconds"))?;
        row.input_tokens = self.table.parse(line, self.input_tokens, field::tokens)?;
        row.output_tokens = self.table.parse(line, self.output_tokens, field::tokens)?;
        row.spans = self
            .table
            .parse(line, self.block_hash_ids, |ids| blocks::spans(ids, BLOCK_TOKENS, row.input_tokens, number))?;
        Ok(())
    }
}

/// The reader of this format's rows in JSON lines.
pub(super) struct Jsonl;

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    arrival_s: Option<&'a RawValue>,
    #[serde(borrow)]
    input_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    output_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    block_hash_ids: Option<&'a RawValue>,
}

impl RowFormat for Jsonl {
    fn parse(&mut self, line: &[u8], number: u64, row: &mut RawRow) -> Result<(), RowError> {
        let fields: Row<'_> = json_row(line)?;
        row.nanos = json_field(fields.arrival_s, "arrival_s", |text| field::time(text, 1_000_000_000, "seconds"))?;
        row.input_tokens = json_field(fields.input_tokens, "input_tokens", field::tokens)?;
        row.output_tokens = json_field(fields.output_tokens, "output_tokens", field::tokens)?;
        row.spans = json_ids(fields.block_hash_ids)
            .and_then(|ids| blocks::spans(ids, BLOCK_TOKENS, row.input_tokens, number))
            .map_err(|error| error.in_field("block_hash_ids"))?;
        Ok(())
    }
}
