//! Bytes of a source that are looked at before it is known how many belong together.

use std::io::{self, Read};
use std::ops::Range;

/// How much is asked for at a time.
pub(super) const READ: usize = 256 * 1024;

/// A source, and what was read of it ahead.
pub(super) struct Buffered<R> {
    source: R,
    pub(super) bytes: Vec<u8>,
    /// What of the bytes is not used yet.
    pub(super) unread: Range<usize>,
    /// Whether the source has ended.
    pub(super) ended: bool,
}

impl<R: Read> Buffered<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            bytes: vec![0; READ * 2],
            unread: 0..0,
            ended: false,
        }
    }

    /// What is not used yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.unread.clone()).unwrap_or_default()
    }

    /// Reads more. What is unread may move to the beginning; the buffer grows only for what does not fit into it, by one
    /// read at a time.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        if self.bytes.len() - self.unread.end < READ {
            self.bytes.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
            if self.bytes.len() - self.unread.end < READ {
                self.bytes.resize(self.bytes.len() + READ, 0);
            }
        }
        let space = self.bytes.get_mut(self.unread.end..).unwrap_or_default();
        match self.source.read(space) {
            Ok(0) => self.ended = true,
            Ok(count) => self.unread.end += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Gives so many bytes at a time, as a slow pipe does.
    pub(in crate::cli::import) struct Steps<'a>(
        pub(in crate::cli::import) &'a [u8],
        pub(in crate::cli::import) usize,
    );

    impl Read for Steps<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }
}
