//! What the program promises, tested through the real binary or the real router: a module for each promise.
//!
//! One executable, since each links everything. `cargo test --test suite recording::` runs one module. The tests
//! run over the embedded store; `both_stores` and `clickhouse` run those of them once more that say what a store must do.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails says so by panicking"
)]

mod addresses;
mod answers;
mod at_once;
mod authentication;
mod back_pressure;
mod bad_requests;
mod both_stores;
mod browser;
mod byte_order_marks;
mod clickhouse;
mod client_parsers;
mod clients;
mod command_line;
mod crash;
mod damage;
mod dashboard;
mod data_series;
mod deletion;
mod deployment;
mod documentation;
mod failing_disk;
mod file_parsers;
mod first_hour;
mod floods;
mod import_formats;
mod metrics;
mod openapi;
mod operations;
mod oracle;
mod proxies;
mod recording;
mod reference;
mod retention;
mod sample_data;
mod segments;
mod store;
mod support;
mod users_over_time;
