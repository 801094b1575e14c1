//! The ways in which pages name their app and load the script, and what it says.

use serde_json::json;

use super::rooms::Rooms;

#[test]
fn pages_of_every_kind() {
    let names = [
        "address",
        "module",
        "bare",
        "early",
        "twice",
        "none",
        "switched",
        "automated",
        "emoji",
        "future",
        "old",
    ];
    let mut rooms = Rooms::start(&names);
    named_in_the_address(&mut rooms);
    calls_before_the_script(&mut rooms);
    nothing_kept(&mut rooms);
    automated(&mut rooms);
    half_a_character(&mut rooms);
    assert_eq!(rooms.errors(), [json!(null); 0]);
    what_is_too_old_is_given_up(&mut rooms);
    what_is_final_is_said_once(&mut rooms);
}

fn named_in_the_address(rooms: &mut Rooms) {
    let url = rooms.server.url.clone();
    let address = |rooms: &Rooms, name: &str| {
        format!(
            "{url}/session.js?app={}&amp;version=4.10&amp;count-automated=",
            rooms.app(name)
        )
    };
    let html = format!(r#"<script src="{}"></script>"#, address(rooms, "address"));
    rooms.browser.open_page("address", &html, "");
    rooms.eventually("address", 1);
    assert_eq!(rooms.stored_with(r#""app_version":"4.10""#).len(), 1);
    let html = rooms.script("module", r#"type="module""#);
    rooms.browser.open_page("module", &html, "");
    rooms.eventually("module", 1);
    let html = format!(
        r#"<script type="module" src="{}"></script>"#,
        address(rooms, "bare")
    );
    rooms.browser.open_page("bare", &html, "");
    rooms.eventually("bare", 1);
    // By the page itself and by a tag manager.
    let html = [rooms.script("twice", ""), rooms.script("twice", "async")].concat();
    rooms.browser.open_page("twice", &html, "");
    rooms.eventually("twice", 1);
    for name in ["address", "module", "bare", "twice"] {
        rooms.browser.leave(name);
        rooms.browser.close(name);
        rooms.eventually(name, 1);
    }
}

fn calls_before_the_script(rooms: &mut Rooms) {
    let early = r#"<script>
        (window.sessionmeter ||= []).push(["identify", "early-1"], null, ["set", { plan: "early" }], ["constructor", 5]);
    </script>"#;
    let html = format!("{early}{}", rooms.script("early", "async"));
    rooms.browser.open_page("early", &html, "");
    rooms.eventually("early", 1);
    let found = rooms.stored_with(r#"{"plan":"early"}"#);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].user.as_deref(), Some("early-1"));
    // The same call later.
    rooms.evaluate("early", "sessionmeter.push(['set', { plan: 'late' }])");
    rooms.browser.leave("early");
    rooms.browser.close("early");
}

fn nothing_kept(rooms: &mut Rooms) {
    let html = format!(
        "{}<button>Go on</button>",
        rooms.script("none", r#"data-storage="none" data-version="none""#)
    );
    rooms.browser.open_page("none", &html, "");
    rooms.eventually("none", 1);
    rooms.evaluate(
        "none",
        "sessionmeter.set({ plan: 'none' }); sessionmeter.identify('none-1')",
    );
    let kept = "localStorage.length + sessionStorage.length + document.cookie.length";
    let ours = format!(
        "Object.keys(localStorage).filter(name => name.includes('{}')).length",
        rooms.app("none")
    );
    rooms.browser.reload("none");
    rooms.eventually("none", 2);
    rooms.browser.click("none");
    rooms.browser.offline(true);
    rooms.browser.pass(3_600);
    rooms.browser.click("none");
    rooms.browser.offline(false);
    rooms.browser.pass(600);
    rooms.eventually("none", 3);
    assert_eq!(rooms.evaluate("none", &ours), 0, "{kept}");
    assert_eq!(rooms.evaluate("none", "document.cookie"), "");
    let found = rooms.stored_with(r#""app_version":"none""#);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|session| session.device.is_none()), "{found:?}");
    rooms.browser.close("none");
    // What an earlier version of the page kept goes, and what waits there is counted.
    let html = rooms.script("switched", r#"data-storage="none""#);
    let app = rooms.app("switched").to_owned();
    let before = format!(
        "const prefix = 'sessionmeter.{app}.', session = {{ session_id: 'waits', started_at: Date.now() }};
        localStorage.setItem(prefix + 'who', JSON.stringify({{ device: 'd' }}));
        localStorage.setItem(prefix + 'now', JSON.stringify({{ session, last: Date.now() }}));
        localStorage.setItem(prefix + 'queue.waits', JSON.stringify({{ session }}));"
    );
    rooms.browser.open_page("switched", &html, &before);
    rooms.eventually("switched", 2);
    let ours = format!("Object.keys(localStorage).filter(name => name.includes('{app}')).length");
    assert_eq!(rooms.evaluate("switched", &ours), 0);
    rooms.browser.close("switched");
}

fn automated(rooms: &mut Rooms) {
    let counted = rooms.script("automated", "");
    let html = format!(
        "{}<button>Go on</button>",
        counted.replace("data-count-automated", "")
    );
    rooms.browser.open_page("robot", &html, "");
    rooms.browser.click("robot");
    rooms.evaluate(
        "robot",
        "sessionmeter.identify('u'); sessionmeter.set({ plan: 'pro' }); sessionmeter.push(['identify', 'u'])",
    );
    let ours = format!(
        "Object.keys(localStorage).filter(name => name.includes('{}')).length",
        rooms.app("automated")
    );
    assert_eq!(rooms.evaluate("robot", &ours), 0);
    rooms.browser.leave("robot");
    rooms.browser.close("robot");
    // So the silence above was the switch's.
    rooms.browser.open_page("automated", &counted, "");
    rooms.eventually("automated", 1);
    rooms.browser.close("automated");
}

fn half_a_character(rooms: &mut Rooms) {
    rooms.open("emoji", "");
    rooms.eventually("emoji", 1);
    let cut = "const cut = 'A title that ends in\u{1f600}'.slice(0, 21);";
    rooms.evaluate(
        "emoji",
        &format!("(() => {{ {cut} sessionmeter.set({{ title: cut, [cut]: 1, nan: NaN, big: 5n }}); sessionmeter.identify(cut) }})()"),
    );
    for count in [2, 3] {
        rooms.browser.pass(3_600);
        rooms.browser.click("emoji");
        rooms.eventually("emoji", count);
    }
    let title = "A title that ends in\u{fffd}";
    let found = rooms.stored_with(&format!(r#""title":"{title}""#));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].user.as_deref(), Some(title));
    let said = rooms.browser.said();
    assert!(
        said.contains("sessionmeter: nan is not kept") && said.contains("sessionmeter: big is not kept"),
        "{said}"
    );
    rooms.browser.close("emoji");
}

fn what_is_final_is_said_once(rooms: &mut Rooms) {
    let unknown = "00000000-0000-4000-8000-000000000000";
    let html = format!(
        "{}<button>Go on</button>",
        rooms.script("future", "").replace(rooms.app("future"), unknown)
    );
    rooms.browser.said();
    rooms.browser.open_page("unknown", &html, "");
    let reason = format!("sessionmeter: 'app_id' must be the id of an app, received '{unknown}'");
    let mut said = String::new();
    let mut refused = |rooms: &mut Rooms, times: usize| {
        crate::support::eventually("the refusal", || {
            said.push_str(&rooms.browser.said());
            said.matches("status of 400").count() == times
        });
        said.clone()
    };
    refused(rooms, 1);
    rooms.browser.pass(3_600);
    rooms.browser.click("unknown");
    let said = refused(rooms, 2);
    assert_eq!(said.matches(&reason).count(), 1, "{said}");
    // Nothing of it is tried again.
    let waiting =
        format!("Object.keys(localStorage).filter(name => name.includes('{unknown}.queue')).length");
    crate::support::eventually("nothing waits", || rooms.evaluate("unknown", &waiting) == 0);
    rooms.browser.close("unknown");

    rooms.browser.open_page(
        "nameless",
        &format!(r#"<script src="{}/session.js"></script>"#, rooms.server.url),
        "",
    );
    crate::support::eventually("the missing app is said", || {
        rooms
            .browser
            .said()
            .contains("sessionmeter: the script needs data-app")
    });
    // A clock that is days ahead.
    rooms.browser.pass(200_000);
    rooms.open("future", "");
    crate::support::eventually("the wrong start is said", || {
        rooms
            .browser
            .said()
            .contains("sessionmeter: 'started_at' must not be more than 24 hours in the future")
    });
    assert_eq!(rooms.sessions("future"), 0);
}

fn what_is_too_old_is_given_up(rooms: &mut Rooms) {
    crate::retention::keep_for(&rooms.server, "30");
    // It was kept in a browser that was not opened for a long time.
    let start = jiff::Timestamp::now().as_millisecond() - 40 * 86_400_000;
    let before = format!(
        "localStorage.setItem('PREFIXqueue.late', JSON.stringify({{ session: {{ session_id: 'late', started_at: {start} }} }}));"
    );
    rooms.open("old", &before);
    let mut said = String::new();
    crate::support::eventually("the refusal", || {
        said.push_str(&rooms.browser.said());
        said.contains("since the workspace keeps sessions for 30 days")
    });
    let waiting = "Object.keys(localStorage).filter(name => name.endsWith('.queue.late')).length";
    crate::support::eventually("it no longer waits", || rooms.evaluate("old", waiting) == 0);
    rooms.eventually("old", 1);
    rooms.browser.close("old");
}
