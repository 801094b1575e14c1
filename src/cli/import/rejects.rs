//! The file for refused lines.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use super::sink::Halt;
use crate::store::new_file::is_taken;

/// What a file for refused lines has in it, so that it can be imported itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A session a line.
    Lines,
    /// CSV with this header.
    Csv(Vec<u8>),
}

/// Refused lines, unchanged. The file is created with the first of them and never replaces another.
pub(super) struct Rejects {
    path: Option<PathBuf>,
    file: Option<BufWriter<File>>,
    kind: Option<Kind>,
}

impl Rejects {
    /// Nothing is written without a path.
    ///
    /// # Errors
    /// When the file exists: it might be the very file that is to be imported.
    pub(super) fn new(path: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = path.as_deref().filter(|path| is_taken(path)) {
            bail!(
                "{} exists already; name a new file with --rejects",
                path.display()
            );
        }
        Ok(Self {
            path,
            file: None,
            kind: None,
        })
    }

    /// From now on, lines of this kind are added.
    ///
    /// # Errors
    /// When they would not fit to what may be there already: an import could not read the file.
    pub(super) fn begin(&mut self, kind: &Kind, input: &str) -> Result<(), Halt> {
        match &self.kind {
            Some(before) if before != kind && self.path.is_some() => Err(Halt::Broken(anyhow!(
                "can't import {input} together with the files before it: refused lines of different formats or columns can't stand in one file; import it on its own, or without --rejects"
            ))),
            _ => {
                self.kind = Some(kind.clone());
                Ok(())
            }
        }
    }

    /// Adds bytes of a line.
    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let kind = &self.kind;
        let add = |file: &mut Option<BufWriter<File>>| -> io::Result<()> {
            let open = match file.take() {
                Some(open) => open,
                None => {
                    let mut new = BufWriter::new(create_new(path)?);
                    if let Some(Kind::Csv(header)) = kind {
                        new.write_all(header)?;
                        new.write_all(b"\n")?;
                    }
                    new
                }
            };
            file.insert(open).write_all(bytes)
        };
        add(&mut self.file).with_context(|| format!("can't write {}", path.display()))
    }

    /// Hands what was written to the operating system.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        match (&mut self.file, &self.path) {
            (Some(file), Some(path)) => file
                .flush()
                .with_context(|| format!("can't write {}", path.display())),
            _ => Ok(()),
        }
    }
}

/// What was refused holds ids of people. The file has its name from the start: it is of use also if the import is cut off.
fn create_new(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
