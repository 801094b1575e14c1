//! sessionmeter counts app sessions and answers `GET /sessions/data_series`.
//!
//! The map, from the bottom up; arrows go only from a later room to an earlier one:
//!
//! - [`model`] – the nouns, valid by construction.
//! - [`series`] – calendars, pure: time zones, `ending_at`, windows and their labels.
//! - [`store`] – what a store promises, and the embedded SQLite store.
//! - [`metrics`] – what is measured.
//! - [`record`] – the recorder: group commit, acknowledgement, back-pressure.
//! - [`collect`] – wire formats into sessions.
//! - [`api`] – HTTP.
//! - [`cli`] – one file per command.

pub mod api;
pub mod cli;
pub mod collect;
pub mod metrics;
pub mod model;
pub mod record;
pub mod series;
pub mod store;
