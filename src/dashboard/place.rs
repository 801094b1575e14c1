//! Under which address a page was asked for.

use std::fmt;
use std::str::FromStr;

use axum::http::request::Parts;
use ipnet::IpNet;

use crate::api::{Peer, address_of};

/// The address under which people reach the dashboard: `https://sessions.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// The text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no address such as https://sessions.example.com: a scheme, a name, perhaps a port, and no path"
)]
pub struct PublicUrlError(String);

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let trimmed = text.trim_end_matches('/');
        let rest = trimmed
            .strip_prefix("https://")
            .or_else(|| trimmed.strip_prefix("http://"));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let fits =
            rest.is_some_and(|rest| !rest.is_empty() && rest.len() < 256 && rest.chars().all(is_plain));
        if fits {
            Ok(Self(trimmed.to_ascii_lowercase()))
        } else {
            Err(PublicUrlError(text.to_owned()))
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a browser is, as far as it can be told.
#[derive(Debug, Clone)]
pub(super) struct Place {
    address: String,
    is_https: bool,
}

impl Place {
    /// Of a request. `None` where it was sent to another name than the one that people are told to use.
    pub(super) fn of(request: &Parts, trusted: &[IpNet], public: Option<&PublicUrl>) -> Option<Self> {
        let asked = address_of(request, trusted);
        let Some(public) = public else {
            return Some(Self {
                is_https: asked.starts_with("https://"),
                address: asked,
            });
        };
        let host = |address: &str| {
            address
                .split_once("://")
                .map(|(_, host)| host.to_ascii_lowercase())
        };
        let here = Self {
            address: public.to_string(),
            is_https: public.0.starts_with("https://"),
        };
        // A trusted proxy may ask under a name of its own; what it lets through is its business.
        let peer = request
            .extensions
            .get::<Peer>()
            .map(|peer| peer.0.ip().to_canonical());
        let by_proxy = peer.is_some_and(|peer| trusted.iter().any(|network| network.contains(&peer)));
        (by_proxy || host(&asked) == host(&here.address)).then_some(here)
    }

    /// Without a slash at its end.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// What people call it: a name, and a port if it needs one.
    pub(super) fn host(&self) -> &str {
        self.address
            .split_once("://")
            .map_or(self.address.as_str(), |(_, host)| host)
    }

    /// Whether cookies travel over https alone.
    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }

    /// As digits.
    pub(super) fn port(&self) -> &str {
        let port = self.host().rsplit_once(':').map(|(_, port)| port);
        port.filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
            .unwrap_or("80")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_has_a_name_and_no_path() {
        for (text, expected) in [
            ("https://sessions.example.com", "https://sessions.example.com"),
            ("https://Sessions.Example.com/", "https://sessions.example.com"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().to_string(), expected);
        }
        for text in [
            "",
            "sessions.example.com",
            "https://",
            "https://a/b",
            "ftp://a",
            "https://a b",
            "https://a\"b",
        ] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
    }
}
