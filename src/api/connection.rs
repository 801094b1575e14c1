//! One connection: HTTP/1.1 and HTTP/2 in clear text, until it ends, is told to, or has to be ended.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::EXPECT;
use axum::http::{Request, Response, StatusCode, Version};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::activity::{Activity, Verdict};
use super::client_address::Peer;
use super::drain::Drained;
use super::error::ApiError;
use super::places::AddressPlaces;
use super::socket::Socket;

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a head is read before it is refused; our own limits are lower and explain themselves.
const MAX_HEAD: usize = 256 * 1024;
/// Requests at one time on an HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// How often an HTTP/2 connection with requests is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How often it is looked whether an HTTP/2 connection is of any use.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long an idle client may take to leave after it was told to.
const FAREWELL: Duration = Duration::from_secs(10);

/// Answers the requests of connections; clones are handles.
pub trait Answers: Clone + Send + Sync + 'static {
    /// The answer to a request; refusals and failures are answers as well.
    fn answer(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;
}

/// What connections need.
#[derive(Clone)]
pub(super) struct Served<A> {
    /// Answers requests.
    pub(super) answers: A,
    /// Becomes true when the server stops; that this is dropped says that the connection has ended.
    pub(super) stopping: watch::Receiver<bool>,
}

/// Serves one connection to its end.
pub(super) async fn serve<S, A>(stream: S, peer: SocketAddr, places: AddressPlaces, served: Served<A>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Answers,
{
    let Served {
        answers,
        mut stopping,
    } = served;
    let activity = Arc::new(Activity::default());
    let socket = Socket::new(stream, HEAD_TIMEOUT, activity.clone());
    let watched = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (answers, places, activity) = (answers.clone(), places.clone(), watched.clone());
        async move {
            let answer = if request.version() < Version::HTTP_2 {
                answer_http1(request, peer, &answers).await
            } else {
                answer_http2(request, peer, &answers, &places, &activity).await
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let builder = builder();
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let mut look = interval_at(Instant::now() + LOOK_INTERVAL, LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_told = false;
    let mut must_leave_by: Option<Instant> = None;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection ended early");
                }
                return;
            }
            _ = stopping.wait_for(|stops| *stops), if !was_told => {
                was_told = true;
                connection.as_mut().graceful_shutdown();
            }
            now = look.tick() => match activity.verdict(now) {
                _ if must_leave_by.is_some_and(|by| now > by) => return,
                Verdict::Fine => {}
                Verdict::Idle => if must_leave_by.is_none() {
                    must_leave_by = Some(now + FAREWELL);
                    connection.as_mut().graceful_shutdown();
                },
                Verdict::Stuck => {
                    tracing::debug!("a connection was ended, since its client takes no answers");
                    return;
                }
            },
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(PING_INTERVAL))
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    builder
}

async fn answer_http1(
    request: Request<Incoming>,
    peer: SocketAddr,
    answers: &impl Answers,
) -> Response<Body> {
    // A client that waits for '100 Continue' has not sent its body yet.
    let sends_first = !request.headers().contains_key(EXPECT);
    let request = if sends_first {
        request.map(|body| Body::new(Drained::new(body)))
    } else {
        request.map(Body::new)
    };
    answers.answer(with_peer(request, peer)).await
}

/// Each request takes one of its address's places: a connection has many at one time.
async fn answer_http2(
    request: Request<Incoming>,
    peer: SocketAddr,
    answers: &impl Answers,
    places: &AddressPlaces,
    activity: &Arc<Activity>,
) -> Response<Body> {
    let Some(place) = places.take() else {
        let message = "this address has as many connections and requests at a time as it may; try again";
        return ApiError::retry(StatusCode::SERVICE_UNAVAILABLE, message, 1).into_response();
    };
    let exchange = activity.begin(place);
    let response = answers.answer(with_peer(request.map(Body::new), peer)).await;
    response.map(|body| exchange.answer(body))
}

fn with_peer(mut request: Request<Body>, peer: SocketAddr) -> Request<Body> {
    request.extensions_mut().insert(Peer(peer));
    request
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tower::ServiceExt as _;

    use super::super::places::Places;
    use super::*;

    impl Answers for Router {
        async fn answer(&self, request: Request<Body>) -> Response<Body> {
            self.clone().oneshot(request).await.unwrap()
        }
    }

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;
    const ACK: u8 = 1;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    /// `GET http://x/`, whole.
    fn get_root(stream: u32) -> Vec<u8> {
        frame(HEADERS, 0b101, stream, b"\x82\x86\x84\x41\x01x")
    }

    fn start(router: Router) -> (DuplexStream, watch::Sender<bool>) {
        let (client, server) = tokio::io::duplex(1 << 20);
        let (stop, stopping) = watch::channel(false);
        let peer = "192.0.2.1:1".parse().unwrap();
        let (places, place) = Places::new(5, Vec::new()).enter([192, 0, 2, 1].into()).unwrap();
        tokio::spawn(async move {
            serve(
                server,
                peer,
                places,
                Served {
                    answers: router,
                    stopping,
                },
            )
            .await;
            drop(place);
        });
        (client, stop)
    }

    fn router(bytes: usize) -> Router {
        Router::new().route("/", get(move || async move { vec![b'x'; bytes] }))
    }

    /// Answers settings and pings, and sends `more` whenever a ping comes or a second has passed; bytes of answers and
    /// seconds until the server ends the connection.
    async fn served(mut client: DuplexStream, first: Vec<u8>, more: impl Fn(u32) -> Vec<u8>) -> (usize, u64) {
        let started = Instant::now();
        client.write_all(PREFACE).await.unwrap();
        client.write_all(&first).await.unwrap();
        let mut data = 0;
        let mut beats = 0;
        let mut received: Vec<u8> = Vec::new();
        while started.elapsed() < Duration::from_secs(600) {
            let mut buffer = [0; 65536];
            let read = tokio::time::timeout(Duration::from_secs(1), client.read(&mut buffer)).await;
            match read {
                Ok(Ok(0) | Err(_)) => return (data, started.elapsed().as_secs()),
                Ok(Ok(length)) => received.extend(&buffer[..length]),
                Err(_) => {
                    beats += 1;
                    let _ = client.write_all(&more(beats)).await;
                }
            }
            while received.len() >= 9 {
                let length = u32::from_be_bytes([0, received[0], received[1], received[2]]) as usize;
                if received.len() < 9 + length {
                    break;
                }
                let (kind, flags) = (received[3], received[4]);
                let payload = received[9..9 + length].to_vec();
                received.drain(..9 + length);
                let answer = match (kind, flags) {
                    (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
                    (PING, 0) => frame(PING, ACK, 0, &payload),
                    _ => Vec::new(),
                };
                if kind == 0 {
                    data += length;
                }
                let _ = client.write_all(&answer).await;
            }
        }
        (data, u64::MAX)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_for_nothing_any_more_is_let_go() {
        let settings = frame(SETTINGS, 0, 0, &[]);
        let first = [settings, get_root(1)].concat();
        let (client, _stop) = start(router(10));
        let (data, seconds) = served(client, first.clone(), |_| Vec::new()).await;
        assert_eq!(data, 10);
        assert!((60..100).contains(&seconds), "{seconds}");
        // Pings are not requests.
        let (client, _stop) = start(router(10));
        let (_, seconds) = served(client, first.clone(), |_| frame(PING, 0, 0, &[1; 8])).await;
        assert!((60..100).contains(&seconds), "{seconds}");
        // One that asks now and then may stay.
        let (client, _stop) = start(router(10));
        let (data, seconds) = served(client, first, |beat| match beat % 50 {
            0 => get_root(2 * beat + 1),
            _ => Vec::new(),
        })
        .await;
        assert!(data > 100 && seconds == u64::MAX, "{data} {seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_no_answer_is_let_go_and_one_that_takes_it_slowly_is_not() {
        // SETTINGS_INITIAL_WINDOW_SIZE = 0
        let closed = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
        let first = [closed, get_root(1)].concat();
        let (client, _stop) = start(router(10));
        let (data, seconds) = served(client, first.clone(), |_| Vec::new()).await;
        assert_eq!(data, 0);
        assert!((30..60).contains(&seconds), "{seconds}");
        // Other requests don't hide it.
        let (client, _stop) = start(router(10));
        let (_, seconds) = served(client, first.clone(), |beat| match beat {
            1..4 => get_root(2 * beat + 1),
            _ => frame(PING, 0, 0, &[1; 8]),
        })
        .await;
        assert!((30..60).contains(&seconds), "{seconds}");
        let (client, _stop) = start(router(1 << 20));
        let open = |bytes: u32| {
            let bytes = bytes.to_be_bytes();
            [
                frame(WINDOW_UPDATE, 0, 0, &bytes),
                frame(WINDOW_UPDATE, 0, 1, &bytes),
            ]
            .concat()
        };
        let (data, seconds) = served(client, first, |beat| match beat {
            1..=100 => open(16 << 10),
            _ => Vec::new(),
        })
        .await;
        assert_eq!(data, 1 << 20);
        assert!(seconds > 100, "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_on_one_connection_count_as_connections() {
        let slow = get(|| async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            "slow"
        });
        let (client, _stop) = start(Router::new().route("/", slow));
        let requests: Vec<u8> = (0..5).flat_map(|number| get_root(2 * number + 1)).collect();
        let first = [frame(SETTINGS, 0, 0, &[]), requests].concat();
        let (data, _) = served(client, first, |_| Vec::new()).await;
        // The connection has one place of five.
        let refusal = 103 + "{\"message\":\"\"}".len();
        assert!((4 * 4 + 60..4 * 4 + refusal).contains(&data), "{data}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_connections_that_have_nothing_to_do() {
        for first in [Vec::new(), [frame(SETTINGS, 0, 0, &[]), get_root(1)].concat()] {
            let (client, stop) = start(router(10));
            let stopping = async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                stop.send_replace(true);
                stop.closed().await;
            };
            let (_, (_, seconds)) = tokio::join!(stopping, served(client, first, |_| Vec::new()));
            assert!((3..6).contains(&seconds), "{seconds}");
        }
    }
}
