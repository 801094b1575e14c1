//! Splits bytes into lines without a string for each, in bounded memory.

use std::io::{self, Read};

/// A longer line is no session, whatever it says.
pub(super) const MAX_LINE: usize = 1024 * 1024;
/// How much is asked for at a time.
const READ: usize = 256 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

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
    source: R,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to where there is no line feed.
    searched: usize,
    /// Up to where the buffer is filled.
    end: usize,
    /// The source has ended.
    ended: bool,
    /// Parts of the current line were handed out.
    within_long_line: bool,
    /// Nothing was handed out yet.
    at_beginning: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; READ * 2],
            start: 0,
            searched: 0,
            end: 0,
            ended: false,
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
            let unsearched = self.buffer.get(self.searched..self.end).unwrap_or_default();
            if let Some(length) = memchr::memchr(b'\n', unsearched) {
                let line_end = self.searched + length;
                return Ok(Some(self.take(line_end, line_end + 1, true)));
            }
            self.searched = self.end;
            if self.end - self.start > MAX_LINE {
                return Ok(Some(self.take(self.end, self.end, false)));
            }
            if self.ended {
                let nothing_left = self.start == self.end && !self.within_long_line;
                return Ok((!nothing_left).then(|| self.take(self.end, self.end, true)));
            }
            self.fill()?;
        }
    }

    /// Hands out what stands before `line_end` and goes on at `next`.
    fn take(&mut self, line_end: usize, next: usize, last: bool) -> Line<'_> {
        let bytes = self.buffer.get(self.start..line_end).unwrap_or_default();
        let bytes = match std::mem::take(&mut self.at_beginning) {
            true => bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes),
            false => bytes,
        };
        self.start = next;
        self.searched = next;
        let part = self.within_long_line || !last || bytes.len() > MAX_LINE;
        self.within_long_line = part && !last;
        match part {
            true => Line::Part { bytes, last },
            false => Line::Whole(bytes),
        }
    }

    /// Reads more. The buffer grows only for lines that don't fit into it, and to [`MAX_LINE`] and two reads at most.
    fn fill(&mut self) -> io::Result<()> {
        if self.buffer.len() - self.end < READ {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
            if self.buffer.len() - self.end < READ {
                self.buffer.resize(self.buffer.len() + READ, 0);
            }
        }
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        match self.source.read(space) {
            Ok(0) => self.ended = true,
            Ok(count) => self.end += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `step` bytes at a time, as a slow pipe does.
    struct Steps<'a>(&'a [u8], usize);

    impl Read for Steps<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

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
        assert!(lines.buffer.len() <= MAX_LINE + 3 * READ);
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
