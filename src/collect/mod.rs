//! Other people's formats into sessions. Every reader ends in [`Session::new`](crate::model::Session::new), but for
//! `users`, which reads what is known about people.

mod attributes;
pub mod avro;
mod cell;
pub mod currents;
mod digits;
pub mod json;
mod mend;
mod objects;
pub mod otlp;
pub mod parquet;
pub mod protobuf;
mod scalar;
pub mod sentry;
pub mod table;
pub mod users;
mod wire;

use std::fmt;

use crate::catalog::WorkspaceEntry;
use crate::model::{AppId, Session, SessionField, StartLimits};

/// The bytes behind a byte order mark, which editors and spreadsheets write before a text.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// What a reader needs to know besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Whose apps may be named.
    pub workspace: &'a WorkspaceEntry,
    /// The app of sessions that name none; usually there is no such app and naming one is required.
    pub default_app: Option<AppId>,
    /// When sessions may start.
    pub limits: StartLimits,
}

/// Why one session of a batch was refused: one line that names the field and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError(pub(crate) String);

impl ItemError {
    /// With this reason.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The app that was named, if the reason is that the workspace has none of this id; its first hundred characters.
    pub fn unknown_app(&self) -> Option<&str> {
        self.0.strip_prefix(wire::UNKNOWN_APP)?.strip_suffix('\'')
    }

    /// What [`ItemError::field`] may say.
    pub fn fields() -> impl Iterator<Item = &'static str> {
        SessionField::ALL
            .into_iter()
            .map(SessionField::name)
            .chain([ATTRIBUTES, OTHER])
    }

    /// The field that was wrong, or `other`: the first that the message quotes, under the name that the format has for it.
    pub fn field(&self) -> &'static str {
        let name = match self.0.split('\'').nth(1).unwrap_or_default() {
            "sessionmeter.app.id" | "sessionmeter-app" => "app_id",
            "session.id" | "sid" => "session_id",
            "started" | "timeUnixNano" => "started_at",
            "did" => "user_id",
            "timestamp" => "ended_at",
            name if name.starts_with("attributes.") => ATTRIBUTES,
            name => name,
        };
        Self::fields().find(|field| *field == name).unwrap_or(OTHER)
    }
}

const ATTRIBUTES: &str = "attributes";
/// The body of a session itself, and whatever has no name.
const OTHER: &str = "other";

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
    /// Whether a session was refused since its app is not known.
    pub fn lacks_apps(&self) -> bool {
        self.refused.iter().any(|(_, error)| wire::is_about_an_app(error))
    }

    fn push(&mut self, index: usize, result: Result<Session, ItemError>) {
        match result {
            Ok(session) => self.sessions.push(session),
            Err(error) => self.refused.push((index, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_of_a_refusal_is_one_of_those_that_there_are() {
        for (reason, expected) in [
            (
                "'session_id' is required: a string of 1 to 128 bytes",
                "session_id",
            ),
            (
                "'session.id' is required: an attribute of 1 to 128 bytes",
                "session_id",
            ),
            (
                "'attributes.alice' must have at most 256 bytes, received 300",
                "attributes",
            ),
            (
                "a name in 'attributes' must have 1 to 64 bytes, received 0",
                "attributes",
            ),
            ("give either 'ended_at' or 'duration', not both", "ended_at"),
            ("'alice' is given twice", "other"),
            ("not a session: EOF while parsing", "other"),
            ("", "other"),
        ] {
            assert_eq!(ItemError::new(reason).field(), expected, "{reason}");
        }
        assert!(ItemError::fields().any(|field| field == OTHER));
    }
}
