//! Whose request this is: the peer of the connection, or what a trusted proxy says.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

const HEADER: &str = "x-forwarded-for";

/// The other end of the connection, put into each request by the server.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Who sent a request, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// Whoever has this address.
    Address(IpAddr),
    /// Somebody for whom a trusted proxy speaks, but whose address can't be read. Not the proxy: what the proxy may do,
    /// its clients may not.
    Unknown,
}

/// Who sent a request. `X-Forwarded-For` is believed as far as trusted proxies wrote it: read from the right, the first
/// address that is no trusted proxy is the client.
pub fn client(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> Client {
    let mut client = peer.0.ip().to_canonical();
    let values = headers.get_all(HEADER).iter().rev();
    let hops = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops {
        if !is_trusted(client, trusted) {
            break;
        }
        match address(hop) {
            Some(address) => client = address,
            None => return Client::Unknown,
        }
    }
    Client::Address(client)
}

/// The peer, if it says for whom it speaks and nobody trusts it.
pub fn ignored(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = peer.0.ip().to_canonical();
    (headers.contains_key(HEADER) && !is_trusted(peer, trusted)).then_some(peer)
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// The address of one hop, in any form that proxies write: with a port, an IPv6 address in brackets, in quotes, or as
/// an element of `Forwarded`.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let text = if text.contains('=') {
        text.split(';').find_map(forwarded_for)?
    } else {
        text
    };
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let text = quoted.unwrap_or(text).trim();
    let host = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            match rest.strip_prefix(':') {
                Some(port) => with_port(host, port)?,
                None => Some(host).filter(|_| rest.is_empty())?,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => with_port(host, port)?,
            _ => text,
        },
    };
    // An IPv6 address may name the interface that it is reached by.
    let host = host.split_once('%').map_or(host, |(host, _)| host);
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn with_port<'a>(host: &'a str, port: &str) -> Option<&'a str> {
    port.parse::<u16>().ok().map(|_| host)
}

fn forwarded_for(pair: &str) -> Option<&str> {
    let (name, value) = pair.split_once('=')?;
    name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXIES: &[&str] = &["10.0.0.0/8"];

    fn seen(peer: &str, forwarded: &[&[u8]], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let peer = Peer(SocketAddr::new(peer.parse().unwrap(), 1));
        match client(peer, &headers, &trusted) {
            Client::Address(address) => address.to_string(),
            Client::Unknown => "unknown".into(),
        }
    }

    #[test]
    fn a_forwarded_address_is_believed_only_from_a_trusted_proxy() {
        assert_eq!(seen("192.0.2.1", &[b"203.0.113.9"], &[]), "192.0.2.1");
        assert_eq!(seen("192.0.2.1", &[b"nonsense"], PROXIES), "192.0.2.1");
        assert_eq!(seen("10.0.0.1", &[], PROXIES), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[b"203.0.113.9"], PROXIES), "203.0.113.9");
        assert_eq!(seen("::ffff:10.0.0.1", &[b"203.0.113.9"], PROXIES), "203.0.113.9");
        let chains: [&[&[u8]]; 4] = [
            &[b"1.1.1.1, 203.0.113.9, 10.0.0.2"],
            &[b"1.1.1.1", b"203.0.113.9"],
            &[b"nonsense, 203.0.113.9:50123,10.0.0.2:1"],
            &[b"nonsense", b"203.0.113.9"],
        ];
        for chain in chains {
            assert_eq!(seen("10.0.0.1", chain, PROXIES), "203.0.113.9", "{chain:?}");
        }
    }

    #[test]
    fn every_form_in_which_proxies_write_an_address_is_read() {
        for (hop, address) in [
            ("203.0.113.9", "203.0.113.9"),
            (" 203.0.113.9\t", "203.0.113.9"),
            ("203.0.113.9:50123", "203.0.113.9"),
            ("\"203.0.113.9:50123\"", "203.0.113.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8::0001", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
            ("for=203.0.113.9", "203.0.113.9"),
            ("For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            (
                "proto=https; for=\"203.0.113.9:50123\";by=10.0.0.3",
                "203.0.113.9",
            ),
        ] {
            assert_eq!(seen("10.0.0.1", &[hop.as_bytes()], PROXIES), address, "{hop}");
        }
    }

    #[test]
    fn a_hop_that_cannot_be_read_is_nobody_and_not_the_proxy() {
        for hop in [
            "",
            " ",
            "unknown",
            "_hidden",
            "nonsense",
            "example.com",
            "203.0.113.9:",
            "203.0.113.9:65536",
            "203.0.113.9:http",
            "203.0.113",
            "203.0.113.09",
            "[2001:db8::1",
            "[2001:db8::1]443",
            "[]",
            "2001:db8::1]:443",
            "\"203.0.113.9",
            "for=unknown",
            "proto=https",
            "unix:",
            "10.1.2.3 203.0.113.9",
            "203.0.113.9, ",
        ] {
            assert_eq!(seen("10.0.0.1", &[hop.as_bytes()], PROXIES), "unknown", "{hop}");
        }
        assert_eq!(seen("10.0.0.1", &[b"203.0.113.9\xff"], PROXIES), "unknown");
        assert_eq!(seen("10.0.0.1", &[b"1.1.1.1", b"nonsense"], PROXIES), "unknown");
    }
}
