//! What the forms of a day are made of: numbers of variable length in columns, compressed.

use std::io;

/// The most that a form may take when it is unpacked: far more than any day has.
const MAX_UNPACKED: usize = 1 << 30;
/// The first level: the columns are small, and are read more often than written.
const LEVEL: i32 = 1;

/// Why bytes are not the form of a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// It was written by a version that knows more.
    #[error("it has form {0}, which a newer version of sessionmeter wrote")]
    Newer(u8),
    /// It ends in the middle, or says what can't be.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes().first().copied().unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes().first().copied().unwrap_or_default());
}

/// Appends numbers that ascend as the distances between them.
pub(super) fn push_ascending(bytes: &mut Vec<u8>, numbers: impl IntoIterator<Item = u64>) {
    let mut before = 0;
    for number in numbers {
        push(bytes, number.wrapping_sub(before));
        before = number;
    }
}

/// Appends numbers of which most are small: a byte each, and those that don't fit behind all of them.
pub(super) fn push_small(bytes: &mut Vec<u8>, numbers: &[u32]) {
    bytes.extend(
        numbers
            .iter()
            .map(|number| u8::try_from(*number).unwrap_or(u8::MAX)),
    );
    let large = numbers.iter().filter(|number| **number >= u32::from(u8::MAX));
    large.for_each(|number| push(bytes, u64::from(*number)));
}

/// Reads what the functions above wrote; never more than there is.
pub(super) struct Reader<'a>(&'a [u8]);

const SHORT: FormError = FormError::Damaged("it ends too early");

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn number(&mut self) -> Result<u64, FormError> {
        let (mut number, mut shift) = (0, 0);
        for (index, byte) in self.0.iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || (shift == 63 && bits > 1) {
                return Err(FormError::Damaged("a number is too large"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                self.0 = self.0.get(index + 1..).unwrap_or_default();
                return Ok(number);
            }
            shift += 7;
        }
        Err(SHORT)
    }

    /// A number of things that take at least a byte each: there can't be more of them than bytes.
    pub(super) fn count(&mut self) -> Result<usize, FormError> {
        let count = usize::try_from(self.number()?).map_err(|_| SHORT)?;
        if count <= self.0.len() {
            Ok(count)
        } else {
            Err(SHORT)
        }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], FormError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn ascending(&mut self, count: usize) -> Result<Vec<u64>, FormError> {
        let mut numbers = Vec::with_capacity(count.min(self.0.len()));
        let mut before = 0_u64;
        for index in 0..count {
            let distance = self.number()?;
            if distance == 0 && index > 0 {
                return Err(FormError::Damaged("numbers that must ascend don't"));
            }
            before = before
                .checked_add(distance)
                .ok_or(FormError::Damaged("a number is too large"))?;
            numbers.push(before);
        }
        Ok(numbers)
    }

    pub(super) fn small(&mut self, count: usize) -> Result<Vec<u32>, FormError> {
        let bytes = self.bytes(count)?;
        let mut numbers: Vec<u32> = bytes.iter().map(|byte| u32::from(*byte)).collect();
        for number in numbers.iter_mut().filter(|number| **number == u32::from(u8::MAX)) {
            *number = u32::try_from(self.number()?)
                .ok()
                .filter(|number| *number >= u32::from(u8::MAX))
                .ok_or(FormError::Damaged("a number does not fit"))?;
        }
        Ok(numbers)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn end(self) -> Result<(), FormError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(FormError::Damaged("there is more than belongs to it"))
        }
    }
}

/// The number of the form, the length when unpacked, and the compressed content with a checksum.
pub(super) fn pack(form: u8, content: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
    let compressed = compressor.compress(content)?;
    let mut bytes = Vec::with_capacity(compressed.len() + 8);
    bytes.push(form);
    push(&mut bytes, content.len() as u64);
    bytes.extend_from_slice(&compressed);
    Ok(bytes)
}

/// The content of what [`pack`] made.
pub(super) fn unpack(form: u8, bytes: &[u8]) -> Result<Vec<u8>, FormError> {
    let (found, rest) = bytes.split_first().ok_or(SHORT)?;
    if *found > form {
        return Err(FormError::Newer(*found));
    }
    if *found != form {
        return Err(FormError::Damaged("there is no such form"));
    }
    let mut reader = Reader::new(rest);
    let length = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
    if length > MAX_UNPACKED {
        return Err(FormError::Damaged("it is too large"));
    }
    let content = zstd::bulk::decompress(reader.0, length)
        .map_err(|_| FormError::Damaged("it can't be decompressed"))?;
    if content.len() == length {
        Ok(content)
    } else {
        Err(SHORT)
    }
}
