//! Statements to the server: which host, with which settings, and how often again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clickhouse::query::RowCursor;
use clickhouse::{Client, RowOwned, RowRead, RowWrite};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::timeout;

use super::address::Address;
use super::failure::{Failure, TOO_FEW_LIVE_REPLICAS, UNKNOWN_STATUS_OF_INSERT, UNSATISFIED_QUORUM};
use super::literals::list;
use super::quorum::Quorum;
use super::tables::Table;
use crate::store::StoreError;

/// How long a statement is tried again before the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts, at first.
const PAUSE: Duration = Duration::from_millis(25);
/// How long a host may be silent before that is said, and how long it is not said again.
const SILENCE: Duration = Duration::from_secs(1);
const SAID: Duration = Duration::from_secs(60);
/// For one attempt.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// For a statement that copies a table.
const COPY_TIMEOUT: Duration = Duration::from_secs(6 * 3_600);
const SOON: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a connection on which nothing comes is tested, and for how long what is sent may stay without a receipt.
const TCP_KEEPALIVE: Duration = Duration::from_secs(5);
const TCP_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection is kept that nothing is sent over; the server keeps it a little longer.
const IDLE: Duration = Duration::from_secs(2);
/// How long an insert waits for the other replicas, in milliseconds.
const QUORUM_TIMEOUT: &str = "2000";

/// Connections to the hosts of a store.
pub(super) struct Engine {
    address: Address,
    clients: Vec<Client>,
    /// The host that answered last.
    preferred: AtomicUsize,
    is_old: AtomicBool,
    /// When it was last said that a host does not answer.
    said: Mutex<Option<Instant>>,
    /// Why there was no answer the last time, if there was none.
    silence: Mutex<Option<String>>,
    /// Of what is spread over the shards, and of what lies on the first one.
    quorums: [Quorum; 2],
    /// On old servers quorum inserts into one table exclude each other: here they wait in line instead of failing.
    turns: Vec<tokio::sync::Mutex<()>>,
}

/// The rows of a query, as they come.
pub(super) struct Rows<'a, T> {
    engine: &'a Engine,
    host: usize,
    cursor: RowCursor<T>,
}

impl<T: RowOwned + RowRead> Rows<'_, T> {
    /// The next row. An old server that fails in the middle says so where the next row should be: who reads rows must
    /// notice one that can't be.
    pub(super) async fn next(&mut self) -> Result<Option<T>, StoreError> {
        let failure = match timeout(READ_TIMEOUT, self.cursor.next()).await {
            Ok(Ok(row)) => return Ok(row),
            // What can't be read is no row but what an old server said.
            Ok(Err(error)) => match Failure::from(error) {
                Failure::Server(0, said) => Failure::Silent(said),
                other => other,
            },
            Err(_) => Failure::Silent("it took too long".into()),
        };
        if let Failure::Silent(_) = &failure {
            self.engine.ask_another_than(self.host);
        }
        Err(failure.into())
    }
}

