//! `BurstGPT`.
//!
//! CSV `Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type`, in the second release with `Session
//! ID,Elapsed time` after the time: seconds since the start and tokens; a request of 0 response tokens failed. Source:
//! repository `HPMLL/BurstGPT`; Wang et al., "`BurstGPT`", KDD 2025.

use super::error::{RowError, TraceError};
use super::field;
use super::header::Header;
use super::row_format::{RawRow, RowFormat};
use super::table::{Column, Table};
use crate::request::SessionId;

struct BurstGpt {
    table: Table,
    timestamp: Column,
    session: Option<Column>,
    request_tokens: Column,
    response_tokens: Column,
}

/// The reader of this format's rows.
pub(super) fn format(header: &Header) -> Result<Box<dyn RowFormat>, TraceError> {
    Ok(Box::new(BurstGpt {
        timestamp: header.require("Timestamp")?,
        session: header.find("Session ID"),
        request_tokens: header.require("Request tokens")?,
        response_tokens: header.require("Response tokens")?,
        table: header.table(),
    }))
}

impl RowFormat for BurstGpt {
    fn parse(&mut self, line: &[u8], _number: u64, row: &mut RawRow) -> Result<(), RowError> {
        self.table.split(line)?;
        let seconds = |text: &[u8]| field::time(text, 1_000_000_000, "seconds");
        row.nanos = self.table.parse(line, self.timestamp, seconds)?;
        row.output_tokens = self.table.parse(line, self.response_tokens, field::tokens_or_zero)?;
        // What a failed request asked does not matter; it may be 0 too.
        let failed = row.output_tokens == 0;
        let length = if failed { field::tokens_or_zero } else { field::tokens };
        row.input_tokens = self.table.parse(line, self.request_tokens, length)?;
        row.session = self.session.and_then(|column| session(self.table.text(line, column)));
        Ok(())
    }
}

/// A session's number; ids that are no numbers are hashed (FNV-1a, 64 bits). Nothing, `nan` and `-1` are no session.
fn session(text: &[u8]) -> Option<SessionId> {
    if text.is_empty() || text.eq_ignore_ascii_case(b"nan") || text == b"-1" {
        return None;
    }
    let hash = |text: &[u8]| {
        text.iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    Some(SessionId(field::whole(text).unwrap_or_else(|| hash(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_numbers_or_hashes() {
        assert_eq!(session(b"12"), Some(SessionId(12)));
        assert_eq!(session(b"12.0"), Some(SessionId(12)));
        // The published test vector of FNV-1a 64 for "foobar".
        assert_eq!(session(b"foobar"), Some(SessionId(0x8594_4171_f739_67e8)));
        assert_eq!([session(b""), session(b"NaN"), session(b"-1")], [None; 3]);
    }
}
