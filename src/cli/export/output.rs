//! Where an export goes: standard output, or a new file that appears under its name only when it is complete.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::encoder::Format;
use crate::cli::output::{visible, writing_failed};
use crate::store::new_file::{NewFile, is_taken};

const BUFFER: usize = 256 * 1024;
/// Balances time and size.
const ZSTD_LEVEL: i32 = 3;

/// See the module.
pub(super) struct Output {
    sink: Option<Sink>,
    file: Option<PathBuf>,
    /// Whether people look at it.
    to_terminal: bool,
}

enum Sink {
    Stdout(BufWriter<io::Stdout>),
    Plain(BufWriter<NewFile>),
    Gzip(flate2::write::GzEncoder<BufWriter<NewFile>>),
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<NewFile>>),
}

impl Output {
    /// # Errors
    /// When the file exists or can't be made.
    pub(super) fn new(file: Option<&Path>, format: Format) -> anyhow::Result<Self> {
        let Some(file) = file else {
            let to_terminal = io::stdout().is_terminal();
            if to_terminal && !format.is_text() {
                bail!(
                    "this format is not for terminals; name a file with --output, or pipe it into a program"
                );
            }
            return Ok(Self {
                sink: Some(Sink::Stdout(BufWriter::with_capacity(BUFFER, io::stdout()))),
                file: None,
                to_terminal,
            });
        };
        if is_taken(file) {
            bail!("{} exists already; name a new file", file.display());
        }
        let failed = || format!("can't write {}", file.display());
        let partial = NewFile::create(file).with_context(failed)?;
        let plain = BufWriter::with_capacity(BUFFER, partial);
        let ending = file.extension().and_then(|ending| ending.to_str());
        let sink = match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("gz") if format.is_text() => Sink::Gzip(flate2::write::GzEncoder::new(
                plain,
                flate2::Compression::default(),
            )),
            Some("zst") if format.is_text() => {
                Sink::Zstd(zstd::stream::write::Encoder::new(plain, ZSTD_LEVEL).with_context(failed)?)
            }
            _ => Sink::Plain(plain),
        };
        Ok(Self {
            sink: Some(sink),
            file: Some(file.to_owned()),
            to_terminal: false,
        })
    }

    /// Adds bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = if self.to_terminal {
            self.write_all(visible(&String::from_utf8_lossy(bytes)).as_bytes())
        } else {
            self.write_all(bytes)
        };
        written.map_err(|error| self.failed(error))
    }

    /// What a failure means.
    pub(super) fn failed(&self, error: io::Error) -> anyhow::Error {
        match &self.file {
            None => writing_failed(error),
            Some(file) => anyhow::Error::new(error).context(format!("can't write {}", file.display())),
        }
    }

    /// Gives the file its name once it is on disk; its size. Nothing is ever replaced.
    pub(super) fn finish(mut self) -> anyhow::Result<u64> {
        self.complete().map_err(|error| self.failed(error))
    }

    fn complete(&mut self) -> io::Result<u64> {
        let plain = match self.sink.take() {
            None => return Ok(0),
            Some(Sink::Stdout(mut stdout)) => return stdout.flush().map(|()| 0),
            Some(Sink::Plain(plain)) => plain,
            Some(Sink::Gzip(encoder)) => encoder.finish()?,
            Some(Sink::Zstd(encoder)) => encoder.finish()?,
        };
        let partial = plain.into_inner().map_err(io::IntoInnerError::into_error)?;
        partial.finish()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            None => Err(io::ErrorKind::BrokenPipe.into()),
            Some(Sink::Stdout(sink)) => sink.write(bytes),
            Some(Sink::Plain(sink)) => sink.write(bytes),
            Some(Sink::Gzip(sink)) => sink.write(bytes),
            Some(Sink::Zstd(sink)) => sink.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            None => Ok(()),
            Some(Sink::Stdout(sink)) => sink.flush(),
            Some(Sink::Plain(sink)) => sink.flush(),
            Some(Sink::Gzip(sink)) => sink.flush(),
            Some(Sink::Zstd(sink)) => sink.flush(),
        }
    }
}
