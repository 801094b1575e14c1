//! CSV: a header row, then a session a record.

use anyhow::{Context as _, anyhow};

use super::inputs::Input;
use super::records::{Cells, MAX_RECORD, Record, Records};
use super::rejects::Kind;
use super::report::Place;
use super::sink::{Halt, Sink};
use super::source;
use crate::collect::table::{Cell, Columns, Rename};

/// Reads one input.
pub(super) fn read(sink: &mut Sink, input: &Input, renames: &[Rename]) -> Result<(), Halt> {
    let name = input.name();
    let source = source::open(input, &sink.progress)
        .with_context(|| format!("can't read {name}"))
        .map_err(Halt::Broken)?;
    let mut records = Records::new(source);
    let columns = match records.next() {
        Ok(None) => return Ok(()),
        Ok(Some((_, Record::Whole(header)))) => {
            let columns = columns(&header, renames, sink.has_app())
                .with_context(|| format!("can't import {name}"))
                .map_err(Halt::Broken)?;
            sink.rejects.begin(&Kind::Csv(header.raw.to_vec()), &name)?;
            columns
        }
        Ok(Some((_, Record::Part { .. }))) => {
            let error = anyhow!("can't import {name}: its first line is no header");
            return Err(Halt::Broken(error));
        }
        Err(error) => {
            return Err(Halt::Broken(
                anyhow::Error::new(error).context(format!("can't read {name}")),
            ));
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
        let place = Place::Line(&name, line);
        match record {
            Record::Whole(cells) => take(sink, &columns, &cells, place)?,
            Record::Part { raw, last: false } => sink.rejects.write(raw).map_err(Halt::Failed)?,
            Record::Part { raw, last: true } => {
                let reason = format!("the record has more than {MAX_RECORD} bytes; is a quote not closed?");
                sink.refuse(place, &reason, raw)?;
            }
        }
        last = line;
    }
}

fn columns(header: &Cells<'_>, renames: &[Rename], has_app: bool) -> anyhow::Result<Columns> {
    let names = header
        .iter()
        .map(|name| std::str::from_utf8(name).map(str::trim))
        .collect::<Result<Vec<_>, _>>()
        .context("its header is not UTF-8")?;
    Ok(Columns::new(&names, renames, has_app)?)
}

fn take(sink: &mut Sink, columns: &Columns, cells: &Cells<'_>, place: Place<'_>) -> Result<(), Halt> {
    if cells.len() != columns.len() {
        let (count, expected) = (cells.len(), columns.len());
        // The numbers stand behind the comma, so that such records are one kind in the summary.
        let reason = format!("not as many cells as the header has, received {count} instead of {expected}");
        return sink.refuse(place, &reason, cells.raw);
    }
    match columns.session(cells.iter().map(Cell::Written), &sink.context()) {
        Ok(session) => sink.session(session),
        Err(error) => sink.refuse(place, &error.to_string(), cells.raw),
    }
}
