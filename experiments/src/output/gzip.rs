//! One gzip stream from stretches that are compressed on their own (RFC 1951, RFC 1952).
//!
//! Each stretch ends with a synchronising flush, that is on a byte boundary and without a final block; so they can be
//! laid one behind the other, and their checksums combined.

use flate2::{Compress, Compression, Crc, FlushCompress};

use super::part::Part;

/// Magic number, deflate, no flags, no time (so that equal runs give equal bytes), unknown system: RFC 1952, 2.3.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The beginning of a stream: its header and `text` in a stored block.
pub(super) fn opening(text: &[u8]) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    push_stored(&mut bytes, text, false);
    bytes
}

/// The end of a stream: `text` in a final stored block, checksum and length of everything before compression.
pub(super) fn ending(text: &[u8], crc: &Crc) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_stored(&mut bytes, text, true);
    bytes.extend_from_slice(&crc.sum().to_le_bytes());
    bytes.extend_from_slice(&crc.amount().to_le_bytes());
    bytes
}

/// Appends a stored block, beginning on a byte boundary: RFC 1951, 3.2.4.
fn push_stored(bytes: &mut Vec<u8>, text: &[u8], last: bool) {
    let length = u16::try_from(text.len()).expect("openings and endings are short");
    bytes.push(u8::from(last));
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&(!length).to_le_bytes());
    bytes.extend_from_slice(text);
}

/// Compresses one run's stretch as it comes.
pub(super) struct GzipPart {
    part: Part,
    plain: Vec<u8>,
    compress: Compress,
}

impl GzipPart {
    const BUFFER: usize = 64 << 10;
    /// Room kept for the text at hand; longer ones only make the buffer grow.
    const ROOM: usize = 2 << 10;

    pub(super) fn new(part: Part) -> Self {
        let compress = Compress::new(Compression::fast(), false);
        GzipPart { part, plain: Vec::with_capacity(Self::BUFFER), compress }
    }

    /// Where the next text is appended.
    pub(super) fn row(&mut self) -> &mut Vec<u8> {
        if self.plain.len() > Self::BUFFER - Self::ROOM {
            self.deflate(FlushCompress::None);
        }
        &mut self.plain
    }

    /// Compresses what is left up to a byte boundary.
    pub(super) fn into_part(mut self) -> Part {
        self.deflate(FlushCompress::Sync);
        self.part
    }

    fn deflate(&mut self, flush: FlushCompress) {
        let (plain, compress) = (&self.plain, &mut self.compress);
        self.part.push_compressed(plain, |out| {
            let mut rest = plain.as_slice();
            loop {
                out.reserve(Self::BUFFER);
                let before = compress.total_in();
                compress.compress_vec(rest, out, flush).expect("compression into a growing buffer cannot fail");
                rest = &rest[(compress.total_in() - before) as usize..];
                if rest.is_empty() && out.len() < out.capacity() {
                    break;
                }
            }
        });
        self.plain.clear();
    }
}
