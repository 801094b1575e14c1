//! Parquet: a session a row.
//!
//! The library that reads it trusts files more than we do: a damaged one may make it panic, which ends that file only.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context as _, anyhow};
use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::Number;

use super::inputs::Input;
use super::rejects::Kind;
use super::report::Place;
use super::sink::{Halt, Sink};
use super::source;
use crate::collect::table::{Cell, Columns, Rename};

/// Reads one input.
pub(super) fn read(sink: &mut Sink, input: &mut Input, renames: &[Rename]) -> Result<(), Halt> {
    let name = input.name();
    sink.rejects.begin(&Kind::Lines, &name)?;
    let file = source::seekable(input, &sink.progress)
        .with_context(|| format!("can't read {name}"))
        .map_err(Halt::Broken)?;
    let failed = || format!("can't import {name}");
    let table = guarded(|| Table::open(file, renames, sink.has_app()))
        .with_context(failed)
        .map_err(Halt::Broken)?;
    sink.ignored(table.columns.ignored());
    let mut rows = guarded(|| Ok(RowIter::from_file(None, &table.reader)?))
        .with_context(failed)
        .map_err(Halt::Broken)?;
    let mut number = 0;
    loop {
        let row = guarded(|| Ok(rows.next().transpose()?))
            .with_context(|| format!("{name} could not be read after row {number}"));
        let Some(row) = row.map_err(Halt::Broken)? else {
            return Ok(());
        };
        number += 1;
        match table.columns.session(table.cells(&row), &sink.context()) {
            Ok(session) => sink.session(session)?,
            Err(error) => {
                let content = table.columns.as_json(table.cells(&row));
                sink.refuse(Place::Row(&name, number), &error.to_string(), content.as_bytes())?;
            }
        }
    }
}

fn guarded<T>(step: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| Err(anyhow!("the file is damaged")))
}

struct Table {
    reader: SerializedFileReader<File>,
    columns: Columns,
    /// Which columns are nanoseconds; the reader hands them out as bare numbers.
    nanoseconds: Vec<bool>,
}

impl Table {
    fn open(file: File, renames: &[Rename], has_app: bool) -> anyhow::Result<Self> {
        let reader = SerializedFileReader::new(file)?;
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
            reader,
            columns,
            nanoseconds,
        })
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
