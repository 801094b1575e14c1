//! The reading side of an import: all inputs, each in its format, into the sink.

use anyhow::{Context as _, anyhow};

use super::currents::{self, Pass};
use super::inputs::{Format, Input};
use super::report::complain;
use super::sink::{Halt, Sink};
use super::{csv, ndjson, parquet, source};
use crate::collect::table::Rename;
use crate::series::Zone;

/// Owned by the reading thread.
pub(super) struct Reader {
    pub(super) sink: Sink,
    pub(super) inputs: Vec<Input>,
    pub(super) options: Options,
}

/// How files are read.
#[derive(Debug)]
pub(super) struct Options {
    /// Columns that have other names.
    pub(super) renames: Vec<Rename>,
    /// What separates the cells of CSV, if it is not to be found out.
    pub(super) delimiter: Option<u8>,
    /// Of times without an offset.
    pub(super) zone: Option<Zone>,
}

impl Reader {
    /// Reads all inputs, or until nobody takes batches any more.
    ///
    /// # Errors
    /// When an input can't be read to its end, or rejects can't be written. What was read before is handed over, and
    /// an input that is broken does not keep others from being read.
    pub(super) fn read(mut self) -> anyhow::Result<()> {
        let mut broken = Vec::new();
        let result = self.read_all(&mut broken);
        match result.and_then(|()| self.sink.hand_over()) {
            Ok(()) | Err(Halt::Stopped) => summed_up(broken, self.inputs.len()),
            Err(Halt::Broken(error) | Halt::Failed(error)) => Err(error),
        }
    }

    fn read_all(&mut self, broken: &mut Vec<anyhow::Error>) -> Result<(), Halt> {
        let mut with_ends = Vec::new();
        for input in &mut self.inputs {
            match read_one(&mut self.sink, input, &self.options) {
                Ok(true) => with_ends.push(&*input),
                Ok(false) => {}
                Err(Halt::Broken(error)) => broken.push(error),
                Err(halt) => return Err(halt),
            }
        }
        self.sink.hand_over()?;
        for input in with_ends {
            match currents::read(&mut self.sink, input, Pass::Ends) {
                Err(Halt::Broken(error)) => broken.push(error),
                read => _ = read?,
            }
        }
        Ok(())
    }
}

/// Whether the input has ends, which are read when everything else is.
fn read_one(sink: &mut Sink, input: &mut Input, options: &Options) -> Result<bool, Halt> {
    match input.format {
        Format::Ndjson => ndjson::read(sink, input, options).map(|()| false),
        Format::Csv => csv::read(sink, input, options).map(|()| false),
        Format::Parquet => parquet::read(sink, input, options).map(|()| false),
        Format::Currents => {
            source::spool(input)
                .context("can't read standard input")
                .map_err(Halt::Broken)?;
            currents::read(sink, input, Pass::Starts)
        }
    }
}

/// One error for all.
fn summed_up(mut broken: Vec<anyhow::Error>, inputs: usize) -> anyhow::Result<()> {
    match broken.len() {
        0 => Ok(()),
        1 => Err(broken.remove(0)),
        several => {
            for error in &broken {
                complain(&crate::cli::output::one_line(error));
            }
            Err(anyhow!(
                "{several} of {inputs} files could not be read to their end"
            ))
        }
    }
}
