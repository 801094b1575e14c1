//! A connection's socket, with two things that hyper leaves open.
//!
//! Requests that can't even be parsed are refused by hyper itself, with an empty body, before any handler runs:
//! such a refusal gets the JSON body that every error has. And while hyper looks at the first bytes to tell
//! HTTP/1 from HTTP/2, no time limit of its own runs yet.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::error::standard_message;

/// What an HTTP/2 client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// See the module. Owned by its connection.
pub(super) struct Socket<S> {
    stream: S,
    /// Bytes of the preface that have come, and when the rest must have; `None` once the version is known.
    sniffing: Option<(usize, Pin<Box<Sleep>>)>,
    /// Bytes to write in place of a refusal, and how many of them are written.
    replacement: Option<(Vec<u8>, usize)>,
}

impl<S> Socket<S> {
    /// The client must have shown within `limit` which version of HTTP it speaks.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            sniffing: Some((0, Box::pin(sleep(limit)))),
            replacement: None,
        }
    }

    /// Follows hyper's look at the first bytes: it ends at the first one that isn't the preface's.
    fn note_first_bytes(&mut self, bytes: &[u8]) {
        if let Some((seen, _)) = &mut self.sniffing {
            let expected = PREFACE.get(*seen..).unwrap_or_default();
            *seen += bytes.len();
            if *seen >= PREFACE.len() || !expected.starts_with(bytes) {
                self.sniffing = None;
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    fn poll_replacement(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((bytes, written)) = &mut self.replacement {
            let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) else {
                self.replacement = None;
                break;
            };
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += count;
        }
        Poll::Ready(Ok(()))
    }
}

/// The JSON refusal that says the same as `head`, if `head` is a refusal of hyper's own: our answers all carry a
/// request id, hyper's don't.
fn json_refusal(head: &[u8]) -> Option<Vec<u8>> {
    let head = head
        .strip_prefix(b"HTTP/1.1 4")
        .or_else(|| head.strip_prefix(b"HTTP/1.0 4"))?;
    let text = std::str::from_utf8(head).ok()?;
    let (status_line, headers) = text.split_once("\r\n")?;
    let fields = headers.strip_suffix("\r\n\r\n")?;
    let names = fields
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name);
    if names
        .clone()
        .any(|name| name.eq_ignore_ascii_case("x-request-id"))
    {
        return None;
    }
    let code: String = format!("4{status_line}").chars().take(3).collect();
    let status = StatusCode::from_bytes(code.as_bytes()).ok()?;
    let body = serde_json::json!({ "message": standard_message(status, None) }).to_string();
    let length = body.len();
    Some(
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .into_bytes(),
    )
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_replacement(context))?;
        if let Some(refusal) = json_refusal(bytes) {
            self.replacement = Some((refusal, 0));
            // Taken over; what can't be written at once goes out with the flush.
            let _ = self.poll_replacement(context)?;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_replacement(context))?;
        if let [only] = slices {
            return self.poll_write(context, only);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending()
            && let Some((_, deadline)) = &mut self.sniffing
        {
            ready!(deadline.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.note_first_bytes(buffer.filled().get(before..).unwrap_or_default());
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_say_what_it_speaks_is_let_go() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        for (sent, let_go) in [("", true), ("PRI * HTTP/2.0", true), ("GET / HT", false)] {
            let (mut client, server) = tokio::io::duplex(64);
            let mut socket = Socket::new(server, Duration::from_secs(15));
            client.write_all(sent.as_bytes()).await.unwrap();
            let mut buffer = [0; 64];
            let reading = async {
                loop {
                    if let Err(error) = socket.read(&mut buffer).await {
                        return error.kind();
                    }
                }
            };
            let end = tokio::time::timeout(Duration::from_secs(60), reading).await;
            assert_eq!(end.is_ok(), let_go, "{sent}: {end:?}");
        }
    }

    #[test]
    fn only_refusals_without_a_request_id_are_replaced() {
        let refusal =
            json_refusal(b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
        let text = String::from_utf8(refusal).unwrap();
        assert!(text.starts_with("HTTP/1.1 414 URI Too Long\r\n"), "{text}");
        assert!(text.contains("at most 8 KiB"), "{text}");
        assert_eq!(
            json_refusal(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            None
        );
        assert_eq!(
            json_refusal(b"HTTP/1.1 404 Not Found\r\nX-Request-Id: 1\r\ncontent-length: 0\r\n\r\n"),
            None
        );
        assert_eq!(
            json_refusal(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}"),
            None
        );
    }
}
