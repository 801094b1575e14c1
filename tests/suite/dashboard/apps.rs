//! Apps on the page, and its forms: it changes what the command line changes, by its rules and in its words.

use serde_json::json;

use super::keys::{key_id, made_key};
use super::*;
use crate::support;

#[test]
fn apps_are_made_renamed_and_deleted_with_what_is_in_them() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let id = "00dc3cf6-1763-5d5b-8264-db458aa346c3";
    let fields = [("name", "Shop (iOS)"), ("platform", "ios"), ("id", id)];
    let made = submit(&mut visitor, "/ui/apps/new", &fields);
    assert_eq!((made.status, made.header("location")), (303, "/ui/apps"));
    let made = submit(&mut visitor, "/ui/apps/new", &[("name", "Shop (Android)")]);
    assert_eq!(made.status, 303);
    let listed = server.command(&["app", "list"]);
    assert_eq!(
        listed[1],
        json!({"id": id, "name": "Shop (iOS)", "platform": "ios", "workspace": "default"})
    );

    let now = jiff::Timestamp::now().as_second();
    let mut sessions: Vec<_> = (0..3)
        .map(|nth| server.session(&format!("s{nth}"), now - nth * 86_400 * 9))
        .collect();
    sessions
        .iter_mut()
        .for_each(|session| session["app_id"] = json!(id));
    server.record(&sessions);
    let of_app = server.counts(&format!("length=28&app_id={id}"));
    let total: u64 = of_app.iter().sum();
    let page = visitor.get("/ui/apps").text;
    let (_, row) = page.split_once("Shop (iOS)").unwrap();
    let number = |nth: usize| {
        row.split("data-label=")
            .nth(nth)
            .unwrap()
            .split('>')
            .nth(1)
            .unwrap()
            .split('<')
            .next()
            .unwrap()
    };
    assert_eq!(
        (number(2), number(3)),
        (of_app[27].to_string().as_str(), total.to_string().as_str())
    );
    assert_eq!(total, 3);
    assert!(page.contains(&format!("<a href=\"/?app_id={id}\">")), "{page}");

    let path = format!("/ui/apps/rename?app_id={id}");
    let renamed = submit(&mut visitor, &path, &[("name", "Shop")]);
    assert_eq!((renamed.status, renamed.header("location")), (303, "/ui/apps"));
    assert_eq!(server.command(&["app", "list"])[1]["name"], "Shop");

    let path = format!("/ui/apps/delete?app_id={id}");
    let asked = visitor.get(&path);
    assert!(
        asked
            .text
            .contains("Its 3 sessions are deleted with it, for good."),
        "{}",
        asked.text
    );
    assert_eq!(
        server.counts("length=28").iter().sum::<u64>(),
        3,
        "a look deletes nothing"
    );
    let deleted = submit(&mut visitor, &path, &[]);
    assert_eq!((deleted.status, deleted.header("location")), (303, "/ui/apps"));
    assert_eq!(server.counts("length=28").iter().sum::<u64>(), 0);
    assert_eq!(server.command(&["app", "list"]).as_array().unwrap().len(), 2);
    assert!(!visitor.get("/ui/apps").text.contains(id));
    for path in [path, format!("/ui/apps/rename?app_id={id}")] {
        let gone = visitor.get(&path);
        assert_eq!(gone.status, 404, "{path}");
        assert!(
            gone.text.contains("There is no such app in this workspace."),
            "{}",
            gone.text
        );
    }
}

/// A form, its fields, which of them is wrong, and the command that is refused for the same reason.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);

