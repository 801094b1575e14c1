//! What a browser sees: headless Chromium, in two themes, two languages and three widths, with axe-core looking too.

use serde_json::{Value, json};

use super::*;
use crate::support::random::Random;

/// Bytes of a whole page with all that it loads.
const MAX_WEIGHT: u64 = 150_000;

/// Two months of sessions of two apps, and a segment.
pub(super) fn filled() -> Server {
    let server = Server::start();
    let apps = two_apps_and_a_segment(&server);
    let now = jiff::Timestamp::now().as_second();
    let mut random = Random::new(7);
    let sessions: Vec<Value> = (0..6_000)
        .map(|nth| {
            json!({
                "app_id": random.pick(&apps), "session_id": format!("s{nth}"),
                "started_at": now - random.range(0, 60 * 86_400), "user_id": format!("u{}", random.below(500)),
                "platform": *random.pick(&["ios", "android", "web"]), "country": *random.pick(&["BR", "MX", "US", "DE"]),
                "app_version": *random.pick(&["4.9", "4.10"]), "language": *random.pick(&["pt-BR", "es-MX", "en"]),
            })
        })
        .collect();
    server.record(&sessions);
    server
}

/// What is seen in a browser. The variable `SCREENSHOTS` names a folder for pictures of it.
fn look(server: &Server, paths: &[&str]) -> Value {
    let screenshots = std::env::var("SCREENSHOTS").unwrap_or_default();
    seen_by("page.mjs", server, &[&[screenshots.as_str()], paths].concat())
}

/// The place of a page in the list of those that are looked at.
fn nth_of(name: &str) -> usize {
    name.split('-').next().unwrap().parse().unwrap()
}

#[test]
fn every_page_is_light_asks_nobody_else_and_can_be_read_by_everybody() {
    let server = filled();
    let empty = "/?ending_at=2019-01-01&length=7";
    let seen = look(
        &server,
        &[
            "/",
            "/?unit=hour&group_by=country&split=1&metric=sessions",
            empty,
            "/?length=0",
            "/ui/shares",
            "/ui/apps",
            "/ui/keys/new",
            "/ui/start",
            &format!("/ui/apps/delete?app_id={}", server.app),
            "/ui/segments",
            "/ui/account",
            "/ui/segments/new?filter=%7B%22any%22%3A%5B%7B%22field%22%3A%22country%22%2C%22op%22%3A%22in%22%2C%22value%22%3A%5B%22BR%22%5D%7D%2C%7B%22not%22%3A%7B%22field%22%3A%22app_version%22%2C%22op%22%3A%22lt%22%2C%22value%22%3A%224.10%22%7D%7D%5D%7D",
            "/ui/store",
        ],
    );
    assert_eq!(seen["entered"], "/");
    for page in seen["looks"].as_array().unwrap() {
        let name = page["name"].as_str().unwrap();
        // A refusal is a page with a status, which a browser notes.
        let refused = nth_of(name) == 3;
        let errors = page["errors"].as_array().unwrap();
        assert!(
            errors.is_empty() || refused && errors.len() == 1,
            "{name}: {errors:?}"
        );
        assert_eq!(page["violations"], json!([]), "{name}");
        assert_eq!(page["scrolls"], false, "{name}");
        let drawings = u64::from(!refused && nth_of(name) < 4);
        assert_eq!(page["drawings"], drawings, "{name}");
        let weight = page["weight"].as_u64().unwrap();
        assert!(weight > 10_000 && weight < MAX_WEIGHT, "{name}: {weight} bytes");
        for asked in page["asked"].as_array().unwrap() {
            assert!(
                asked.as_str().unwrap().starts_with(&server.url),
                "{name}: {asked}"
            );
        }
    }
    let plain = &seen["plain"];
    assert!(plain["drawn"].as_u64().unwrap() >= 3, "{plain}");
    assert_eq!((&plain["rows"], &plain["hidden"]), (&json!(28), &json!(0)));
    assert_eq!((&plain["row"], &plain["unit"]), (&json!(true), &json!("hour")));
    let keyboard = &seen["keyboard"];
    assert_eq!(keyboard["errors"], json!([]));
    let text = |value: &Value| value.as_str().unwrap().trim().to_owned();
    let starts = |spoken: &Value, row: &Value| {
        let (spoken, row) = (text(spoken), text(row));
        assert!(
            spoken.starts_with(&row) && spoken.contains("Sessions "),
            "{spoken}: {row}"
        );
    };
    starts(&keyboard["newest"], &keyboard["rows"][0]);
    starts(&keyboard["before"], &keyboard["rows"][1]);
    starts(&keyboard["oldest"], &keyboard["rows"][2]);
    assert_eq!(
        (&keyboard["tip"], &keyboard["gone"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(keyboard["png"], json!(["PNG", 2_224, true]));
    let copied = text(&keyboard["copied"]);
    assert!(
        copied.starts_with("curl -H \"Authorization: Bearer $KEY\""),
        "{copied}"
    );
    assert_eq!(keyboard["address"], format!("{}/?length=7", server.url));
    assert_eq!(keyboard["out"], "sessionmeter dashboard link");
}
