//! sessionmeter counts app sessions and answers `GET /sessions/data_series`.
//!
//! The map, from the bottom up; arrows go only from a later room to an earlier one:
//!
//! - [`model`] – the nouns, valid by construction.
//! - [`series`] – calendars, pure: time zones, `ending_at`, windows and their labels.
//! - [`catalog`] – who exists: workspaces, apps, keys and segments, and the rules of changing them; pure.
//! - [`rollup`] – a day of an app, counted: its form, its building, sums and folds; pure.
//! - [`store`] – what a store promises, and the embedded SQLite store.
//! - [`count`] – answers to questions: breakdowns, users over time, and what is held to answer soon.
//! - [`metrics`] – what is measured.
//! - [`record`] – the recorder: group commit, acknowledgement, back-pressure.
//! - [`collect`] – wire formats into sessions.
//! - [`api`] – HTTP.
//! - [`dashboard`] – pages for people.
//! - [`cli`] – one file per command.
//!
//! Calendars can be used on their own. A day that daylight saving makes 23 hours long is one unit:
//!
//! ```
//! use sessionmeter::series::{Length, Unit, Window, Zone, ending_at};
//!
//! let zone = Zone::new("America/New_York").ok_or("unknown zone")?;
//! let length = Length::new(1).ok_or("length")?;
//! let last = ending_at::parse("2024-03-10")?;
//! let window = Window::new(&zone, Unit::Day, length, Some(&last), 0);
//! assert_eq!(window.edges(), [1_710_046_800, 1_710_129_600]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod api;
pub mod catalog;
pub mod cli;
pub mod collect;
pub mod count;
pub mod dashboard;
pub mod metrics;
pub mod model;
pub mod record;
pub mod rollup;
pub mod series;
pub mod store;
