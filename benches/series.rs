//! How fast a series is answered over HTTP, beside `GET /health` of the same server, and whether that depends on how
//! much is recorded. Also how soon a server over a large store answers, and how much memory it holds.
//!
//! `cargo bench --bench series`; `SESSIONS` (5,000,000) and `ROUNDS` (5) change the size.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod support;

use std::time::{Duration, Instant};

use support::load::{self, Connection};
use support::server::Store;
use support::{median, setting};

const SMALL: u64 = 50_000;
const CONNECTIONS: usize = 8;
const SLICE: Duration = Duration::from_millis(800);
const SERIES: &str = "/sessions/data_series?length=100&ending_at=2024-04-09";

fn main() {
    let large = setting("SESSIONS", 5_000_000);
    let rounds = setting("ROUNDS", 5);
    let stores = [SMALL, large].map(Store::filled);
    let mut servers = Vec::new();
    for (store, sessions) in stores.iter().zip([SMALL, large]) {
        let server = store.serve();
        let mut connection = Connection::open(&server.address);
        let asked = Instant::now();
        let (status, body) = connection.exchange(&load::get(SERIES, &store.key), b"");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        println!(
            "{sessions} sessions: listening after {:.0} ms, first series {:.1} ms later, resident {:.1} MB",
            server.started_in.as_secs_f64() * 1e3,
            asked.elapsed().as_secs_f64() * 1e3,
            server.resident() as f64 / 1e6
        );
        servers.push(server);
    }
    let (mut against_health, mut against_small, mut rates) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        // The three take turns in slices, so that a slow moment of the machine hits all.
        let health = load::rate(&servers[1].address, &load::get("/health", ""), CONNECTIONS, SLICE);
        let series = load::rate(
            &servers[1].address,
            &load::get(SERIES, &stores[1].key),
            CONNECTIONS,
            SLICE,
        );
        let small = load::rate(
            &servers[0].address,
            &load::get(SERIES, &stores[0].key),
            CONNECTIONS,
            SLICE,
        );
        against_health.push(series / health);
        against_small.push(series / small);
        rates.push(series);
    }
    println!("100-day series: {:.0} requests/s", median(rates));
    println!(
        "  beside GET /health of the same server: {:.2} (at least 0.7)",
        median(against_health)
    );
    println!(
        "  {large} beside {SMALL} sessions: {:.2} (at least 0.9)",
        median(against_small)
    );
    println!(
        "resident after the load: {:.1} MB (idle limit 100 MB)",
        servers[1].resident() as f64 / 1e6
    );
}
