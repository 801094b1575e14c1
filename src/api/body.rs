//! Bodies of recording requests: read within limits of size, time and memory, and decompressed.

mod budget;
mod decompress;
mod nesting;

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use utoipa::IntoResponses;

pub use self::budget::MemoryBudget;
pub(super) use self::budget::Origin;
use self::budget::{Buffer, MAX_BODY, SMALL};
use self::decompress::{Work, decompress};
use super::error::{ApiError, Described, described};
use crate::collect::without_byte_order_mark;

/// The media type that every endpoint with a body takes.
pub(super) const JSON: &str = "application/json";
/// The largest body that describes a single thing.
const MAX_DOCUMENT: usize = 1024 * 1024;
/// How long a client may send nothing in the middle of a body.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// How long a large body, which holds memory that others wait for, may take for [`MIN_PROGRESS`] bytes.
const PROGRESS_TIME: Duration = Duration::from_secs(10);
const MIN_PROGRESS: usize = 64 * 1024;

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
    /// JSON that describes a single thing, which is never long.
    Document,
    /// Whatever they are called, and with `deflate` as well: where the protocol says it, the name says nothing.
    Anything,
}

/// What reading a body may answer in a handler's place, for the handlers' descriptions.
pub(super) struct BodyRefusals;

impl IntoResponses for BodyRefusals {
    fn responses() -> Described {
        described([
            ("408", "The body did not arrive in time"),
            ("413", "The body is too large"),
            ("415", "Content type or encoding is not understood"),
        ])
    }
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
                Accepted::Types(_) | Accepted::Document => "'Content-Encoding' must be gzip, zstd or absent",
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
    let allowed: &[&'static str] = match accepted {
        Accepted::Types(allowed) => allowed,
        Accepted::Document => &[JSON],
        Accepted::Anything => return Ok(""),
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

fn too_large(limit: usize) -> ApiError {
    let advice = match limit {
        MAX_BODY => "; send fewer sessions at once",
        _ => "",
    };
    let limit = limit / (1024 * 1024);
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {limit} MiB after decompression{advice}"),
    )
}

/// Reads a whole body and parses it, away from the threads that answer everyone else:
/// parsing takes milliseconds. When the client goes away, the work ends.
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
    let origin = head.extensions.get::<Origin>().copied().unwrap_or_default();
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    // Refused before it is sent: a client that waits for '100 Continue' is not invited.
    let limit = match accepted {
        Accepted::Document => MAX_DOCUMENT,
        Accepted::Types(_) | Accepted::Anything => MAX_BODY,
    };
    if expected > limit {
        return Err(too_large(limit));
    }
    let received = read(memory.buffer(origin, expected), body).await?;
    let turn = memory
        .turn(origin, received.is_large(), encoding != Encoding::Identity)
        .await;
    let plain = memory.buffer(origin, 0);
    let (_waiting, work) = Work::new();
    let parsed = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let bytes = decompress(received, encoding, plain, &work)?;
        if matches!(accepted, Accepted::Document) && bytes.len() > MAX_DOCUMENT {
            return Err(too_large(MAX_DOCUMENT));
        }
        if media_type == JSON && nesting::is_too_deep(&bytes) {
            return Err(ApiError::bad_request(
                "the body has arrays and objects nested more than 128 deep",
            ));
        }
        work.check()?;
        // No protocol buffer begins like a byte order mark.
        parse(without_byte_order_mark(&bytes), media_type)
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
/// 413, 408 when the client stops sending or sends a large body too slowly, 400 when it ends early, 503 when too many
/// large bodies are being read.
async fn read(mut bytes: Buffer, mut body: Body) -> Result<Buffer, ApiError> {
    let mut until = Instant::now() + MAX_PAUSE;
    let mut progress = 0;
    loop {
        let frame = tokio::time::timeout_at(until, body.frame())
            .await
            .map_err(|_| too_slow(&bytes))?;
        let Some(frame) = frame else {
            return Ok(bytes);
        };
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "a body ended early");
            ApiError::bad_request(format!("the body ended early, after {} bytes", bytes.len()))
        })?;
        let Some(data) = frame.data_ref() else { continue };
        bytes.push(data)?;
        progress += data.len();
        if !bytes.is_large() {
            until = Instant::now() + MAX_PAUSE;
        } else if progress >= MIN_PROGRESS {
            until = Instant::now() + PROGRESS_TIME;
            progress = 0;
        }
    }
}

fn too_slow(bytes: &Buffer) -> ApiError {
    let received = bytes.len();
    let message = if bytes.is_large() {
        format!(
            "the body came too slowly, {received} bytes so far; beyond {} KiB it must bring {} KiB in {} seconds",
            SMALL / 1024,
            MIN_PROGRESS / 1024,
            PROGRESS_TIME.as_secs()
        )
    } else {
        format!(
            "the body stopped after {received} bytes for {} seconds",
            MAX_PAUSE.as_secs()
        )
    };
    ApiError::new(StatusCode::REQUEST_TIMEOUT, message)
}

/// Reads a whole body that is one JSON object.
///
/// # Errors
/// As [`parsed`]; what is not the object that is expected is refused with what is wrong.
pub(super) async fn document<T: DeserializeOwned + Send + 'static>(
    memory: &MemoryBudget,
    request: Request<Body>,
) -> Result<T, ApiError> {
    let parse = |bytes: &[u8], _: &str| {
        serde_json::from_slice(bytes).map_err(|error| {
            let said = error.to_string().replace('`', "'");
            let shown: String = said.chars().take(300).collect();
            ApiError::bad_request(format!(
                "the body is not the JSON object that is expected: {shown}"
            ))
        })
    };
    parsed(memory, request, Accepted::Document, parse).await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Bytes;
    use futures_util::{StreamExt as _, stream};

    use super::*;

    /// A body of so many bytes at once, then a byte in each interval for ever.
    fn trickling(first: usize, interval: Duration) -> Body {
        let rest = stream::repeat(()).then(move |()| async move {
            tokio::time::sleep(interval).await;
            Ok::<_, Infallible>(Bytes::from_static(b" "))
        });
        let first = stream::once(async move { Ok(Bytes::from(vec![b' '; first])) });
        Body::from_stream(first.chain(rest))
    }

    async fn outcome(first: usize, interval: u64) -> (Duration, String) {
        let memory = MemoryBudget::default();
        let started = Instant::now();
        let body = trickling(first, Duration::from_secs(interval));
        let reading = read(memory.buffer(Origin::default(), 0), body);
        let ended = tokio::time::timeout(Duration::from_secs(300), reading).await;
        (started.elapsed(), format!("{ended:?}"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_must_keep_coming() {
        let (after, error) = outcome(8 << 20, 1).await;
        assert!(error.contains("came too slowly"), "{error}");
        assert_eq!(after.as_secs(), 10);
        let (after, error) = outcome(1000, 21).await;
        assert!(
            error.contains("stopped after 1000 bytes for 20 seconds"),
            "{error}"
        );
        assert_eq!(after.as_secs(), 20);
        // A small one holds nothing that others wait for; the time of the whole request limits it.
        let (_, error) = outcome(1000, 1).await;
        assert!(error.contains("Elapsed"), "{error}");
    }
}
