//! Whatever storage, locks, beacons and requests do, at whatever moment: the visit counts, once, and the page sees no
//! error.

use serde_json::json;

use super::rooms::Rooms;

const BLOCKED: &str = "
    Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('blocked', 'SecurityError') } });
    navigator.locks.request = () => Promise.reject(new DOMException('blocked', 'SecurityError'));";
const FULL: &str =
    "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') };";

/// Faults from the start, and what they do not change: one session, however often somebody clicks.
const FROM_THE_START: [(&str, &str); 12] = [
    ("blocked", BLOCKED),
    (
        "no storage",
        "Object.defineProperty(window, 'localStorage', { value: null });",
    ),
    ("full", FULL),
    ("written to nowhere", "Storage.prototype.setItem = () => {};"),
    (
        "not readable",
        "Storage.prototype.getItem = () => { throw new Error('no') };",
    ),
    (
        "not removable",
        "Storage.prototype.removeItem = () => { throw new Error('no') };",
    ),
    ("no locks", "delete Navigator.prototype.locks;"),
    (
        "locks throw",
        "navigator.locks.request = () => { throw new Error('no') };",
    ),
    (
        "locks are never granted",
        "navigator.locks.request = () => new Promise(() => {});",
    ),
    (
        "no random numbers",
        "crypto.getRandomValues = () => { throw new Error('no') };",
    ),
    (
        "requests throw",
        "window.fetch = () => { throw new Error('no') };",
    ),
    (
        "beacons throw",
        "navigator.sendBeacon = () => { throw new Error('no') };",
    ),
];

/// What may lie in storage under any of our names.
const DAMAGED: [&str; 12] = [
    "",
    "{",
    "null",
    "5",
    "\"x\"",
    "[]",
    "{}",
    r#"{"session":5,"last":5}"#,
    r#"{"session":null,"tried":[]}"#,
    r#"{"session":{"session_id":{},"started_at":1},"last":1}"#,
    r#"{"session":{"session_id":"s","started_at":"x"},"last":{},"device":{},"user":[],"attributes":"x"}"#,
    r#"{"session":{},"device":5,"user":{},"attributes":[{}]}"#,
];

#[test]
fn no_fault_costs_a_session_or_is_seen_by_the_page() {
    let mut names: Vec<&'static str> = FROM_THE_START.iter().map(|(name, _)| *name).collect();
    names.extend([
        "later",
        "cleared",
        "damaged",
        "odd",
        "frame",
        "clobbered",
        "clock",
    ]);
    let mut rooms = Rooms::start(&names);
    for (name, before) in FROM_THE_START {
        // How often the page asks the server.
        let counting = "window.asked = 0; const ask = window.fetch; window.fetch = (...all) => { asked += 1; return ask(...all) };";
        rooms.open(name, &format!("{counting}{before}"));
        rooms.browser.click(name);
        rooms.browser.pass(5);
        rooms.browser.click(name);
        rooms.browser.pass(5);
        rooms.browser.click(name);
        if name != "requests throw" {
            rooms.eventually(name, 1);
            let asked = rooms.evaluate(name, "asked").as_u64().unwrap();
            assert!(asked <= 2, "{name}: {asked} requests");
        }
        rooms.browser.leave(name);
        rooms.eventually(name, 1);
        rooms.browser.close(name);
    }
    damaged_entries(&mut rooms);
    later(&mut rooms);
    cleared(&mut rooms);
    names_and_frames(&mut rooms);
    a_clock_that_was_ahead(&mut rooms);
    assert_eq!(rooms.errors(), [json!(null); 0]);
}

fn damaged_entries(rooms: &mut Rooms) {
    for (number, shape) in DAMAGED.iter().enumerate() {
        let set = "['now', 'who', 'queue.a', 'queue.', 'x', ''].forEach(name => localStorage.setItem('PREFIX' + name, SHAPE));";
        rooms.open("damaged", &set.replace("SHAPE", &json!(shape).to_string()));
        rooms.evaluate(
            "damaged",
            "sessionmeter.identify('u'); sessionmeter.set({ plan: 'damaged' })",
        );
        rooms.eventually("damaged", number as u64 + 1);
        rooms.browser.close("damaged");
    }
    // A session that is one counts, whatever else it says.
    let odd = "localStorage.setItem('PREFIXqueue.odd', JSON.stringify({ session: {
        session_id: 'odd', started_at: Date.now(), user_id: {}, device_id: 5, platform: [], attributes: { a: {}, b: '\\ud83d' } } }));";
    rooms.open("odd", odd);
    rooms.eventually("odd", 2);
    rooms.browser.close("odd");
}

