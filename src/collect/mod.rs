//! Other people's formats into sessions. Every reader ends in [`Session::new`](crate::model::Session::new), but for
//! `users`, which reads what is known about people.

mod attributes;
pub mod avro;
pub mod currents;
pub mod json;
pub mod otlp;
pub mod parquet;
pub mod protobuf;
mod scalar;
pub mod sentry;
pub mod table;
pub mod users;
mod wire;

use std::fmt;

use crate::model::{AppId, Millis, Session};
use crate::store::WorkspaceEntry;

/// What a reader needs to know besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Whose apps may be named.
    pub workspace: &'a WorkspaceEntry,
    /// The app of sessions that name none; usually there is no such app and naming one is required.
    pub default_app: Option<AppId>,
    /// Unix milliseconds; starts may be at most a day later.
    pub now: Millis,
}

/// Why one session of a batch was refused: one line that names the field and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError(pub(crate) String);

impl ItemError {
    /// With this reason.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ItemError {}

/// The sessions of a body that are valid, and the places and reasons of those that aren't.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of the body.
    pub sessions: Vec<Session>,
    /// Index in the body, from 0, and reason.
    pub refused: Vec<(usize, ItemError)>,
}

impl Batch {
    fn push(&mut self, index: usize, result: Result<Session, ItemError>) {
        match result {
            Ok(session) => self.sessions.push(session),
            Err(error) => self.refused.push((index, error)),
        }
    }
}
