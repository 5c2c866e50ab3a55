//! Lines of a plain or gzip file, one at a time, in a buffer that is used again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::TraceError;

/// First bytes of every gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// A row of a trace with 16-token blocks takes about half a byte per prompt token, so this is far beyond any.
const LINE_LIMIT_BYTES: usize = 64 << 20;
const BUFFER_BYTES: usize = 128 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a file, without their ends (LF or CRLF, also mixed), blank ones left out.
pub(super) struct Lines {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    compressed: bool,
    line: Vec<u8>,
    number: u64,
    /// The line in the buffer has been looked at but not taken.
    peeked: bool,
}

impl Lines {
    /// Opens the file; gzip is recognised by its first bytes, and may consist of several members.
    pub(super) fn open(path: &Path) -> Result<Self, TraceError> {
        let (input, compressed) = open(path)?;
        Ok(Lines { path: path.to_owned(), input, compressed, line: Vec::new(), number: 0, peeked: false })
    }

    /// Number of the line that was read last, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The line that was read last.
    pub(super) fn current(&self) -> &[u8] {
        &self.line
    }

    /// Reads the next line without taking it; `false` at the end.
    pub(super) fn peek(&mut self) -> Result<bool, TraceError> {
        if !self.peeked {
            self.peeked = self.read()?;
        }
        Ok(self.peeked)
    }

    /// Takes the next line into [`Lines::current`]; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, TraceError> {
        if std::mem::take(&mut self.peeked) { Ok(true) } else { self.read() }
    }

    fn read(&mut self) -> Result<bool, TraceError> {
        loop {
            self.line.clear();
            let limit = LINE_LIMIT_BYTES as u64 + 1;
            let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.line);
            if read.map_err(|source| self.failure(source))? == 0 {
                return Ok(false);
            }
            self.number += 1;
            if self.line.len() > LINE_LIMIT_BYTES {
                let (path, line) = (self.path.clone(), self.number);
                return Err(TraceError::LineTooLong { path, line, limit_bytes: LINE_LIMIT_BYTES });
            }
            let trimmed = self.line.trim_ascii_end().len();
            self.line.truncate(trimmed);
            if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.line.is_empty() {
                return Ok(true);
            }
        }
    }

    fn failure(&self, source: io::Error) -> TraceError {
        failure(&self.path, self.compressed, self.number, source)
    }
}

/// The whole content of a plain or gzip file that is known to be small.
pub(super) fn read_whole(path: &Path) -> Result<Vec<u8>, TraceError> {
    let (mut input, compressed) = open(path)?;
    let mut content = Vec::new();
    match input.read_to_end(&mut content) {
        Ok(_) => Ok(content),
        Err(source) => {
            let lines = content.split(|&byte| byte == b'\n').count() as u64 - 1;
            Err(failure(path, compressed, lines, source))
        }
    }
}

fn open(path: &Path) -> Result<(Box<dyn BufRead + Send>, bool), TraceError> {
    let unreadable = |source| TraceError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, file);
    if raw.fill_buf().map_err(unreadable)?.starts_with(&GZIP_MAGIC) {
        Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))), true))
    } else {
        Ok((Box::new(raw), false))
    }
}

fn failure(path: &Path, compressed: bool, lines: u64, source: io::Error) -> TraceError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::UnexpectedEof if compressed => TraceError::TruncatedGzip { path, lines },
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if compressed => {
            TraceError::CorruptGzip { path, lines, source }
        }
        _ => TraceError::Io { path, source },
    }
}
