//! Splits bytes into lines without a string for each, in bounded memory.

use std::io::{self, Read};

use super::buffered::Buffered;
use crate::collect::without_byte_order_mark;

/// A longer line is no session, whatever it says.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// A line without its line feed, or a part of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Up to [`MAX_LINE`] bytes.
    Whole(&'a [u8]),
    /// The next part of a line that is too long.
    Part {
        /// Its bytes.
        bytes: &'a [u8],
        /// Whether the line ends with it.
        last: bool,
    },
}

/// The lines of a source. Bytes between two reads stay where they are, so a line is copied at most once.
pub(super) struct Lines<R> {
    buffer: Buffered<R>,
    /// How many of the unread bytes have no line feed.
    searched: usize,
    /// Parts of the current line were handed out.
    within_long_line: bool,
    /// Nothing was handed out yet.
    at_beginning: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            buffer: Buffered::new(source),
            searched: 0,
            within_long_line: false,
            at_beginning: true,
        }
    }

    /// The next line; `None` after the last.
    ///
    /// # Errors
    /// When the source can't be read. A line that was cut off by that is not handed out.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let rest = self.buffer.rest();
            let length = rest.len();
            if let Some(more) = memchr::memchr(b'\n', rest.get(self.searched..).unwrap_or_default()) {
                let line = self.searched + more;
                return Ok(Some(self.take(line, line + 1, true)));
            }
            self.searched = length;
            if length > MAX_LINE {
                return Ok(Some(self.take(length, length, false)));
            }
            if self.buffer.ended {
                let is_over = length == 0 && !self.within_long_line;
                return Ok((!is_over).then(|| self.take(length, length, true)));
            }
            self.buffer.fill()?;
        }
    }

    /// Hands out a line of this length, and goes on behind `passed` bytes.
    fn take(&mut self, length: usize, passed: usize, last: bool) -> Line<'_> {
        let start = self.buffer.unread.start;
        self.buffer.unread.start += passed;
        self.searched = 0;
        let bytes = self.buffer.bytes.get(start..start + length).unwrap_or_default();
        let bytes = if std::mem::take(&mut self.at_beginning) {
            without_byte_order_mark(bytes)
        } else {
            bytes
        };
        let part = self.within_long_line || !last || bytes.len() > MAX_LINE;
        self.within_long_line = part && !last;
        if part {
            Line::Part { bytes, last }
        } else {
            Line::Whole(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::buffered::{READ, tests::Steps};

    /// Each line, and whether it was whole.
    fn lines(text: &[u8], step: usize) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::new(Steps(text, step));
        let mut found = Vec::new();
        let mut long = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            match line {
                Line::Whole(bytes) => found.push((bytes.to_vec(), true)),
                Line::Part { bytes, last } => {
                    long.extend_from_slice(bytes);
                    if last {
                        found.push((std::mem::take(&mut long), false));
                    }
                }
            }
        }
        assert!(lines.buffer.bytes.len() <= MAX_LINE + 3 * READ);
        found
    }

    #[test]
    fn lines_end_at_line_feeds_and_at_the_end() {
        let whole = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (text.as_bytes().to_vec(), true))
                .collect::<Vec<_>>()
        };
        for step in [1, 2, 3, 1000] {
            assert_eq!(lines(b"", step), whole(&[]));
            assert_eq!(lines(b"a", step), whole(&["a"]));
            assert_eq!(lines(b"a\n", step), whole(&["a"]));
            assert_eq!(
                lines(b"a\r\n\nbc\n\xEF\xBB\xBFd", step),
                whole(&["a\r", "", "bc", "\u{feff}d"])
            );
            assert_eq!(lines(b"\xEF\xBB\xBFa\nb", step), whole(&["a", "b"]));
        }
    }

    #[test]
    fn long_lines_are_told_apart_and_not_kept_in_memory() {
        let at_limit = vec![b'x'; MAX_LINE];
        let above = vec![b'y'; MAX_LINE + 1];
        let far_above = vec![b'z'; 5 * MAX_LINE];
        let text = [
            at_limit.as_slice(),
            b"\n",
            &above,
            b"\n",
            &far_above,
            b"\nshort\n",
            &above,
        ]
        .concat();
        for step in [100_000, 1_000_000, usize::MAX] {
            let found = lines(&text, step);
            let expected = [
                (at_limit.clone(), true),
                (above.clone(), false),
                (far_above.clone(), false),
                (b"short".to_vec(), true),
                (above.clone(), false),
            ];
            assert!(
                found == expected,
                "{:?}",
                found
                    .iter()
                    .map(|(line, whole)| (line.len(), whole))
                    .collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_line_that_an_error_cuts_off_is_not_handed_out() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        let mut lines = Lines::new((&b"good\ncut"[..]).chain(Broken));
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"good")));
        assert!(lines.next().is_err());
    }
}
