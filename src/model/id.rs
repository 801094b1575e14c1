//! Ids: lower-case hyphenated UUIDs, one type a noun so that they can't be mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a hyphenated UUID such as 00dc3cf6-1763-5d5b-8264-db458aa346c3")]
pub struct IdError;

/// Reads the hyphenated form in either case (Apple's SDKs write capitals); braces, URNs and
/// the form without hyphens are refused, so that an id has one spelling in logs and exports.
fn parse_hyphenated(text: &str) -> Result<Uuid, IdError> {
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return Err(IdError);
    }
    Uuid::try_parse(text).map_err(|_| IdError)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random (version 4) id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// From the 16 bytes of [`Self::as_bytes`].
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The id's 16 bytes, in the order in which they are written.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hyphenated(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

id! {
    /// Names a workspace on this server.
    WorkspaceId
}
id! {
    /// Names an app on this server. Public: clients carry it.
    AppId
}
id! {
    /// Names an API key (not its secret) on this server.
    KeyId
}
id! {
    /// Names a segment on this server.
    SegmentId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_lower_case_and_hyphenated() {
        let id: AppId = "00DC3CF6-1763-5D5B-8264-DB458AA346C3".parse().unwrap();
        assert_eq!(id.to_string(), "00dc3cf6-1763-5d5b-8264-db458aa346c3");
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "00dc3cf617635d5b8264db458aa346c3",
            "{00dc3cf6-1763-5d5b-8264-db458aa346c3}",
            "urn:uuid:00dc3cf6-1763-5d5b-8264-db458aa346c3",
            "00dc3cf6-1763-5d5b-8264-db458aa346cg",
            "00dc3cf61-763-5d5b-8264-db458aa346c3",
        ] {
            assert_eq!(text.parse::<AppId>(), Err(IdError), "{text}");
        }
    }
}
