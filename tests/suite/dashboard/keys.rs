//! Keys on the page: shown once, good at once, and void once they are revoked.

use serde_json::json;

use super::*;
use crate::support::eventually;

/// The answer to the form that makes a key, and the key.
pub(super) fn made_key(visitor: &mut Visitor, fields: &[(&str, &str)]) -> (String, String) {
    let made = submit(visitor, "/ui/keys/new", fields);
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(made.header("cache-control"), "no-store");
    let key = codes(&made.text)[0].clone();
    assert!(key.starts_with("smk_") && key.len() == 47, "{key}");
    (made.text, key)
}

pub(super) fn key_id(server: &Server, name: &str) -> String {
    let listed = server.command(&["key", "list"]);
    let mut keys = listed.as_array().unwrap().iter();
    let found = keys.find(|key| key["name"] == name);
    found.unwrap_or_else(|| panic!("no key {name}: {listed}"))["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_key_made_on_the_page_works_at_once_and_is_never_shown_again() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let fields = [
        ("name", "reporting"),
        ("permission", "sessions.data_series"),
        ("permission", "segments.list"),
    ];
    let (page, key) = made_key(&mut visitor, &fields);
    assert_eq!(server.get_as("/sessions/data_series?length=1", &key).status, 200);
    let refused = server.get_as("/kpi/dau/data_series?length=1", &key);
    assert_eq!(refused.status, 403, "{}", refused.text);
    let command = &codes(&page)[1];
    let expected = format!(
        "curl -H \"Authorization: Bearer {key}\" \\\n  '{}/sessions/data_series?length=7'",
        server.url
    );
    assert_eq!(command, &expected);

    // Loading the answer again sends the form again: the name is taken, and no key is shown.
    let again = submit(&mut visitor, "/ui/keys/new", &fields);
    assert_eq!(again.status, 400);
    assert!(
        again.text.contains("there is a key named 'reporting' already"),
        "{}",
        again.text
    );
    for page in [
        again.text,
        visitor.get("/ui/apps").text,
        visitor.get("/ui/keys/new").text,
    ] {
        assert!(!page.contains("smk_"), "{page}");
    }
    let listed = visitor.get("/ui/apps").text;
    assert!(listed.contains("sessions.data_series, segments.list"), "{listed}");

    // What only records is shown with a command that records.
    let (page, key) = made_key(
        &mut visitor,
        &[("name", "collector"), ("permission", "sessions.track")],
    );
    let command = &codes(&page)[1];
    assert!(
        command.contains("/sessions/track") && command.contains(&key),
        "{command}"
    );
    let run = std::process::Command::new("sh")
        .args(["-c", command])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(said.contains("\"sessions_processed\":1"), "{said}: {command}");
    let (page, _) = made_key(&mut visitor, &[("name", "others"), ("permission", "users.track")]);
    assert!(codes(&page)[1].ends_with("/workspace'"), "{page}");
    assert_eq!(server.counts("length=1"), [1]);
}

#[test]
fn a_revoked_key_is_refused() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let (_, key) = made_key(&mut visitor, &[("name", "short-lived"), ("permission", "all")]);
    let path = format!("/ui/keys/revoke?key_id={}", key_id(&server, "short-lived"));
    let asked = visitor.get(&path);
    assert_eq!(asked.status, 200);
    assert_eq!(
        server.get_as("/workspace", &key).status,
        200,
        "a look revokes nothing"
    );
    let revoked = submit(&mut visitor, &path, &[]);
    assert_eq!((revoked.status, revoked.header("location")), (303, "/ui/apps"));
    assert_eq!(server.get_as("/workspace", &key).status, 401);
    let page = visitor.get("/ui/apps").text;
    assert!(
        page.contains("Revoked keys (1)") && !page.contains("Revoke: short-lived"),
        "{page}"
    );
    // Its name is free again.
    made_key(&mut visitor, &[("name", "short-lived"), ("permission", "all")]);
}

#[test]
fn keys_are_used_only_from_where_they_may_be() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let all = ("permission", "all");
    let here = "127.0.0.0/8\r\n 2001:db8::/32, 203.0.113.7";
    let (_, here) = made_key(&mut visitor, &[("name", "here"), all, ("allow", here)]);
    let page = visitor.get("/ui/apps").text;
    assert!(
        page.contains("127.0.0.0/8, 2001:db8::/32, 203.0.113.7/32"),
        "{page}"
    );
    let (_, elsewhere) = made_key(&mut visitor, &[("name", "there"), all, ("allow", "203.0.113.7")]);
    assert_eq!(server.get_as("/workspace", &here).status, 200);
    let refused = server.get_as("/workspace", &elsewhere);
    assert_eq!(refused.status, 403, "{}", refused.text);
    let listed = server.command(&["key", "list"]);
    let there = &listed.as_array().unwrap()[2];
    assert_eq!(there["allow"], json!(["203.0.113.7/32"]));
}

#[test]
fn when_a_key_was_used_is_said() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let (_, key) = made_key(&mut visitor, &[("name", "used"), ("permission", "all")]);
    assert_eq!(visitor.get("/ui/apps").text.matches(">never<").count(), 2);
    assert_eq!(server.get_as("/workspace", &key).status, 200);
    eventually("the use is noted", || {
        visitor.get("/ui/apps").text.matches(">never<").count() == 1
    });
}
