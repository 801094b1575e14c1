//! Values in their binary form.

use super::schema::{Schema, Type, TypeId};

/// Nesting of a value: schemas may refer to themselves.
const MAX_DEPTH: usize = 64;
/// Values in a record, those of no size too.
const MAX_VALUES: usize = 10_000_000;

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// `null`, or a field that the file does not have.
    Null,
    /// `boolean`
    Boolean(bool),
    /// `int` or `long`
    Integer(i64),
    /// `float` or `double`
    Float(f64),
    /// `string`, or a symbol of an `enum`
    Text(&'a str),
    /// Anything else.
    Other,
}

/// Reads one record.
pub(super) struct Decoder<'a> {
    schema: &'a Schema,
    bytes: &'a [u8],
    position: usize,
    values_left: usize,
}

type Result<T> = std::result::Result<T, &'static str>;

const CUT_OFF: &str = "a value is cut off";

impl<'a> Decoder<'a> {
    pub(super) fn new(schema: &'a Schema, bytes: &'a [u8], position: usize) -> Self {
        Self {
            schema,
            bytes,
            position,
            values_left: MAX_VALUES,
        }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The values of the fields that have a place in `wanted`.
    pub(super) fn record(&mut self, wanted: &[Option<usize>], count: usize) -> Result<Vec<Value<'a>>> {
        let mut values = vec![Value::Null; count];
        for ((_, id), place) in self.schema.root().iter().zip(wanted) {
            let value = self.value(*id, 0)?;
            if let Some(slot) = place.and_then(|place| values.get_mut(place)) {
                *slot = value;
            }
        }
        Ok(values)
    }

    fn value(&mut self, id: TypeId, depth: usize) -> Result<Value<'a>> {
        if depth > MAX_DEPTH {
            return Err("values are nested too deeply");
        }
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or("a record has too many values")?;
        Ok(match self.schema.get(id) {
            Type::Null => Value::Null,
            Type::Boolean => match self.take(1)? {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                _ => return Err("a boolean is neither true nor false"),
            },
            Type::Long => Value::Integer(self.long()?),
            Type::Float => Value::Float(f32::from_le_bytes(self.array()?).into()),
            Type::Double => Value::Float(f64::from_le_bytes(self.array()?)),
            Type::Bytes => {
                self.sized()?;
                Value::Other
            }
            Type::Text => match std::str::from_utf8(self.sized()?) {
                Ok(text) => Value::Text(text),
                // One bad text must not cost the whole file.
                Err(_) => Value::Other,
            },
            Type::Fixed(size) => {
                self.take(*size)?;
                Value::Other
            }
            Type::Enum(symbols) => {
                let index = usize::try_from(self.long()?).ok();
                let symbol = index.and_then(|index| symbols.get(index));
                Value::Text(symbol.ok_or("an enum has no such symbol")?)
            }
            Type::Union(branches) => {
                let index = usize::try_from(self.long()?).ok();
                let branch = index.and_then(|index| branches.get(index));
                self.value(*branch.ok_or("a union has no such branch")?, depth + 1)?
            }
            Type::Record(fields) => {
                for (_, field) in fields {
                    self.value(*field, depth + 1)?;
                }
                Value::Other
            }
            Type::Array(items) => {
                self.items(depth, |decoder| decoder.value(*items, depth + 1))?;
                Value::Other
            }
            Type::Map(values) => {
                self.items(depth, |decoder| {
                    decoder.sized()?;
                    decoder.value(*values, depth + 1)
                })?;
                Value::Other
            }
        })
    }

    /// Passes over the items of an array or map.
    fn items(&mut self, depth: usize, mut item: impl FnMut(&mut Self) -> Result<Value<'a>>) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err("values are nested too deeply");
        }
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // Then the size in bytes follows.
                let size = usize::try_from(self.long()?).map_err(|_| CUT_OFF)?;
                self.take(size)?;
                continue;
            }
            for _ in 0..count {
                let before = self.position;
                item(self)?;
                if self.position == before {
                    // Items of no size: however many there are, nothing follows from them.
                    break;
                }
            }
        }
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8]> {
        let end = self.position.checked_add(size).ok_or(CUT_OFF)?;
        let taken = self.bytes.get(self.position..end).ok_or(CUT_OFF)?;
        self.position = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| CUT_OFF)
    }

    fn sized(&mut self) -> Result<&'a [u8]> {
        let size = usize::try_from(self.long()?).map_err(|_| "a length is negative")?;
        self.take(size)
    }

    fn long(&mut self) -> Result<i64> {
        let mut number = 0_u64;
        for index in 0..10 {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7F) << (7 * index).min(63);
            if byte & 0x80 == 0 {
                return Ok(zigzag(number));
            }
        }
        Err("a number has no end")
    }
}

pub(super) fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}
