//! What one run writes of a file that several runs share.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use flate2::Crc;

use super::error::OutputError;

/// A buffered writer of one run's stretch of a file.
///
/// Observers cannot fail, so the first error is kept, nothing is written after it, and finishing reports it.
pub(super) struct Part {
    pub(super) run: usize,
    file: File,
    path: PathBuf,
    /// Whether `path` is a file of its own, to be copied into the shared one when it is this run's turn.
    apart: bool,
    buffer: Vec<u8>,
    error: Option<io::Error>,
    /// Checksum of what the bytes mean, where the file is compressed.
    crc: Crc,
    ended: bool,
}

/// A finished part.
pub(super) struct Finished {
    /// The file to copy, unless the part was written in its place.
    pub(super) apart: Option<PathBuf>,
    pub(super) crc: Crc,
}

impl Part {
    const BUFFER: usize = 64 << 10;
    /// Room kept for the row at hand; longer ones only make the buffer grow.
    const ROOM: usize = 2 << 10;

    pub(super) fn new(run: usize, file: File, path: PathBuf, apart: bool) -> Self {
        let buffer = Vec::with_capacity(Self::BUFFER);
        Part { run, file, path, apart, buffer, error: None, crc: Crc::new(), ended: false }
    }

    /// Where the next row is appended.
    #[inline]
    pub(super) fn row(&mut self) -> &mut Vec<u8> {
        if self.buffer.len() > Self::BUFFER - Self::ROOM {
            self.flush();
        }
        &mut self.buffer
    }

    /// Appends compressed bytes that stand for `plain`.
    pub(super) fn push_compressed(&mut self, plain: &[u8], compress: impl FnOnce(&mut Vec<u8>)) {
        self.crc.update(plain);
        compress(&mut self.buffer);
        self.flush();
    }

    fn flush(&mut self) {
        if self.error.is_none() {
            self.error = self.file.write_all(&self.buffer).err();
        }
        self.buffer.clear();
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> Result<Finished, OutputError> {
        self.flush();
        if let Some(source) = self.error.take() {
            return Err(OutputError::Write { path: self.path.clone(), source });
        }
        self.ended = true;
        Ok(Finished { apart: self.apart.then(|| self.path.clone()), crc: std::mem::take(&mut self.crc) })
    }
}

impl Drop for Part {
    /// A part that was given up leaves no file of its own.
    fn drop(&mut self) {
        if self.apart && !self.ended {
            // Nothing depends on it: the next run of the same plan would overwrite the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}
