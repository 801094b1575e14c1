//! CSV: a header row, then a session a record.

use std::io::{self, Read};

use anyhow::{Context as _, anyhow};

use super::inputs::Input;
use super::reader::Options;
use super::records::{MAX_RECORD, Record, Records};
use super::rejects::Kind;
use super::report::Place;
use super::row::{Cells, Row};
use super::sink::{Halt, Sink};
use super::source;
use crate::collect::Context;
use crate::collect::table::{Cell, Columns};

/// What separates cells where nobody says it; the first one that fits.
const DELIMITERS: [u8; 3] = *b",;\t";

/// Reads one input.
pub(super) fn read(sink: &mut Sink, input: &Input, options: &Options) -> Result<(), Halt> {
    let name = input.name();
    let unreadable = || format!("can't read {name}");
    let source = source::open(input, &sink.progress)
        .with_context(unreadable)
        .map_err(Halt::Broken)?;
    let mut records = Records::new(source, b',');
    records.delimiter = delimiter(&mut records, options, sink.has_app())
        .with_context(unreadable)
        .map_err(Halt::Broken)?;
    let delimiter = records.delimiter;
    let header = records.next().with_context(unreadable).map_err(Halt::Broken)?;
    let columns = match header {
        None => return Ok(()),
        Some((_, Record::Whole(header))) => {
            let columns = columns(&header, options, sink.has_app())
                .with_context(|| format!("can't import {name}"))
                .map_err(Halt::Broken)?;
            sink.rejects.begin(&Kind::Csv(header.raw.to_vec()), &name)?;
            columns
        }
        Some((_, Record::Faulty(_, fault))) => {
            let error = anyhow!("can't import {name}: {fault}, in its header");
            return Err(Halt::Broken(error));
        }
        Some((_, Record::Part { .. })) => {
            let error = anyhow!("can't import {name}: its first line is no header");
            return Err(Halt::Broken(error));
        }
    };
    sink.ignored(columns.ignored());
    let mut last = 1;
    loop {
        let record = records
            .next()
            .with_context(|| format!("{name} could not be read after line {last}"));
        let Some((line, record)) = record.map_err(Halt::Broken)? else {
            return Ok(());
        };
        last = line;
        let place = Place::Line(&name, line);
        match record {
            Record::Whole(cells) => match not_one_record(&cells, &columns, delimiter, &sink.context()) {
                Some(reason) => sink.refuse(place, &reason, records.split_last())?,
                None => take(sink, &columns, &cells, place)?,
            },
            Record::Faulty(raw, fault) => sink.refuse(place, &fault.to_string(), raw)?,
            Record::Part { raw, last: false } => sink.rejects.write(raw).map_err(Halt::Failed)?,
            Record::Part { raw, last: true } => {
                let reason = format!("the record has more than {MAX_RECORD} bytes; is a quote not closed?");
                sink.refuse(place, &reason, raw)?;
            }
        }
    }
}

/// What separates cells: what was asked for, what the file says as spreadsheets do (`sep=;`), or what makes its first
/// line a header.
fn delimiter<R: Read>(records: &mut Records<R>, options: &Options, has_app: bool) -> io::Result<u8> {
    let line = records.first_line()?;
    if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', said] = line {
        let said = *said;
        records.next()?;
        return Ok(options.delimiter.unwrap_or(said));
    }
    if let Some(delimiter) = options.delimiter {
        return Ok(delimiter);
    }
    let mut row = Row::default();
    let fits = DELIMITERS.into_iter().find(|delimiter| {
        let header = row.split(line, *delimiter);
        header.is_some_and(|header| columns(&header, options, has_app).is_ok())
    });
    let mut count = |delimiter: &u8| row.split(line, *delimiter).map_or(0, |header| header.len());
    // Where there are as many cells with each, the last one is taken: the comma.
    let most = || DELIMITERS.into_iter().rev().max_by_key(&mut count);
    Ok(fits.or_else(most).unwrap_or(b','))
}

fn columns(header: &Cells<'_>, options: &Options, has_app: bool) -> anyhow::Result<Columns> {
    let names = header
        .iter()
        .map(|name| std::str::from_utf8(name).map(str::trim))
        .collect::<Result<Vec<_>, _>>()
        .context("its header is not UTF-8")?;
    let columns = Columns::new(&names, &options.renames, has_app)?;
    Ok(columns.in_zone(options.zone.clone()))
}

/// Why a record of several lines is no record: a quote that is not closed where it was meant to be makes one of several.
fn not_one_record(
    cells: &Cells<'_>,
    columns: &Columns,
    delimiter: u8,
    context: &Context<'_>,
) -> Option<String> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    memchr::memchr2(b'\n', b'\r', cells.raw)?;
    if cells.len() != columns.len() {
        return Some(wrong_count(cells, columns));
    }
    let mut row = Row::default();
    let mut is_record = |line: &[u8]| {
        row.split(line, delimiter).is_some_and(|cells| {
            cells.len() == columns.len() && columns.session(cells.iter().map(Cell::Written), context).is_ok()
        })
    };
    let mut later_lines = cells.iter().flat_map(|cell| cell.split(is_end).skip(1));
    later_lines
        .any(&mut is_record)
        .then(|| "a quote is not closed: the cell that it opens has the next record in it".to_owned())
}

/// The numbers stand behind the comma, so that such records are one kind in the summary.
fn wrong_count(cells: &Cells<'_>, columns: &Columns) -> String {
    let (count, expected) = (cells.len(), columns.len());
    format!("not as many cells as the header has, received {count} instead of {expected}")
}

fn take(sink: &mut Sink, columns: &Columns, cells: &Cells<'_>, place: Place<'_>) -> Result<(), Halt> {
    if cells.len() != columns.len() {
        return sink.refuse(place, &wrong_count(cells, columns), cells.raw);
    }
    let read = |context: &Context<'_>| columns.session(cells.iter().map(Cell::Written), context);
    match sink.read(read)? {
        Ok(session) => sink.session(session),
        Err(error) => sink.refuse(place, &error.to_string(), cells.raw),
    }
}
