//! Sentry's envelopes: items `session` and `sessions`. All other items are passed over.
//!
//! `envelope` takes the envelope apart, `session` reads updates of single sessions, `aggregates` those that were
//! counted by the client already.

mod aggregates;
mod clock;
mod envelope;
mod session;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use self::clock::Clock;
use self::envelope::Envelope;
use super::ItemError;
use super::json::{MAX_SESSIONS, cut};
use super::mend::{self, Fitting};
use super::scalar::{Lenient, Scalar};
use super::wire::{required, wrong};
use crate::catalog::Catalog;
use crate::model::{AppId, AttributeValue, Millis, Properties, PropertyFields, Session, StartLimits};
use crate::series::iso8601::{self, Written};

pub use self::envelope::EnvelopeError;

/// Items that an envelope may have, of any kind. SDKs send some tens.
const MAX_ITEMS: usize = 10_000;

/// What a reader needs to know besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Whose apps may be named.
    pub catalog: &'a Catalog,
    /// The public key that the request gave outside its body; where there is none, the envelope names a DSN.
    pub key: Option<&'a str>,
    /// Another one for every request: aggregates are counted at every delivery.
    pub request: uuid::Uuid,
    /// Unix milliseconds.
    pub now: Millis,
}

/// What an envelope says about sessions.
#[derive(Debug, Default)]
pub struct Delivery {
    /// The envelope's `event_id`, which the answer repeats.
    pub id: Option<String>,
    /// In the order of the envelope; later updates of a session may follow earlier ones.
    pub sessions: Vec<Session>,
    /// Indexes of items in the envelope, from 0, and reasons.
    pub refused: Vec<(usize, ItemError)>,
}

/// Why a whole envelope is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SentryError {
    /// It can't be taken apart.
    #[error("invalid envelope: {0}")]
    Envelope(#[from] EnvelopeError),
    /// Neither the request nor the envelope names a key.
    #[error("missing authorization information: give the app's id without hyphens as the DSN's public key")]
    NoKey,
    /// A key that can't be an app's id.
    #[error(
        "bad sentry DSN public key: it is the app's id without hyphens, 32 hexadecimal digits, received '{0}'"
    )]
    BadKey(String),
    /// There is no such app.
    #[error("event submission rejected: there is no app with this id on this server")]
    UnknownApp(AppId),
    /// Too many sessions.
    #[error("the envelope has more than {MAX_SESSIONS} sessions; send them in several envelopes")]
    TooMany,
    /// Too many items.
    #[error("the envelope has more than {MAX_ITEMS} items; send them in several envelopes")]
    TooManyItems,
}

/// Reads an envelope.
///
/// # Errors
/// When the envelope as a whole is refused. Items that are refused one by one are in the delivery.
pub fn read(body: &[u8], context: &Context<'_>) -> Result<Delivery, SentryError> {
    let envelope = Envelope::open(body)?;
    let (app, limits) = app(context, &envelope)?;
    let clock = envelope.clock(limits);
    let mut delivery = Delivery {
        id: envelope.id(),
        ..Delivery::default()
    };
    for (index, item) in envelope.items().enumerate() {
        if index == MAX_ITEMS {
            return Err(SentryError::TooManyItems);
        }
        let item = item?;
        let read = match item.kind.as_ref() {
            "session" => session::read(item.payload, app, clock, &mut delivery.sessions),
            "sessions" => {
                let source = aggregates::Source {
                    app,
                    request: context.request,
                    item: index,
                    clock,
                };
                aggregates::read(item.payload, &source, &mut delivery)?
            }
            _ => continue,
        };
        if let Err(error) = read {
            delivery.refused.push((index, error));
        }
        if delivery.sessions.len() > MAX_SESSIONS || delivery.refused.len() > MAX_SESSIONS {
            return Err(SentryError::TooMany);
        }
    }
    Ok(delivery)
}

/// The app, and when its sessions may start.
fn app(context: &Context<'_>, envelope: &Envelope<'_>) -> Result<(AppId, StartLimits), SentryError> {
    let of_dsn = envelope.dsn_key();
    let key = context.key.or(of_dsn.as_deref()).ok_or(SentryError::NoKey)?;
    let id = app_id(key).ok_or_else(|| SentryError::BadKey(key.chars().take(100).collect()))?;
    let (entry, app) = context.catalog.app(id).ok_or(SentryError::UnknownApp(id))?;
    Ok((app.id, entry.workspace.start_limits(context.now)))
}

