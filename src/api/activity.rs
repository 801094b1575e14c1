//! What happens on an HTTP/2 connection: who only answers pings, or never takes an answer, is found out.
//!
//! HTTP/1 needs none of this: hyper limits the time between two requests, and an answer that is not read stops the socket.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::places::Place;

/// How long a connection may have no request.
const IDLE: Duration = Duration::from_secs(60);
/// How long an answer may be stuck since its client allows no more to be sent.
const STUCK: Duration = Duration::from_secs(30);
/// What of an answer is handed to the connection at a time, so that it can be seen how far it has come.
const PIECE: usize = 64 * 1024;

/// What is to be done about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// Nothing was asked for in a long time.
    Idle,
    /// An answer is not taken.
    Stuck,
}

/// The activity of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    is_http2: AtomicBool,
    streams: Mutex<Streams>,
}

#[derive(Debug)]
struct Streams {
    /// Requests that are not answered yet, or whose answer is being sent.
    open: usize,
    quiet_since: Instant,
    /// When each answer that is being sent last made progress.
    answers: HashMap<u64, Instant>,
    next: u64,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            is_http2: AtomicBool::new(false),
            streams: Mutex::new(Streams {
                open: 0,
                quiet_since: Instant::now(),
                answers: HashMap::new(),
                next: 0,
            }),
        }
    }
}

impl Activity {
    /// The client has shown that it speaks HTTP/2.
    pub(super) fn is_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
    }

    /// A request has come. It holds `place` until its answer is sent.
    pub(super) fn begin(self: &Arc<Self>, place: Place) -> Exchange {
        let mut streams = self.streams.lock();
        streams.open += 1;
        streams.next += 1;
        Exchange {
            number: streams.next,
            activity: self.clone(),
            _place: place,
        }
    }

    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        if !self.is_http2.load(Ordering::Relaxed) {
            return Verdict::Fine;
        }
        let streams = self.streams.lock();
        let since = |then: Instant| now.saturating_duration_since(then);
        if streams.answers.values().any(|then| since(*then) > STUCK) {
            Verdict::Stuck
        } else if streams.open == 0 && since(streams.quiet_since) > IDLE {
            Verdict::Idle
        } else {
            Verdict::Fine
        }
    }
}

/// A request and its answer.
pub(super) struct Exchange {
    number: u64,
    activity: Arc<Activity>,
    _place: Place,
}

impl Exchange {
    /// The answer's body, watched while it is sent.
    pub(super) fn answer(self, body: Body) -> Body {
        Body::new(Watched {
            body,
            rest: Bytes::new(),
            exchange: self,
        })
    }

    fn note_progress(&self) {
        let mut streams = self.activity.streams.lock();
        streams.answers.insert(self.number, Instant::now());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut streams = self.activity.streams.lock();
        streams.open = streams.open.saturating_sub(1);
        streams.answers.remove(&self.number);
        streams.quiet_since = Instant::now();
    }
}

/// An answer's body. It is asked for the next piece when there is room for it, and dropped after the last.
struct Watched {
    body: Body,
    rest: Bytes,
    exchange: Exchange,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.exchange.note_progress();
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}
