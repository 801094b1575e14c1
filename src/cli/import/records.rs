//! Splits CSV into records in bounded memory: RFC 4180, lines may end in CRLF or LF, quoted cells may contain both.

use std::io::{self, Read};

use csv_core::ReadRecordResult;

/// A longer record is no session; most likely a quote is not closed.
pub(super) const MAX_RECORD: usize = 1024 * 1024;
const MAX_CELLS: usize = 10_000;
const READ: usize = 256 * 1024;

/// One record, or a part of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// Its cells.
    Whole(Cells<'a>),
    /// The next part of a record that is too long.
    Part {
        /// As it stands in the file.
        raw: &'a [u8],
        /// Whether the record ends with it.
        last: bool,
    },
}

/// A record's cells, without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cells<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
    /// As it stands in the file, without the line end.
    pub(super) raw: &'a [u8],
}

impl<'a> Cells<'a> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let cell = bytes.get(start..*end).unwrap_or_default();
            start = *end;
            cell
        })
    }
}

/// The records of a source.
pub(super) struct Records<R> {
    source: R,
    core: csv_core::Reader,
    input: Vec<u8>,
    /// What of the input is not read yet.
    start: usize,
    end: usize,
    ended: bool,
    cells: Vec<u8>,
    ends: Vec<usize>,
    raw: Vec<u8>,
    /// Where the record began, from 1.
    line: u64,
    /// Line feeds up to here.
    line_feeds: u64,
    /// The record is too long to be kept.
    is_long: bool,
    /// Parts of the record were handed out.
    within_record: bool,
}

impl<R: Read> Records<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            core: csv_core::Reader::new(),
            input: vec![0; READ],
            start: 0,
            end: 0,
            ended: false,
            cells: vec![0; 4 * 1024],
            ends: vec![0; 64],
            raw: Vec::new(),
            line: 1,
            line_feeds: 0,
            is_long: false,
            within_record: false,
        }
    }

    /// The next record and the line on which it begins; `None` after the last. Blank lines are passed over.
    ///
    /// # Errors
    /// When the source can't be read.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Record<'_>)>> {
        let (mut filled, mut counted) = (0, 0);
        self.raw.clear();
        loop {
            if self.start == self.end && !self.ended {
                self.fill()?;
            }
            let input = self.input.get(self.start..self.end).unwrap_or_default();
            let cells = self.cells.get_mut(filled..).unwrap_or_default();
            let ends = self.ends.get_mut(counted..).unwrap_or_default();
            let (result, read, written, ended) = self.core.read_record(input, cells, ends);
            self.raw.extend_from_slice(input.get(..read).unwrap_or_default());
            self.start += read;
            filled += written;
            counted += ended;
            match result {
                ReadRecordResult::Record => {
                    self.count_lines();
                    self.within_record = false;
                    let long = std::mem::take(&mut self.is_long) || filled > MAX_RECORD;
                    let raw = trimmed(&self.raw);
                    if long {
                        return Ok(Some((self.line, Record::Part { raw, last: true })));
                    }
                    let cells = Cells {
                        bytes: self.cells.get(..filled).unwrap_or_default(),
                        ends: self.ends.get(..counted).unwrap_or_default(),
                        raw,
                    };
                    return Ok(Some((self.line, Record::Whole(cells))));
                }
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.cells.len() <= MAX_RECORD => {
                    self.cells.resize(self.cells.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() <= MAX_CELLS => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull => (self.is_long, filled) = (true, 0),
                ReadRecordResult::OutputEndsFull => (self.is_long, counted) = (true, 0),
            }
            if self.raw.len() > 2 * MAX_RECORD {
                self.count_lines();
                (self.is_long, self.within_record) = (true, true);
                let part = Record::Part {
                    raw: &self.raw,
                    last: false,
                };
                return Ok(Some((self.line, part)));
            }
        }
    }

    /// The parser ends a record at CR and takes the line feed with the next one.
    fn count_lines(&mut self) {
        let leading = self.raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let before = leading.filter(|byte| **byte == b'\n').count() as u64;
        if !self.within_record {
            self.line = self.line_feeds + before + 1;
        }
        self.line_feeds += memchr::memchr_iter(b'\n', &self.raw).count() as u64;
    }

    fn fill(&mut self) -> io::Result<()> {
        (self.start, self.end) = (0, 0);
        // A byte order mark is recognised only in one piece.
        while self.end < 3 && !self.ended {
            let space = self.input.get_mut(self.end..).unwrap_or_default();
            match self.source.read(space) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn trimmed(raw: &[u8]) -> &[u8] {
    let line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = raw.iter().take_while(|byte| line_end(byte)).count();
    let raw = raw.get(start..).unwrap_or_default();
    let end = raw.iter().rev().take_while(|byte| line_end(byte)).count();
    let raw = raw.get(..raw.len() - end).unwrap_or_default();
    raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(text: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut records = Records::new(text);
        let mut found = Vec::new();
        loop {
            let Some((line, record)) = records.next().unwrap() else {
                return found;
            };
            let cells = match record {
                Record::Whole(cells) => cells
                    .iter()
                    .map(|cell| String::from_utf8_lossy(cell).into_owned())
                    .collect(),
                Record::Part { last: false, .. } => continue,
                Record::Part { .. } => vec!["too long".into()],
            };
            found.push((line, cells));
        }
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn records_know_the_line_on_which_they_begin() {
        let text = b"\xEF\xBB\xBFa,b\r\n\r\n\"x\r\ny\",\"q\"\"\"\r\n,\nlast,";
        let expected = [
            row(1, &["a", "b"]),
            row(3, &["x\r\ny", "q\""]),
            row(5, &["", ""]),
            row(6, &["last", ""]),
        ];
        assert_eq!(records(text), expected);
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let text = [b"a\n\"".to_vec(), vec![b'x'; 5 * MAX_RECORD], b"\"\nb\n".to_vec()].concat();
        assert_eq!(
            records(&text),
            [row(1, &["a"]), row(2, &["too long"]), row(3, &["b"])]
        );
        let many = [vec![b','; 3 * MAX_CELLS], b"\nb\n".to_vec()].concat();
        assert_eq!(records(&many), [row(1, &["too long"]), row(2, &["b"])]);
    }

    #[test]
    fn a_record_is_kept_as_it_stands() {
        let mut records = Records::new(&b"\n\"a\",b\r\n"[..]);
        let Some((2, Record::Whole(cells))) = records.next().unwrap() else {
            panic!("no record");
        };
        assert_eq!(cells.raw, b"\"a\",b");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[a,\"\r\n]{0,60}") {
            records(&bytes);
            records(text.as_bytes());
        }
    }
}
