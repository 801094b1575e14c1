//! Decompression within limits of size, of time and of parts.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use zstd::stream::read::Decoder as ZstdDecoder;

use super::Encoding;
use super::budget::Buffer;
use crate::api::error::ApiError;

/// Members of gzip and frames of zstd that one body may be made of. Each costs some microseconds, also when it is empty.
const MAX_PARTS: usize = 10_000;
/// The longest that a body is decompressed. The largest one takes a tenth of it.
const MAX_TIME: Duration = Duration::from_secs(5);
/// Bytes that are decompressed without a look at the clock.
const PIECE: usize = 16 * 1024;
/// Window sizes up to 8 MiB, what zstd's own command line makes by default and the format's RFC recommends.
const ZSTD_WINDOW_LOG: u32 = 23;
/// What a decoder of zstd holds besides what it has written.
const ZSTD_WINDOW: usize = 1 << ZSTD_WINDOW_LOG;

/// The half that a request keeps: when it is dropped, nobody waits any more.
pub(super) struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether work for a request is still worth doing.
pub(super) struct Work {
    is_gone: Arc<AtomicBool>,
}

impl Work {
    pub(super) fn new() -> (Waiting, Self) {
        let is_gone = Arc::new(AtomicBool::new(false));
        (Waiting(is_gone.clone()), Self { is_gone })
    }

    /// # Errors
    /// When nobody waits any more; nobody will read it, then.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if self.is_gone.load(Ordering::Relaxed) {
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "the client went away"))
        } else {
            Ok(())
        }
    }
}

/// Decompresses a body into `plain`; never makes more than the limit allows.
///
/// # Errors
/// 400 for bytes that are not what the header says or are made of too many parts, 413, 503.
pub(super) fn decompress(
    body: Buffer,
    encoding: Encoding,
    plain: Buffer,
    work: &Work,
) -> Result<Buffer, ApiError> {
    let input = Input {
        rest: &body,
        work,
        until: Instant::now() + MAX_TIME,
        stopped: None,
    };
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => parts(input, plain, "gzip", |input| Ok(GzDecoder::new(input))),
        Encoding::Deflate => {
            let mut plain = plain;
            let mut decoder = ZlibDecoder::new(input);
            let filled = plain.fill(&mut decoder);
            decoder.into_inner().judge(filled, "deflate")?;
            Ok(plain)
        }
        Encoding::Zstd => parts(input, plain.with(ZSTD_WINDOW), "zstd", |input| {
            let mut decoder = ZstdDecoder::with_buffer(input)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Ok(decoder.single_frame())
        }),
    }
}

/// A decoder of one part of a body, which leaves what follows that part.
trait Part<'a>: Read {
    fn into_input(self) -> Input<'a>;
}

impl<'a> Part<'a> for GzDecoder<Input<'a>> {
    fn into_input(self) -> Input<'a> {
        self.into_inner()
    }
}

impl<'a> Part<'a> for ZstdDecoder<'static, Input<'a>> {
    fn into_input(self) -> Input<'a> {
        self.finish()
    }
}

fn parts<'a, P: Part<'a>>(
    mut input: Input<'a>,
    mut plain: Buffer,
    name: &str,
    open: impl Fn(Input<'a>) -> io::Result<P>,
) -> Result<Buffer, ApiError> {
    for _ in 0..MAX_PARTS {
        let mut part = open(input).map_err(|error| not_compressed(name, &error))?;
        let filled = plain.fill(&mut part);
        input = part.into_input();
        input.judge(filled, name)?;
        if input.rest.is_empty() {
            return Ok(plain);
        }
    }
    Err(ApiError::bad_request(format!(
        "the body is made of more than {MAX_PARTS} {name} streams; compress it as one"
    )))
}

/// What is left of a compressed body, handed out in pieces. Between them it is asked whether to go on.
struct Input<'a> {
    rest: &'a [u8],
    work: &'a Work,
    until: Instant,
    stopped: Option<ApiError>,
}

