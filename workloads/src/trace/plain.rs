//! servesim's own columns, as CSV and as JSON lines; described in the documentation of [`trace`](super).

use std::io::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::blocks;
use super::error::{RowError, TraceError, quote};
use super::field;
use super::header::Header;
use super::row_format::{RawRow, RowFormat, inside, json_field, json_row};
use super::table::{Column, Table};
use crate::request::{SessionId, Span};
use crate::row::TraceRow;

/// All columns, those that may be left out last.
pub(super) const COLUMNS: [&str; 5] = ["arrival_s", "input_tokens", "output_tokens", "session", "spans"];

struct Csv {
    table: Table,
    arrival: Column,
    input_tokens: Column,
    output_tokens: Column,
    session: Option<Column>,
    spans: Option<Column>,
}

/// The reader of this format's rows in CSV.
pub(super) fn csv_format(header: &Header) -> Result<Box<dyn RowFormat>, TraceError> {
    Ok(Box::new(Csv {
        arrival: header.require("arrival_s")?,
        input_tokens: header.require("input_tokens")?,
        output_tokens: header.require("output_tokens")?,
        session: header.find("session"),
        spans: header.find("spans"),
        table: header.table(),
    }))
}

impl RowFormat for Csv {
    fn parse(&mut self, line: &[u8], _number: u64, row: &mut RawRow) -> Result<(), RowError> {
        self.table.split(line)?;
        row.nanos = self.table.parse(line, self.arrival, |text| field::time(text, 1_000_000_000, "seconds"))?;
        row.input_tokens = self.table.parse(line, self.input_tokens, field::tokens)?;
        row.output_tokens = self.table.parse(line, self.output_tokens, field::tokens)?;
        row.session = self.session.map_or(Ok(None), |column| self.table.parse(line, column, session))?;
        row.spans = self
            .spans
            .map_or(Ok(None), |column| self.table.parse(line, column, |text| spans(text, row.input_tokens)))?;
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
    session: Option<&'a RawValue>,
    #[serde(borrow)]
    spans: Option<&'a RawValue>,
}

impl RowFormat for Jsonl {
    fn parse(&mut self, line: &[u8], _number: u64, row: &mut RawRow) -> Result<(), RowError> {
        let fields: Row<'_> = json_row(line)?;
        row.nanos = json_field(fields.arrival_s, "arrival_s", |text| field::time(text, 1_000_000_000, "seconds"))?;
        row.input_tokens = json_field(fields.input_tokens, "input_tokens", field::tokens)?;
        row.output_tokens = json_field(fields.output_tokens, "output_tokens", field::tokens)?;
        row.session = fields.session.map_or(Ok(None), |value| json_field(Some(value), "session", session))?;
        row.spans = fields.spans.map_or(Ok(None), |value| {
            json_field(Some(value), "spans", |text| match inside(text, b'"', b'"') {
                Some(text) => spans(text, row.input_tokens),
                None => Err(RowError::whole(quote(text, 40), SPANS)),
            })
        })?;
        Ok(())
    }
}

fn session(text: &[u8]) -> Result<Option<SessionId>, RowError> {
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "the number of a session, a whole number of 64 bits, or nothing";
    field::whole(text).map(|number| Some(SessionId(number))).ok_or_else(|| RowError::whole(quote(text, 40), expected))
}

const SPANS: &str = "spans `content:tokens`, such as `7:512 9:100`";

/// Spans of a prompt of so many tokens.
fn spans(text: &[u8], input_tokens: u32) -> Result<Option<Vec<Span>>, RowError> {
    let mut spans = Vec::new();
    let mut sum: u64 = 0;
    for span in text.split(|&byte| byte == b' ').filter(|span| !span.is_empty()) {
        let parsed = span.iter().position(|&byte| byte == b':').and_then(|colon| {
            let tokens = field::tokens(&span[colon + 1..]).ok()?;
            Some(Span { content: blocks::own_content(field::whole(&span[..colon])?), tokens })
        });
        let parsed = parsed.ok_or_else(|| RowError::whole(quote(span, 40), SPANS))?;
        sum += u64::from(parsed.tokens);
        spans.push(parsed);
    }
    if spans.is_empty() {
        return Ok(None);
    }
    if sum == u64::from(input_tokens) {
        return Ok(Some(spans));
    }
    Err(RowError::whole(format!("spans of {sum} tokens in all"), format!("{input_tokens} like `input_tokens`")))
}

/// Appends the row as CSV.
pub(super) fn write_csv_row(row: &TraceRow, out: &mut Vec<u8>) {
    let (seconds, nanos) = split_seconds(row);
    write!(out, "{seconds}.{nanos:09},{},{},", row.input_tokens, row.output_tokens).expect(INFALLIBLE);
    if let Some(session) = row.session {
        write!(out, "{}", session.0).expect(INFALLIBLE);
    }
    out.push(b',');
    write_spans(row.spans.as_deref().unwrap_or_default(), out);
    out.push(b'\n');
}

/// Appends the row as a JSON line.
pub(super) fn write_json_row(row: &TraceRow, out: &mut Vec<u8>) {
    let (seconds, nanos) = split_seconds(row);
    let (input, output) = (row.input_tokens, row.output_tokens);
    write!(out, r#"{{"arrival_s": {seconds}.{nanos:09}, "input_tokens": {input}, "output_tokens": {output}"#)
        .expect(INFALLIBLE);
    if let Some(session) = row.session {
        write!(out, r#", "session": {}"#, session.0).expect(INFALLIBLE);
    }
    if let Some(spans) = &row.spans {
        out.extend_from_slice(br#", "spans": ""#);
        write_spans(spans, out);
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
}

const INFALLIBLE: &str = "a vector takes all that is written to it";

fn split_seconds(row: &TraceRow) -> (u64, u64) {
    let nanos = row.arrival.as_nanos();
    (nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn write_spans(spans: &[Span], out: &mut Vec<u8>) {
    for (index, span) in spans.iter().enumerate() {
        let separator = if index == 0 { "" } else { " " };
        write!(out, "{separator}{}:{}", span.content.0, span.tokens).expect(INFALLIBLE);
    }
}
