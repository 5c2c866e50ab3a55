//! The traces of APEX.
//!
//! JSON lines with `StartTimeOffset` (NANOSECONDS since the start), `ContextTokens` and `GeneratedTokens`; other fields
//! (`RequestID`, `TotalTokens`, the prompt's text) are not needed. A `_05` in a file's name means 0.5 requests/s, not
//! 0.5 s. Source: repository `microsoft/apex_plus`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::RowError;
use super::field;
use super::row_format::{RawRow, RowFormat, json_field, json_row};

/// The reader of this format's rows.
pub(super) struct Apex;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row<'a> {
    #[serde(borrow)]
    start_time_offset: Option<&'a RawValue>,
    #[serde(borrow)]
    context_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    generated_tokens: Option<&'a RawValue>,
}

impl RowFormat for Apex {
    fn parse(&mut self, line: &[u8], _number: u64, row: &mut RawRow) -> Result<(), RowError> {
        let fields: Row<'_> = json_row(line)?;
        let nanoseconds = |text: &[u8]| field::time(text, 1, "nanoseconds");
        row.nanos = json_field(fields.start_time_offset, "StartTimeOffset", nanoseconds)?;
        row.input_tokens = json_field(fields.context_tokens, "ContextTokens", field::tokens)?;
        row.output_tokens = json_field(fields.generated_tokens, "GeneratedTokens", field::tokens)?;
        Ok(())
    }
}
