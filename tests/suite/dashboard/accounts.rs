//! Accounts: who signs in with a name and a password, what each role may do, and what ends a session.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::json;

use super::*;
use crate::support::{binary, eventually, run, store_arguments};

const PASSWORD: &str = "correct horse battery";
const SIGN_IN: &str = "/ui/sign-in";

/// Runs a command with a password on standard input.
fn with_password(server: &Server, arguments: &[&str], password: &str) -> Output {
    let mut child = Command::new(binary())
        .args(store_arguments(&server.data))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses first reads nothing.
    let _ = child.stdin.take().unwrap().write_all(password.as_bytes());
    child.wait_with_output().unwrap()
}

pub fn add(server: &Server, arguments: &[&str]) -> Value {
    let output = with_password(
        server,
        &[&["--json", "account", "add"], arguments].concat(),
        &format!("{PASSWORD}\n"),
    );
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sign_in(visitor: &mut Visitor, name: &str, password: &str) -> Answer {
    submit(visitor, SIGN_IN, &[("name", name), ("password", password)])
}

fn signed_in_as(server: &Server, name: &str) -> Visitor {
    let mut visitor = Visitor::new(server);
    let entered = sign_in(&mut visitor, name, PASSWORD);
    assert_eq!(
        (entered.status, entered.header("location")),
        (303, "/"),
        "{}",
        entered.text
    );
    visitor
}

/// A server with an admin and a reader of the first of two workspaces.
fn with_accounts() -> Server {
    let server = Server::start();
    server.command(&["workspace", "create", "hidden"]);
    add(&server, &["Ana", "--role", "admin"]);
    add(&server, &["board", "--role", "reader", "--workspace", "default"]);
    server
}

#[test]
fn accounts_are_made_listed_and_removed_by_commands() {
    let server = Server::start();
    let made = add(&server, &["Ana", "--role", "admin"]);
    assert_eq!(made, json!({"name": "Ana", "role": "admin", "workspaces": null}));
    let made = add(&server, &["board", "--role", "reader", "--workspace", "default"]);
    assert_eq!(
        made,
        json!({"name": "board", "role": "reader", "workspaces": ["default"]})
    );
    let listed = server.command(&["account", "list"]);
    let names: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, [&json!("Ana"), &json!("board")]);

    let admin = |name: &'static str| ["account", "add", name, "--role", "admin"];
    for (arguments, password, code, words) in [
        (
            &admin("aNA")[..],
            PASSWORD,
            1,
            "there is an account 'Ana' already",
        ),
        (
            &admin("bo"),
            "seven77\n",
            1,
            "at least 8 characters, this one has 7",
        ),
        (
            &admin("bo"),
            &"x".repeat(257),
            1,
            "at most 256 bytes, this one has 257",
        ),
        (&admin("bo"), "", 1, "no password came on standard input"),
        (&admin("b\u{202E}o"), PASSWORD, 2, "invisible U+202E"),
        (
            &["account", "add", "bo", "--role", "reader"],
            PASSWORD,
            2,
            "--workspace",
        ),
        (&["account", "add", "bo", "--role", "owner"], PASSWORD, 2, "owner"),
        (
            &["account", "add", "bo", "--role", "reader", "-w", "none"],
            PASSWORD,
            1,
            "'none'",
        ),
        (
            &["account", "add", "bo", "--role", "admin", "-w", "default"],
            PASSWORD,
            2,
            "an admin sees every workspace",
        ),
        (
            &["account", "set-password", "bo"],
            PASSWORD,
            1,
            "there is no account 'bo'",
        ),
        (&["account", "remove", "bo"], "", 1, "there is no account 'bo'"),
    ] {
        let refused = with_password(&server, arguments, password);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
    assert!(run(&server.data, &["account", "remove", "ANA"]).status.success());
    assert_eq!(server.command(&["account", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn what_is_wrong_about_a_sign_in_is_not_said() {
    let server = with_accounts();
    let page = Visitor::new(&server).get(SIGN_IN);
    assert_eq!(page.status, 200);
    assert!(!page.text.contains(env!("CARGO_PKG_VERSION")), "{}", page.text);
    let mut visitor = Visitor::new(&server);
    let refused: Vec<Answer> = [("ana", "wrong horse"), ("nobody", PASSWORD), ("", "")]
        .iter()
        .chain(&[("bob", "x".repeat(300).as_str())])
        .map(|(name, password)| sign_in(&mut visitor, name, password))
        .collect();
    let said = |answer: &Answer| answer.text.replace(&form_token(&answer.text), "");
    for answer in &refused {
        assert_eq!(answer.status, 401);
        assert_eq!(said(answer), said(&refused[0]));
        assert!(answer.text.contains("The name or the password is wrong."));
    }
    assert_eq!(visitor.get("/").status, 401);
    // Whoever guesses waits, whether there is such a name or not, and a link opens all the while.
    for name in ["ANA", "nobody"] {
        let mut last = sign_in(&mut visitor, name, "wrong again");
        // The first second may be over by now; the waits get longer.
        for _ in 0..6 {
            if last.status == 429 {
                break;
            }
            last = sign_in(&mut visitor, name, "wrong again");
        }
        assert_eq!(last.status, 429, "{name}");
        let wait: u64 = last.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
    }
    assert_eq!(visitor.follow(&link(&server)).status, 303);
}

#[test]
fn a_sign_in_needs_a_form_of_ours_and_fits_into_4_kilobytes() {
    let server = with_accounts();
    let fields = |form: &str| encoded(&[("form", form), ("name", "ana"), ("password", PASSWORD)]);
    let mut visitor = Visitor::new(&server);
    let form = form_token(&visitor.get(SIGN_IN).text);
    let others = form_token(&Visitor::new(&server).get(SIGN_IN).text);
    for form in ["", "x", &others] {
        assert_eq!(visitor.post(SIGN_IN, &fields(form)).status, 403, "{form}");
    }
    let elsewhere = [("sec-fetch-site", "cross-site")];
    assert_eq!(visitor.post_with(SIGN_IN, &fields(&form), &elsewhere).status, 403);
    let large = format!("{}&more={}", fields(&form), "x".repeat(4_096));
    assert_eq!(visitor.post(SIGN_IN, &large).status, 413);
    // A form in another tab is good as well.
    let second = form_token(&visitor.get(SIGN_IN).text);
    assert_eq!(visitor.post(SIGN_IN, &fields(&form)).status, 303);
    let cookie = visitor.cookie();
    let asked_again = visitor.post(SIGN_IN, &fields(&second));
    assert_eq!(asked_again.status, 403, "its token was taken away");
    let mut other = signed_in_as(&server, "aNa");
    assert_ne!(other.cookie(), cookie, "each sign-in has a token of its own");
    assert!(other.get("/").text.contains("<bdi>Ana</bdi>"));
}

#[test]
fn a_reader_whose_workspaces_are_gone_is_told_so_and_can_leave() {
    let server = Server::start();
    server.command(&["workspace", "create", "short lived"]);
    add(
        &server,
        &["board", "--role", "reader", "--workspace", "short lived"],
    );
    let mut reader = signed_in_as(&server, "board");
    server.command(&["workspace", "delete", "short lived", "--yes"]);
    eventually("nothing is left", || reader.get("/").status == 404);
    for path in ["/", "/ui/account", "/?workspace=default"] {
        let page = reader.get(path);
        assert_eq!(page.status, 404, "{path}");
        assert!(
            page.text.contains("There is no workspace that you may see."),
            "{}",
            page.text
        );
    }
    let form = form_token(&reader.get("/").text);
    assert_eq!(reader.post("/ui/sign-out", &format!("form={form}")).status, 200);
    assert_eq!(reader.get("/").status, 401);
}

#[test]
fn a_reader_sees_its_workspaces_and_changes_nothing() {
    let server = with_accounts();
    let mut admin = signed_in_as(&server, "ana");
    let mut reader = signed_in_as(&server, "board");
    let mut by_link = Visitor::signed_in(&server);
    let routes = routes();
    assert!(routes.len() > 20, "{routes:?}");
    let looked_at = [
        "/",
        "/ui/chart.svg",
        "/ui/series.csv",
        "/ui/live",
        "/ui/shares",
        "/ui/apps",
        "/ui/segments",
        "/ui/start",
        "/ui/start/live",
        "/ui/account",
        "/ui/sign-in",
        "/ui",
    ];
    let own = [
        "/ui/account",
        "/ui/account/sessions",
        "/ui/sign-out",
        "/ui/sign-in",
        "/ui/enter",
    ];
    let before = server.command(&["app", "list"]);
    for route in &routes {
        // Without what a form needs it is refused by its handler, to admins too: what is said tells why.
        let refused = |answer: &Answer| answer.text.contains("Your account may look");
        let path = route.as_str();
        let seen = reader.get(path);
        let is_open = looked_at.contains(&path) || path == "/ui/enter" || seen.status == 405;
        assert_eq!(refused(&seen), !is_open, "GET {path}: {}", seen.text);
        if looked_at.contains(&path) && path != "/ui" {
            assert_eq!(seen.status, 200, "GET {path}");
            for form in [
                "action=\"/ui/shares",
                "action=\"/ui/segments",
                "action=\"/ui/start",
                "/ui/apps/new",
            ] {
                assert!(!seen.text.contains(form), "{path} shows {form}");
            }
        }
        let sent = reader.post(path, "");
        let is_none = sent.status == 405;
        assert!(
            own.contains(&path) || is_none || sent.status == 403 && refused(&sent),
            "POST {path}: {}",
            sent.status
        );
        for visitor in [&mut admin, &mut by_link] {
            assert!(
                !refused(&visitor.get(path)) && !refused(&visitor.post(path, "")),
                "{path}"
            );
        }
    }
    assert_eq!(server.command(&["app", "list"]), before);
    // A workspace that is not its own is as one that does not exist.
    for path in [
        "/",
        "/ui/apps",
        "/ui/live",
        "/ui/segments",
        "/ui/account",
        "/ui/shares",
    ] {
        let hidden = reader.get(&format!("{path}?workspace=hidden"));
        let nothing = reader.get(&format!("{path}?workspace=nothing"));
        assert_eq!((hidden.status, &hidden.text), (404, &nothing.text), "{path}");
        assert_eq!(
            admin.get(&format!("{path}?workspace=hidden")).status,
            200,
            "{path}"
        );
    }
    let page = reader.get("/ui/account").text;
    assert!(!page.contains("hidden<") && !page.contains("Ana"), "{page}");
    let page = admin.get("/ui/account").text;
    assert!(
        page.contains("<bdi>hidden</bdi>") && page.contains(">board<"),
        "{page}"
    );
}

/// Every path that the dashboard's source names as a route's, without those that have parameters.
fn routes() -> Vec<String> {
    fn files(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut sources = Vec::new();
    files(&packages::source("src/dashboard"), &mut sources);
    let mut routes: Vec<String> = sources
        .iter()
        .flat_map(|source| source.split('"').skip(1).step_by(2))
        .filter(|text| text.starts_with("/ui") || *text == "/")
        .map(str::to_owned)
        .filter(|text| {
            text.bytes()
                .all(|byte| byte.is_ascii_lowercase() || b"/-.".contains(&byte))
        })
        .filter(|text| !text.ends_with('/') || text == "/")
        .collect();
    routes.sort();
    routes.dedup();
    routes
}

#[test]
fn a_session_ends_with_its_password_or_its_account() {
    let server = with_accounts();
    let mut first = signed_in_as(&server, "ana");
    let mut reader = signed_in_as(&server, "board");
    let changed = with_password(&server, &["account", "set-password", "ana"], "another password");
    assert!(changed.status.success());
    let said = String::from_utf8_lossy(&changed.stdout).into_owned();
    assert!(said.contains("ended 1 session"), "{said}");
    eventually("the end of the session", || first.get("/").status == 401);
    assert_eq!(reader.get("/").status, 200, "others stay in");
    assert_eq!(sign_in(&mut first, "ana", "another password").status, 303);
    server.command(&["account", "remove", "board"]);
    eventually("the end of the session", || reader.get("/").status == 401);
    // An account of that name that is made anew is another one.
    add(&server, &["board", "--role", "admin"]);
    assert_eq!(reader.get("/").status, 401);
}

#[test]
fn people_see_their_sessions_end_them_and_change_their_password() {
    let server = with_accounts();
    let mut here = signed_in_as(&server, "board");
    let mut there = signed_in_as(&server, "board");
    let mut other = signed_in_as(&server, "ana");
    let page = here.get("/ui/account").text;
    assert_eq!(page.matches("(this browser)").count(), 1, "{page}");
    let id = page.split("name=\"end\" value=\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    // Not somebody else's.
    let sent = |visitor: &mut Visitor, body: &str| {
        let form = form_token(&visitor.get("/ui/account").text);
        visitor.post("/ui/account/sessions", &format!("form={form}&{body}"))
    };
    assert_eq!(sent(&mut other, &format!("end={id}")).status, 303);
    assert_eq!(there.get("/").status, 200);
    assert_eq!(
        here.post("/ui/account/sessions", &format!("end={id}")).status,
        403
    );
    assert_eq!(sent(&mut here, &format!("end={id}")).status, 303);
    assert_eq!((there.get("/").status, here.get("/").status), (401, 200));

    let mut there = signed_in_as(&server, "board");
    let change = |visitor: &mut Visitor, present: &str, new: &str, again: &str| {
        submit(
            visitor,
            "/ui/account",
            &[("present", present), ("new", new), ("again", again)],
        )
    };
    for (present, new, again, words) in [
        (
            PASSWORD,
            "new password",
            "other password",
            "not what you typed above",
        ),
        (PASSWORD, "short", "short", "this one has 5"),
        (
            "wrong password",
            "new password",
            "new password",
            "not your present password",
        ),
    ] {
        let refused = change(&mut here, present, new, again);
        assert_eq!(refused.status, 400);
        assert!(refused.text.contains(words), "{}", refused.text);
        assert!(!refused.text.contains("new password\""), "it is shown nowhere");
    }
    let cookie = here.cookie();
    eventually("the end of the wait", || {
        change(&mut here, PASSWORD, "new password", "new password").status == 200
    });
    assert_ne!(here.cookie(), cookie);
    assert_eq!((here.get("/").status, there.get("/").status), (200, 401));
    assert_eq!(there.get_with("/", &[("cookie", &cookie)]).status, 401);
    eventually("the sign-in", || {
        sign_in(&mut there, "board", "new password").status == 303
    });
    assert_eq!(sent(&mut here, "everywhere=1").status, 200);
    assert_eq!((here.get("/").status, there.get("/").status), (401, 401));
    assert_eq!(other.get("/").status, 200);
}

#[test]
fn a_crowd_at_the_door_takes_the_memory_of_two() {
    let server = with_accounts();
    let held = |name: &str| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = held("VmRSS:");
    std::thread::scope(|scope| {
        for nth in 0..50 {
            let server = &server;
            scope.spawn(move || {
                let answer = sign_in(&mut Visitor::new(server), &format!("n{nth}"), PASSWORD);
                assert!([401, 503].contains(&answer.status), "{}", answer.status);
            });
        }
    });
    let most = held("VmHWM:");
    assert!(most < before + 60 * 1024, "{before} KiB, then {most} KiB");
}

#[test]
fn everything_can_be_read_by_everybody_and_done_with_the_keyboard_without_a_script() {
    let server = with_accounts();
    let now = jiff::Timestamp::now().as_second();
    server.record(&[server.session("one", now - 60)]);
    let screenshots = std::env::var("SCREENSHOTS").unwrap_or_default();
    let seen = seen_by("accounts.mjs", &server, &["board", PASSWORD, &screenshots]);
    for nothing in ["errors", "violations", "scrolls"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    assert_eq!(seen["refused"], "The name or the password is wrong.");
    assert_eq!(seen["entered"], format!("{}/", server.url));
    assert_eq!(
        seen["changed"],
        "The password is changed, and your other sessions have ended."
    );
    assert_eq!(seen["out"], 1);
}
