//! API keys: a secret that is shown once, its hash, and what it may do.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{KeyId, Name};

const PREFIX: &str = "smk_";
const RANDOM_BYTES: usize = 32;
const ENCODED_LEN: usize = 43;

/// The secret of an API key: `smk_` and 43 URL-safe characters (256 random bits).
///
/// Exists only between its making and its being shown, or while a request is authenticated.
pub struct KeySecret(String);

impl KeySecret {
    /// A new secret from the operating system's random source.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Reads a secret that has the right form; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        let well_formed = encoded.len() == ENCODED_LEN
            && encoded
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        well_formed.then(|| Self(text.to_owned()))
    }

    /// What is stored in the secret's place.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The secret itself, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(smk_…)")
    }
}

/// SHA-256 of a secret. Equality takes the same time wherever two hashes differ.
#[derive(Clone, Copy, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// From the 32 stored bytes; `None` for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Of any secret.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// From its hexadecimal digits; `None` for any other text.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        Self::from_bytes(&bytes?)
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The 32 bytes to store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for KeyHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// The text names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission '{0}'; the permissions are {list}, or 'all' for all of them", list = Permission::list())]
pub struct PermissionError(pub String);

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// `GET /sessions/data_series`
    SessionsDataSeries,
    /// `POST /sessions/track`
    SessionsTrack,
    /// `GET /segments/list`
    SegmentsList,
    /// `GET /segments/details`
    SegmentsDetails,
    /// Creating, changing and deleting segments
    SegmentsWrite,
    /// `POST /users/track`
    UsersTrack,
    /// `POST /users/delete`
    UsersDelete,
    /// `GET /kpi/dau/data_series`
    KpiDau,
    /// `GET /kpi/mau/data_series`
    KpiMau,
    /// `GET /kpi/new_users/data_series`
    KpiNewUsers,
    /// `GET /kpi/uninstalls/data_series`
    KpiUninstalls,
    /// `GET /segments/data_series`
    SegmentsDataSeries,
}

impl Permission {
    /// Every permission there is.
    pub const ALL: [Self; 12] = [
        Self::SessionsDataSeries,
        Self::SessionsTrack,
        Self::SegmentsList,
        Self::SegmentsDetails,
        Self::SegmentsWrite,
        Self::UsersTrack,
        Self::UsersDelete,
        Self::KpiDau,
        Self::KpiMau,
        Self::KpiNewUsers,
        Self::KpiUninstalls,
        Self::SegmentsDataSeries,
    ];

    /// As it is written on the command line and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionsDataSeries => "sessions.data_series",
            Self::SessionsTrack => "sessions.track",
            Self::SegmentsList => "segments.list",
            Self::SegmentsDetails => "segments.details",
            Self::SegmentsWrite => "segments.write",
            Self::UsersTrack => "users.track",
            Self::UsersDelete => "users.delete",
            Self::KpiDau => "kpi.dau.data_series",
            Self::KpiMau => "kpi.mau.data_series",
            Self::KpiNewUsers => "kpi.new_users.data_series",
            Self::KpiUninstalls => "kpi.uninstalls.data_series",
            Self::SegmentsDataSeries => "segments.data_series",
        }
    }

    fn list() -> String {
        Self::ALL
            .map(|permission| format!("'{}'", permission.as_str()))
            .join(", ")
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        Self::ALL
            .into_iter()
            .find(|permission| permission.as_str() == text)
            .ok_or_else(|| PermissionError(text.to_owned()))
    }
}

/// All permissions, also those that later versions add, or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permissions {
    /// Written `all`.
    All,
    /// Sorted, without repetition.
    Only(Vec<Permission>),
}

impl Permissions {
    /// From what was typed: `all`, or names of permissions.
    ///
    /// # Errors
    /// Names the first text that is no permission.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, PermissionError> {
        let mut all = false;
        let mut only = Vec::new();
        for text in texts {
            if text == "all" {
                all = true;
            } else {
                only.push(text.parse()?);
            }
        }
        only.sort_unstable();
        only.dedup();
        Ok(if all { Self::All } else { Self::Only(only) })
    }

    /// Whether a request that needs `permission` may be made.
    pub fn allow(&self, permission: Permission) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.contains(&permission),
        }
    }

    /// As [`Permissions::parse`] reads it.
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec!["all"],
            Self::Only(list) => list.iter().map(|permission| permission.as_str()).collect(),
        }
    }
}

/// A key as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Unique on the server; not secret.
    pub id: KeyId,
    /// Unique among its workspace's keys that are not revoked.
    pub name: Name,
    /// What it may do.
    pub permissions: Permissions,
    /// Networks it may be used from; empty means any.
    pub allow: Vec<IpNet>,
    /// Revoked keys stay listed and never authenticate.
    pub revoked: bool,
    /// Unix milliseconds, up to some seconds behind.
    pub last_used_at: Option<i64>,
}

impl ApiKey {
    /// Whether the allow-list lets this address in. An IPv4 address that arrives over an IPv6 socket
    /// is compared as IPv4.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(&address))
    }
}

/// What is needed to create a key.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Random, or chosen by the caller.
    pub id: KeyId,
    /// Must not be taken by a live key of the workspace.
    pub name: Name,
    /// Of the secret.
    pub hash: KeyHash,
    /// What it may do.
    pub permissions: Permissions,
    /// Networks it may be used from; empty means any.
    pub allow: Vec<IpNet>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_documented_form_and_is_its_own_only_twin() {
        let (one, two) = (KeySecret::generate().unwrap(), KeySecret::generate().unwrap());
        assert_eq!(one.reveal().len(), 47);
        assert_eq!(KeySecret::parse(one.reveal()).unwrap().hash(), one.hash());
        assert_ne!(one.hash(), two.hash());
        assert!(!format!("{one:?}{:?}", one.hash()).contains(&one.reveal()[4..12]));
    }

    #[test]
    fn texts_of_another_form_are_no_secret() {
        let good = KeySecret::generate().unwrap();
        for text in [
            "",
            "smk_",
            &good.reveal()[..46],
            &format!("{}x", good.reveal()),
            &good.reveal().replace("smk_", "smx_"),
            "smk_äääääääääääääääääääääa",
        ] {
            assert!(KeySecret::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_allow_list_holds_for_mapped_addresses() {
        let mut key = ApiKey {
            id: KeyId::random(),
            name: "k".parse().unwrap(),
            permissions: Permissions::All,
            allow: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            revoked: false,
            last_used_at: None,
        };
        assert!(key.allows_address("10.1.2.3".parse().unwrap()));
        assert!(key.allows_address("::ffff:10.1.2.3".parse().unwrap()));
        assert!(key.allows_address("2001:db8::1".parse().unwrap()));
        assert!(!key.allows_address("11.1.2.3".parse().unwrap()));
        key.allow.clear();
        assert!(key.allows_address("11.1.2.3".parse().unwrap()));
    }
}
