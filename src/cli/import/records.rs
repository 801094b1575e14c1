//! Splits CSV into records in bounded memory: RFC 4180, lines may end in CRLF, LF or CR, quoted cells may contain them.
//!
//! What is no CSV is told from what is: a quote that is not closed would otherwise swallow the records behind it. Of such
//! a record the first line is handed out as faulty, and the next record begins with the next line.

use std::io::{self, Read};

use super::buffered::Buffered;
use super::row::{Cells, Fault, Parsed, Row};

/// A longer record is no session; most likely a quote is not closed.
pub(super) const MAX_RECORD: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One record, or what stands in the place of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// Its cells.
    Whole(Cells<'a>),
    /// A line with which no record begins, without its end.
    Faulty(&'a [u8], Fault),
    /// The next part of a line that is too long.
    Part {
        /// As it stands in the file.
        raw: &'a [u8],
        /// Whether the line ends with it.
        last: bool,
    },
}

/// The records of a source.
pub(super) struct Records<R> {
    buffer: Buffered<R>,
    pub(super) delimiter: u8,
    row: Row,
    /// The line on which the next record begins, from 1.
    line: u64,
    /// Where the last record began, in the buffer and in the source.
    last: (usize, u64),
    /// Parts of a line were handed out.
    within_long_line: bool,
}

impl<R: Read> Records<R> {
    pub(super) fn new(source: R, delimiter: u8) -> Self {
        Self {
            buffer: Buffered::new(source),
            delimiter,
            row: Row::default(),
            line: 1,
            last: (0, 1),
            within_long_line: false,
        }
    }

    /// The line with which the first record begins, without its end, before anything else is read. Blank lines and a byte
    /// order mark are passed over.
    ///
    /// # Errors
    /// When the source can't be read.
    pub(super) fn first_line(&mut self) -> io::Result<&[u8]> {
        while self.buffer.unread.len() < BYTE_ORDER_MARK.len() && !self.buffer.ended {
            self.buffer.fill()?;
        }
        if self.buffer.rest().starts_with(BYTE_ORDER_MARK) {
            self.buffer.unread.start += BYTE_ORDER_MARK.len();
        }
        loop {
            self.pass_over_blank_lines()?;
            match line_end(self.buffer.rest(), self.buffer.ended) {
                None if self.buffer.unread.len() <= MAX_RECORD && !self.buffer.ended => self.buffer.fill()?,
                None => return Ok(self.buffer.rest()),
                Some((end, _)) => return Ok(self.buffer.rest().get(..end).unwrap_or_default()),
            }
        }
    }

    /// The next record and the line on which it begins; `None` after the last. Blank lines are passed over.
    ///
    /// # Errors
    /// When the source can't be read.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Record<'_>)>> {
        if self.within_long_line {
            return self.part().map(Some);
        }
        self.pass_over_blank_lines()?;
        loop {
            if self.buffer.unread.is_empty() && self.buffer.ended {
                return Ok(None);
            }
            let (start, line) = (self.buffer.unread.start, self.line);
            let rest = self.buffer.rest();
            let fault = match self.row.parse(rest, self.delimiter, self.buffer.ended) {
                Parsed::Record { end, next } if end <= MAX_RECORD => {
                    self.last = (start, line);
                    self.pass(next);
                    let raw = self.buffer.bytes.get(start..start + end).unwrap_or_default();
                    return Ok(Some((line, Record::Whole(self.row.cells(raw)))));
                }
                Parsed::Record { .. } => Fault::Unclosed,
                Parsed::Fault(fault) => fault,
                Parsed::Cut if rest.len() <= MAX_RECORD => {
                    self.buffer.fill()?;
                    continue;
                }
                // A line that is too long is told as such below.
                Parsed::Cut => Fault::Unclosed,
            };
            return match line_end(self.buffer.rest(), self.buffer.ended) {
                Some((end, next)) if end <= MAX_RECORD => {
                    self.pass(next);
                    let raw = self.buffer.bytes.get(start..start + end).unwrap_or_default();
                    Ok(Some((line, Record::Faulty(raw, fault))))
                }
                None if self.buffer.unread.len() <= MAX_RECORD => {
                    self.buffer.fill()?;
                    continue;
                }
                _ => self.part().map(Some),
            };
        }
    }

    /// Goes back into the record that was read last: the next one begins with the second of its lines. Returns the first.
    pub(super) fn split_last(&mut self) -> &[u8] {
        let (start, line) = self.last;
        let record = self
            .buffer
            .bytes
            .get(start..self.buffer.unread.end)
            .unwrap_or_default();
        let (end, next) = line_end(record, true).unwrap_or((record.len(), record.len()));
        self.buffer.unread.start = start + next;
        self.line = line + 1;
        self.buffer.bytes.get(start..start + end).unwrap_or_default()
    }

    /// The next part of a line that is too long to be kept.
    fn part(&mut self) -> io::Result<(u64, Record<'_>)> {
        if self.buffer.unread.is_empty() && !self.buffer.ended {
            self.buffer.fill()?;
        }
        let (start, line) = (self.buffer.unread.start, self.line);
        let found = line_end(self.buffer.rest(), self.buffer.ended);
        // A CR at the end may belong to a line feed that is not read yet.
        let cut = match self.buffer.rest() {
            [before @ .., b'\r'] if !before.is_empty() => before.len(),
            all => all.len(),
        };
        let (end, next) = found.unwrap_or((cut, cut));
        match found {
            Some(_) => self.pass(next),
            None => self.buffer.unread.start += next,
        }
        self.within_long_line = found.is_none();
        let raw = self.buffer.bytes.get(start..start + end).unwrap_or_default();
        Ok((
            line,
            Record::Part {
                raw,
                last: found.is_some(),
            },
        ))
    }

    fn pass_over_blank_lines(&mut self) -> io::Result<()> {
        loop {
            match self.buffer.rest() {
                [] if self.buffer.ended => return Ok(()),
                [] => self.buffer.fill()?,
                [b'\r'] if !self.buffer.ended => self.buffer.fill()?,
                [b'\r', b'\n', ..] => self.pass(2),
                [b'\r' | b'\n', ..] => self.pass(1),
                _ => return Ok(()),
            }
        }
    }

    /// Goes on behind `length` bytes, which are whole lines, and counts these.
    fn pass(&mut self, length: usize) {
        let passed = self.buffer.rest().get(..length).unwrap_or_default();
        let feeds = memchr::memchr_iter(b'\n', passed).count();
        let lone = memchr::memchr_iter(b'\r', passed)
            .filter(|at| passed.get(at + 1) != Some(&b'\n'))
            .count();
        self.line += (feeds + lone) as u64;
        self.buffer.unread.start += length;
    }
}

