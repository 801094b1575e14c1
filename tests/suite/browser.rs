//! `session.js` in a real browser: headless Chromium, driven by Playwright, which the test installs for itself. The
//! browser's clock is moved by the test; nothing is waited for but conditions.

mod driver;
mod faults;
mod pages;
mod rooms;

use std::collections::HashSet;

use crate::support::stored::{Stored, stored};
use crate::support::{Server, eventually};
use driver::Browser;
use serde_json::{Value, json};

const DAYS: &str = "length=3";

/// Yesterday, today and tomorrow: the browser's clock may go over midnight.
fn sessions(server: &Server) -> u64 {
    let tomorrow = jiff::Timestamp::now().as_second() + 86_400;
    server
        .counts(&format!("{DAYS}&ending_at={tomorrow}"))
        .iter()
        .sum()
}

fn eventually_sessions(server: &Server, count: u64) {
    eventually(&format!("session number {count}"), || sessions(server) == count);
}

/// What was recorded, oldest first: milliseconds of the start, seconds, user, properties.
fn recorded(server: &Server) -> Vec<(i64, Option<f64>, Option<String>, Value)> {
    let sessions = stored(&server.data).into_iter();
    let read = |session: Stored| {
        let duration = session.duration.map(|millis| millis as f64 / 1_000.0);
        let properties = serde_json::from_str(&session.properties).unwrap();
        (session.start, duration, session.user, properties)
    };
    sessions.map(read).collect()
}

fn duration(server: &Server, index: usize) -> f64 {
    recorded(server)[index].1.unwrap_or(-1.0)
}

#[test]
fn the_script_is_small_and_can_be_cached() {
    let server = Server::start();
    let answer = crate::support::send(server.client().get(format!("{}/session.js", server.url)));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
    assert!(answer.header("cache-control").contains("max-age"), "{answer:?}");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, answer.text.as_bytes()).unwrap();
    let size = encoder.finish().unwrap().len();
    assert!(size < 4_000, "{size} bytes");
    let tag = answer.header("etag").to_owned();
    let again = server.client().get(format!("{}/session.js", server.url));
    let again = crate::support::send(again.header("if-none-match", tag));
    assert_eq!((again.status, again.text.as_str()), (304, ""));
}

#[test]
fn one_session_survives_reloads_and_is_shared_by_tabs() {
    let server = Server::start();
    let mut browser = Browser::start(&server.url);
    browser.open("one", json!({ "app": server.app, "version": "4.10" }));
    eventually_sessions(&server, 1);
    browser.reload("one");
    browser.open("two", json!({ "app": server.app }));
    browser.pass(300);
    browser.click("two");
    browser.pass(1_500);
    browser.click("one");
    browser.leave("two");
    browser.leave("one");
    // What leaving reports is the session's end, not another session.
    eventually("the end", || duration(&server, 0) >= 1_800.0);
    assert!(duration(&server, 0) < 1_900.0, "{:?}", recorded(&server));
    assert_eq!(sessions(&server), 1);
    let (.., properties) = recorded(&server).remove(0);
    assert_eq!(properties["platform"], "web");
    assert_eq!(properties["language"], "pt-BR");
    assert_eq!(properties["app_version"], "4.10");
    assert_eq!(browser.errors(), json!([]));
}

#[test]
fn a_session_ends_after_half_an_hour_without_activity() {
    let server = Server::start();
    let mut browser = Browser::start(&server.url);
    browser.open("one", json!({ "app": server.app }));
    eventually_sessions(&server, 1);
    browser.pass(60);
    browser.click("one");
    browser.pass(1_790);
    browser.click("one");
    browser.pass(1_810);
    browser.click("one");
    eventually_sessions(&server, 2);
    // The first one lasted until its last activity.
    eventually("the end", || duration(&server, 0) >= 1_850.0);
    assert!(duration(&server, 0) < 1_900.0, "{:?}", recorded(&server));
    let starts: Vec<i64> = recorded(&server).iter().map(|session| session.0).collect();
    assert!(starts[1] - starts[0] >= 3_660_000, "{starts:?}");

    browser.open("short", json!({ "app": server.app, "timeout": "60" }));
    browser.pass(70);
    browser.click("short");
    eventually_sessions(&server, 3);
    assert_eq!(browser.errors(), json!([]));
}

#[test]
fn a_session_that_starts_offline_is_counted_later_at_its_time() {
    let server = Server::start();
    let mut browser = Browser::start(&server.url);
    browser.open("one", json!({ "app": server.app }));
    eventually_sessions(&server, 1);
    browser.offline(true);
    browser.pass(3_600);
    browser.click("one");
    // The end of the first session, and the second.
    let waiting = "Object.keys(localStorage).filter(name => name.includes('.queue.')).length";
    eventually("the second session", || browser.evaluate("one", waiting) == 2);
    browser.pass(3_600);
    browser.click("one");
    browser.offline(false);
    // An attempt that still fails now is made again after a pause, by the browser's clock.
    eventually("session number 3", || {
        browser.pass(60);
        sessions(&server) == 3
    });
    let starts: Vec<i64> = recorded(&server).iter().map(|session| session.0).collect();
    assert!(
        starts[1] - starts[0] >= 3_600_000 && starts[1] - starts[0] < 3_700_000,
        "{starts:?}"
    );
    assert!(
        starts[2] - starts[1] >= 3_600_000 && starts[2] - starts[1] < 3_700_000,
        "{starts:?}"
    );
}

