//! Sockets: accepting connections within limits, and a stop that finishes what was accepted.

use std::future::Future;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::connection::{self, Answers, Served};
use super::places::Places;
use super::state::ApiState;
use super::{ops_router, router};

/// Connections at one time; more wait in the operating system's queue.
const MAX_CONNECTIONS: usize = 8_192;
/// How long requests that were accepted may take after the signal to stop.
const GRACE: Duration = Duration::from_secs(8);
/// How often it is written down when keys were used.
const KEY_USE_INTERVAL: Duration = Duration::from_secs(5);
/// How long that may take at the end.
const LAST_KEY_USES: Duration = Duration::from_secs(1);
/// How often it is logged that connections are refused.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);
/// For an address that has too many connections. It may not be read: the connection is closed at once.
const REFUSAL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 77\r\n\
    retry-after: 1\r\nconnection: close\r\n\r\n\
    {\"message\":\"this address has as many connections as it may; try again later\"}";

/// Bound sockets.
#[derive(Debug)]
pub struct Listeners {
    /// The public one.
    pub api: TcpListener,
    /// For health, readiness and metrics.
    pub ops: Option<TcpListener>,
}

/// Serves until `shutdown` is ready, then finishes what was accepted, for at most eight seconds.
pub async fn serve(
    listeners: Listeners,
    state: ApiState,
    pages: Option<axum::Router>,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    let served = |answers| Served {
        answers,
        stopping: stopping.clone(),
    };
    let api = accept(listeners.api, served(router(state.clone(), pages)), &state);
    let ops = async {
        match listeners.ops {
            Some(listener) => accept(listener, served(ops_router(state.clone())), &state).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = api => {}
        () = ops => {}
        () = note_key_uses(&state) => {}
        () = shutdown => {}
    }
    drop(stopping);
    stop.send_replace(true);
    if tokio::time::timeout(GRACE, stop.closed()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    if tokio::time::timeout(LAST_KEY_USES, state.flush_key_uses())
        .await
        .is_err()
    {
        tracing::warn!("the store does not answer; when keys were last used is not noted");
    }
}

async fn note_key_uses(state: &ApiState) {
    let mut interval = tokio::time::interval(KEY_USE_INTERVAL);
    loop {
        interval.tick().await;
        state.flush_key_uses().await;
    }
}

async fn accept(listener: TcpListener, served: Served<impl Answers>, state: &ApiState) {
    let all = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let settings = state.settings();
    let places = Places::new(settings.connections_per_address, settings.trusted_proxies.clone());
    let mut complaints = Complaints::default();
    loop {
        let Ok(one_of_all) = all.clone().acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others must close first.
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some((of_address, place)) = places.enter(peer.ip()) else {
            state.metrics().connections_refused.inc();
            complaints.refused(peer.ip());
            refuse(stream);
            continue;
        };
        let connection = serve_stream(stream, peer, of_address, served.clone());
        tokio::spawn(async move {
            connection.await;
            drop((place, one_of_all));
        });
    }
}

async fn serve_stream(
    stream: TcpStream,
    peer: SocketAddr,
    places: super::places::AddressPlaces,
    served: Served<impl Answers>,
) {
    // Answers are small and whole: waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    connection::serve(stream, peer, places, served).await;
}

/// Says why and closes. The socket is new, so that there is room for these few bytes.
fn refuse(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(REFUSAL.as_bytes());
    }
}

/// Logs refused connections, a line now and then.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    since: u64,
}

impl Complaints {
    fn refused(&mut self, address: IpAddr) {
        self.since += 1;
        if self.last.is_some_and(|last| last.elapsed() < COMPLAINT_INTERVAL) {
            return;
        }
        tracing::warn!(
            %address,
            connections = self.since,
            "refused: an address has as many connections as --connections-per-address allows"
        );
        self.last = Some(Instant::now());
        self.since = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let (head, body) = REFUSAL.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
