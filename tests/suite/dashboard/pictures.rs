//! How pages look, compared with kept pictures of them. `PICTURES=update` keeps what is seen now; look at them afterwards.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::support::random::Random;

/// The share of a picture's points that may be different: versions of browsers draw edges in other ways.
const TOLERANCE: f64 = 0.015;

/// Sessions of three months that are always the same, and a segment.
fn filled() -> Server {
    let server = Server::start();
    let apps = two_apps_and_a_segment(&server);
    let mut random = Random::new(11);
    let begin = 1_704_067_200;
    let sessions: Vec<Value> = (0..6_000)
        .map(|nth| {
            // More as time goes on, and fewer at night.
            let day = random.range(0, 91).max(random.range(0, 91));
            let hour = random.range(0, 12) + random.range(0, 13);
            json!({
                "app_id": apps[usize::from(nth % 3 == 0)], "session_id": format!("s{nth}"),
                "started_at": begin + day * 86_400 + hour * 3_600, "user_id": format!("u{}", random.below(500)),
                "platform": *random.pick(&["ios", "ios", "android", "web"]), "country": *random.pick(&["BR", "BR", "BR", "MX", "MX", "US"]),
            })
        })
        .collect();
    server.record(&sessions);
    server
}

#[test]
fn pages_look_as_they_were_kept() {
    let server = filled();
    let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/suite/dashboard/pictures");
    let update = std::env::var("PICTURES").unwrap_or_default();
    let pages = [
        ("overview", "/?ending_at=2024-03-31&length=28"),
        (
            "hours",
            "/?ending_at=2024-03-31&length=48&unit=hour&group_by=country&split=1&metric=sessions",
        ),
        ("empty", "/?ending_at=2019-01-01&length=7"),
        (
            "builder",
            "/ui/segments/new?filter=%7B%22field%22%3A%22country%22%2C%22op%22%3A%22eq%22%2C%22value%22%3A%22BR%22%7D",
        ),
    ];
    let pages = pages.map(|(name, path)| [name, path]).concat();
    let kept = kept.to_str().unwrap();
    let found = seen_by(
        "pictures.mjs",
        &server,
        &[&[kept, update.as_str()], &pages[..]].concat(),
    );
    let seen = found["seen"].as_object().unwrap();
    assert_eq!(seen.len(), 4 * 2 * 2 * 2);
    let other: Vec<_> = seen
        .iter()
        .filter(|(_, difference)| difference.as_f64().unwrap() > TOLERANCE)
        .collect();
    assert!(other.is_empty(), "share of points that are different: {other:?}");
    // The comparison tells apart what must be.
    for (what, least) in found["least"].as_object().unwrap() {
        assert!(least.as_f64().unwrap() > TOLERANCE, "{what}: {found}");
    }
}
