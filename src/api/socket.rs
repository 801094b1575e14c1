//! A connection's socket, with two time limits that hyper leaves to others.
//!
//! While hyper looks at the first bytes to tell HTTP/1 from HTTP/2, no limit of its own runs yet. And it waits for as long as
//! it takes until a client reads what was written.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;

/// What an HTTP/2 client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a client may take to read anything at all of what waits for it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// See the module. Owned by its connection.
pub(super) struct Socket<S> {
    stream: S,
    activity: Arc<Activity>,
    /// Bytes of the preface that have come, and when the rest must have; `None` once the version is known.
    sniffing: Option<(usize, Pin<Box<Sleep>>)>,
    /// When a write that can't go on must have done so.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Socket<S> {
    /// The client must have shown within `limit` which version of HTTP it speaks.
    pub(super) fn new(stream: S, limit: Duration, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            sniffing: Some((0, Box::pin(sleep(limit)))),
            stuck: None,
        }
    }

    /// Follows hyper's look at the first bytes: it ends at the first one that isn't the preface's.
    fn note_first_bytes(&mut self, bytes: &[u8]) {
        if let Some((seen, _)) = &mut self.sniffing {
            let expected = PREFACE.get(*seen..).unwrap_or_default();
            let is_preface = bytes
                .iter()
                .zip(expected)
                .all(|(byte, expected)| byte == expected);
            *seen += bytes.len();
            if is_preface && *seen >= PREFACE.len() {
                self.activity.is_http2();
            }
            if !is_preface || *seen >= PREFACE.len() {
                self.sniffing = None;
            }
        }
    }

    /// Passes on what became of a write; one that waited for too long fails.
    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let deadline = self.stuck.get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.in_time(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_say_what_it_speaks_is_let_go() {
        for (sent, let_go) in [("", true), ("PRI * HTTP/2.0", true), ("GET / HT", false)] {
            let (mut client, server) = tokio::io::duplex(64);
            let mut socket = Socket::new(server, Duration::from_secs(15), Arc::default());
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

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_let_go_and_one_that_reads_slowly_is_not() {
        for reads in [false, true] {
            let (mut client, server) = tokio::io::duplex(64);
            let mut socket = Socket::new(server, Duration::from_secs(15), Arc::default());
            let writing = async { socket.write_all(&[0; 640]).await.map_err(|error| error.kind()) };
            let reading = async {
                if !reads {
                    std::future::pending::<()>().await;
                }
                loop {
                    tokio::time::sleep(Duration::from_secs(29)).await;
                    let _ = client.read(&mut [0; 64]).await;
                }
            };
            let written = tokio::select! {
                written = writing => written,
                never = reading => never,
            };
            let expected = if reads {
                Ok(())
            } else {
                Err(io::ErrorKind::TimedOut)
            };
            assert_eq!(written, expected);
        }
    }
}