#[test]
fn what_a_server_that_was_down_missed_is_sent_once_when_it_is_back() {
    let server = Server::start();
    let mut browser = Browser::start(&server.url);
    browser.open("one", json!({ "app": server.app }));
    eventually_sessions(&server, 1);
    let address = server.address().to_owned();
    let (app, key) = (server.app.clone(), server.key.clone());
    let directory = server.kill_and_keep_directory();
    browser.pass(3_600);
    browser.click("one");
    // Tried, and tried again.
    browser.pass(60);
    browser.pass(600);
    let mut server = Server::start_at(&address, &directory.path().join("store"));
    (server.app, server.key) = (app, key);
    browser.pass(600);
    eventually_sessions(&server, 2);
    browser.leave("one");
    eventually("the end", || duration(&server, 1) >= 0.0);
    assert_eq!(sessions(&server), 2);
}

#[test]
fn where_there_are_no_beacons_leaving_is_reported_all_the_same() {
    let server = Server::start();
    let mut browser = Browser::start(&server.url);
    browser.open("one", json!({ "app": server.app }));
    eventually_sessions(&server, 1);
    browser.evaluate("one", "delete Navigator.prototype.sendBeacon");
    browser.pass(90);
    browser.click("one");
    browser.leave("one");
    eventually("the end", || duration(&server, 0) >= 90.0);
    assert_eq!(sessions(&server), 1);
    assert_eq!(browser.errors(), json!([]));
}

#[test]
fn what_the_page_knows_about_a_person_is_reported() {
    let server = Server::start();
    let mut browser = Browser::start(&server.url);
    browser.open("one", json!({ "app": server.app }));
    eventually_sessions(&server, 1);
    browser.evaluate(
        "one",
        "sessionmeter.identify('user-1'); sessionmeter.set({ plan: 'pro', seats: 5, trial: false, tags: ['x'], gone: 1 }); \
         sessionmeter.set({ gone: null, ['n'.repeat(65)]: 1, long: 'é'.repeat(129) })",
    );
    browser.pass(3_600);
    browser.click("one");
    eventually_sessions(&server, 2);
    let sessions = recorded(&server);
    assert_eq!((&sessions[0].2, sessions[0].3.get("attributes")), (&None, None));
    assert_eq!(sessions[1].2.as_deref(), Some("user-1"));
    assert_eq!(
        sessions[1].3["attributes"],
        json!({ "plan": "pro", "seats": 5, "trial": false })
    );

    browser.evaluate("one", "sessionmeter.identify(null)");
    browser.pass(3_600);
    browser.click("one");
    eventually_sessions(&server, 3);
    assert_eq!(recorded(&server)[2].2, None);
    let devices: HashSet<_> = stored(&server.data).into_iter().map(|one| one.device).collect();
    assert!(devices.len() == 1 && !devices.contains(&None), "{devices:?}");
}

#[test]
fn who_asks_not_to_be_tracked_is_not() {
    let server = Server::start();
    let mut browser = Browser::start(&server.url);
    browser.do_not_track();
    browser.open("one", json!({ "app": server.app, "respect-dnt": "" }));
    browser.click("one");
    browser.evaluate(
        "one",
        "sessionmeter.identify('user-1'); sessionmeter.set({ plan: 'pro' })",
    );
    assert_eq!(browser.evaluate("one", "localStorage.length"), 0);
    assert_eq!(browser.evaluate("one", "document.cookie"), "");
    browser.leave("one");
    // Where the page does not respect it, the same person is counted: so the silence above was the switch's.
    browser.open("two", json!({ "app": server.app }));
    eventually_sessions(&server, 1);
    assert_eq!(browser.evaluate("two", "document.cookie"), "");
}

#[test]
fn sentry_s_sdk_reports_the_sessions_of_a_page() {
    let server = Server::start();
    let mut browser = Browser::start(&server.url);
    let dsn = format!("http://{}@{}/1", server.app.replace('-', ""), server.address());
    browser.open_sentry("one", &dsn);
    eventually_sessions(&server, 1);
    browser.reload("one");
    eventually_sessions(&server, 2);
    browser.leave("one");
    browser.open_sentry("two", &dsn);
    eventually_sessions(&server, 3);
    for (.., properties) in recorded(&server) {
        assert_eq!(properties["app_version"], "1.2.3");
        assert_eq!(properties["attributes"], json!({ "environment": "test" }));
    }
    assert_eq!(browser.errors(), json!([]));
}
