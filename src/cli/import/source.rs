//! Where bytes come from: files or standard input, compressed or not.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tempfile::NamedTempFile;

use super::inputs::Input;

/// How much is asked of the operating system at a time.
const READ: usize = 128 * 1024;

/// Opens an input; what is compressed is recognised by its first bytes.
pub(super) fn open(input: &Input, progress: &ProgressBar) -> io::Result<Box<dyn Read>> {
    let raw: Box<dyn Read> = match &input.spooled {
        Some(copy) => Box::new(copy.reopen()?),
        None if input.is_stdin() => Box::new(io::stdin()),
        None => Box::new(File::open(&input.path)?),
    };
    decompressed(progress.wrap_read(raw))
}

/// Copies standard input into a temporary file, for formats that are read more than once.
pub(super) fn spool(input: &mut Input) -> io::Result<()> {
    if input.is_stdin() && input.spooled.is_none() {
        let mut copy = NamedTempFile::new()?;
        io::copy(&mut io::stdin(), &mut copy)?;
        input.spooled = Some(copy);
    }
    Ok(())
}

/// Opens an input for formats that are not read from the beginning to the end: as it is, or a copy of it. Also returns how
/// many bytes the progress bar does not know of yet.
pub(super) fn seekable(input: &mut Input, progress: &ProgressBar) -> io::Result<(File, u64)> {
    let plain = if input.is_stdin() {
        None
    } else {
        let mut file = File::open(&input.path)?;
        let mut head = Vec::with_capacity(4);
        (&mut file).take(4).read_to_end(&mut head)?;
        (Compression::of(&head) == Compression::None).then_some(file)
    };
    if let Some(file) = plain {
        return Ok((file, input.size.unwrap_or(0)));
    }
    let mut copy = NamedTempFile::new()?;
    io::copy(&mut open(input, progress)?, &mut copy)?;
    let file = copy.reopen()?;
    input.spooled = Some(copy);
    Ok((file, 0))
}

/// A bar over the bytes of all inputs, or a running count where their size is not known. Shown only on a terminal.
pub(super) fn progress(inputs: &[Input]) -> ProgressBar {
    let total = inputs.iter().map(|input| input.size).sum::<Option<u64>>();
    let template = match total {
        Some(_) => "{bar:30} {bytes}/{total_bytes}  {msg}  {eta} left",
        None => "{spinner} {bytes}  {msg}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_style(style)
}

fn decompressed<'a>(mut raw: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(4);
    raw.by_ref().take(4).read_to_end(&mut head)?;
    let compression = Compression::of(&head);
    let whole = Cursor::new(head).chain(raw);
    Ok(match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(
            READ, whole,
        ))),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(
            BufReader::with_capacity(READ, whole),
        )?),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    fn of(head: &[u8]) -> Self {
        match head {
            [0x1F, 0x8B, ..] => Self::Gzip,
            // A frame, or one of the frames to skip that parallel compressors write first.
            [0x28, 0xB5, 0x2F, 0xFD] | [0x50..=0x5F, 0x2A, 0x4D, 0x18] => Self::Zstd,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn text_of(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        decompressed(bytes)?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compression_is_recognised_by_content() {
        for text in ["", "a", "abc", "abcdefgh"] {
            assert_eq!(text_of(text.as_bytes()).unwrap(), text);
            assert_eq!(text_of(&gzip(text)).unwrap(), text);
            assert_eq!(
                text_of(&zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap(),
                text
            );
        }
    }

    #[test]
    fn concatenated_files_are_read_to_the_end() {
        let twice = [gzip("ab"), gzip("cd")].concat();
        assert_eq!(text_of(&twice).unwrap(), "abcd");
        let twice = zstd::encode_all(&b"ab"[..], 1).unwrap().repeat(2);
        assert_eq!(text_of(&twice).unwrap(), "abab");
    }

    #[test]
    fn a_file_that_was_cut_off_is_an_error() {
        let whole = gzip("some text that is long enough to be cut");
        assert!(text_of(&whole[..whole.len() - 9]).is_err());
        let whole = zstd::encode_all(&b"some text that is long enough to be cut"[..], 1).unwrap();
        assert!(text_of(&whole[..whole.len() - 9]).is_err());
    }
}