impl Engine {
    pub(super) fn new(address: &Address) -> Self {
        let mut connector = HttpConnector::new();
        // A host that has gone without a word is noticed.
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(TCP_KEEPALIVE));
        connector.set_keepalive_interval(Some(TCP_KEEPALIVE));
        connector.set_keepalive_retries(Some(2));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(TCP_PATIENCE));
        // Otherwise the end of many a statement waits 40 ms for the server to acknowledge its beginning.
        connector.set_nodelay(true);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        let client = |host: &String| {
            Client::with_http_client(http.clone())
                .with_url(format!("http://{host}"))
                .with_user(&address.user)
                .with_password(&address.password)
                // The oldest servers have no format that names its columns and types.
                .with_validation(false)
                .with_product_info("sessionmeter", env!("CARGO_PKG_VERSION"))
        };
        Self {
            clients: address.hosts.iter().map(client).collect(),
            address: address.clone(),
            preferred: AtomicUsize::new(0),
            is_old: AtomicBool::new(true),
            said: Mutex::new(None),
            silence: Mutex::new(None),
            quorums: [Quorum::of(1), Quorum::of(1)],
            turns: Table::ALL.iter().map(|_| tokio::sync::Mutex::new(())).collect(),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    fn quorum(&self, table: Table) -> &Quorum {
        let [spread, small] = &self.quorums;
        if table.is_spread() { spread } else { small }
    }

    /// Learns the server's version and how many replicas the cluster has.
    pub(super) async fn look_around(&self) -> Result<(), StoreError> {
        let version: Vec<String> = self.rows_soon("SELECT version()").await?;
        let major = version.first().and_then(|version| version.split('.').next());
        let major: u32 = major.and_then(|major| major.parse().ok()).unwrap_or_default();
        self.is_old.store(major < 22, Ordering::Relaxed);
        let Some(cluster) = &self.address.cluster else {
            return Ok(());
        };
        let sql = format!(
            "SELECT toUInt32(count()) FROM system.clusters WHERE cluster = '{cluster}' GROUP BY shard_num \
             ORDER BY shard_num"
        );
        let replicas: Vec<u32> = self.rows(&sql).await?;
        let (Some(least), Some(first)) = (replicas.iter().min(), replicas.first()) else {
            return Err(StoreError::Unusable(format!(
                "ClickHouse has no cluster named '{cluster}'; see its system.clusters"
            )));
        };
        let [spread, small] = &self.quorums;
        spread.set(*least);
        small.set(*first);
        Ok(())
    }

    /// Whether the server is of the first versions, which know fewer settings.
    pub(super) fn is_old(&self) -> bool {
        self.is_old.load(Ordering::Relaxed)
    }

    /// All rows of a query.
    pub(super) async fn rows<T>(&self, sql: &str) -> Result<Vec<T>, StoreError>
    where
        T: RowOwned + RowRead,
    {
        self.rows_within(READ_TIMEOUT, sql).await
    }

    /// All rows of a query that others wait for, and that a host answers at once if at all.
    pub(super) async fn rows_soon<T>(&self, sql: &str) -> Result<Vec<T>, StoreError>
    where
        T: RowOwned + RowRead,
    {
        let answer = self.rows_within(SOON, sql);
        tokio::pin!(answer);
        match timeout(SILENCE, &mut answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let why = self.silence.lock().clone();
                self.say(
                    self.preferred.load(Ordering::Relaxed),
                    why.as_deref().unwrap_or("nothing came within a second"),
                );
                answer.await
            }
        }
    }

    async fn rows_within<T>(&self, limit: Duration, sql: &str) -> Result<Vec<T>, StoreError>
    where
        T: RowOwned + RowRead,
    {
        self.patiently(None, |client| async move {
            let query = self
                .reading(client)
                .query_raw(sql)
                .with_setting("wait_end_of_query", "1");
            timeout(limit, query.fetch_all()).await
        })
        .await
    }

    /// The rows of a query one by one. Nothing is tried again, but another host is asked the next time if this one is
    /// silent.
    pub(super) fn stream<T>(&self, sql: &str) -> Result<Rows<'_, T>, StoreError>
    where
        T: RowOwned + RowRead,
    {
        let host = self.preferred.load(Ordering::Relaxed);
        let query = self.reading(self.client(host)?).query_raw(sql);
        // What is sorted is sorted on disk where it is large.
        let query = query.with_setting("max_bytes_before_external_sort", "1000000000");
        Ok(Rows {
            engine: self,
            host,
            cursor: query.fetch().map_err(Failure::from)?,
        })
    }

    /// Inserts what a query of the same columns gives.
    pub(super) async fn insert_selected(&self, table: Table, query: &str) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO {}.{} {query}", self.address.database, table.name());
        let quorum = self.quorum(table);
        self.patiently(Some(quorum), |client| {
            let query = self.writing(client, quorum).query_raw(&sql);
            async move { timeout(COPY_TIMEOUT, query.execute()).await }
        })
        .await
    }

    /// Inserts rows, given as columns of literals, unless the table has a newer version than the first of these; the rows' own
    /// go up to the second one. The server looks at the version when it inserts, however late that is.
    pub(super) async fn insert_after(
        &self,
        table: Table,
        (before, last): (u64, u64),
        columns: &[(&str, String)],
    ) -> Result<(), StoreError> {
        let name = format!("{}.{}", self.address.database, table.name());
        let names = list(columns.iter().map(|(name, _)| name));
        let arrays = list(
            columns
                .iter()
                .map(|(name, literals)| format!("[{literals}] AS {name}")),
        );
        let rows = format!("FROM (SELECT 1 AS one) ARRAY JOIN {arrays}");
        let sql = format!(
            "INSERT INTO {name} ({names}) SELECT {names} {rows} WHERE (SELECT max(version) FROM {name}) = {before}"
        );
        let quorum = self.quorum(table);
        self.patiently(Some(quorum), |client| {
            let query = self.writing(&self.reading(client), quorum).query_raw(&sql);
            async move { timeout(WRITE_TIMEOUT, query.execute()).await }
        })
        .await?;
        // Whether they are there, also where the first attempt seemed to fail. Old servers hash no UUIDs.
        let hashed = columns.iter().map(|(name, _)| format!("toString({name})"));
        let sum = format!("sum(cityHash64({}))", list(hashed));
        // Newer servers take what is selected within for nullable.
        let sql = format!(
            "SELECT toUInt8(assumeNotNull((SELECT {sum} FROM {name} WHERE version > {before} AND version <= {last}) \
             = (SELECT {sum} {rows})))"
        );
        if self.rows::<u8>(&sql).await?.first() == Some(&1) {
            return Ok(());
        }
        Err(StoreError::Unavailable(
            "another process has changed the store meanwhile; try again".into(),
        ))
    }

    /// A statement without rows, in no database.
    pub(super) async fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.patiently(None, |client| async move {
            let query = client
                .clone()
                .query_raw(sql)
                .with_setting("distributed_ddl_task_timeout", "60");
            timeout(READ_TIMEOUT, query.execute()).await
        })
        .await
    }

    /// Inserts rows; when this returns they are durable and every statement sees them. May be tried again: each table
    /// keeps one of equal rows.
    pub(super) async fn insert<T>(&self, table: Table, rows: &[T]) -> Result<(), StoreError>
    where
        T: RowOwned + RowWrite + Serialize + Sync,
    {
        if rows.is_empty() {
            return Ok(());
        }
        let _turn = match self.turns.get(table as usize) {
            Some(turn) if self.is_old() && self.address.cluster.is_some() => Some(turn.lock().await),
            _ => None,
        };
        let name = format!("{}.{}", self.address.database, table.name());
        let quorum = self.quorum(table);
        self.patiently(Some(quorum), |client| {
            let client = self.writing(client, quorum);
            let name = &name;
            async move {
                let insert = async {
                    let mut insert = client.insert_unescaped::<T>(name).await?;
                    for row in rows {
                        insert.write(row).await?;
                    }
                    insert.end().await
                };
                timeout(WRITE_TIMEOUT, insert).await
            }
        })
        .await
    }

    /// Tries again for a while; where a host gives no answer, each other one at least once.
    async fn patiently<'a, T, F>(
        &'a self,
        quorum: Option<&Quorum>,
        attempt: impl Fn(&'a Client) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<Result<T, clickhouse::error::Error>, tokio::time::error::Elapsed>>,
    {
        let started = Instant::now();
        let mut pause = PAUSE;
        let (mut unsatisfied, mut silent) = (0, 0);
        let degrade = || quorum.is_some_and(Quorum::degrade);
        loop {
            let at = self.preferred.load(Ordering::Relaxed);
            let failure = match attempt(self.client(at)?).await {
                Ok(Ok(value)) => {
                    self.silence.lock().take();
                    return Ok(value);
                }
                Ok(Err(error)) => Failure::from(error),
                Err(_) => Failure::Silent("it took too long".into()),
            };
            match failure.code() {
                TOO_FEW_LIVE_REPLICAS if degrade() => continue,
                // Another process may insert at this moment; if it lasts, a replica is gone and not yet known to be.
                UNSATISFIED_QUORUM | UNKNOWN_STATUS_OF_INSERT => {
                    unsatisfied += 1;
                    let lasts =
                        failure.code() == UNKNOWN_STATUS_OF_INSERT || started.elapsed() > PATIENCE / 4;
                    if lasts && unsatisfied > 1 && degrade() {
                        continue;
                    }
                }
                0 => {
                    silent += 1;
                    let why = failure.cause();
                    if started.elapsed() >= SILENCE {
                        self.say(at, &why);
                    }
                    *self.silence.lock() = Some(why);
                    self.ask_another_than(at);
                }
                _ => {}
            }
            let is_over = started.elapsed() + pause > PATIENCE;
            let may_another = matches!(failure, Failure::Silent(_)) && silent < self.clients.len();
            if !failure.passes() || (is_over && !may_another) {
                return Err(failure.into());
            }
            tokio::time::sleep(pause).await;
            // Processes that get in each other's way shall not do so again in step.
            pause = (pause * 2).min(Duration::from_millis(400)) + Duration::from_millis(jitter());
        }
    }

    /// Says that a host does not answer, unless that was said lately.
    fn say(&self, host: usize, why: &str) {
        let mut said = self.said.lock();
        if said.is_some_and(|said| said.elapsed() < SAID) {
            return;
        }
        *said = Some(Instant::now());
        let hosts = &self.address.hosts;
        let host = hosts.get(host % hosts.len().max(1)).map_or("", String::as_str);
        let seconds = PATIENCE.as_secs();
        tracing::warn!("ClickHouse at {host} does not answer: {why}; trying on for {seconds} seconds");
    }

    fn client(&self, host: usize) -> Result<&Client, StoreError> {
        let client = self.clients.get(host % self.clients.len().max(1));
        client.ok_or_else(|| StoreError::Unusable("the store's address names no host".into()))
    }

    /// A host did not answer: whoever comes next asks another one, if there is any.
    fn ask_another_than(&self, host: usize) {
        let next = (host + 1) % self.clients.len().max(1);
        let _ = self
            .preferred
            .compare_exchange(host, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// In a cluster only replicas that are not behind are asked.
    fn reading(&self, client: &Client) -> Client {
        let client = client
            .clone()
            .with_setting("max_query_size", "100000000")
            .with_setting("max_ast_elements", "10000000")
            .with_setting("max_expanded_ast_elements", "10000000")
            .with_setting("max_bytes_before_external_group_by", "2000000000")
            .with_setting("max_memory_usage", "6000000000");
        match self.address.cluster {
            None => client,
            // Those who ask twice are answered by the same replica twice, as long as it lives and is not behind.
            Some(_) => client
                .with_setting("load_balancing", "in_order")
                .with_setting("max_replica_delay_for_distributed_queries", "2")
                .with_setting("fallback_to_stale_replicas_for_distributed_queries", "0")
                .with_setting("connect_timeout_with_failover_ms", "1000"),
        }
    }

    /// What fewer replicas acknowledge must be asked of those: while that is so, everybody takes the first one that lives.
    fn in_order(&self, client: Client) -> Client {
        if self.quorums.iter().any(Quorum::is_degraded) {
            client.with_setting("load_balancing", "in_order")
        } else {
            client
        }
    }

    fn writing(&self, client: &Client, quorum: &Quorum) -> Client {
        let client = if self.is_old() {
            client.clone()
        } else {
            // Some servers gather inserts otherwise, and acknowledge what they have in memory.
            client.clone().with_setting("async_insert", "0")
        };
        if self.address.cluster.is_none() {
            return client;
        }
        let client = self
            .in_order(client)
            .with_setting("insert_distributed_sync", "1")
            .with_setting("insert_quorum", quorum.current().to_string())
            .with_setting("insert_quorum_timeout", QUORUM_TIMEOUT)
            // A block that is delivered again must wait for its quorum again.
            .with_setting("insert_deduplicate", "0")
            .with_setting("connect_timeout_with_failover_ms", "1000");
        if self.is_old() {
            client
        } else {
            client.with_setting("insert_quorum_parallel", "1")
        }
    }
}

fn jitter() -> u64 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    let [byte] = byte;
    u64::from(byte) / 4
}
