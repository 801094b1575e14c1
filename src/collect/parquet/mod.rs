//! Sessions in the rows of Parquet files: the columns of [`table`](super::table), with types.
//!
//! The library that reads them trusts files more than we do. `pages` and `deltas` bound what it allocates, and a panic of
//! its own ends that file only.

mod deltas;
mod pages;

use std::cell::Cell as Flag;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use parquet::basic::{LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::Number;

use self::deltas::CheckedFile;
use self::pages::Checked;
use super::table::{Cell, Columns, ColumnsError, Rename};
use super::{Context, ItemError};
use crate::model::Session;
use crate::series::Zone;

/// Why a file, or the rest of it, can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// No row of it can be a session.
    #[error(transparent)]
    Columns(#[from] ColumnsError),
    /// It is no such file, or one that was cut off or changed.
    #[error(transparent)]
    File(#[from] ParquetError),
    /// The same, found by a panic.
    #[error("the file is damaged")]
    Damaged,
}

/// A file that was opened.
pub struct Table {
    reader: Box<dyn FileReader>,
    columns: Columns,
    /// Which columns are nanoseconds; the reader hands them out as bare numbers.
    nanoseconds: Vec<bool>,
}

impl Table {
    /// Reads the file's footer; `has_app` tells whether rows may do without an app.
    ///
    /// # Errors
    /// When it is no Parquet file, or none of sessions.
    pub fn open(
        file: impl ChunkReader + 'static,
        renames: &[Rename],
        has_app: bool,
    ) -> Result<Self, TableError> {
        guarded(|| {
            let reader = SerializedFileReader::new(Checked(file))?;
            let schema = reader.metadata().file_metadata().schema();
            let fields = schema.get_fields();
            let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
            let columns = Columns::new(&names, renames, has_app)?;
            let nanoseconds = fields
                .iter()
                .map(|field| {
                    let kind = field.get_basic_info().logical_type_ref();
                    matches!(kind, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
                })
                .collect();
            Ok(Self {
                reader: Box::new(CheckedFile(reader)),
                columns,
                nanoseconds,
            })
        })
    }

    /// The same with the zone of times that are written without an offset.
    pub fn in_zone(self, zone: Option<Zone>) -> Self {
        Self {
            columns: self.columns.in_zone(zone),
            ..self
        }
    }

    /// What its columns are.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// How many rows it says it has.
    pub fn row_count(&self) -> u64 {
        let rows = self.reader.metadata().file_metadata().num_rows();
        rows.try_into().unwrap_or(0)
    }

    /// Its rows, from the first.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn rows(&self) -> Result<Rows<'_>, TableError> {
        guarded(|| Ok(Rows(RowIter::from_file(None, self.reader.as_ref())?)))
    }

    /// The session in a row.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn session(&self, row: &Row, context: &Context<'_>) -> Result<Session, ItemError> {
        self.columns.session(self.cells(row), context)
    }

    /// A row as a JSON object, to be looked at and mended.
    pub fn as_json(&self, row: &Row) -> String {
        self.columns.as_json(self.cells(row))
    }

    fn cells<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = Cell<'a>> {
        let nanoseconds = self.nanoseconds.iter().copied().chain(std::iter::repeat(false));
        let fields = row.get_column_iter().map(|(_, field)| field);
        fields.zip(nanoseconds).map(|(field, nanoseconds)| match field {
            Field::Long(number) if nanoseconds => instant(jiff::Timestamp::from_nanosecond((*number).into())),
            field => cell(field),
        })
    }
}

/// See [`Table::rows`].
pub struct Rows<'t>(RowIter<'t>);

impl Rows<'_> {
    /// The next row, `None` after the last.
    ///
    /// # Errors
    /// When the file is damaged here.
    pub fn next_row(&mut self) -> Result<Option<Row>, TableError> {
        guarded(|| Ok(self.0.next().transpose()?))
    }
}

/// Turns a panic into an error, and keeps it from being printed.
fn guarded<T>(step: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    thread_local! {
        static QUIET: Flag<bool> = const { Flag::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                print(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(step));
    QUIET.set(false);
    result.unwrap_or(Err(TableError::Damaged))
}

fn cell(field: &Field) -> Cell<'_> {
    match field {
        Field::Null => Cell::Absent,
        Field::Bool(flag) => Cell::Bool(*flag),
        Field::Byte(number) => Cell::Number((*number).into()),
        Field::Short(number) => Cell::Number((*number).into()),
        Field::Int(number) => Cell::Number((*number).into()),
        Field::Long(number) => Cell::Number((*number).into()),
        Field::UByte(number) => Cell::Number((*number).into()),
        Field::UShort(number) => Cell::Number((*number).into()),
        Field::UInt(number) => Cell::Number((*number).into()),
        Field::ULong(number) => Cell::Number((*number).into()),
        Field::Float16(number) => float(number.to_f64()),
        Field::Float(number) => float((*number).into()),
        Field::Double(number) => float(*number),
        Field::Str(text) => Cell::Text(text.as_str().into()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Cell::Text(text.into()),
            Err(_) => Cell::Other("bytes that are not UTF-8"),
        },
        Field::TimestampMillis(millis) => instant(jiff::Timestamp::from_millisecond(*millis)),
        Field::TimestampMicros(micros) => instant(jiff::Timestamp::from_microsecond(*micros)),
        Field::Decimal(_) => Cell::Other("a decimal number"),
        Field::Date(_) => Cell::Other("a date"),
        Field::TimeMillis(_) | Field::TimeMicros(_) => Cell::Other("a time of day"),
        Field::Group(row) => {
            Cell::Text(object(row.get_column_iter().map(|(name, field)| (name.clone(), field))).into())
        }
        Field::MapInternal(map) => {
            Cell::Text(object(map.entries().iter().map(|(name, field)| (text(name), field))).into())
        }
        Field::ListInternal(_) => Cell::Other("a list"),
    }
}

fn text(field: &Field) -> String {
    match field {
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A JSON object: how attributes stand in other formats as well.
fn object<'a>(members: impl Iterator<Item = (String, &'a Field)>) -> String {
    let members = members.map(|(name, field)| {
        let value = match cell(field) {
            Cell::Number(number) => serde_json::Value::Number(number),
            Cell::Bool(flag) => serde_json::Value::Bool(flag),
            Cell::Text(text) => serde_json::Value::String(text.into_owned()),
            Cell::Absent | Cell::Written(_) => serde_json::Value::Null,
            // An attribute can't be that, and the refusal says so.
            Cell::Other(_) => serde_json::Value::Array(Vec::new()),
        };
        (name, value)
    });
    serde_json::Value::Object(members.collect()).to_string()
}

fn float(number: f64) -> Cell<'static> {
    match Number::from_f64(number) {
        Some(number) => Cell::Number(number),
        None => Cell::Absent,
    }
}

/// To the microsecond, since that is what is read again.
fn instant(timestamp: Result<jiff::Timestamp, jiff::Error>) -> Cell<'static> {
    match timestamp {
        Ok(timestamp) => Cell::Text(timestamp.to_string().into()),
        Err(_) => Cell::Other("a time that is out of range"),
    }
}

/// A whole number in parts of seven bits, the lowest first; takes it from the bytes.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
