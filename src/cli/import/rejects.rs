//! The file for refused lines.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// Refused lines, unchanged. The file is created with the first of them and never replaces another.
pub(super) struct Rejects {
    path: Option<PathBuf>,
    file: Option<BufWriter<File>>,
}

impl Rejects {
    /// Nothing is written without a path.
    ///
    /// # Errors
    /// When the file exists: it might be the very file that is to be imported.
    pub(super) fn new(path: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = path.as_deref().filter(|path| path.exists()) {
            bail!(
                "{} exists already; name a new file with --rejects",
                path.display()
            );
        }
        Ok(Self { path, file: None })
    }

    /// Adds bytes of a line.
    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let add = |file: &mut Option<BufWriter<File>>| -> io::Result<()> {
            let open = match file.take() {
                Some(open) => open,
                None => BufWriter::new(File::create_new(path)?),
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
