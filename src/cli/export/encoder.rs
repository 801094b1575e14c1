//! What every format does.

use std::path::Path;

use clap::ValueEnum;

use super::csv::Csv;
use super::ndjson::Ndjson;
use super::output::Output;
use super::parquet::Parquet;
use crate::model::Session;

/// Formats that can be written; 'import' reads all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A session a line, in JSON
    Ndjson,
    /// A header row, then a session a row
    Csv,
    /// Columns with types, compressed with zstd
    Parquet,
}

impl Format {
    /// The one that was asked for, or that the file's name tells.
    pub(super) fn chosen(given: Option<Self>, file: Option<&Path>) -> Self {
        let name = file.and_then(|file| file.file_name()?.to_str());
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let name = [".gz", ".zst"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(&name);
        given.unwrap_or(match name.rsplit_once('.') {
            Some((_, "csv")) => Self::Csv,
            Some((_, "parquet")) => Self::Parquet,
            _ => Self::Ndjson,
        })
    }

    /// Whether it gains from being compressed as a whole.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Ndjson | Self::Csv)
    }

    pub(super) fn encoder(self) -> Box<dyn Encoder> {
        match self {
            Self::Ndjson => Box::<Ndjson>::default(),
            Self::Csv => Box::<Csv>::default(),
            Self::Parquet => Box::<Parquet>::default(),
        }
    }
}

/// Sessions into bytes.
pub(super) trait Encoder: Send {
    /// What stands before all sessions.
    fn begin(&mut self, output: &mut Output) -> anyhow::Result<()>;
    /// The next sessions.
    fn write(&mut self, sessions: &[Session], output: &mut Output) -> anyhow::Result<()>;
    /// What stands behind all sessions.
    fn finish(&mut self, output: &mut Output) -> anyhow::Result<()>;
}