impl Input<'_> {
    /// What became of a part: decoders only pass on that reading failed.
    fn judge(&mut self, filled: io::Result<Result<(), ApiError>>, name: &str) -> Result<(), ApiError> {
        match (self.stopped.take(), filled) {
            (Some(error), _) => Err(error),
            (None, Ok(filled)) => filled,
            (None, Err(error)) => Err(not_compressed(name, &error)),
        }
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let mut verdict = self.work.check();
        if verdict.is_ok() && Instant::now() > self.until {
            verdict = Err(ApiError::retry(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "decompressing the body took more than {} seconds; nothing was recorded",
                    MAX_TIME.as_secs()
                ),
                1,
            ));
        }
        if let Err(error) = verdict {
            self.stopped = Some(error);
            return Err(io::Error::other("stopped"));
        }
        Ok(self.rest.get(..PIECE).unwrap_or(self.rest))
    }

    fn consume(&mut self, amount: usize) {
        self.rest = self.rest.get(amount..).unwrap_or_default();
    }
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

fn not_compressed(name: &str, error: &io::Error) -> ApiError {
    ApiError::bad_request(format!(
        "the body is not valid {name}, which 'Content-Encoding' says it is: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::budget::{MemoryBudget, Origin};
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(body: &[u8], encoding: Encoding, work: &Work) -> Result<Vec<u8>, String> {
        let budget = MemoryBudget::default();
        let mut received = budget.buffer(Origin::default(), body.len());
        received.push(body).unwrap();
        let plain = budget.buffer(Origin::default(), 0);
        decompress(received, encoding, plain, work)
            .map(|plain| plain.to_vec())
            .map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn bodies_of_several_parts_are_read_whole() {
        let (_waiting, work) = Work::new();
        let text = b"a text that is long enough to be compressed, a text that is long enough";
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        for parts in [1, 2, 100, MAX_PARTS] {
            assert_eq!(
                read(&gzip(text).repeat(parts), Encoding::Gzip, &work),
                Ok(text.repeat(parts)),
                "{parts}"
            );
            assert_eq!(
                read(&zstd(text).repeat(parts), Encoding::Zstd, &work),
                Ok(text.repeat(parts)),
                "{parts}"
            );
        }
        // An empty part at the beginning, in the middle and at the end, and one that is longer than a piece.
        let long: Vec<u8> = (0..200_000_u32)
            .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        for (encoding, compress) in [
            (Encoding::Gzip, &gzip as &dyn Fn(&[u8]) -> Vec<u8>),
            (Encoding::Zstd, &zstd),
        ] {
            let body = [b"", &long[..], b"", text, b""].map(compress).concat();
            assert_eq!(read(&body, encoding, &work), Ok([&long[..], text].concat()));
        }
    }

    #[test]
    fn too_many_parts_are_refused() {
        let (_waiting, work) = Work::new();
        for (encoding, part, name) in [
            (Encoding::Gzip, gzip(b""), "gzip"),
            (Encoding::Zstd, zstd::encode_all(&b""[..], 1).unwrap(), "zstd"),
            // A frame that decoders pass over, of no bytes.
            (Encoding::Zstd, b"\x50\x2a\x4d\x18\0\0\0\0".to_vec(), "zstd"),
        ] {
            let refused = read(&part.repeat(MAX_PARTS + 1), encoding, &work).unwrap_err();
            let expected = format!("more than 10000 {name} streams");
            assert!(refused.contains(&expected), "{refused}");
        }
    }

    #[test]
    fn work_ends_when_nobody_waits_for_it() {
        let (waiting, work) = Work::new();
        drop(waiting);
        for (encoding, body) in [
            (Encoding::Gzip, gzip(b"text")),
            (Encoding::Zstd, zstd::encode_all(&b"text"[..], 1).unwrap()),
        ] {
            let ended = read(&body, encoding, &work).unwrap_err();
            assert!(ended.contains("went away"), "{ended}");
        }
    }
}
