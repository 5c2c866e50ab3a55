//! Mooncake's traces.
//!
//! JSON lines `{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, …]}`: milliseconds
//! since the start, tokens, and one id per block of 512 prompt tokens, the last one perhaps partial. Ids are numbers
//! valid in the whole trace, and equal ids mean equal prefixes up to and including that block. Source: repository
//! `kvcache-ai/Mooncake`, `FAST25-release`; Qin et al., "Mooncake", FAST 2025. Rows without `hash_ids` share nothing.

use std::io::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::blocks;
use super::error::RowError;
use super::field;
use super::row_format::{RawRow, RowFormat, json_field, json_ids, json_row};
use super::writer::Losses;
use crate::request::Span;
use crate::row::TraceRow;

/// Tokens per block id.
pub(super) const BLOCK_TOKENS: u32 = 512;
const NANOS_PER_MILLISECOND: u32 = 1_000_000;

/// The reader of this format's rows.
pub(super) struct Mooncake;

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    input_length: Option<&'a RawValue>,
    #[serde(borrow)]
    output_length: Option<&'a RawValue>,
    #[serde(borrow)]
    hash_ids: Option<&'a RawValue>,
}

impl RowFormat for Mooncake {
    fn parse(&mut self, line: &[u8], number: u64, row: &mut RawRow) -> Result<(), RowError> {
        let fields: Row<'_> = json_row(line)?;
        let milliseconds = |text: &[u8]| field::time(text, NANOS_PER_MILLISECOND, "milliseconds");
        row.nanos = json_field(fields.timestamp, "timestamp", milliseconds)?;
        row.input_tokens = json_field(fields.input_length, "input_length", field::tokens)?;
        row.output_tokens = json_field(fields.output_length, "output_length", field::tokens)?;
        row.spans = json_ids(fields.hash_ids)
            .and_then(|ids| blocks::spans(ids, BLOCK_TOKENS, row.input_tokens, number))
            .map_err(|error| error.in_field("hash_ids"))?;
        Ok(())
    }
}

/// Appends the row. A block that is the start of one content has that content as its id, so that what was read in this
/// format is written as it was. Other blocks get an id mixed from what they and all blocks before them hold.
pub(super) fn write_row(row: &TraceRow, out: &mut Vec<u8>, losses: &mut Losses) {
    let nanos = row.arrival.as_nanos();
    losses.sessions += u64::from(row.session.is_some());
    losses.rounded_times += u64::from(!nanos.is_multiple_of(u64::from(NANOS_PER_MILLISECOND)));
    // Rounded down, so that the order of the rows is kept.
    let milliseconds = nanos / u64::from(NANOS_PER_MILLISECOND);
    let (input, output) = (row.input_tokens, row.output_tokens);
    let written = write!(out, r#"{{"timestamp": {milliseconds}, "input_length": {input}, "output_length": {output}"#);
    written.expect("a vector takes all that is written to it");
    if let Some(spans) = &row.spans {
        let ids = block_ids(spans, &mut losses.reblocked);
        let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
        let written = write!(out, r#", "hash_ids": [{}]"#, ids.join(", "));
        written.expect("a vector takes all that is written to it");
    }
    out.extend_from_slice(b"}\n");
}

/// Ids of the 512-token blocks of a prompt; counts the prompt in `reblocked` if its spans are not such blocks.
fn block_ids(spans: &[Span], reblocked: &mut u64) -> Vec<u64> {
    let mut ids = Vec::new();
    let mut whole = true;
    let mut chain: u64 = 0;
    let mut in_block = 0;
    let tokens: u64 = spans.iter().map(|span| u64::from(span.tokens)).sum();
    let mut left = tokens;
    for span in spans {
        let mut offset = 0;
        while offset < span.tokens {
            let piece = (span.tokens - offset).min(BLOCK_TOKENS - in_block);
            for word in [span.content.0, u64::from(offset), u64::from(piece)] {
                chain = blocks::mixed(chain.rotate_left(7) ^ word).wrapping_add(word);
            }
            (offset, in_block, left) = (offset + piece, in_block + piece, left - u64::from(piece));
            if in_block == BLOCK_TOKENS || left == 0 {
                // A content's first block has its name also where the content goes on behind it: another prompt may
                // stop there.
                let named = in_block == piece && offset == piece;
                whole &= named && piece == span.tokens;
                ids.push(if named { span.content.0 } else { blocks::mixed(chain) });
                in_block = 0;
            }
        }
    }
    *reblocked += u64::from(!whole);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ContentId;

    fn ids(spans: &[(u64, u32)]) -> (Vec<u64>, u64) {
        let spans: Vec<Span> =
            spans.iter().map(|&(content, tokens)| Span { content: ContentId(content), tokens }).collect();
        let mut reblocked = 0;
        (block_ids(&spans, &mut reblocked), reblocked)
    }

    #[test]
    fn blocks_keep_their_ids() {
        assert_eq!(ids(&[(7, 512), (9, 512), (3, 20)]), (vec![7, 9, 3], 0));
    }

    #[test]
    fn a_content_that_goes_on_starts_with_the_block_of_one_that_stops() {
        let (long, reblocked) = ids(&[(7, 1024)]);
        assert_eq!((long[0], reblocked), (7, 1));
        assert_ne!(long[1], 7);
    }

    #[test]
    fn prompts_share_the_blocks_in_which_their_spans_agree() {
        let (a, a_reblocked) = ids(&[(1, 1000), (2, 536), (3, 600)]);
        let (b, _) = ids(&[(1, 1000), (2, 536), (4, 600)]);
        assert_eq!((a.len(), a_reblocked), (5, 1));
        assert_eq!(a[..3], b[..3], "1536 tokens agree, which is 3 blocks");
        assert!(a[3] != b[3] && a[4] != b[4], "what follows does not");
        assert!(
            a.iter().all(|id| a.iter().filter(|other| *other == id).count() == 1),
            "no two blocks of one prompt agree"
        );
    }

    #[test]
    fn equal_content_behind_another_prefix_is_another_block() {
        let (a, _) = ids(&[(1, 100), (5, 2000)]);
        let (b, _) = ids(&[(2, 100), (5, 2000)]);
        assert!(a.iter().zip(&b).all(|(a, b)| a != b), "{a:?} and {b:?} agree somewhere");
    }
}
