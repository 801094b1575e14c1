//! Envelopes: a line of JSON, then items, each a line of JSON and a payload.

use std::borrow::Cow;

use serde::Deserialize;

use super::Clock;
use crate::collect::json::cut;
use crate::collect::scalar::{Lenient, Scalar};
use crate::model::StartLimits;

/// Why an envelope can't be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// The first line is no JSON object.
    #[error("its header must be a JSON object on the first line: {0}")]
    Header(String),
    /// The first line of an item is no JSON object.
    #[error("the header of item {index} must be a JSON object on one line: {reason}")]
    ItemHeader {
        /// From 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// `length` is more than there is, or something else than a line's end follows.
    #[error("the payload of item {0} does not have the length that its header says")]
    Length(usize),
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Header<'a> {
    #[serde(borrow)]
    dsn: Option<Lenient<'a>>,
    #[serde(borrow)]
    event_id: Option<Lenient<'a>>,
    #[serde(borrow)]
    sent_at: Option<Lenient<'a>>,
}

/// An envelope whose first line was read.
pub(super) struct Envelope<'a> {
    header: Header<'a>,
    rest: &'a [u8],
}

/// A part of an envelope.
pub(super) struct Item<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) payload: &'a [u8],
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct ItemHeader<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Scalar<'a>>,
    length: Option<u64>,
}

impl<'a> Envelope<'a> {
    pub(super) fn open(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        if body.trim_ascii().is_empty() {
            return Err(EnvelopeError::Empty);
        }
        let (line, rest) = line(body);
        let header = serde_json::from_slice(line).map_err(|error| EnvelopeError::Header(cut(&error)))?;
        Ok(Self { header, rest })
    }

    /// Its `event_id`, if that is one.
    pub(super) fn id(&self) -> Option<String> {
        match &self.header.event_id {
            Some(Lenient(Scalar::Text(id))) => Some(uuid::Uuid::try_parse(id).ok()?.simple().to_string()),
            _ => None,
        }
    }

    /// The public key of its DSN: `KEY` of `https://KEY:SECRET@HOST/1`.
    pub(super) fn dsn_key(&self) -> Option<String> {
        let Some(Lenient(Scalar::Text(dsn))) = &self.header.dsn else {
            return None;
        };
        let (_, rest) = dsn.split_once("://")?;
        let (user, _) = rest.split_once('@')?;
        user.split(':').next().map(str::to_owned)
    }

    /// The clock of the device that sent it.
    pub(super) fn clock(&self, limits: StartLimits) -> Clock {
        let sent_at = self.header.sent_at.as_ref();
        Clock::of(sent_at.map(|Lenient(sent_at)| sent_at), limits)
    }

    /// Its items, up to the first that can't be read.
    pub(super) fn items(&self) -> Items<'a> {
        Items {
            rest: self.rest,
            index: 0,
        }
    }
}

/// See [`Envelope::items`].
pub(super) struct Items<'a> {
    rest: &'a [u8],
    index: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, EnvelopeError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Blank lines between items and at the end are passed over.
        self.rest = self.rest.trim_ascii_start();
        if self.rest.is_empty() {
            return None;
        }
        let item = self.item();
        self.index += 1;
        if item.is_err() {
            self.rest = &[];
        }
        Some(item)
    }
}

impl<'a> Items<'a> {
    fn item(&mut self) -> Result<Item<'a>, EnvelopeError> {
        let index = self.index;
        let (head, rest) = line(self.rest);
        let header: ItemHeader<'a> =
            serde_json::from_slice(head).map_err(|error| EnvelopeError::ItemHeader {
                index,
                reason: cut(&error),
            })?;
        let Some(Scalar::Text(kind)) = header.kind else {
            let reason = "its 'type' is missing".to_owned();
            return Err(EnvelopeError::ItemHeader { index, reason });
        };
        let (payload, rest) = match header.length {
            None => line(rest),
            Some(length) => {
                let (payload, rest) = usize::try_from(length)
                    .ok()
                    .and_then(|length| rest.split_at_checked(length))
                    .ok_or(EnvelopeError::Length(index))?;
                let rest = match rest {
                    [] => rest,
                    [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => rest,
                    _ => return Err(EnvelopeError::Length(index)),
                };
                (payload, rest)
            }
        };
        self.rest = rest;
        Ok(Item { kind, payload })
    }
}

/// Up to the line's end, and what follows it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', bytes);
    let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    (line, rest.get(1..).unwrap_or_default())
}
