//! Alibaba's Qwen-Bailian traces.
//!
//! JSON lines with `chat_id`, `parent_chat_id` (-1: the first turn), `timestamp` (seconds since the start),
//! `input_length` and `output_length` (tokens), `type`, `turn`, and `hash_ids` of blocks of 16 prompt tokens. Source:
//! repository `alibaba-edu/qwen-bailian-usagetraces-anon`; Wang et al., "`KVCache` Cache in the Wild", USENIX ATC 2025.
//!
//! A session is called after the `chat_id` of its first turn, or of the oldest turn the trace refers to. To know it, the
//! reader remembers every `chat_id` of the trace (about 30 bytes each): the one format whose reading takes memory that
//! grows with the trace.

use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::blocks;
use super::error::{RowError, quote};
use super::field;
use super::row_format::{RawRow, RowFormat, json_field, json_ids, json_row};
use crate::request::SessionId;

/// Tokens per block id.
pub(super) const BLOCK_TOKENS: u32 = 16;

/// The reader of this format's rows.
#[derive(Default)]
pub(super) struct QwenBailian {
    /// First turn of the conversation that each chat belongs to.
    roots: FxHashMap<u64, u64>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    chat_id: Option<&'a RawValue>,
    #[serde(borrow)]
    parent_chat_id: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    input_length: Option<&'a RawValue>,
    #[serde(borrow)]
    output_length: Option<&'a RawValue>,
    #[serde(borrow)]
    hash_ids: Option<&'a RawValue>,
}

impl RowFormat for QwenBailian {
    fn parse(&mut self, line: &[u8], number: u64, row: &mut RawRow) -> Result<(), RowError> {
        let fields: Row<'_> = json_row(line)?;
        let seconds = |text: &[u8]| field::time(text, 1_000_000_000, "seconds");
        row.nanos = json_field(fields.timestamp, "timestamp", seconds)?;
        row.input_tokens = json_field(fields.input_length, "input_length", field::tokens)?;
        row.output_tokens = json_field(fields.output_length, "output_length", field::tokens)?;
        let chat = json_field(fields.chat_id, "chat_id", |text| {
            field::whole(text).ok_or_else(|| RowError::whole(quote(text, 40), "a whole number"))
        })?;
        let parent = json_field(fields.parent_chat_id, "parent_chat_id", parent)?;
        row.spans = json_ids(fields.hash_ids)
            .and_then(|ids| blocks::spans(ids, BLOCK_TOKENS, row.input_tokens, number))
            .map_err(|error| error.in_field("hash_ids"))?;
        let root = parent.map_or(chat, |parent| self.roots.get(&parent).copied().unwrap_or(parent));
        self.roots.insert(chat, root);
        row.session = Some(SessionId(root));
        Ok(())
    }
}

/// The turn before, `None` for a first turn.
fn parent(text: &[u8]) -> Result<Option<u64>, RowError> {
    if text == b"-1" {
        return Ok(None);
    }
    let expected = "the `chat_id` of the turn before, or -1";
    field::whole(text).map(Some).ok_or_else(|| RowError::whole(quote(text, 40), expected))
}