/// An app's id without hyphens; with them it is understood as well.
fn app_id(key: &str) -> Option<AppId> {
    let digits: String = key
        .chars()
        .filter(|character| *character != '-')
        .take(33)
        .collect();
    let mut hyphenated = String::with_capacity(36);
    let mut rest = digits.as_str();
    for length in [8, 4, 4, 4, 12] {
        let (part, more) = rest.split_at_checked(length)?;
        if !hyphenated.is_empty() {
            hyphenated.push('-');
        }
        hyphenated.push_str(part);
        rest = more;
    }
    hyphenated.parse().ok().filter(|_| rest.is_empty())
}

/// What both kinds of items say about the app.
#[derive(Default, Deserialize)]
struct Attrs<'a> {
    #[serde(borrow)]
    release: Option<Lenient<'a>>,
    #[serde(borrow)]
    environment: Option<Lenient<'a>>,
}

impl<'a> Attrs<'a> {
    /// Whatever is no object says nothing.
    fn read(value: Option<&'a RawValue>) -> Self {
        let value = value.filter(|value| value.get().starts_with('{'));
        value
            .and_then(|value| serde_json::from_str(value.get()).ok())
            .unwrap_or_default()
    }

    /// What does not fit is left out: a session counts all the same.
    fn properties(&self, aggregated: bool) -> Result<Properties, ItemError> {
        let app_version = match &self.release {
            Some(Lenient(Scalar::Text(release))) => Some(version(release)),
            _ => None,
        };
        let fields = mend::fields(&PropertyFields {
            app_version,
            ..PropertyFields::default()
        });
        let mut attributes = Fitting::default();
        if aggregated {
            attributes.push(Cow::Borrowed("aggregated"), AttributeValue::Bool(true));
        }
        if let Some(Lenient(Scalar::Text(environment))) = &self.environment
            && !environment.is_empty()
        {
            let environment = AttributeValue::Text(Cow::Borrowed(environment.as_ref()));
            attributes.push(Cow::Borrowed("environment"), environment);
        }
        Properties::new(&fields, attributes.0).map_err(|error| ItemError::new(error.to_string()))
    }
}

/// `1.2.3` of `name@1.2.3+build`.
fn version(release: &str) -> &str {
    let version = release.rsplit_once('@').map_or(release, |(_, version)| version);
    version.split_once('+').map_or(version, |(version, _)| version)
}

/// A time as Sentry's SDKs write it: ISO 8601, in UTC where it says nothing else, or Unix seconds.
fn instant(name: &str, value: Option<&Scalar<'_>>) -> Result<Option<Millis>, ItemError> {
    let Some(value) = value.filter(|value| **value != Scalar::Null) else {
        return Ok(None);
    };
    let millis = match value {
        Scalar::Text(text) => match iso8601::read(text) {
            Some(Written::Instant(millis)) => Some(millis),
            Some(Written::Local(seconds)) => seconds.checked_mul(1000),
            _ => None,
        },
        Scalar::Number(number) => number.as_f64().and_then(millis),
        _ => None,
    };
    millis.map(Some).ok_or_else(|| {
        wrong(
            name,
            value,
            "ISO 8601 such as 2018-06-28T23:59:59Z, or Unix seconds",
        )
    })
}

/// Of seconds, where they are in a range that makes sense at all.
fn millis(seconds: f64) -> Option<i64> {
    (seconds.abs() < 1e12).then(|| (seconds * 1000.0).round() as i64)
}

fn payload<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ItemError> {
    serde_json::from_slice(bytes).map_err(|error| ItemError::new(format!("not a session: {}", cut(&error))))
}

fn started(value: Option<&Scalar<'_>>, clock: Clock) -> Result<Millis, ItemError> {
    let started = instant("started", value)?.map(|at| clock.corrected(at));
    started.ok_or_else(|| required("started", "ISO 8601 or Unix seconds"))
}

/// The model speaks of its own fields; here they have other names.
fn refused(error: &crate::model::SessionError) -> ItemError {
    let message = error.to_string();
    ItemError::new(
        message
            .replace("'session_id'", "'sid'")
            .replace("'started_at'", "'started'"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_id_without_hyphens() {
        let id = "00dc3cf6-1763-5d5b-8264-db458aa346c3";
        for key in [id, &id.replace('-', ""), &id.replace('-', "").to_uppercase()] {
            assert_eq!(app_id(key).unwrap().to_string(), id);
        }
        for key in [
            "",
            "1",
            &"0".repeat(31),
            &"0".repeat(33),
            &"g".repeat(32),
            &"é".repeat(16),
        ] {
            assert_eq!(app_id(key), None, "{key}");
        }
    }

    #[test]
    fn the_version_of_a_release() {
        for (release, expected) in [
            ("shop@1.2.3+456", "1.2.3"),
            ("shop@1.2.3", "1.2.3"),
            ("@scope/shop@1.2.3-beta.1", "1.2.3-beta.1"),
            ("1.2.3+4", "1.2.3"),
            ("c0ffee", "c0ffee"),
            ("", ""),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }
}
