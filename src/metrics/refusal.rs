//! Why requests are refused, in a word each: what a label of metrics may say.

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// A reason. What has none of its own is told by its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A parameter or the body is missing or wrong.
    BadRequest,
    /// There is no key.
    KeyMissing,
    /// What was given is no key.
    KeyMalformed,
    /// The key is unknown or was revoked.
    KeyUnknown,
    /// Any other 401.
    Unauthorized,
    /// The key lacks the permission.
    Permission,
    /// The address is outside of the key's allow-list.
    Address,
    /// Any other 403.
    Forbidden,
    /// Nothing is at this path.
    NotFound,
    /// The path doesn't take this method.
    Method,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body is too large.
    TooLarge,
    /// The URL or the headers are too large.
    HeadTooLarge,
    /// The type or the encoding of the body is not understood.
    ContentType,
    /// The workspace's requests of this hour are used up.
    HourLimit,
    /// Too many failed authentications from one address.
    FailuresLimit,
    /// Too many requests without a key from one address.
    AddressLimit,
    /// Any other 429.
    OtherLimit,
    /// A defect of the server.
    Internal,
    /// The store is damaged or was replaced.
    StoreDamaged,
    /// The store can't do it now.
    Store,
    /// Too many sessions wait for the store.
    QueueFull,
    /// The request took too long.
    RequestTimeout,
    /// The server is stopping.
    Stopping,
    /// Any other 503.
    Unavailable,
    /// Any other status.
    Other,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 26] = [
        Self::BadRequest,
        Self::KeyMissing,
        Self::KeyMalformed,
        Self::KeyUnknown,
        Self::Unauthorized,
        Self::Permission,
        Self::Address,
        Self::Forbidden,
        Self::NotFound,
        Self::Method,
        Self::BodyTimeout,
        Self::TooLarge,
        Self::HeadTooLarge,
        Self::ContentType,
        Self::HourLimit,
        Self::FailuresLimit,
        Self::AddressLimit,
        Self::OtherLimit,
        Self::Internal,
        Self::StoreDamaged,
        Self::Store,
        Self::QueueFull,
        Self::RequestTimeout,
        Self::Stopping,
        Self::Unavailable,
        Self::Other,
    ];

    /// What is known where only the status is.
    pub fn of_status(status: u16) -> Self {
        match status {
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::Method,
            408 => Self::BodyTimeout,
            413 => Self::TooLarge,
            414 | 431 => Self::HeadTooLarge,
            415 => Self::ContentType,
            429 => Self::OtherLimit,
            500 => Self::Internal,
            503 => Self::Unavailable,
            _ => Self::Other,
        }
    }

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::KeyMissing => "key_missing",
            Self::KeyMalformed => "key_malformed",
            Self::KeyUnknown => "key_unknown",
            Self::Unauthorized => "unauthorized",
            Self::Permission => "permission",
            Self::Address => "address",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::BodyTimeout => "body_timeout",
            Self::TooLarge => "too_large",
            Self::HeadTooLarge => "head_too_large",
            Self::ContentType => "content_type",
            Self::HourLimit => "hour_limit",
            Self::FailuresLimit => "failures_limit",
            Self::AddressLimit => "address_limit",
            Self::OtherLimit => "other_limit",
            Self::Internal => "internal",
            Self::StoreDamaged => "store_damaged",
            Self::Store => "store",
            Self::QueueFull => "queue_full",
            Self::RequestTimeout => "request_timeout",
            Self::Stopping => "stopping",
            Self::Unavailable => "unavailable",
            Self::Other => "other",
        }
    }
}

impl EncodeLabelValue for Reason {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.label().encode(encoder)
    }
}
