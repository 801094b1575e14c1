//! Where to listen, in the ways in which people write it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::net::TcpListener;

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `:8080` or `8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    Name(String),
    /// All addresses of the machine.
    Any,
}

/// The text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; write 127.0.0.1:8080, [::1]:8080, localhost:8080, :8080 for all addresses of the machine, or 8080 for 127.0.0.1:8080"
)]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = |problem: &str| AddressError(format!("'{text}' {problem}"));
        let port = |port: &str| {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|_| is_number);
            port.ok_or_else(|| refused("has no port from 0 to 65535 at its end"))
        };
        if text.contains('/') {
            return Err(refused("is more than a host and a port"));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let host = Host::Ip(Ipv4Addr::LOCALHOST.into());
            return port(text).map(|port| Self { host, port });
        }
        let without_port = || refused("has no port");
        if text.ends_with(']') {
            return Err(without_port());
        }
        let (host, port_text) = text.rsplit_once(':').ok_or_else(without_port)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(six) => {
                let six: Result<Ipv6Addr, _> = six.parse();
                Host::Ip(
                    six.map_err(|_| refused("has no IPv6 address in its brackets"))?
                        .into(),
                )
            }
            None if host.is_empty() => Host::Any,
            None if host.contains(':') => return Err(refused("needs brackets around its IPv6 address")),
            None => match host.parse() {
                Ok(address) => Host::Ip(address),
                Err(_) if is_name(host) => Host::Name(host.to_owned()),
                Err(_) => return Err(refused("names no host")),
            },
        };
        port(port_text).map(|port| Self { host, port })
    }
}

/// A name that is asked for elsewhere; what looks like an IPv4 address was one, or is a slip.
fn is_name(host: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    host.bytes().all(is_allowed) && host.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Ip(address) => SocketAddr::new(*address, port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{port}"),
            Host::Any => write!(f, ":{port}"),
        }
    }
}

impl Address {
    /// Takes the address.
    ///
    /// # Errors
    /// When it is taken, is not the machine's, or the name is not known.
    pub async fn bind(&self) -> io::Result<TcpListener> {
        let candidates = self.candidates().await?;
        TcpListener::bind(candidates.as_slice()).await
    }

    async fn candidates(&self) -> io::Result<Vec<SocketAddr>> {
        let port = self.port;
        let found = match &self.host {
            Host::Ip(address) => vec![SocketAddr::new(*address, port)],
            // Over IPv6 both are reached; not every machine has it.
            Host::Any => vec![
                SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port),
                SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
            ],
            Host::Name(name) => {
                let mut found: Vec<_> = tokio::net::lookup_host((name.as_str(), port)).await?.collect();
                // `localhost` is both; more clients try this one.
                found.sort_by_key(SocketAddr::is_ipv6);
                found
            }
        };
        Ok(found)
    }
}

/// An address that a client on this machine can use: one that means "all of them" is none.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, same) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("[::1]:8080", "[::1]:8080"),
            ("[::]:65535", "[::]:65535"),
            ("localhost:8080", "localhost:8080"),
            ("sessions.example.com:80", "sessions.example.com:80"),
            (":8080", ":8080"),
            ("8080", "127.0.0.1:8080"),
            ("0", "127.0.0.1:0"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), same, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_said_with_what_would_be() {
        for (text, problem) in [
            ("", "'' has no port;"),
            ("localhost", "'localhost' has no port;"),
            ("127.0.0.1", "'127.0.0.1' has no port;"),
            ("localhost:", "has no port from 0 to 65535"),
            ("localhost:http", "has no port from 0 to 65535"),
            ("localhost:+80", "has no port from 0 to 65535"),
            ("65536", "has no port from 0 to 65535"),
            ("::1:8080", "needs brackets"),
            ("[::1]", "'[::1]' has no port;"),
            ("[::x]:8080", "has no IPv6 address in its brackets"),
            ("[localhost]:8080", "has no IPv6 address in its brackets"),
            ("http://localhost:8080", "is more than a host and a port"),
            ("127.0.0.1:8080/x", "is more than a host and a port"),
            ("127.0.0.256:8080", "names no host"),
            ("local host:8080", "names no host"),
        ] {
            let message = text.parse::<Address>().unwrap_err().to_string();
            assert!(message.contains(problem), "{text}: {message}");
            assert!(message.ends_with("or 8080 for 127.0.0.1:8080"), "{message}");
        }
    }

    #[tokio::test]
    async fn every_form_can_be_bound() {
        for (text, ip) in [
            ("127.0.0.1:0", Some("127.0.0.1")),
            ("localhost:0", Some("127.0.0.1")),
            ("0", Some("127.0.0.1")),
            (":0", None),
        ] {
            let listener = text.parse::<Address>().unwrap().bind().await.unwrap();
            let bound = listener.local_addr().unwrap();
            match ip {
                Some(ip) => assert_eq!(bound.ip().to_string(), ip, "{text}"),
                None => assert!(bound.ip().is_unspecified(), "{text}"),
            }
        }
    }

    #[test]
    fn a_link_leads_somewhere() {
        for (address, link) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(reachable(address.parse().unwrap()).to_string(), link);
        }
    }
}
