//! What SDKs that exist already rely on: OpenTelemetry's logs and Sentry's envelopes, without a key.

mod envelopes;
mod logs;
mod pages;
mod rooms;
mod sdks;

use std::path::Path;

use crate::support::{Answer, Server, send};

const DAY: &str = "length=1&ending_at=2024-01-01";
/// 2024-01-01T12:00:00Z
const NOON: u64 = 1_704_110_400;

fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let request = server
        .client()
        .post(format!("{}{path}", server.url))
        .body(body.into());
    let with = |request: reqwest::blocking::RequestBuilder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    send(headers.iter().fold(request, with))
}

/// The server's app, as Sentry's DSNs have it.
fn public_key(server: &Server) -> String {
    server.app.replace('-', "")
}

/// Stored sessions in the order of their starts: start (Unix milliseconds), duration, user, device and properties.
type Stored = (i64, Option<i64>, Option<String>, Option<String>, String);

fn stored(data: &Path) -> Vec<Stored> {
    let all = crate::support::stored::stored(data).into_iter();
    let mut stored: Vec<Stored> = all
        .map(|session| {
            // The store's own remark.
            let properties = session.properties.replacen(r#","first_session":true"#, "", 1);
            (
                session.start,
                session.duration,
                session.user,
                session.device,
                properties,
            )
        })
        .collect();
    stored.sort_by_key(|session| (session.0, session.1));
    stored
}
