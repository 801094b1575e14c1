//! Parquet: a session a row.

use anyhow::Context as _;

use super::inputs::Input;
use super::rejects::Kind;
use super::report::Place;
use super::sink::{Halt, Sink};
use super::source;
use crate::collect::parquet::Table;
use crate::collect::table::Rename;

/// Reads one input.
pub(super) fn read(sink: &mut Sink, input: &mut Input, renames: &[Rename]) -> Result<(), Halt> {
    let name = input.name();
    sink.rejects.begin(&Kind::Lines, &name)?;
    let file = source::seekable(input, &sink.progress)
        .with_context(|| format!("can't read {name}"))
        .map_err(Halt::Broken)?;
    let failed = || format!("can't import {name}");
    let table = Table::open(file, renames, sink.has_app())
        .with_context(failed)
        .map_err(Halt::Broken)?;
    sink.ignored(table.columns().ignored());
    let mut rows = table.rows().with_context(failed).map_err(Halt::Broken)?;
    let mut number = 0;
    loop {
        let row = rows
            .next_row()
            .with_context(|| format!("{name} could not be read after row {number}"));
        let Some(row) = row.map_err(Halt::Broken)? else {
            return Ok(());
        };
        number += 1;
        match table.session(&row, &sink.context()) {
            Ok(session) => sink.session(session)?,
            Err(error) => {
                let content = table.as_json(&row);
                sink.refuse(Place::Row(&name, number), &error.to_string(), content.as_bytes())?;
            }
        }
    }
}
