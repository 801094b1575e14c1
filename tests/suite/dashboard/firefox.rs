//! What Firefox sees and does: the other engine that people use, and another reading of the same policy and style.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::browser::filled;
use super::*;

#[test]
fn firefox_shows_every_page_in_its_theme_and_language_and_needs_no_mouse() {
    let server = filled();
    let screenshots = std::env::var("SCREENSHOTS").unwrap_or_default();
    let paths = [
        "/",
        "/?unit=hour&group_by=country&split=1",
        "/ui/keys/new",
        "/ui/segments",
        "/ui/store",
    ];
    let firefox = packages::program(&["firefox-esr", "firefox"], "firefox-esr");
    let links = [link(&server), link(&server)];
    let arguments = [&[links[0].as_str(), &links[1], &screenshots], &paths[..]].concat();
    let seen = run_in(&firefox, "firefox.mjs", &server, &arguments);

    assert_eq!(seen["errors"], json!([]));
    assert_eq!(seen["elsewhere"], json!([]));
    let looks = seen["looks"].as_array().unwrap();
    assert_eq!(looks.len(), paths.len() * 4);
    let mut papers = BTreeSet::new();
    for page in looks {
        let name = page["name"].as_str().unwrap();
        assert_eq!(page["violations"], json!([]), "{name}");
        assert_eq!(page["scrolls"], false, "{name}");
        let drawings = u64::from(name.starts_with("0-") || name.starts_with("1-"));
        assert_eq!(page["drawings"], drawings, "{name}");
        let language = page["language"].as_str().unwrap();
        assert!(name.contains(&format!("-{language}-")), "{name}: {language}");
        papers.insert((name.contains("-dark-"), page["paper"].as_str().unwrap()));
    }
    assert_eq!(papers.len(), 2, "a paper for each theme: {papers:?}");

    let text = |value: &Value| value.as_str().unwrap().trim().to_owned();
    for (spoken, row) in [("newest", 0), ("oldest", 1)] {
        let (spoken, row) = (text(&seen[spoken]), text(&seen["rows"][row]));
        assert!(
            spoken.starts_with(&row) && spoken.contains("Sessions "),
            "{spoken}: {row}"
        );
    }
    assert!(seen["png"].as_u64().unwrap() > 10_000, "{seen}");
    let copied = text(&seen["copied"]);
    assert!(
        copied.starts_with("curl -H \"Authorization: Bearer $KEY\""),
        "{copied}"
    );
    assert!(text(&seen["counted"]).contains("sessions"), "{seen}");
    assert_eq!(seen["saved"], format!("{}/ui/segments", server.url));
    assert_eq!(seen["out"], "sessionmeter dashboard link");
}
