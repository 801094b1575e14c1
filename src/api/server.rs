//! Sockets: accepting connections, HTTP/1.1 and HTTP/2 in clear text, and a stop that finishes what was accepted.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Version;
use axum::http::header::EXPECT;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

use super::client_address::Peer;
use super::drain::Drained;
use super::socket::Socket;
use super::state::ApiState;
use super::{ops_router, router};

/// Connections at one time; more wait in the operating system's queue.
const MAX_CONNECTIONS: usize = 8_192;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a head is read before it is refused; our own limits are lower and explain themselves.
const MAX_HEAD: usize = 256 * 1024;
/// How long requests that were accepted may take after the signal to stop.
const GRACE: Duration = Duration::from_secs(8);
/// How often it is written down when keys were used.
const KEY_USE_INTERVAL: Duration = Duration::from_secs(5);

/// Bound sockets.
#[derive(Debug)]
pub struct Listeners {
    /// The public one.
    pub api: TcpListener,
    /// For health, readiness and metrics.
    pub ops: Option<TcpListener>,
}

/// Serves until `shutdown` is ready, then finishes what was accepted, for at most eight seconds.
pub async fn serve(listeners: Listeners, state: ApiState, shutdown: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let api = accept(listeners.api, router(state.clone()), &graceful);
    let ops = async {
        match listeners.ops {
            Some(listener) => accept(listener, ops_router(state.clone()), &graceful).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = api => {}
        () = ops => {}
        () = note_key_uses(&state) => {}
        () = shutdown => {}
    }
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    state.flush_key_uses().await;
}

async fn note_key_uses(state: &ApiState) {
    let mut interval = tokio::time::interval(KEY_USE_INTERVAL);
    loop {
        interval.tick().await;
        state.flush_key_uses().await;
    }
}

async fn accept(listener: TcpListener, router: Router, graceful: &GracefulShutdown) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => spawn(stream, peer, router.clone(), graceful, place),
            Err(error) => {
                // Out of file descriptors, most likely: others must close first.
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn spawn(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    graceful: &GracefulShutdown,
    place: OwnedSemaphorePermit,
) {
    // Answers are small and whole: waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let service = router
        .into_service::<Body>()
        .map_request(move |request: Request<Incoming>| {
            // A client that waits for '100 Continue' has not sent its body yet, and HTTP/2 needs no such help.
            let sends_first = request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT);
            let mut request = if sends_first {
                request.map(|body| Body::new(Drained::new(body)))
            } else {
                request.map(Body::new)
            };
            request.extensions_mut().insert(Peer(peer));
            request
        });
    let service = hyper_util::service::TowerToHyperService::new(service);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    let connection = builder.serve_connection(TokioIo::new(Socket::new(stream, HEAD_TIMEOUT)), service);
    let connection = graceful.watch(connection.into_owned());
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection ended early");
        }
        drop(place);
    });
}
