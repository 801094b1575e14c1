//! The page of the store: its numbers are those of the metrics and of the API, and imports of other processes are on it.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use super::*;
use crate::support::{eventually, store_arguments};

/// What the page says of something.
fn fact(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("<dt>{name}</dt><dd>"))
        .unwrap_or_else(|| panic!("no '{name}': {page}"));
    rest.split("</dd>").next().unwrap().replace(',', "")
}

#[test]
fn its_numbers_are_those_of_the_metrics_and_of_the_api() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let page = visitor.get("/ui/store").text;
    assert_eq!(fact(&page, "Sessions of this workspace"), "0");
    assert_eq!(fact(&page, "Oldest session"), "none yet");
    assert_eq!(fact(&page, "Last commit"), "none yet");
    let now = jiff::Timestamp::now().as_second();
    let earlier = "2024-02-29T10:20:00Z";
    server.record(&[
        server.session("old", earlier),
        server.session("between", now - 86_400),
        server.session("new", now - 3_600),
    ]);
    let page = visitor.get("/ui/store");
    assert_eq!(page.status, 200);
    let page = page.text;
    assert!(page.contains("The store is ready"), "{page}");
    let counted: u64 = server.counts("length=14&ending_at=2024-03-01").iter().sum();
    assert_eq!(counted, 1);
    assert_eq!(fact(&page, "Sessions of this workspace"), "3");
    assert_eq!(fact(&page, "Oldest session"), "Thu 29 Feb 2024 10:15–10:30");
    assert!(fact(&page, "Last commit").ends_with(" ms"), "{page}");
    for (name, metric) in [
        ("Sessions that wait to be written", "queued_sessions"),
        ("Commits that failed", "commit_failures_total"),
        ("Damages found", "store_findings_total"),
    ] {
        assert_eq!(fact(&page, name), server.metric(metric).to_string(), "{name}");
    }
    assert!(page.contains("sessionmeter backup sessions.sqlite --"), "{page}");
    assert!(page.contains("/metrics"), "{page}");
    let spanish = visitor.get("/ui/store?lang=es").text;
    assert!(spanish.contains("El almacén está listo"), "{spanish}");
    assert_eq!(Visitor::new(&server).get("/ui/store").status, 401);
}

#[test]
fn an_import_of_the_command_line_is_shown_while_it_lasts() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    assert!(
        visitor
            .get("/ui/store")
            .text
            .contains("None into this workspace.")
    );
    let mut import = Command::new(crate::support::binary())
        .args(store_arguments(&server.data))
        .args(["import", "-", "--app", "default"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = import.stdin.take().unwrap();
    let line = json!({"session_id": "one", "started_at": jiff::Timestamp::now().as_second()});
    writeln!(input, "{line}").unwrap();
    eventually("the import is on the page", || {
        visitor.get("/ui/store").text.contains("<bdi>-</bdi>")
    });
    drop(input);
    assert!(import.wait().unwrap().success());
    assert!(
        visitor
            .get("/ui/store")
            .text
            .contains("None into this workspace.")
    );
    // Another process wrote it: it is seen within a second.
    eventually("its session is counted", || {
        fact(&visitor.get("/ui/store").text, "Sessions of this workspace") == "1"
    });
}
