//! Braze Currents: Avro files of events that begin and end sessions.
//!
//! Ends are added after every start of all files is recorded, whatever the order of files and records, so that none
//! is taken for a session of its own. So a file with both is read twice.

use anyhow::Context as _;

use super::inputs::Input;
use super::rejects::Kind as RejectsKind;
use super::report::Place;
use super::sink::{Ended, Halt, Sink};
use super::source;
use crate::collect::Context;
use crate::collect::avro::Container;
use crate::collect::currents::{self, Kind};

/// Which events are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Starts,
    Ends,
}

/// Reads one input; whether a file has ends and wants to be read again for them.
pub(super) fn read(sink: &mut Sink, input: &Input, pass: Pass) -> Result<bool, Halt> {
    let name = input.name();
    sink.rejects.begin(&RejectsKind::Lines, &name)?;
    let source = source::open(input, &sink.progress)
        .with_context(|| format!("can't read {name}"))
        .map_err(Halt::Broken)?;
    let mut container = Container::open(std::io::BufReader::new(source), &currents::fields())
        .with_context(|| format!("can't import {name}"))
        .map_err(Halt::Broken)?;
    let kind = match Kind::of(container.schema_name(), |index| container.has_field(index)) {
        Ok(kind) => kind,
        Err(why) => {
            sink.passed_over(&name, &why);
            return Ok(false);
        }
    };
    if kind == Kind::Ends && pass == Pass::Starts {
        return Ok(true);
    }
    let mut has_ends = false;
    let mut number = 0;
    loop {
        let record = container
            .next_record()
            .with_context(|| format!("{name} could not be read after record {number}"));
        let record = match record {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(has_ends),
            // The ends before the damage are worth another pass, which will say so.
            Err(_) if has_ends && pass == Pass::Starts => return Ok(true),
            Err(error) => return Err(Halt::Broken(error)),
        };
        number += 1;
        let is_end = kind.is_end(&record);
        has_ends |= is_end;
        if is_end != (pass == Pass::Ends) {
            continue;
        }
        let result = match pass {
            Pass::Starts => sink
                .read(|context: &Context<'_>| currents::start(&record, context))?
                .map(|session| sink.session(session)),
            Pass::Ends => sink
                .read(|context: &Context<'_>| currents::end(&record, context))?
                .map(|(end, alone)| sink.end(Ended { end, alone })),
        };
        match result {
            Ok(taken) => taken?,
            Err(error) => sink.refuse(
                Place::Record(&name, number),
                &error.to_string(),
                currents::as_json(&record).as_bytes(),
            )?,
        }
    }
}
