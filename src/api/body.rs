//! Bodies of recording requests: read within limits of size, time and memory, and decompressed.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, StatusCode};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// The media type that every endpoint with a body takes.
pub(super) const JSON: &str = "application/json";
/// The largest body, after decompression.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// How long a client may send nothing in the middle of a body.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// Memory that all bodies together may use at one time.
const MAX_MEMORY: usize = 256 * 1024 * 1024;
const UNIT: usize = 64 * 1024;
/// Window sizes up to 8 MiB, what zstd's own command line makes by default and the format's RFC recommends.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Counts the memory that bodies use, so that many large ones at once are told to come back.
#[derive(Debug)]
pub struct MemoryBudget(Arc<Semaphore>);

impl Default for MemoryBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_MEMORY / UNIT)))
    }
}

impl MemoryBudget {
    fn lease(&self) -> Lease {
        Lease {
            budget: self.0.clone(),
            held: None,
            bytes: 0,
        }
    }
}

/// What one body holds of the budget; given back when dropped.
struct Lease {
    budget: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Lease {
    fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let before = self.bytes.div_ceil(UNIT);
        self.bytes += bytes;
        let more = u32::try_from(self.bytes.div_ceil(UNIT) - before).unwrap_or(u32::MAX);
        if more == 0 {
            return Ok(());
        }
        let permit = self.budget.clone().try_acquire_many_owned(more).map_err(|_| {
            ApiError::retry(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is reading as many large bodies as it can; nothing was recorded, try again",
                1,
            )
        })?;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        Ok(())
    }
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
    /// With zlib's header, as HTTP means it.
    Deflate,
}

/// Which bodies an endpoint takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Accepted {
    /// Of these media types.
    Types(&'static [&'static str]),
    /// Whatever they are called, and with `deflate` as well: where the protocol says it, the name says nothing.
    Anything,
}

/// Reads `Content-Encoding`.
///
/// # Errors
/// 415 for an encoding other than gzip and zstd (and deflate where anything is taken), or several at once.
fn encoding(headers: &HeaderMap, accepted: Accepted) -> Result<Encoding, ApiError> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = values.next() else {
        return Ok(Encoding::Identity);
    };
    let value = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match value.as_str() {
        "" | "identity" if values.next().is_none() => Ok(Encoding::Identity),
        "gzip" | "x-gzip" if values.next().is_none() => Ok(Encoding::Gzip),
        "zstd" if values.next().is_none() => Ok(Encoding::Zstd),
        "deflate" if matches!(accepted, Accepted::Anything) && values.next().is_none() => {
            Ok(Encoding::Deflate)
        }
        _ => {
            let allowed = match accepted {
                Accepted::Anything => "'Content-Encoding' must be gzip, deflate, zstd or absent",
                Accepted::Types(_) => "'Content-Encoding' must be gzip, zstd or absent",
            };
            Err(unsupported(allowed, &value))
        }
    }
}

/// The media type in lower case, without parameters.
///
/// # Errors
/// 415 if it is missing, not one of `allowed`, or in a character set other than UTF-8.
fn media_type(headers: &HeaderMap, accepted: Accepted) -> Result<&'static str, ApiError> {
    let Accepted::Types(allowed) = accepted else {
        return Ok("");
    };
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset_fits = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            let charset = charset.trim().trim_matches('"');
            charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    });
    allowed
        .iter()
        .find(|allowed| charset_fits && allowed.eq_ignore_ascii_case(essence))
        .copied()
        .ok_or_else(|| {
            let allowed = allowed.join(" or ");
            unsupported(&format!("'Content-Type' must be {allowed}, in UTF-8"), value)
        })
}

fn unsupported(allowed: &str, received: &str) -> ApiError {
    let received: String = received.chars().take(100).collect();
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("{allowed}, received '{received}'"),
    )
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "the body is larger than 32 MiB after decompression; send fewer sessions at once",
    )
}

/// Reads a whole body and parses it, away from the threads that answer everyone else:
/// parsing takes milliseconds.
///
/// # Errors
/// What [`media_type`], [`encoding`], [`read`] and [`decompress`] refuse, and what `parse` does.
pub(super) async fn parsed<T: Send + 'static>(
    memory: &MemoryBudget,
    request: Request<Body>,
    accepted: Accepted,
    parse: impl FnOnce(&[u8], &'static str) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let (head, body) = request.into_parts();
    let media_type = media_type(&head.headers, accepted)?;
    let encoding = encoding(&head.headers, accepted)?;
    let (bytes, mut lease) = read(memory, body).await?;
    let parsed = tokio::task::spawn_blocking(move || {
        let bytes = decompress(bytes, encoding, &mut lease)?;
        parse(&bytes, media_type)
    });
    parsed.await.map_err(|error| {
        tracing::error!(%error, "parsing a body failed");
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal error; nothing was recorded",
        )
    })?
}

/// Reads a whole body, still compressed.
///
/// # Errors
/// 413, 408 when the client stops sending, 400 when it ends early, 503 when too many bodies are being read.
async fn read(memory: &MemoryBudget, mut body: Body) -> Result<(Vec<u8>, Lease), ApiError> {
    let mut lease = memory.lease();
    let mut bytes = Vec::new();
    loop {
        let frame = tokio::time::timeout(MAX_PAUSE, body.frame()).await.map_err(|_| {
            let seconds = MAX_PAUSE.as_secs();
            let message = format!(
                "the body stopped after {} bytes for {seconds} seconds",
                bytes.len()
            );
            ApiError::new(StatusCode::REQUEST_TIMEOUT, message)
        })?;
        let Some(frame) = frame else {
            return Ok((bytes, lease));
        };
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "a body ended early");
            ApiError::bad_request(format!("the body ended early, after {} bytes", bytes.len()))
        })?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > MAX_BODY {
            return Err(too_large());
        }
        lease.grow(data.len())?;
        bytes.extend_from_slice(data);
    }
}

/// Decompresses a body; never makes more than the limit allows.
///
/// # Errors
/// 400 for bytes that are not what the header says, 413, 503.
fn decompress(bytes: Vec<u8>, encoding: Encoding, lease: &mut Lease) -> Result<Vec<u8>, ApiError> {
    match encoding {
        Encoding::Identity => Ok(bytes),
        Encoding::Gzip => drain(MultiGzDecoder::new(bytes.as_slice()), "gzip", lease),
        Encoding::Deflate => drain(ZlibDecoder::new(bytes.as_slice()), "deflate", lease),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes.as_slice())
                .map_err(|error| not_compressed("zstd", &error))?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .map_err(|error| not_compressed("zstd", &error))?;
            drain(decoder, "zstd", lease)
        }
    }
}

fn drain(mut decoder: impl Read, name: &str, lease: &mut Lease) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let step = u64::try_from(UNIT).unwrap_or(u64::MAX);
    loop {
        let read = decoder
            .by_ref()
            .take(step)
            .read_to_end(&mut bytes)
            .map_err(|error| not_compressed(name, &error))?;
        if bytes.len() > MAX_BODY {
            return Err(too_large());
        }
        if read == 0 {
            return Ok(bytes);
        }
        lease.grow(read)?;
    }
}

fn not_compressed(name: &str, error: &io::Error) -> ApiError {
    ApiError::bad_request(format!(
        "the body is not valid {name}, which 'Content-Encoding' says it is: {error}"
    ))
}
