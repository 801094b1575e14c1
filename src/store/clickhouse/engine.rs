//! Statements to the server: which host, with which settings, how often again, and what an error means.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clickhouse::query::RowCursor;
use clickhouse::{Client, RowOwned, RowRead, RowWrite};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::timeout;

use super::address::Address;
use super::schema::Table;
use crate::store::StoreError;

/// How long a statement is tried again before the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts, at first.
const PAUSE: Duration = Duration::from_millis(25);
/// For one attempt.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a connection on which nothing comes is tested, and for how long what is sent may stay without a receipt.
const TCP_KEEPALIVE: Duration = Duration::from_secs(5);
const TCP_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection is kept that nothing is sent over; the server keeps it a little longer.
const IDLE: Duration = Duration::from_secs(2);
/// How long fewer replicas suffice once one did not answer, before all are asked again.
const DEGRADED: Duration = Duration::from_secs(10);
/// How long an insert waits for the other replicas, in milliseconds.
const QUORUM_TIMEOUT: &str = "2000";

// Codes of the server, <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>.
const TOO_FEW_LIVE_REPLICAS: u32 = 285;
const UNSATISFIED_QUORUM: u32 = 286;
const UNKNOWN_STATUS_OF_INSERT: u32 = 319;
/// The server can't at this moment: no connection to a shard or to the coordination service, time-outs, replicas that
/// are behind, tables that are being attached, too much at once.
const PASSING: [u32; 19] = [
    3, 159, 202, 203, 209, 210, 225, 242, 252, 254, 279, 289, 290, 369, 425, 439, 499, 571, 999,
];

/// Connections to the hosts of a store.
pub(super) struct Engine {
    address: Address,
    clients: Vec<Client>,
    /// The host that answered last.
    preferred: AtomicUsize,
    is_old: AtomicBool,
    /// Seconds.
    close_after: AtomicU32,
    /// Of what is spread over the shards, and of what lies on the first one.
    quorums: [Quorum; 2],
    /// Quorum inserts into one table exclude each other: here they wait in line instead of failing.
    turns: Vec<tokio::sync::Mutex<()>>,
}

/// How many replicas of a shard must have an insert before it is acknowledged.
struct Quorum {
    /// Replicas of the smallest shard.
    all: AtomicU32,
    /// Fewer, since then.
    degraded: Mutex<Option<(u32, Instant)>>,
}

impl Quorum {
    fn current(&self) -> u32 {
        let all = self.all.load(Ordering::Relaxed);
        let mut degraded = self.degraded.lock();
        match *degraded {
            Some((fewer, since)) if since.elapsed() < DEGRADED => fewer.min(all),
            _ => {
                *degraded = None;
                all
            }
        }
    }

    fn is_degraded(&self) -> bool {
        self.current() < self.all.load(Ordering::Relaxed)
    }

    /// At least half of the replicas.
    fn least(&self) -> u32 {
        self.all.load(Ordering::Relaxed).div_ceil(2).max(1)
    }

    /// One fewer than now, if that is still enough; whether it is.
    fn degrade(&self) -> bool {
        let fewer = self.current().saturating_sub(1);
        if fewer < self.least() {
            return false;
        }
        tracing::warn!(
            replicas = fewer,
            "a replica does not answer: fewer of them acknowledge for the moment"
        );
        *self.degraded.lock() = Some((fewer, Instant::now()));
        true
    }
}

/// What kept one attempt from succeeding.
enum Failure {
    /// Of the server, with its code.
    Server(u32, String),
    /// There is no answer.
    Silent(String),
}

impl Failure {
    fn passes(&self) -> bool {
        match self {
            Self::Silent(_) => true,
            Self::Server(code, _) => {
                PASSING.contains(code)
                    || [
                        TOO_FEW_LIVE_REPLICAS,
                        UNSATISFIED_QUORUM,
                        UNKNOWN_STATUS_OF_INSERT,
                    ]
                    .contains(code)
            }
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Server(code, _) => *code,
            Self::Silent(_) => 0,
        }
    }
}