#[test]
fn what_is_wrong_is_said_as_the_command_line_says_it_and_nothing_typed_is_lost() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let taken = server.app.clone();
    let long = "p".repeat(65);
    let cases: [Case; 12] = [
        (
            "apps",
            &[("name", ""), ("platform", "ios")],
            "name",
            &["app", "create", ""],
        ),
        (
            "apps",
            &[("name", " x"), ("platform", "<b>")],
            "name",
            &["app", "create", " x"],
        ),
        (
            "apps",
            &[("name", "a\u{202e}b")],
            "name",
            &["app", "create", "a\u{202e}b"],
        ),
        (
            "apps",
            &[("name", "default")],
            "name",
            &["app", "create", "default"],
        ),
        (
            "apps",
            &[("name", "x"), ("platform", &long)],
            "platform",
            &["app", "create", "x", "--platform", &long],
        ),
        (
            "apps",
            &[("name", "x"), ("id", "12\"3")],
            "id",
            &["app", "create", "x", "--id", "12\"3"],
        ),
        (
            "apps",
            &[("name", "x"), ("id", &taken)],
            "id",
            &["app", "create", "x", "--id", &taken],
        ),
        (
            "keys",
            &[("name", "\u{7}"), ("permission", "all")],
            "name",
            &["key", "create", "\u{7}", "-p", "all"],
        ),
        (
            "keys",
            &[("name", "default"), ("permission", "all")],
            "name",
            &["key", "create", "default", "-p", "all"],
        ),
        (
            "keys",
            &[("name", "x"), ("permission", "some")],
            "permission",
            &["key", "create", "x", "-p", "some"],
        ),
        (
            "keys",
            &[("name", "x"), ("permission", "all"), ("allow", "10.0.0.1/8")],
            "allow",
            &["key", "create", "x", "-p", "all", "--allow", "10.0.0.1/8"],
        ),
        (
            "keys",
            &[
                ("name", "x"),
                ("permission", "users.track"),
                ("allow", "\r\nnowhere"),
            ],
            "allow",
            &["key", "create", "x", "-p", "users.track", "--allow", "nowhere"],
        ),
    ];
    for (form, fields, wrong, command) in cases {
        let refused = submit(&mut visitor, &format!("/ui/{form}/new"), fields);
        assert_eq!(refused.status, 400, "{fields:?}");
        let page = &refused.text;
        let (_, error) = page
            .split_once(&format!("id=\"{wrong}-error\""))
            .unwrap_or_else(|| panic!("{fields:?}: {page}"));
        let message = error
            .split("<bdi lang=\"en\">")
            .nth(1)
            .unwrap()
            .split("</bdi>")
            .next()
            .unwrap();
        assert!(
            page.contains("role=\"alert\"")
                && page.contains(&format!("<a href=\"#{wrong}\"><bdi lang=\"en\">{message}</bdi>")),
            "{page}"
        );
        assert!(page.contains(&format!("{wrong}-error\"")), "{page}");
        let output = support::run(&server.data, command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let message = message.replace("&quot;", "\"");
        assert!(
            !output.status.success() && said.contains(&message),
            "{message}: {said}"
        );
        for (name, value) in fields {
            let value = value
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;");
            let kept = match *name {
                "permission" if *value == *"some" => continue,
                "permission" => format!("value=\"{value}\" checked"),
                "allow" => format!(">\n{value}</textarea>"),
                _ => format!("name=\"{name}\" value=\"{value}\""),
            };
            assert!(page.contains(&kept), "{kept}: {page}");
        }
    }
    let nothing = submit(&mut visitor, "/ui/keys/new", &[("name", ""), ("allow", "x y")]);
    let errors = nothing.text.matches("<a href=\"#").count();
    assert_eq!(errors, 4, "name, permission and two addresses: {}", nothing.text);
    let renamed = submit(
        &mut visitor,
        &format!("/ui/apps/rename?app_id={taken}"),
        &[("name", "")],
    );
    assert!(
        renamed.status == 400
            && renamed
                .text
                .contains("a name has 1 to 100 characters, this one has 0")
    );
    let large = submit(
        &mut visitor,
        "/ui/keys/new",
        &[("name", "x"), ("allow", &"1".repeat(70_000))],
    );
    assert_eq!(large.status, 413);
    assert_eq!(server.command(&["app", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(server.command(&["key", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn names_are_shown_and_obeyed_nowhere() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let names = ["</script><b>", "\"><svg onload=alert(1)>", "=cmd|' /C calc'!A0"];
    for name in names {
        assert_eq!(
            submit(
                &mut visitor,
                "/ui/apps/new",
                &[("name", name), ("platform", name)]
            )
            .status,
            303
        );
        made_key(&mut visitor, &[("name", name), ("permission", "all")]);
    }
    let listed = server.command(&["app", "list"]);
    let id = listed[2]["id"].as_str().unwrap();
    for path in [
        "/ui/apps".to_owned(),
        format!("/ui/apps/rename?app_id={id}"),
        format!("/ui/apps/delete?app_id={id}"),
        format!("/ui/keys/revoke?key_id={}", key_id(&server, names[1])),
    ] {
        let page = visitor.get(&path);
        assert_eq!(page.status, 200, "{path}");
        assert!(
            !page.text.contains("<svg") && !page.text.contains("<b>"),
            "{}",
            page.text
        );
        assert!(
            page.text
                .contains("<bdi>&quot;&gt;&lt;svg onload=alert(1)&gt;</bdi>"),
            "{}",
            page.text
        );
    }
}

#[test]
fn only_who_is_in_changes_anything_and_only_by_a_form_made_here() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let key = key_id(&server, "default");
    let changes = [
        ("/ui/apps/new".to_owned(), "name=x"),
        (format!("/ui/apps/rename?app_id={}", server.app), "name=x"),
        (format!("/ui/apps/delete?app_id={}", server.app), ""),
        ("/ui/keys/new".to_owned(), "name=x&permission=all"),
        (format!("/ui/keys/revoke?key_id={key}"), ""),
    ];
    let mut stranger = Visitor::new(&server);
    assert_eq!(stranger.get("/ui/apps").status, 401);
    let bearer = format!("Bearer {}", server.key);
    assert_eq!(
        stranger
            .get_with("/ui/apps", &[("authorization", &bearer)])
            .status,
        401
    );
    for (path, body) in &changes {
        let page = visitor.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(stranger.get(path).status, 401, "{path}");
        let form = form_token(&page.text);
        let good = format!("form={form}&{body}");
        assert_eq!(stranger.post(path, &good).status, 401, "{path}");
        for forged in [
            body.to_string(),
            format!("form=x&{body}"),
            format!("form={}&{body}", "A".repeat(86)),
        ] {
            assert_eq!(visitor.post(path, &forged).status, 403, "{path}");
        }
        for site in ["cross-site", "same-site"] {
            let refused = visitor.post_with(path, &good, &[("sec-fetch-site", site)]);
            assert_eq!(refused.status, 403, "{path}: {site}");
        }
    }
    assert_eq!(server.get("/workspace").status, 200);
    assert_eq!(server.command(&["app", "list"])[0]["name"], "default");
    assert_eq!(server.command(&["app", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(server.command(&["key", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn each_workspace_has_its_own_and_no_page_reaches_into_another() {
    let server = Server::start();
    server.command(&["workspace", "create", "wide & far"]);
    let app = server.command(&["app", "create", "Elsewhere", "--workspace", "wide & far"]);
    let key = server.command(&[
        "key",
        "create",
        "far",
        "--workspace",
        "wide & far",
        "--permission",
        "all",
    ]);
    let mut visitor = Visitor::signed_in(&server);
    let of = "?workspace=wide%20%26%20far";
    let page = visitor.get(&format!("/ui/apps{of}"));
    assert!(
        page.text.contains("Elsewhere") && !page.text.contains(&server.app),
        "{}",
        page.text
    );
    assert!(!visitor.get("/ui/apps").text.contains("Elsewhere"));
    let (app, key) = (app["id"].as_str().unwrap(), key["id"].as_str().unwrap());
    for (path, status) in [
        (format!("/ui/apps/delete?app_id={app}"), 404),
        (format!("/ui/apps/rename?app_id={app}"), 404),
        (format!("/ui/keys/revoke?key_id={key}"), 404),
        ("/ui/keys/revoke?key_id=x".to_owned(), 404),
        ("/ui/apps/delete".to_owned(), 404),
        ("/ui/apps?workspace=none".to_owned(), 404),
    ] {
        assert_eq!(visitor.get(&path).status, status, "{path}");
        let form = form_token(&page.text);
        assert_eq!(
            visitor.post(&path, &format!("form={form}")).status,
            if path.starts_with("/ui/apps?") {
                405
            } else {
                status
            },
            "{path}"
        );
    }
    let made = submit(&mut visitor, &format!("/ui/apps/new{of}"), &[("name", "default")]);
    assert_eq!(
        (made.status, made.header("location")),
        (303, format!("/ui/apps{of}").as_str())
    );
    // A language that is chosen is kept, and the page stays the one that it was.
    let spanish = visitor.get(&format!("/ui/keys/revoke{of}&key_id={key}&lang=es"));
    assert!(spanish.text.contains("Revocar la clave"), "{}", spanish.text);
    assert!(
        visitor
            .get(&format!("/ui/apps{of}"))
            .text
            .contains("Claves de API")
    );
}