/// Storage, locks and beacons that break while the page is open.
fn later(rooms: &mut Rooms) {
    rooms.open("later", "");
    rooms.eventually("later", 1);
    for (number, fault) in [
        FULL,
        "for (const name of ['getItem', 'setItem', 'removeItem', 'key']) Storage.prototype[name] = () => { throw new Error('no') };",
        BLOCKED,
        "navigator.sendBeacon = () => { throw new Error('no') };",
    ]
    .into_iter()
    .enumerate()
    {
        rooms.evaluate("later", &format!("(() => {{ {fault} }})()"));
        rooms.browser.pass(3_600);
        rooms.browser.click("later");
        rooms.eventually("later", number as u64 + 2);
        rooms.browser.pass(5);
        rooms.browser.click("later");
    }
    rooms.browser.close("later");
    rooms.eventually("later", 5);
}

/// A page that clears its storage, as many do when somebody signs out, loses no session that waits and begins no other.
fn cleared(rooms: &mut Rooms) {
    rooms.open("cleared", "");
    rooms.eventually("cleared", 1);
    rooms.browser.offline(true);
    rooms.browser.pass(3_600);
    rooms.browser.click("cleared");
    rooms.evaluate("cleared", "localStorage.clear()");
    rooms.browser.pass(5);
    rooms.browser.click("cleared");
    rooms.browser.offline(false);
    rooms.browser.pass(600);
    rooms.eventually("cleared", 2);
    rooms.browser.close("cleared");
}

fn names_and_frames(rooms: &mut Rooms) {
    // An element with an id is a global of that name, one with a name a member of the document.
    let elements =
        r#"<img name="currentScript"><form name="querySelector"></form><p id="crypto"><p id="memory">"#;
    let html = format!(
        r#"{elements}{}<iframe name="sessionmeter"></iframe>"#,
        rooms.script("clobbered", r#"id="sessionmeter""#)
    );
    rooms.browser.open_page("clobbered", &html, "");
    rooms.eventually("clobbered", 1);
    assert_eq!(
        rooms.evaluate("clobbered", "typeof sessionmeter.identify"),
        "function"
    );
    rooms.browser.close("clobbered");
    // A frame without an origin has no storage, and its locks are refused.
    let app = rooms.app("frame").to_owned();
    let html = format!(r#"<iframe sandbox="allow-scripts" src="/?app={app}&amp;count-automated="></iframe>"#);
    rooms.browser.open_page("frame", &html, "");
    rooms.eventually("frame", 1);
    rooms.browser.close("frame");
}

/// A last activity that lies ahead must not keep a session alive until the clock has caught up.
fn a_clock_that_was_ahead(rooms: &mut Rooms) {
    let ahead = "if (!localStorage.getItem('done')) {
        localStorage.setItem('done', 'yes');
        const session = { session_id: 'ahead', started_at: Date.now() };
        localStorage.setItem('PREFIXnow', JSON.stringify({ session, last: Date.now() + 1e10 }));
    }";
    rooms.open("clock", ahead);
    // The one that was ahead is ended, and so is counted as well.
    rooms.eventually("clock", 2);
    rooms.browser.close("clock");
}

#[test]
fn a_delivery_that_fails_keeps_no_other_back() {
    let mut rooms = Rooms::start(&["long", "poison", "silence"]);
    // 91 sessions after a time offline: fewer than 64 Ki characters, and more than 64 KiB.
    let offline = "if (!localStorage.getItem('offline')) {
        localStorage.setItem('offline', 'yes');
        const text = '日本語'.repeat(28);
        for (let number = 0; number < 91; number += 1) {
            const session = { session_id: `long-${number}`, started_at: Date.now() - 1000 * number, platform: 'web',
                attributes: { one: text, two: text, three: text } };
            localStorage.setItem(`PREFIXqueue.${session.session_id}`, JSON.stringify({ session }));
        }
    }";
    rooms.open("long", offline);
    rooms.eventually("long", 92);
    rooms.browser.pass(3_600);
    rooms.browser.click("long");
    rooms.eventually("long", 93);
    let kept = "Object.keys(localStorage).filter(name => name.includes('.queue.')).length";
    crate::support::eventually("the queue is empty", || rooms.evaluate("long", kept) == 0);
    rooms.browser.close("long");
    for (name, answer) in [
        ("poison", "Promise.reject(new TypeError('no'))"),
        ("silence", "new Promise(() => {})"),
    ] {
        let before = format!(
            "const ask = window.fetch;
            window.fetch = (url, request) => request.body.includes('poison') ? {answer} : ask(url, request);
            for (const id of ['a', 'poison', 'b']) {{
                const session = {{ session_id: id, started_at: Date.now() }};
                localStorage.setItem(`PREFIXqueue.${{id}}`, JSON.stringify({{ session }}));
            }}"
        );
        rooms.open(name, &before);
        // By the browser's clock, until its patience and its pauses are over.
        crate::support::eventually("all others are counted", || {
            rooms.browser.pass(60);
            rooms.sessions(name) == 3
        });
        rooms.browser.pass(3_600);
        rooms.browser.click(name);
        crate::support::eventually("and later ones", || {
            rooms.browser.pass(60);
            rooms.sessions(name) == 4
        });
        rooms.browser.close(name);
    }
}
