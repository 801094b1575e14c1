//! Under which address the server was asked: for the commands of the page and the description.

use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::api::client_address::Peer;

/// Stands for the address in what is made once and told under any address. A private character, which no text of ours has.
pub(super) const ADDRESS: &str = "\u{e000}";
/// Where the address is not known, a shell's variable that the reader sets.
const UNKNOWN: &str = "$HOST";
/// Relative to the document itself, as OpenAPI reads addresses that name no host.
const BESIDE_THE_DOCUMENT: &str = ".";
const MAX_HOST: usize = 255;

const FORWARDED: [HeaderName; 5] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("via"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];
const PROTOCOL: &str = "x-forwarded-proto";
const PREFIX: &str = "x-forwarded-prefix";

/// The address for people: without a slash at its end, of characters that neither a shell nor HTML takes for something
/// else. Where a proxy stands between, it is as good as what trusted proxies say; the page's script knows better.
pub fn for_people(request: &Parts, trusted: &[IpNet]) -> String {
    let Some(host) = host(request) else {
        return UNKNOWN.into();
    };
    let peer = request.extensions.get::<Peer>();
    let is_trusted = peer.is_some_and(|peer| {
        let address = peer.0.ip().to_canonical();
        trusted.iter().any(|network| network.contains(&address))
    });
    let said = |name: &str| text(&request.headers, name).filter(|_| is_trusted);
    let protocol = match said(PROTOCOL) {
        Some("https") => "https",
        _ => "http",
    };
    let prefix = said(PREFIX).filter(|prefix| prefix.starts_with('/') && prefix.chars().all(is_plain));
    let prefix = prefix.unwrap_or_default().trim_end_matches('/');
    format!("{protocol}://{host}{prefix}")
}

/// The address for programs: absolute where nothing stands between them and this server, else relative to the document,
/// which is right whatever proxies have made of names, protocols and paths.
pub(super) fn for_programs(request: &Parts) -> String {
    let is_forwarded = FORWARDED.iter().any(|name| request.headers.contains_key(name))
        || request.headers.contains_key(PREFIX);
    match host(request).filter(|_| !is_forwarded) {
        Some(host) => format!("http://{host}"),
        None => BESIDE_THE_DOCUMENT.into(),
    }
}

/// Name and port, if they look like such.
fn host(request: &Parts) -> Option<&str> {
    let host = match request.uri.authority() {
        Some(authority) => authority.as_str(),
        None => text(&request.headers, HOST.as_str())?,
    };
    let is_host = (1..=MAX_HOST).contains(&host.len()) && host.chars().all(|c| is_plain(c) && c != '/');
    is_host.then_some(host)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:[]/".contains(c)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn addresses(peer: &str, headers: &[(&str, &str)]) -> (String, String) {
        let mut request = Request::builder().uri("/reference");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts
            .extensions
            .insert(Peer((peer.parse::<std::net::IpAddr>().unwrap(), 1).into()));
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        (for_people(&parts, &trusted), for_programs(&parts))
    }

    #[test]
    fn it_is_the_host_that_was_asked() {
        let plain = addresses("192.0.2.1", &[("host", "sessions.example.com:8080")]);
        let address = "http://sessions.example.com:8080";
        assert_eq!(plain, (address.into(), address.into()));
        let six = addresses("192.0.2.1", &[("host", "[::1]:8080")]);
        assert_eq!(six.0, "http://[::1]:8080");
    }

    #[test]
    fn a_host_that_is_none_is_nobody_s_command() {
        for host in [
            "",
            "a\"b",
            "a$(b)",
            "<script>",
            "a b",
            "a'b",
            "a/b",
            "a`b`",
            "a\\b",
            &"a".repeat(256),
        ] {
            let found = addresses("192.0.2.1", &[("host", host)]);
            assert_eq!(found, ("$HOST".into(), ".".into()), "{host}");
        }
        assert_eq!(addresses("192.0.2.1", &[]).0, "$HOST");
    }

    #[test]
    fn what_proxies_say_is_believed_if_they_are_trusted() {
        let headers = [
            ("host", "example.com"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/meter/"),
        ];
        let relative = String::from(".");
        let trusted = addresses("10.0.0.1", &headers);
        assert_eq!(trusted, ("https://example.com/meter".into(), relative.clone()));
        let stranger = addresses("192.0.2.1", &headers);
        assert_eq!(stranger, ("http://example.com".into(), relative));
        let bad = addresses("10.0.0.1", &[("host", "a.b"), ("x-forwarded-prefix", "/$(b)")]);
        assert_eq!(bad.0, "http://a.b");
    }
}
