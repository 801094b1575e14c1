//! Databases on the ClickHouse cluster that stand for the stores' directories, where the module `clickhouse` says so.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use reqwest::blocking::Client;

use super::gate::Gate;

/// `HOST:PORT,HOST:PORT` of the cluster's HTTP interfaces.
pub const HOSTS: &str = "SESSIONMETER_TEST_CLICKHOUSE";
/// Set where they are a cluster with replicas.
pub const REPLICATED: &str = "SESSIONMETER_TEST_CLICKHOUSE_REPLICATED";
/// As the cluster calls itself.
pub const CLUSTER: &str = "test";
pub const USER: &str = "meter";
pub const PASSWORD: &str = "p@ss:word";
/// Begins the names of the tests' databases.
pub const PREFIX: &str = "t_";

/// Whether the stores of this run are in ClickHouse.
pub fn is_used() -> bool {
    std::env::var_os(HOSTS).is_some()
}

/// How many deliveries were told to be new. Over ClickHouse a process calls new what another one has recorded.
pub fn check_new(told: u64, expected: u64) {
    let is_right = told == expected || is_used() && told > expected;
    assert!(is_right, "{told} told to be new, {expected} expected");
}

fn is_replicated() -> bool {
    std::env::var_os(REPLICATED).is_some()
}

fn database(data: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    format!("{PREFIX}{:016x}", hasher.finish())
}

/// What stands for a directory, if the stores of this run are in ClickHouse.
pub fn address(data: &Path) -> Option<String> {
    Some(address_on(&std::env::var(HOSTS).ok()?, data))
}

fn address_on(hosts: &str, data: &Path) -> String {
    let database = database(data);
    let cluster = if is_replicated() {
        format!("?cluster={CLUSTER}")
    } else {
        String::new()
    };
    format!("clickhouse://{USER}:p%40ss%3Aword@{hosts}/{database}{cluster}")
}

/// The same behind a gate.
pub fn address_behind_gate(data: &Path) -> Option<(String, Gate)> {
    let gate = Gate::start(&first_host()?);
    Some((address_on(&gate.address, data), gate))
}

fn first_host() -> Option<String> {
    let hosts = std::env::var(HOSTS).ok()?;
    Some(hosts.split(',').next()?.to_owned())
}

/// Removes what stands for a directory.
pub fn remove(data: &Path) {
    if let Some(host) = first_host() {
        let place = if is_replicated() {
            format!(" ON CLUSTER {CLUSTER}")
        } else {
            String::new()
        };
        let sql = format!("DROP DATABASE IF EXISTS {}{place}", database(data));
        // What is left is removed with the cluster.
        let _ = execute(&host, &sql);
    }
}

/// Whether anything stands for a directory.
pub fn exists(data: &Path) -> bool {
    first_host().is_some_and(|host| {
        let sql = format!(
            "SELECT count() FROM system.databases WHERE name = '{}'",
            database(data)
        );
        execute(&host, &sql).unwrap().trim() != "0"
    })
}

/// Rows of the table of sessions in what stands for a directory.
pub fn sessions(data: &Path) -> Option<i64> {
    let sql = format!("SELECT count() FROM {}.sessions", database(data));
    let count = execute(&first_host()?, &sql).unwrap();
    Some(count.trim().parse().unwrap())
}

/// Everything that is kept in what stands for a directory, table by table.
pub fn contents(data: &Path) -> Option<Vec<Vec<u8>>> {
    let (host, database) = (first_host()?, database(data));
    let tables = execute(&host, &format!("SHOW TABLES FROM {database}")).unwrap();
    let content = |table: &str| {
        let sql = format!("SELECT * FROM {database}.{table} FORMAT RowBinary");
        fetch(&host, &sql).unwrap()
    };
    Some(tables.lines().map(content).collect())
}

/// Replaces a text in an entry of the catalog of what stands for a directory, as another process would.
pub fn rewrite_catalog(data: &Path, id: &str, from: &str, to: &str) {
    let (host, database) = (first_host().unwrap(), database(data));
    let sql = format!(
        "INSERT INTO {database}.catalog (kind, id, version, deleted, content) \
         SELECT kind, id, (SELECT max(version) FROM {database}.catalog) + 1, toUInt8(0), \
         replaceAll(argMax(content, version), '{from}', '{to}') FROM {database}.catalog WHERE id = '{id}' GROUP BY kind, id"
    );
    execute(&host, &sql).unwrap();
}

/// Runs a statement; what comes back.
pub fn execute(host: &str, sql: &str) -> Result<String, String> {
    fetch(host, sql).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn fetch(host: &str, sql: &str) -> Result<Vec<u8>, String> {
    let sent = Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("http://{host}/"));
    let sent = sent.basic_auth(USER, Some(PASSWORD)).body(sql.to_owned()).send();
    let response = sent.map_err(|error| error.to_string())?;
    let is_success = response.status().is_success();
    let bytes = response.bytes().map_err(|error| error.to_string())?;
    if is_success {
        Ok(bytes.into())
    } else {
        Err(String::from_utf8_lossy(&bytes).into_owned())
    }
}
