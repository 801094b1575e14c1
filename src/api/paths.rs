//! Paths as routes know them: slashes that stand twice or at the end change nothing.

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// The address with a plain path; `None` where it has one.
pub(super) fn plain(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.contains("//") && (path.len() < 2 || !path.ends_with('/')) {
        return None;
    }
    let mut plain = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        plain.push('/');
        plain.push_str(part);
    }
    if plain.is_empty() {
        plain.push('/');
    }
    if let Some(query) = uri.query() {
        plain.push('?');
        plain.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(plain).ok();
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_that_say_nothing_go() {
        for (uri, expected) in [
            ("/", None),
            ("/a/b", None),
            ("/a/b?c=//d/", None),
            ("*", None),
            ("http://host", None),
            ("/a/", Some("/a")),
            ("//", Some("/")),
            ("/a//b///?c=//d/", Some("/a/b?c=//d/")),
            ("//a", Some("/a")),
            ("/a%2F/", Some("/a%2F")),
            ("http://host//a/?b", Some("http://host/a?b")),
        ] {
            let found = plain(&uri.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{uri}");
        }
    }
}
