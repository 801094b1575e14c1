//! Protocol buffers on the wire, read where they lie.
//!
//! Nothing becomes a structure that is not asked for: two bytes of input can be an empty message, and a million of
//! those must not cost a million structures.

use std::borrow::Cow;

/// The bytes are no protocol buffers message of the kind that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They end in the middle of a field.
    #[error("it ends in the middle of a field")]
    Truncated,
    /// A number of more than 64 bits, or a field that is numbered 0.
    #[error("a number in it is out of range")]
    Number,
    /// Wire types 3, 4 (groups, which no current schema has), 6 and 7.
    #[error("it has a field of the wire type {0}")]
    WireType(u8),
    /// A field has another type than its number says.
    #[error("the field {0} is of another type")]
    Type(u32),
}

/// The value of a field, as far as the wire tells types apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// A field's number and value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    value: Value<'a>,
}

impl<'a> Field<'a> {
    pub(super) fn message(self) -> Result<Fields<'a>, Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(Fields(bytes)),
            _ => Err(Malformed::Type(self.number)),
        }
    }

    /// What is no UTF-8 becomes replacement characters: one bad attribute must not make all of a body unreadable.
    pub(super) fn text(self) -> Result<Cow<'a, str>, Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(String::from_utf8_lossy(bytes)),
            _ => Err(Malformed::Type(self.number)),
        }
    }

    pub(super) fn varint(self) -> Result<u64, Malformed> {
        match self.value {
            Value::Varint(number) => Ok(number),
            _ => Err(Malformed::Type(self.number)),
        }
    }

    pub(super) fn fixed64(self) -> Result<u64, Malformed> {
        match self.value {
            Value::Fixed64(number) => Ok(number),
            _ => Err(Malformed::Type(self.number)),
        }
    }
}

/// The fields of a message, in their order on the wire. Ends with the first error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed::Number)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed::Number);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                self.array::<4>()?;
                Value::Fixed32
            }
            other => return Err(Malformed::WireType(other as u8)),
        };
        Ok(Field { number, value })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed::Truncated)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(Malformed::Number);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed::Number)
    }
}

/// Writes the messages of answers.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A field with a number that is not negative; 0 is what an absent field says.
    #[must_use]
    pub fn number(mut self, field: u32, value: u64) -> Self {
        if value > 0 {
            self.varint(u64::from(field << 3));
            self.varint(value);
        }
        self
    }

    /// A field with a text or a message.
    #[must_use]
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field << 3 | 2));
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Field<'_>>, Malformed> {
        Fields(bytes).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = Writer::default()
            .number(1, 300)
            .number(2, 0)
            .bytes(12, b"text")
            .number(3, u64::MAX)
            .finish();
        let fields = read(&bytes).unwrap();
        let numbers: Vec<u32> = fields.iter().map(|field| field.number).collect();
        assert_eq!(numbers, [1, 12, 3]);
        assert_eq!(fields[0].varint(), Ok(300));
        assert_eq!(fields[1].text().unwrap(), "text");
        assert_eq!(fields[2].varint(), Ok(u64::MAX));
        assert_eq!(fields[2].text(), Err(Malformed::Type(3)));
    }

    #[test]
    fn what_is_malformed_is_refused_and_ends_the_message() {
        for (bytes, error) in [
            (&b"\x0a\x05abc"[..], Malformed::Truncated),
            (b"\x09\x01", Malformed::Truncated),
            (b"\x0d\x01", Malformed::Truncated),
            (b"\x08", Malformed::Truncated),
            (b"\x02\x00", Malformed::Number),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Malformed::Number),
            (b"\x0b\x0c", Malformed::WireType(3)),
            (b"\x0f", Malformed::WireType(7)),
        ] {
            assert_eq!(read(bytes), Err(error), "{bytes:?}");
            assert_eq!(Fields(bytes).count(), 1, "{bytes:?}");
        }
        assert_eq!(read(b"\x0a\x01\xff").unwrap()[0].text().unwrap(), "\u{fffd}");
    }
}
