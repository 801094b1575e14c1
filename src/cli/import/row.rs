//! A record of CSV into its cells, as RFC 4180 has it, or what keeps it from being one.

/// More cells has no table.
const MAX_CELLS: usize = 10_000;
const QUOTE: u8 = b'"';

/// Why a record is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Or closed so far behind that it can't be meant.
    #[error("a quote is not closed")]
    Unclosed,
    /// `"a"b`, or quotes within a cell that are escaped with a backslash.
    #[error("there is text behind a closing quote; quotes within a quoted cell are doubled")]
    Behind,
    /// `a"b`.
    #[error("there is a quote in a cell that is not quoted; quote the cell and double its quotes")]
    Bare,
    /// More than any table has.
    #[error("the record has more than {MAX_CELLS} cells")]
    Cells,
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

/// Where the cells of a record are put.
#[derive(Debug, Default)]
pub(super) struct Row {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Row {
    /// Splits a text that is one record.
    pub(super) fn split<'a>(&'a mut self, text: &'a [u8], delimiter: u8) -> Option<Cells<'a>> {
        match self.parse(text, delimiter, true) {
            Parsed::Record { .. } => Some(self.cells(text)),
            Parsed::Fault(_) | Parsed::Cut => None,
        }
    }

    /// The cells of the record that was parsed last.
    pub(super) fn cells<'a>(&'a self, raw: &'a [u8]) -> Cells<'a> {
        Cells {
            bytes: &self.bytes,
            ends: &self.ends,
            raw,
        }
    }

    /// Reads a record at the beginning of `text`, which is everything that is left if it `ended`.
    pub(super) fn parse(&mut self, text: &[u8], delimiter: u8, ended: bool) -> Parsed {
        self.bytes.clear();
        self.ends.clear();
        let mut at = 0;
        loop {
            if self.ends.len() == MAX_CELLS {
                return Parsed::Fault(Fault::Cells);
            }
            let rest = text.get(at..).unwrap_or_default();
            let cell = match rest.first() {
                None if !ended => return Parsed::Cut,
                Some(&QUOTE) => self.quoted(rest, delimiter, ended),
                _ => self.plain(rest, delimiter, ended),
            };
            let length = match cell {
                Ok(length) => length,
                Err(end) => return end,
            };
            self.ends.push(self.bytes.len());
            let end = at + length;
            let next = match (text.get(end), text.get(end + 1)) {
                (None, _) => end,
                (Some(b'\r'), None) if !ended => return Parsed::Cut,
                (Some(b'\r'), Some(b'\n')) => end + 2,
                (Some(b'\r' | b'\n'), _) => end + 1,
                (Some(_), _) => {
                    at = end + 1;
                    continue;
                }
            };
            return Parsed::Record { end, next };
        }
    }

    /// A cell without quotes; its length.
    fn plain(&mut self, rest: &[u8], delimiter: u8, ended: bool) -> Result<usize, Parsed> {
        let length = match memchr::memchr3(delimiter, b'\n', b'\r', rest) {
            Some(length) => length,
            None if ended => rest.len(),
            None => return Err(Parsed::Cut),
        };
        let cell = rest.get(..length).unwrap_or_default();
        if memchr::memchr(QUOTE, cell).is_some() {
            return Err(Parsed::Fault(Fault::Bare));
        }
        self.bytes.extend_from_slice(cell);
        Ok(length)
    }

    /// A cell that begins with a quote; its length, both quotes included.
    fn quoted(&mut self, rest: &[u8], delimiter: u8, ended: bool) -> Result<usize, Parsed> {
        let mut at = 1;
        loop {
            let inside = rest.get(at..).unwrap_or_default();
            let Some(length) = memchr::memchr(QUOTE, inside) else {
                return Err(if ended {
                    Parsed::Fault(Fault::Unclosed)
                } else {
                    Parsed::Cut
                });
            };
            self.bytes
                .extend_from_slice(inside.get(..length).unwrap_or_default());
            at += length + 1;
            match rest.get(at) {
                None if !ended => return Err(Parsed::Cut),
                Some(&QUOTE) => {
                    self.bytes.push(QUOTE);
                    at += 1;
                }
                None | Some(b'\r' | b'\n') => return Ok(at),
                Some(byte) if *byte == delimiter => return Ok(at),
                Some(_) => return Err(Parsed::Fault(Fault::Behind)),
            }
        }
    }
}

/// What was found at the beginning of a text.
pub(super) enum Parsed {
    /// A record: where it ends, and where the next one begins.
    Record { end: usize, next: usize },
    /// None.
    Fault(Fault),
    /// Its end can't be seen yet.
    Cut,
}
