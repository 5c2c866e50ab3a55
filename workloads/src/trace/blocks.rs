//! From the block ids of public traces to spans.
//!
//! Traces that tell which prompts share a prefix cut every prompt into blocks of equal length and give each block an id
//! that stands for its content and everything before it. A block becomes a span of its own content. Content ids of a
//! trace have 62 bits ([`ContentId::from_trace`]) and are shared out so:
//!
//! - below 2^60: the file's own ids, as they stand;
//! - 2^60 to 2^61: ids that are larger (or negative), mixed down to 60 bits by [`mixed`]; equal ids stay equal, and two
//!   different ones among n fall together with a probability of about n²/2^61;
//! - 2^61 to 2^62: the tail of one prompt that the trace gives no id, numbered by its line; shared with nobody.

use super::error::{RowError, quote};
use super::field;
use crate::request::{ContentId, Span};

const MIXED: u64 = 1 << 60;
const PRIVATE: u64 = 1 << 61;

/// Content that a public trace calls `id`.
pub(super) fn content(id: u64) -> ContentId {
    ContentId(if id < MIXED { id } else { mixed(id) })
}

/// Content of servesim's own traces: kept as it stands if a trace may name it so, mixed down otherwise.
pub(super) fn own_content(id: u64) -> ContentId {
    ContentId::from_trace(id).unwrap_or(ContentId(mixed(id)))
}

/// A number from 2^60 to 2^61 that stands for `id`: the finaliser of `SplitMix64` (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", OOPSLA 2014, section 2), cut to 60 bits.
pub(super) fn mixed(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    MIXED | ((id ^ (id >> 31)) & (MIXED - 1))
}

/// Spans of a prompt of `input_tokens` whose blocks of `block_tokens` are listed in `ids`, separated by blanks or
/// commas. There may be an id for every block, the last and partial one included, or only for the full ones; then the
/// rest of the prompt is content of its own. No ids at all: nothing is known about sharing.
pub(super) fn spans(
    ids: &[u8],
    block_tokens: u32,
    input_tokens: u32,
    line: u64,
) -> Result<Option<Vec<Span>>, RowError> {
    let full = input_tokens / block_tokens;
    let mut spans = Vec::with_capacity(full as usize / 8 + 1);
    let mut left = input_tokens;
    let mut count: u64 = 0;
    for id in ids.split(|byte| matches!(byte, b',' | b' ' | b'\t')).filter(|id| !id.is_empty()) {
        let number =
            field::signed(id).ok_or_else(|| RowError::whole(quote(id, 40), "block ids: whole numbers of 64 bits"))?;
        count += 1;
        let tokens = left.min(block_tokens);
        left -= tokens;
        if tokens > 0 {
            spans.push(Span { content: content(number), tokens });
        }
    }
    let all = u64::from(input_tokens.div_ceil(block_tokens));
    if count == 0 {
        Ok(None)
    } else if count == all || count == u64::from(full) {
        if left > 0 {
            spans.push(Span { content: ContentId(PRIVATE + line), tokens: left });
        }
        Ok(Some(spans))
    } else {
        let expected = format!("{all} for {input_tokens} tokens in blocks of {block_tokens} (the last may be partial)");
        Err(RowError::whole(format!("{count} block ids"), expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(ids: &str, input: u32) -> Vec<(u64, u32)> {
        let spans = spans(ids.as_bytes(), 512, input, 7).unwrap().unwrap();
        spans.into_iter().map(|span| (span.content.0, span.tokens)).collect()
    }

    #[test]
    fn the_last_block_may_be_partial() {
        assert_eq!(lengths("0, 14, 15", 1100), [(0, 512), (14, 512), (15, 76)]);
        assert_eq!(lengths("0 14", 1024), [(0, 512), (14, 512)]);
    }

    #[test]
    fn a_tail_without_an_id_is_content_of_its_own() {
        assert_eq!(lengths("0 14", 1100), [(0, 512), (14, 512), (PRIVATE + 7, 76)]);
    }

    #[test]
    fn no_ids_say_nothing() {
        assert_eq!(spans(b"", 512, 100, 1), Ok(None));
    }

    #[test]
    fn too_few_and_too_many_blocks_are_told() {
        for (ids, found) in [("1", "1 block ids"), ("1 2 3 4", "4 block ids")] {
            let error = spans(ids.as_bytes(), 512, 1100, 1).unwrap_err().to_string();
            let expected = "expected 3 for 1100 tokens in blocks of 512 (the last may be partial)";
            assert_eq!(error, format!("whole row: found {found}, {expected}"));
        }
    }

    #[test]
    fn ids_of_all_64_bits_stay_different_and_in_range() {
        let ids = ["1152921504606846975", "1152921504606846976", "18446744073709551615", "-2", "-9223372036854775808"];
        let contents: Vec<u64> = ids.iter().map(|id| lengths(id, 512)[0].0).collect();
        for (index, &content) in contents.iter().enumerate() {
            assert!(ContentId::from_trace(content).is_some() && content < PRIVATE, "{content} is out of range");
            assert!(!contents[..index].contains(&content), "two ids became {content}");
        }
        assert_eq!(contents[0], (1 << 60) - 1, "ids that fit are kept");
    }
}
