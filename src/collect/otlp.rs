//! OpenTelemetry's logs (OTLP), protocol buffers and JSON: the events `session.start` and `session.end`.
//!
//! `protobuf` and `json` walk the two encodings and hand on one record at a time; `naming` tells which are about
//! sessions, and `event` makes sessions and ends of those. All other log records are passed over.

mod event;
mod json;
mod naming;
mod protobuf;

use self::event::Gatherer;
use super::ItemError;
use super::json::MAX_SESSIONS;
use super::protobuf::Malformed;
use crate::catalog::Catalog;
use crate::model::{AppId, Millis, Session, SessionEnd};

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Protocol buffers.
    Protobuf,
    /// JSON, as the protocol maps it, and as it is written all the same: numbers as numbers, names with underscores.
    Json,
}

/// What a reader needs to know besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Whose apps may be named.
    pub catalog: &'a Catalog,
    /// The app of resources that name none.
    pub app: Option<AppId>,
    /// Unix milliseconds.
    pub now: Millis,
}

/// The end of a session that is not in the same record as its start.
#[derive(Debug)]
pub struct Ending {
    /// Which and when.
    pub end: SessionEnd,
    /// The index of the log record that is about this end only. None where it is the `session.previous_id` of a start.
    pub record: Option<usize>,
}

/// What a body says about sessions.
#[derive(Debug, Default)]
pub struct Delivery {
    /// In the order of the body.
    pub sessions: Vec<Session>,
    /// In the order of the body; for sessions of this body as well.
    pub ends: Vec<Ending>,
    /// Indexes of log records in the body, from 0, and reasons.
    pub refused: Vec<(usize, ItemError)>,
    /// How many of those were refused since no app that exists was named.
    pub without_app: usize,
}

/// Why a whole body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// Not an `ExportLogsServiceRequest`.
    #[error("the body must be an ExportLogsServiceRequest as protocol buffers: {0}")]
    Protobuf(#[from] Malformed),
    /// Not JSON, or of another shape.
    #[error("the body must be an ExportLogsServiceRequest as JSON: {0}")]
    Json(String),
    /// Too many events.
    #[error("the body has more than {MAX_SESSIONS} session events; send them in several requests")]
    TooMany,
}

/// Reads an `ExportLogsServiceRequest`.
///
/// # Errors
/// When the body as a whole can't be read. Events that are refused one by one are in the delivery.
pub fn read(body: &[u8], encoding: Encoding, context: &Context<'_>) -> Result<Delivery, OtlpError> {
    let mut gatherer = Gatherer::new(context);
    match encoding {
        Encoding::Protobuf => protobuf::read(body, &mut gatherer)?,
        Encoding::Json => json::read(body, &mut gatherer)?,
    }
    gatherer.finish()
}