impl From<clickhouse::error::Error> for Failure {
    fn from(error: clickhouse::error::Error) -> Self {
        match error {
            clickhouse::error::Error::BadResponse(text) => match code(&text) {
                Some(code) => Self::Server(code, said(&text)),
                None => Self::Silent(said(&text)),
            },
            clickhouse::error::Error::Network(_) | clickhouse::error::Error::TimedOut => {
                Self::Silent(error.to_string())
            }
            other => Self::Server(0, other.to_string()),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let passes = failure.passes();
        match failure {
            Failure::Silent(why) => Self::Unavailable(format!("ClickHouse does not answer: {why}")),
            Failure::Server(_, said) if passes => Self::Unavailable(format!("ClickHouse: {said}")),
            Failure::Server(_, said) => Self::Unusable(format!("ClickHouse: {said}")),
        }
    }
}

/// What an error in the middle of an answer means.
pub(super) fn failed(error: clickhouse::error::Error) -> StoreError {
    Failure::from(error).into()
}

/// The number after `Code: `.
fn code(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Code: ")?;
    let digits = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

/// A server's message in one line without its ornaments, cut.
fn said(text: &str) -> String {
    let text = text.split_once("DB::Exception: ").map_or(text, |(_, said)| said);
    let text = text.split(", e.what() =").next().unwrap_or(text);
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
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
            close_after: AtomicU32::new(0),
            quorums: [(); 2].map(|()| Quorum {
                all: AtomicU32::new(1),
                degraded: Mutex::new(None),
            }),
            turns: Table::ALL.iter().map(|_| tokio::sync::Mutex::new(())).collect(),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Seconds after which a day that nobody writes to any more is counted for good.
    pub(super) fn close_after(&self) -> u32 {
        self.close_after.load(Ordering::Relaxed)
    }

    pub(super) fn agree_to_close_after(&self, seconds: u32) {
        self.close_after.store(seconds, Ordering::Relaxed);
    }

    fn quorum(&self, table: Table) -> &Quorum {
        let [spread, small] = &self.quorums;
        match table.is_spread() {
            true => spread,
            false => small,
        }
    }

    /// Learns the server's version and how many replicas the cluster has.
    pub(super) async fn look_around(&self) -> Result<(), StoreError> {
        let version: Vec<String> = self.rows("SELECT version()").await?;
        let major = version.first().and_then(|version| version.split('.').next());
        let major: u32 = major.and_then(|major| major.parse().ok()).unwrap_or_default();
        self.is_old.store(major < 21, Ordering::Relaxed);
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
        spread.all.store(*least, Ordering::Relaxed);
        small.all.store(*first, Ordering::Relaxed);
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
        self.rows_within(SOON, sql).await
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

    /// The rows of a query one by one. Whoever reads them must be able to tell whether all came.
    pub(super) async fn stream<T>(&self, sql: &str) -> Result<RowCursor<T>, StoreError>
    where
        T: RowOwned + RowRead,
    {
        self.patiently(None, |client| async move {
            Ok(self.reading(client).query_raw(sql).fetch())
        })
        .await
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
        let _turn = match (&self.address.cluster, self.turns.get(table as usize)) {
            (Some(_), Some(turn)) => Some(turn.lock().await),
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
            let Some(client) = self.clients.get(at % self.clients.len().max(1)) else {
                return Err(StoreError::Unusable("the store's address names no host".into()));
            };
            let failure = match attempt(client).await {
                Ok(Ok(value)) => return Ok(value),
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
                    // Whoever comes next asks another host, too.
                    let _ = self.preferred.compare_exchange(
                        at,
                        (at + 1) % self.clients.len().max(1),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
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
            Some(_) => self
                .in_order(client)
                .with_setting("max_replica_delay_for_distributed_queries", "2")
                .with_setting("fallback_to_stale_replicas_for_distributed_queries", "0")
                .with_setting("connect_timeout_with_failover_ms", "1000"),
        }
    }

    /// What fewer replicas acknowledge must be asked of those: while that is so, everybody takes the first one that lives.
    fn in_order(&self, client: Client) -> Client {
        match self.quorums.iter().any(Quorum::is_degraded) {
            true => client.with_setting("load_balancing", "in_order"),
            false => client,
        }
    }

    fn writing(&self, client: &Client, quorum: &Quorum) -> Client {
        let client = client.clone();
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
        match self.is_old() {
            true => client,
            false => client.with_setting("insert_quorum_parallel", "0"),
        }
    }
}

fn jitter() -> u64 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    let [byte] = byte;
    u64::from(byte) / 4
}

/// A text as a literal.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        match character {
            '\\' => literal.push_str("\\\\"),
            '\'' => literal.push_str("\\'"),
            '\0' => literal.push_str("\\0"),
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

/// Texts as an array. The server reads one long literal several times as fast as many short ones.
pub(super) fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<&str> = texts.into_iter().collect();
    if texts.is_empty() || texts.iter().any(|text| text.contains('\n')) {
        return format!("[{}]", list(texts.into_iter().map(quoted)));
    }
    format!("splitByChar('\\n', {})", quoted(&texts.join("\n")))
}

/// Literals with commas between them.
pub(super) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_old_and_new_servers_are_read() {
        let old = "Code: 286, e.displayText() = DB::Exception: Another quorum insert has been already started\n, e.what() = DB::Exception";
        assert_eq!(code(old), Some(286));
        assert_eq!(said(old), "Another quorum insert has been already started");
        let new = "Code: 60. DB::Exception: Table x.y does not exist. (UNKNOWN_TABLE) (version 26.1)";
        assert_eq!(code(new), Some(60));
        assert_eq!(
            said(new),
            "Table x.y does not exist. (UNKNOWN_TABLE) (version 26.1)"
        );
        assert_eq!(code("502 Bad Gateway"), None);
    }

    #[test]
    fn texts_become_literals_that_say_the_same() {
        assert_eq!(quoted("a'b\\c\0d"), r"'a\'b\\c\0d'");
        assert_eq!(list([1, 2, 3]), "1,2,3");
        assert_eq!(array(["a", "b'"]), "splitByChar('\\n', 'a\nb\\'')");
        assert_eq!(array(["a", "b\n"]), "['a','b\n']");
    }

    #[test]
    fn at_least_half_of_the_replicas_acknowledge() {
        let quorum = |all| Quorum {
            all: AtomicU32::new(all),
            degraded: Mutex::new(None),
        };
        let two = quorum(2);
        assert!(two.degrade());
        assert_eq!(two.current(), 1);
        assert!(!two.degrade());
        let three = quorum(3);
        assert!(three.degrade());
        assert_eq!(three.current(), 2);
        assert!(!three.degrade());
        assert!(!quorum(1).degrade());
    }
}
