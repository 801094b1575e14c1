//! Looks at the headers of pages before the library does, which allocates whatever they say.
//!
//! A header is a structure in Thrift's compact protocol. Only its lengths and counts matter here.

use std::io::Read as _;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Of a page after decompression. Writers make them of a megabyte, the most generous of a hundred.
const MAX_PAGE: i64 = 256 * 1024 * 1024;
/// How much is looked at first, and at most: headers may carry the smallest and the largest value.
const STEPS: [u64; 2] = [8 * 1024, 1024 * 1024];
const MAX_DEPTH: usize = 8;
/// The magic number and the length at a file's end.
const FOOTER: u64 = 8;

/// A file whose pages are as large as it says, or an error.
pub(super) struct Checked<R>(pub(super) R);

impl<R: ChunkReader> Length for Checked<R> {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl<R: ChunkReader> ChunkReader for Checked<R> {
    type T = R::T;

    /// The library reads headers of pages this way, and the file's footer.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        if start.saturating_add(FOOTER) < self.len() {
            self.check(start)?;
        }
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.saturating_add(length as u64) <= self.len() {
            self.0.get_bytes(start, length)
        } else {
            Err(ParquetError::EOF(format!(
                "the file ends before byte {}",
                start.saturating_add(length as u64)
            )))
        }
    }
}

impl<R: ChunkReader> Checked<R> {
    fn check(&self, start: u64) -> Result<()> {
        let mut head = Vec::new();
        for step in STEPS {
            head.clear();
            self.0.get_read(start)?.take(step).read_to_end(&mut head)?;
            match Header::read(&head) {
                Some(header) if header.is_sound() => return Ok(()),
                Some(_) => break,
                None => {}
            }
        }
        Err(ParquetError::General(format!(
            "the page at byte {start} is damaged"
        )))
    }
}

/// What a page's header makes the library allocate.
#[derive(Debug, Default)]
struct Header {
    page: i64,
    dictionary: i64,
}

impl Header {
    /// `None` where it does not end in these bytes, or makes no sense.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::default();
        Walker(bytes).structure(&mut Vec::new(), &mut header)?;
        Some(header)
    }

    fn is_sound(&self) -> bool {
        // A dictionary's value takes at least a byte.
        (0..=MAX_PAGE).contains(&self.page) && (0..=self.page).contains(&self.dictionary)
    }

    fn note(&mut self, path: &[i16], number: i64) {
        match path {
            [2] => self.page = number,
            [7, 1] => self.dictionary = number,
            _ => {}
        }
    }
}

struct Walker<'a>(&'a [u8]);

impl Walker<'_> {
    fn structure(&mut self, path: &mut Vec<i16>, header: &mut Header) -> Option<()> {
        let mut id = 0_i16;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Some(());
            }
            id = match byte >> 4 {
                0 => i16::try_from(self.number()?).ok()?,
                step => id.checked_add(step.into())?,
            };
            if path.len() >= MAX_DEPTH {
                return None;
            }
            path.push(id);
            self.value(byte & 0x0F, path, header)?;
            path.pop();
        }
    }

    fn value(&mut self, kind: u8, path: &mut Vec<i16>, header: &mut Header) -> Option<()> {
        match kind {
            // Booleans, in the byte that has the kind.
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => {
                let number = self.number()?;
                header.note(path, number);
                Some(())
            }
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(usize::try_from(length).ok()?)
            }
            9 | 10 => self.list(path, header),
            12 => self.structure(path, header),
            _ => None,
        }
    }

    fn list(&mut self, path: &mut Vec<i16>, header: &mut Header) -> Option<()> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => count.into(),
        };
        // Each item takes at least a byte: booleans take one here.
        if count > self.0.len() as u64 || path.len() >= MAX_DEPTH {
            return None;
        }
        path.push(0);
        for _ in 0..count {
            match head & 0x0F {
                1 | 2 => self.pass(1)?,
                kind => self.value(kind, path, header)?,
            }
        }
        path.pop();
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn pass(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        super::varint(&mut self.0)
    }

    fn number(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}
