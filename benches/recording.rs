//! How fast sessions are recorded, over HTTP and by `import` of each of its formats, beside a bare loop over the SQLite library with the
//! same statements on the same data, each batch one durable transaction.
//!
//! `cargo bench --bench recording`; `SESSIONS` (1,000,000), `ROUNDS` (3) and `CONNECTIONS` (4) change the size.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use sessionmeter::rollup::{Label, Totals, quarter_of};
use support::files::{self, FORMATS};
use support::server::{Store, command};
use support::{BATCH, Delivery, delivery, median, setting};

fn main() {
    let total = setting("SESSIONS", 1_000_000);
    let rounds = setting("ROUNDS", 3);
    let connections = setting("CONNECTIONS", 4) as usize;
    let (mut bare_rates, mut http_ratios) = (vec![], vec![]);
    let mut import_ratios = FORMATS.map(|_| vec![]);
    for round in 1..=rounds {
        let bare = bare_loop(total);
        let (http, _) = Store::create().record_over_http(total, connections);
        println!("round {round}: bare loop {bare:.0}/s, HTTP {http:.0}/s");
        for (format, ratios) in FORMATS.into_iter().zip(&mut import_ratios) {
            let import = by_import(format, total);
            println!("round {round}: import of {format} {import:.0}/s");
            ratios.push(import / bare);
        }
        bare_rates.push(bare);
        http_ratios.push(http / bare);
    }
    println!("bare loop over SQLite: {:.0} sessions/s", median(bare_rates));
    println!(
        "  HTTP, NDJSON, {connections} connections: {:.2} of it (at least 0.5)",
        median(http_ratios)
    );
    for (format, ratios) in FORMATS.into_iter().zip(import_ratios) {
        println!(
            "  import of {format}: {:.2} of it (at least 0.75)",
            median(ratios)
        );
    }
}

/// Deliveries a second of a whole run of `import`, the start of the process included.
fn by_import(format: &str, total: u64) -> f64 {
    let store = Store::create();
    let file = files::file(format, &store.apps, total);
    let path = file.path().to_str().unwrap();
    let started = Instant::now();
    let summary = command(
        &store.data,
        &["import", path, "--workspace", "bench", "--format", format],
    );
    let rate = total as f64 / started.elapsed().as_secs_f64();
    assert_eq!(summary["refused"], 0);
    rate
}

/// What SQLite itself can do: the product's statements, in the product's order of keys, nothing around them.
fn bare_loop(total: u64) -> f64 {
    let store = Store::create();
    let mut connection = Connection::open(store.data.join("sessions.sqlite")).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 134217728; PRAGMA cache_size = -32768;",
        )
        .unwrap();
    let deliveries: Vec<Delivery> = (0..total).map(|index| delivery(index, total)).collect();
    let (mut users, mut combinations) = (HashMap::new(), HashMap::new());
    let started = Instant::now();
    for batch in deliveries.chunks(BATCH) {
        bare_batch(&mut connection, batch, &mut users, &mut combinations);
    }
    total as f64 / started.elapsed().as_secs_f64()
}

fn bare_batch(
    connection: &mut Connection,
    batch: &[Delivery],
    users: &mut HashMap<u64, i64>,
    combinations: &mut HashMap<(usize, u64), i64>,
) {
    let mut batch = batch.to_vec();
    batch.sort_unstable_by_key(|delivery| (delivery.app, delivery.started_at / 86_400, delivery.session));
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    let mut days = BTreeMap::<(i64, i64), Totals>::new();
    let seq: i64 = transaction
        .query_row(
            "UPDATE meta SET commit_seq = commit_seq + 1 RETURNING commit_seq",
            [],
            |row| row.get(0),
        )
        .unwrap();
    {
        let sql = |sql| transaction.prepare_cached(sql).unwrap();
        let mut find_user =
            sql("SELECT ordinal FROM identities WHERE workspace = ?1 AND kind = ?2 AND value = ?3");
        let mut add_user = sql("INSERT INTO identities (workspace, kind, value) VALUES (?1, ?2, ?3)");
        let mut find_properties = sql("SELECT ordinal FROM properties WHERE content = ?1");
        let mut add_properties = sql("INSERT INTO properties (content) VALUES (?1)");
        let mut record = sql(include_str!("../src/store/sqlite/sql/record_session.sql"));
        let mut extend = sql(include_str!("../src/store/sqlite/sql/extend_session.sql"));
        for delivery in &batch {
            let user = *users.entry(delivery.user).or_insert_with(|| {
                let name = format!("u{}", delivery.user);
                let found = find_user
                    .query_row(params![1, 1, name], |row| row.get(0))
                    .optional()
                    .unwrap();
                found.unwrap_or_else(|| add_user.insert(params![1, 1, name]).unwrap())
            });
            let key = (delivery.app, delivery.combination);
            let properties = *combinations.entry(key).or_insert_with(|| {
                let content = format!(
                    r#"{{"platform":"{}","app_version":"{}","os_version":"17.0"}}"#,
                    key.0, key.1
                );
                let found = find_properties
                    .query_row([&content], |row| row.get(0))
                    .optional()
                    .unwrap();
                found.unwrap_or_else(|| add_properties.insert([&content]).unwrap())
            });
            let app = delivery.app as i64 + 1;
            let (day, start) = (delivery.started_at / 86_400, delivery.started_at % 86_400 * 1000);
            let session = delivery.session.to_be_bytes();
            let duration = delivery.duration as i64 * 1000;
            let device: Option<i64> = None;
            let inserted = record
                .execute(params![
                    app, day, session, start, duration, user, device, properties
                ])
                .unwrap();
            if inserted == 1 {
                let quarter = quarter_of(start as u32);
                days.entry((app, day)).or_default().add(quarter, 1);
            } else {
                extend
                    .execute(params![app, day, session, start + duration])
                    .unwrap();
            }
        }
        let mut find = sql("SELECT totals FROM days WHERE app = ?1 AND day = ?2");
        let mut add = sql("INSERT INTO days (app, day, seq, totals) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET seq = excluded.seq, totals = excluded.totals");
        for ((app, day), mut totals) in days {
            let known: Option<Vec<u8>> = find.query_row([app, day], |row| row.get(0)).optional().unwrap();
            if let Some(known) = known {
                let known = Totals::decode_unchecked(&known).unwrap();
                (0..)
                    .zip(known.0)
                    .for_each(|(quarter, sessions)| totals.add(quarter, sessions));
            }
            let totals = totals.encode(Label { app, day, seq });
            add.execute(params![app, day, seq, totals]).unwrap();
        }
    }
    transaction.commit().unwrap();
}
