//! Share links: they show what they were made for, to whoever has them, until they are revoked.

use super::*;

/// Makes a link of a view; its path.
fn share(visitor: &mut Visitor, view: &str, name: &str) -> String {
    let page = visitor.get(&format!("/ui/shares{view}"));
    assert_eq!(page.status, 200, "{}", page.text);
    let form = form_token(page.text.split("class=\"controls\"").nth(1).unwrap());
    let made = visitor.post(
        &format!("/ui/shares{view}"),
        &format!("form={form}&name={name}&days=30"),
    );
    assert_eq!(made.status, 200, "{}", made.text);
    let address = made
        .text
        .split("<code>")
        .nth(1)
        .unwrap()
        .split("</code>")
        .next()
        .unwrap();
    format!("/share/{}", address.split_once("/share/").unwrap().1)
}

#[test]
fn a_link_shows_one_view_and_nothing_else_of_the_workspace() {
    let server = Server::start();
    let other = server.command(&["app", "create", "Secret project", "--workspace", "default"]);
    let now = jiff::Timestamp::now().as_second();
    let mut hidden = server.session("hidden", now - 120);
    hidden["app_id"] = other["id"].clone();
    server.record(&[server.session("shown", now - 60), hidden]);
    let mut visitor = Visitor::signed_in(&server);
    let view = format!("?length=7&app_id={}", server.app);
    let path = share(&mut visitor, &view, "Board+%3Cb%3E");

    // Without a cookie, whatever is asked for besides.
    let mut stranger = Visitor::new(&server);
    let plain = stranger.get(&path);
    assert_eq!(plain.status, 200);
    assert!(plain.text.contains("Board &lt;b&gt;"), "{}", plain.text);
    assert_eq!(plain.text.matches("<tr data-unit=").count(), 7);
    assert!(plain.text.contains("<strong>1</strong>"), "{}", plain.text);
    let other_id = other["id"].as_str().unwrap();
    for asked in [
        "?length=100",
        "?unit=hour",
        &format!("?app_id={other_id}"),
        "?workspace=default&app_id=",
    ] {
        assert_eq!(
            stranger.get(&format!("{path}{asked}")).text,
            plain.text,
            "{asked}"
        );
    }
    for secret in [
        "Secret project",
        other_id,
        &server.key,
        &server.workspace,
        "/ui/shares",
        "<form",
        "<script",
    ] {
        assert!(!plain.text.contains(secret), "{secret}");
    }
    for (name, value) in [
        ("x-robots-tag", "noindex"),
        ("cache-control", "private, max-age=60"),
        ("set-cookie", ""),
    ] {
        assert_eq!(plain.header(name), value, "{name}");
    }
    assert!(
        plain
            .header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert_eq!(
        visitor.get(&path).text,
        plain.text,
        "who is signed in sees the same"
    );
}

#[test]
fn links_are_listed_and_revoked_on_the_page_and_by_commands() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let first = share(&mut visitor, "", "first");
    let second = share(&mut visitor, "?unit=week", "second");
    let third = share(&mut visitor, "?unit=week", "");
    let mut stranger = Visitor::new(&server);
    for path in [&first, &second, &third] {
        assert_eq!(stranger.get(path).status, 200, "{path}");
    }
    let listed = server.command(&["share", "list"]);
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["first", "second", "All apps · 13 weeks"]);
    let id = listed[0]["id"].as_str().unwrap();
    server.command(&["share", "revoke", id]);
    let gone = stranger.get(&first);
    assert_eq!((gone.status, gone.header("x-robots-tag")), (404, "noindex"));

    let page = visitor.get("/ui/shares").text;
    let token = first.trim_start_matches("/share/");
    assert!(!page.contains(token) && page.contains(">second<"), "{page}");
    let id = listed[1]["id"].as_str().unwrap();
    let without_form = visitor.post("/ui/shares", &format!("revoke={id}"));
    assert_eq!((without_form.status, stranger.get(&second).status), (403, 200));
    let revoked = visitor.post("/ui/shares", &format!("form={}&revoke={id}", form_token(&page)));
    assert_eq!((revoked.status, stranger.get(&second).status), (303, 404));
    let again = crate::support::run(&server.data, &["share", "revoke", id]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(stranger.get(&third).status, 200);
}

#[test]
fn a_link_whose_app_or_segment_is_gone_shows_nothing_more() {
    let server = Server::start();
    let segment = segment_of_brazil(&server);
    let app = server.command(&["app", "create", "Short-lived", "--workspace", "default"]);
    let mut visitor = Visitor::signed_in(&server);
    let of_segment = share(
        &mut visitor,
        &format!("?segment_id={}", segment["id"].as_str().unwrap()),
        "s",
    );
    let of_app = share(
        &mut visitor,
        &format!("?app_id={}", app["id"].as_str().unwrap()),
        "a",
    );
    let mut stranger = Visitor::new(&server);
    assert_eq!(
        (stranger.get(&of_segment).status, stranger.get(&of_app).status),
        (200, 200)
    );
    server.command(&["segment", "untrack", "Brazil"]);
    server.command(&["app", "delete", "Short-lived", "--yes"]);
    crate::support::eventually("the change", || {
        stranger.get(&of_segment).status == 404 && stranger.get(&of_app).status == 404
    });
    for path in ["/share/x", &format!("/share/{}", "a".repeat(43))] {
        assert_eq!(stranger.get(path).status, 404, "{path}");
    }
}
