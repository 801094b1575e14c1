//! Databases on the ClickHouse cluster that stand for the stores' directories, where tests/clickhouse.rs says so.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use reqwest::blocking::Client;

/// `HOST:PORT,HOST:PORT` of the cluster's HTTP interfaces.
pub const HOSTS: &str = "SESSIONMETER_TEST_CLICKHOUSE";
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

fn database(data: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    format!("{PREFIX}{:016x}", hasher.finish())
}

/// What stands for a directory, if the stores of this run are in ClickHouse. Days close soon, so that tests see that.
pub fn address(data: &Path) -> Option<String> {
    let hosts = std::env::var(HOSTS).ok()?;
    Some(format!(
        "clickhouse://{USER}:p%40ss%3Aword@{hosts}/{}?cluster={CLUSTER}&close_after=2",
        database(data)
    ))
}

/// Removes what stands for a directory.
pub fn remove(data: &Path) {
    if let Ok(hosts) = std::env::var(HOSTS) {
        let sql = format!("DROP DATABASE IF EXISTS {} ON CLUSTER {CLUSTER}", database(data));
        let host = hosts.split(',').next().unwrap_or_default();
        // What is left is removed with the cluster.
        let _ = execute(host, &sql);
    }
}

/// Rows of the table of sessions in what stands for a directory.
pub fn sessions(data: &Path) -> Option<i64> {
    let hosts = std::env::var(HOSTS).ok()?;
    let sql = format!("SELECT count() FROM {}.sessions", database(data));
    let count = execute(hosts.split(',').next()?, &sql).unwrap();
    Some(count.trim().parse().unwrap())
}

/// Runs a statement; what comes back.
pub fn execute(host: &str, sql: &str) -> Result<String, String> {
    let sent = Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("http://{host}/"));
    let sent = sent.basic_auth(USER, Some(PASSWORD)).body(sql.to_owned()).send();
    let response = sent.map_err(|error| error.to_string())?;
    let is_success = response.status().is_success();
    let text = response.text().map_err(|error| error.to_string())?;
    if is_success { Ok(text) } else { Err(text) }
}
