//! What a store promises, once more over ClickHouse: the tests that are about answers, over one server.
//!
//! It stands before `clickhouse`, whose tests use the cluster one after the other and leave the machine idle in between.

use crate::clickhouse::cluster::LoneServer;
use crate::clickhouse::suite::{CHOSEN, run};

/// Promises that a store makes, each in the test that shows it best. What decides before the store is asked (bad
/// requests, formats of files and clients, limits) runs over the embedded store alone.
const OVER_ONE_SERVER: &[&str] = &[
    "at_once::",
    "authentication::",
    "back_pressure::",
    "bad_requests::segments::",
    "dashboard::accounts::a_session_ends",
    "dashboard::accounts::accounts_are_made",
    "dashboard::rows::",
    "data_series::",
    "deletion::",
    "first_hour::atomic::",
    "import_formats::export::",
    "operations::",
    "oracle::",
    "recording::",
    "sample_data::",
    "retention::sealing::",
    "segments::",
    "store::",
    "clients::logs::",
    "users_over_time::",
];

/// What others of these show as well: the same file in another zone, rules that no store knows.
const SHOWN_BY_OTHERS: &[&str] = &[
    "authentication::limits::",
    "dashboard::segments::",
    "dashboard::store::",
    "sample_data::an_import_is_exact_in_kathmandu",
    "segments::administration::more_than_a_hundred",
    "segments::sample::",
];

#[test]
fn what_a_store_promises_holds_over_one_server() {
    if std::env::var_os(CHOSEN).is_some() {
        return;
    }
    let server = LoneServer::start();
    run(OVER_ONE_SERVER, SHOWN_BY_OTHERS, &server.host(), false);
}
