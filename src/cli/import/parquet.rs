//! Parquet: a session a row.

use anyhow::Context as _;

use super::inputs::Input;
use super::reader::Options;
use super::rejects::Kind;
use super::report::Place;
use super::sink::{Halt, Sink};
use super::source;
use crate::collect::Context;
use crate::collect::parquet::Table;

/// Rows between two steps of the progress bar.
const STEP: u64 = 4_096;

/// Reads one input.
pub(super) fn read(sink: &mut Sink, input: &mut Input, options: &Options) -> Result<(), Halt> {
    let name = input.name();
    sink.rejects.begin(&Kind::Lines, &name)?;
    let (file, bytes) = source::seekable(input, &sink.progress)
        .with_context(|| format!("can't read {name}"))
        .map_err(Halt::Broken)?;
    let failed = || format!("can't import {name}");
    let table = Table::open(file, &options.renames, sink.has_app())
        .with_context(failed)
        .map_err(Halt::Broken)?
        .in_zone(options.zone.clone());
    sink.ignored(table.columns().ignored());
    let mut rows = table.rows().with_context(failed).map_err(Halt::Broken)?;
    let mut share = Share {
        bytes,
        rows: table.row_count(),
        shown: 0,
    };
    let mut number = 0;
    loop {
        let row = rows
            .next_row()
            .with_context(|| format!("{name} could not be read after row {number}"));
        let Some(row) = row.map_err(Halt::Broken)? else {
            sink.progress.inc(share.rest());
            return Ok(());
        };
        number += 1;
        if number % STEP == 0 {
            sink.progress.inc(share.after(number));
        }
        match sink.read(|context: &Context<'_>| table.session(&row, context))? {
            Ok(session) => sink.session(session)?,
            Err(error) => {
                let content = table.as_json(&row);
                sink.refuse(Place::Row(&name, number), &error.to_string(), content.as_bytes())?;
            }
        }
    }
}

/// What rows are of a file's bytes, for the progress bar.
struct Share {
    bytes: u64,
    rows: u64,
    shown: u64,
}

impl Share {
    /// Bytes to add when so many rows are read.
    fn after(&mut self, rows: u64) -> u64 {
        let part = u128::from(self.bytes) * u128::from(rows) / u128::from(self.rows.max(1));
        let until = u64::try_from(part).map_or(self.bytes, |part| part.min(self.bytes));
        let more = until.saturating_sub(self.shown);
        self.shown += more;
        more
    }

    fn rest(&self) -> u64 {
        self.bytes.saturating_sub(self.shown)
    }
}