/// Where the first line ends, and where the next one begins. The last line of what `ended` needs no line end.
fn line_end(text: &[u8], ended: bool) -> Option<(usize, usize)> {
    match memchr::memchr2(b'\n', b'\r', text) {
        None => ended.then_some((text.len(), text.len())),
        Some(end) => match (text.get(end), text.get(end + 1)) {
            (Some(b'\r'), None) if !ended => None,
            (Some(b'\r'), Some(b'\n')) => Some((end, end + 2)),
            _ => Some((end, end + 1)),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::import::buffered::{READ, tests::Steps};

    fn records_of(text: &[u8], step: usize) -> Vec<(u64, Vec<String>)> {
        let mut records = Records::new(Steps(text, step), b',');
        records.first_line().unwrap();
        let mut found = Vec::new();
        let mut long = 0;
        while let Some((line, record)) = records.next().unwrap() {
            let cells = match record {
                Record::Whole(cells) => cells
                    .iter()
                    .map(|cell| String::from_utf8_lossy(cell).into_owned())
                    .collect(),
                Record::Faulty(raw, fault) => {
                    vec![format!("{fault:?}"), String::from_utf8_lossy(raw).into_owned()]
                }
                Record::Part { raw, last } => {
                    long += raw.len();
                    if !last {
                        continue;
                    }
                    vec![format!("{} bytes", std::mem::take(&mut long))]
                }
            };
            found.push((line, cells));
        }
        assert!(records.buffer.bytes.len() <= MAX_RECORD + 4 * READ);
        found
    }

    fn records(text: &[u8]) -> Vec<(u64, Vec<String>)> {
        let found = records_of(text, usize::MAX);
        if text.len() < 1_000 {
            assert_eq!(records_of(text, 1), found);
        }
        found
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
        assert_eq!(
            records(b"a\rb\r\r\"c\"\r"),
            [row(1, &["a"]), row(2, &["b"]), row(4, &["c"])]
        );
    }

    #[test]
    fn a_faulty_record_costs_its_first_line() {
        assert_eq!(
            records(b"a,\"b\nc,d\r\ne,f"),
            [
                row(1, &["Unclosed", "a,\"b"]),
                row(2, &["c", "d"]),
                row(3, &["e", "f"])
            ]
        );
        assert_eq!(
            records(b"a,\"b\nc,\"d\"\ne\n"),
            [row(1, &["Behind", "a,\"b"]), row(2, &["c", "d"]), row(3, &["e"])]
        );
        assert_eq!(
            records(b"\"x\\\"y\",1\n5\" tv,2\nz,3"),
            [
                row(1, &["Behind", "\"x\\\"y\",1"]),
                row(2, &["Bare", "5\" tv,2"]),
                row(3, &["z", "3"])
            ]
        );
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let text = [b"a\n\"".to_vec(), vec![b'x'; 5 * MAX_RECORD], b"\"\nb\n".to_vec()].concat();
        let bytes = format!("{} bytes", 5 * MAX_RECORD + 2);
        assert_eq!(
            records(&text),
            [row(1, &["a"]), row(2, &[&bytes]), row(3, &["b"])]
        );
        let many = [vec![b','; 30_000], b"\nb\n".to_vec()].concat();
        let found = records(&many);
        assert_eq!((found[0].1[0].as_str(), &found[1]), ("Cells", &row(2, &["b"])));
        let unclosed = [b"\"".to_vec(), b"x,y\n".repeat(MAX_RECORD / 2)].concat();
        let found = records(&unclosed);
        assert_eq!(found[0], row(1, &["Unclosed", "\"x,y"]));
        assert_eq!(found.len(), MAX_RECORD / 2);
    }

    #[test]
    fn a_record_is_kept_as_it_stands_and_can_be_split() {
        let mut records = Records::new(&b"\n\"a\",b\r\n\"c\nd\",\"e\"\nf"[..], b',');
        let Some((2, Record::Whole(cells))) = records.next().unwrap() else {
            panic!("no record");
        };
        assert_eq!(cells.raw, b"\"a\",b");
        assert!(matches!(records.next().unwrap(), Some((3, Record::Whole(_)))));
        assert_eq!(records.split_last(), b"\"c");
        assert!(matches!(
            records.next().unwrap(),
            Some((4, Record::Faulty(b"d\",\"e\"", Fault::Bare)))
        ));
        assert!(matches!(records.next().unwrap(), Some((5, Record::Whole(_)))));
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_nothing_vanishes(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            text in "[a,\"\r\n]{0,60}",
        ) {
            records(&bytes);
            let count = |text: &str| text.bytes().filter(|byte| *byte == b'a').count();
            let found: usize = records(text.as_bytes())
                .iter()
                .flat_map(|(_, cells)| cells)
                .map(|cell| count(cell.strip_prefix("Bare").unwrap_or(cell)))
                .sum();
            prop_assert_eq!(found, count(&text), "{:?}", text);
        }
    }
}
