//! NDJSON: a session a line.

use anyhow::Context as _;

use super::inputs::Input;
use super::lines::{Line, Lines, MAX_LINE};
use super::reader::Options;
use super::rejects::Kind;
use super::report::Place;
use super::sink::{Halt, Sink};
use super::source;
use crate::collect::{self, Context};

/// Reads one input.
pub(super) fn read(sink: &mut Sink, input: &Input, options: &Options) -> Result<(), Halt> {
    let name = input.name();
    sink.rejects.begin(&Kind::Lines, &name)?;
    let source = source::open(input, &sink.progress)
        .with_context(|| format!("can't read {name}"))
        .map_err(Halt::Broken)?;
    let mut lines = Lines::new(source);
    let mut number = 1;
    loop {
        let line = lines
            .next()
            .with_context(|| format!("{name} could not be read after line {}", number - 1));
        let place = Place::Line(&name, number);
        match line.map_err(Halt::Broken)? {
            None => return Ok(()),
            Some(Line::Whole(bytes)) => take(sink, bytes, place, options)?,
            Some(Line::Part { bytes, last: false }) => {
                sink.rejects.write(bytes).map_err(Halt::Failed)?;
                continue;
            }
            Some(Line::Part { bytes, last: true }) => {
                sink.refuse(place, &format!("the line has more than {MAX_LINE} bytes"), bytes)?;
            }
        }
        number += 1;
    }
}

fn take(sink: &mut Sink, bytes: &[u8], place: Place<'_>, options: &Options) -> Result<(), Halt> {
    // Files that were put together have a byte order mark in their middle.
    let line = collect::without_byte_order_mark(bytes).trim_ascii();
    if line.is_empty() {
        return Ok(());
    }
    let zone = options.zone.as_ref();
    match sink.read(|context: &Context<'_>| collect::json::exported_session(line, context, zone))? {
        Ok(session) => sink.session(session),
        Err(error) => sink.refuse(place, &error.to_string(), bytes),
    }
}
