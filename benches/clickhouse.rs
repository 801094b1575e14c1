//! A ClickHouse server as the store: how fast `import` records beside the embedded store and beside a bare loop over the
//! same client library, and how fast a series of a hundred days is answered before and after its counts are kept.
//!
//! `CLICKHOUSE=clickhouse://USER:PASSWORD@HOST:PORT cargo bench --bench clickhouse`; `SESSIONS` (20,000,000) changes the
//! size. The databases `bench_bare` and `bench_store` are dropped and made anew. Rows read are shown where the server keeps
//! `system.query_log`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod support;

use std::time::{Duration, Instant};

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use support::load::{self, Connection};
use support::server::Store;
use support::{BATCH, Delivery, delivery, lines, setting};

const SERIES: &str = "/sessions/data_series?length=100&ending_at=2024-04-09";
/// As the product's table has it.
#[derive(Row, Serialize, Deserialize)]
struct BareRow {
    app: (u64, u64),
    day: u16,
    session_id: String,
    start: u32,
    precedence: u64,
    properties: u64,
    user_id: String,
    device_id: String,
    duration: i32,
}

impl BareRow {
    fn of(delivery: &Delivery) -> Self {
        Self {
            app: (0, delivery.app as u64),
            day: u16::try_from(delivery.started_at / 86_400).unwrap(),
            session_id: uuid::Uuid::from_u128(delivery.session).to_string(),
            start: u32::try_from(delivery.started_at % 86_400 * 1000).unwrap(),
            precedence: 1,
            properties: delivery.combination,
            user_id: format!("user-{}", delivery.user),
            device_id: String::new(),
            duration: i32::try_from(delivery.duration * 1000).unwrap(),
        }
    }
}

struct Target {
    client: Client,
    address: String,
    runtime: tokio::runtime::Runtime,
}

impl Target {
    fn new() -> Self {
        let address = std::env::var("CLICKHOUSE").expect("CLICKHOUSE=clickhouse://USER:PASSWORD@HOST:PORT");
        let (user, host) = address
            .trim_start_matches("clickhouse://")
            .rsplit_once('@')
            .unwrap_or(("default:", address.trim_start_matches("clickhouse://")));
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        // The product's connections do not wait either.
        let mut connector = hyper_util::client::legacy::connect::HttpConnector::new();
        connector.set_nodelay(true);
        let executor = hyper_util::rt::TokioExecutor::new();
        let http = hyper_util::client::legacy::Client::builder(executor).build(connector);
        let client = Client::with_http_client(http)
            .with_url(format!("http://{host}"))
            .with_user(user)
            .with_password(password);
        Self {
            client: client.with_validation(false),
            address,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn execute(&self, sql: &str) {
        self.runtime
            .block_on(self.client.query_raw(sql).execute())
            .unwrap();
    }

    fn number(&self, sql: &str) -> Option<u64> {
        self.runtime.block_on(self.client.query_raw(sql).fetch_one()).ok()
    }

    /// Rows that statements on the product's tables have read since the last call.
    fn rows_read(&self) -> Option<u64> {
        let _ = self
            .runtime
            .block_on(self.client.query_raw("SYSTEM FLUSH LOGS").execute());
        self.number("SELECT toUInt64(sum(read_rows)) FROM system.query_log WHERE type = 2 AND query LIKE '%bench_store.%'")
    }
}

fn main() {
    let total = setting("SESSIONS", 20_000_000);
    let target = Target::new();
    for database in ["bench_bare", "bench_store"] {
        target.execute(&format!("DROP DATABASE IF EXISTS {database}"));
    }
    let bare = bare_loop(&target, total);
    println!("bare insert loop: {bare:.0} sessions/s");

    let embedded = Store::create();
    let file = lines(&embedded.apps, total);
    let embedded_rate = timed(total, || embedded.import(file.path()));
    println!(
        "import into the embedded store: {embedded_rate:.0} sessions/s, {:.2} of the bare loop",
        embedded_rate / bare
    );
    drop((embedded, file));

    let store = Store::create_at(format!("{}/bench_store", target.address).into(), None);
    let file = lines(&store.apps, total);
    let rate = timed(total, || store.import(file.path()));
    println!(
        "import into ClickHouse: {rate:.0} sessions/s, {:.2} of the bare loop, {:.2} of the embedded store",
        rate / bare,
        rate / embedded_rate
    );
    series(&target, &store);
    for (what, table) in [("sessions", "sessions"), ("everything", "%")] {
        let sql = format!(
            "SELECT toUInt64(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = 'bench_store' AND table LIKE '{table}'"
        );
        let bytes = target.number(&sql).unwrap_or_default();
        println!(
            "bytes a delivery on disk, {what}: {:.1}",
            bytes as f64 / total as f64
        );
    }
}

fn timed(total: u64, work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    total as f64 / started.elapsed().as_secs_f64()
}

fn bare_loop(target: &Target, total: u64) -> f64 {
    target.execute("CREATE DATABASE bench_bare");
    target.execute(
        "CREATE TABLE bench_bare.sessions (app UUID, day UInt16, session_id String, start UInt32, precedence UInt64, properties \
         UInt64, user_id String, device_id String, duration Int32) ENGINE = ReplacingMergeTree(precedence) \
         ORDER BY (app, day, session_id) SETTINGS index_granularity = 1024",
    );
    let rate = timed(total, || {
        target.runtime.block_on(async {
            for first in (0..total).step_by(BATCH) {
                let mut insert = target
                    .client
                    .insert_unescaped::<BareRow>("bench_bare.sessions")
                    .await
                    .unwrap();
                for index in first..(first + BATCH as u64).min(total) {
                    insert.write(&BareRow::of(&delivery(index, total))).await.unwrap();
                }
                insert.end().await.unwrap();
            }
        });
    });
    target.execute("DROP DATABASE bench_bare");
    rate
}

fn series(target: &Target, store: &Store) {
    let server = store.serve();
    let request = load::get(SERIES, &store.key);
    let ask = |connection: &mut Connection| {
        let before = target.rows_read();
        let started = Instant::now();
        let (status, answer) = connection.exchange(&request, &[]);
        let micros = started.elapsed().as_micros();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(answer));
        let rows = target
            .rows_read()
            .zip(before)
            .map(|(after, before)| after - before);
        (micros, rows)
    };
    let mut connection = Connection::open(&server.address);
    let (micros, rows) = ask(&mut connection);
    println!("a hundred days right after the import: {micros} µs, rows read: {rows:?}");
    let (micros, rows) = ask(&mut connection);
    println!("once more: {micros} µs, rows read: {rows:?}");
    let kept = "SELECT uniqExact(app, day) FROM bench_store.day_counts WHERE series = 0";
    let all = target.number("SELECT uniqExact(app, day) FROM bench_store.sessions");
    let deadline = Instant::now() + Duration::from_secs(600);
    while target.number(kept) < all && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(500));
    }
    drop(server);
    let server = store.serve();
    println!("listening after {} ms", server.started_in.as_millis());
    let mut connection = Connection::open(&server.address);
    let (micros, rows) = ask(&mut connection);
    println!("the same from kept counts, a new process: {micros} µs, rows read: {rows:?}");
    let (micros, rows) = ask(&mut connection);
    println!("again: {micros} µs, rows read: {rows:?}");
    let rate = load::rate(&server.address, &request, 4, Duration::from_secs(3));
    println!("hot, 4 connections: {rate:.0} requests/s");
}
