//! Who gets in, and what a browser that is in may do.

use super::*;

/// A page must do nothing but what is its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

#[test]
fn a_link_opens_once() {
    let server = Server::start();
    let link = link(&server);
    assert!(
        link.starts_with(&format!("{}/ui/enter?code=", server.url)),
        "{link}"
    );
    let (path, code) = parts(&link);
    let mut first = Visitor::new(&server);
    // Previews and scanners look at a link as well: that spends nothing.
    for _ in 0..2 {
        let page = first.get(&path);
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-security-policy"), POLICY);
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "same-origin");
    }
    let mut second = Visitor::new(&server);
    let form = form_token(&second.get(&path).text);
    let body = format!("form={form}&code={code}");
    let entered = second.post("/ui/enter", &body);
    assert_eq!((entered.status, entered.header("location")), (303, "/"));
    assert_eq!(second.get("/").status, 200);
    assert_eq!(second.post("/ui/enter", &body).status, 403);
    let late = first.follow(&link);
    assert_eq!(late.status, 403);
    assert!(late.text.contains("sessionmeter dashboard link"), "{}", late.text);
    assert_eq!(first.get("/").status, 401);
}

#[test]
fn three_links_are_open_at_most() {
    let server = Server::start();
    let links: Vec<String> = (0..4).map(|_| link(&server)).collect();
    for (link, status) in links.iter().zip([403, 303, 303, 303]) {
        assert_eq!(Visitor::new(&server).follow(link).status, status, "{link}");
    }
}

#[test]
fn a_cookie_opens_no_endpoint_and_a_key_no_page() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let asked = visitor.get("/sessions/data_series?length=1");
    assert_eq!(asked.status, 401);
    assert!(asked.message().contains("API key is missing"), "{}", asked.text);
    for path in ["/", "/ui/chart.svg", "/ui/series.csv", "/ui/live"] {
        let page = server.get(path);
        assert_eq!(page.status, 401, "{path}");
        assert!(page.text.contains("sessionmeter dashboard link"), "{path}");
        assert_eq!(visitor.get(path).status, 200, "{path}");
    }
}

#[test]
fn the_cookie_is_for_this_server_and_its_pages_alone() {
    let server = Server::start_with(&["--trusted-proxies", "127.0.0.1"]);
    let port = server.address().rsplit_once(':').unwrap().1;
    let set = |answer: &Answer, name: &str| {
        let cookies = answer.headers.get_all("set-cookie").iter();
        let cookies: Vec<&str> = cookies.map(|cookie| cookie.to_str().unwrap()).collect();
        let found = cookies
            .iter()
            .find(|cookie| cookie.starts_with(&format!("{name}=")));
        found.unwrap_or_else(|| panic!("{name}: {cookies:?}")).to_string()
    };
    let entered = Visitor::new(&server).follow(&link(&server));
    let cookie = set(&entered, &format!("sessionmeter-{port}"));
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Max-Age=2592000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");

    // What a trusted proxy says holds for the one request that it says it of.
    let https = [("x-forwarded-proto", "https"), ("x-forwarded-for", "203.0.113.9")];
    let mut visitor = Visitor::new(&server);
    let (path, code) = parts(&link(&server));
    let form = form_token(&visitor.get_with(&path, &https).text);
    let entered = visitor.post_with("/ui/enter", &format!("form={form}&code={code}"), &https);
    let cookie = set(&entered, "__Host-sessionmeter");
    assert!(
        cookie.contains("; Secure") && cookie.contains("; Path=/"),
        "{cookie}"
    );
    assert_eq!(visitor.get_with("/", &https).status, 200);
    assert_eq!(visitor.get("/").status, 401);
}

#[test]
fn forms_that_were_not_made_here_change_nothing() {
    let server = Server::start();
    let link = link(&server);
    let (path, code) = parts(&link);
    let mut visitor = Visitor::new(&server);
    let form = form_token(&visitor.get(&path).text);
    let good = format!("form={form}&code={code}");
    let others = form_token(&Visitor::new(&server).get(&path).text);
    for body in [
        format!("code={code}"),
        format!("form={others}&code={code}"),
        format!("form=x&code={code}"),
    ] {
        assert_eq!(visitor.post("/ui/enter", &body).status, 403, "{body}");
    }
    for site in ["cross-site", "same-site"] {
        let refused = visitor.post_with("/ui/enter", &good, &[("sec-fetch-site", site)]);
        assert_eq!(refused.status, 403, "{site}");
    }
    let large = format!("{good}&more={}", "x".repeat(5_000));
    assert_eq!(visitor.post("/ui/enter", &large).status, 403);
    let entered = visitor.post_with("/ui/enter", &good, &[("sec-fetch-site", "same-origin")]);
    assert_eq!(entered.status, 303, "the link was not spent");

    let page = visitor.get("/").text;
    assert_ne!(
        form_token(&page),
        form_token(&visitor.get("/").text),
        "it looks different each time"
    );
    for body in [String::new(), format!("form={form}"), "form=x".to_owned()] {
        assert_eq!(visitor.post("/ui/sign-out", &body).status, 403, "{body}");
    }
    assert_eq!(visitor.get("/").status, 200);
    let cookie = visitor.cookie();
    let out = visitor.post("/ui/sign-out", &format!("form={}", form_token(&page)));
    assert_eq!(out.status, 200);
    assert_eq!(visitor.get("/").status, 401);
    assert_eq!(
        visitor.get_with("/", &[("cookie", &cookie)]).status,
        401,
        "it is void, not only gone"
    );
}

#[test]
fn who_follows_a_link_on_another_site_is_let_in_by_a_page_of_ours() {
    let server = Server::start();
    let mut visitor = Visitor::new(&server);
    let from_elsewhere = [("sec-fetch-site", "cross-site")];
    let page = visitor.get_with("/?length=7&app_id=%22%3E", &from_elsewhere);
    assert_eq!(page.status, 200);
    let again = "content=\"0;url=/?length=7&amp;app_id=%22%3E&amp;again=1\"";
    assert!(page.text.contains(again), "{}", page.text);
    assert_eq!(
        visitor.get_with("/?length=7&again=1", &from_elsewhere).status,
        401
    );
    let mut visitor = Visitor::signed_in(&server);
    let page = visitor.get_with("/?length=7&again=1", &from_elsewhere);
    assert_eq!((page.status, page.header("location")), (303, "/?length=7"));
}

#[test]
fn with_a_public_address_other_names_are_refused_and_links_have_it() {
    let server = Server::start_with(&["--public-url", "https://sessions.example.com/"]);
    let link = link(&server);
    assert!(
        link.starts_with("https://sessions.example.com/ui/enter?code="),
        "{link}"
    );
    let mut visitor = Visitor::new(&server);
    let here = visitor.get("/");
    assert_eq!(here.status, 421);
    assert!(
        here.text.contains("https://sessions.example.com"),
        "{}",
        here.text
    );
    let there = [("host", "sessions.example.com")];
    assert_eq!(visitor.get_with("/ui/sign-in", &there).status, 200);
    let (path, _) = parts(&link);
    let page = visitor.get_with(&path, &there);
    assert!(
        page.header("set-cookie").starts_with("__Host-"),
        "{:?}",
        page.headers
    );
    assert_eq!(
        server.get("/sessions/data_series?length=1").status,
        200,
        "the API minds no names"
    );
}

#[test]
fn without_a_dashboard_nothing_of_it_answers() {
    let server = Server::start_with(&["--no-dashboard"]);
    for path in [
        "/ui",
        "/ui/sign-in",
        "/ui/enter?code=x",
        "/ui/live",
        "/ui/chart.svg",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.message().contains("/reference"), "{path}");
    }
    assert_eq!(
        send(server.client().get(&server.url)).text,
        server.get("/reference").text
    );
}

#[test]
fn pages_speak_the_reader_s_language() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    let accepting = |visitor: &mut Visitor, language: &str| {
        let page = visitor.get_with("/", &[("accept-language", language)]);
        assert_eq!(page.status, 200);
        page.text
    };
    assert!(accepting(&mut visitor, "fr, es-MX;q=0.5").contains("<html lang=\"es\""));
    assert!(accepting(&mut visitor, "fr").contains("<html lang=\"en\""));
    let chosen = visitor.get("/?length=7&lang=es");
    assert_eq!((chosen.status, chosen.header("location")), (303, "/?length=7"));
    assert!(accepting(&mut visitor, "en").contains("<html lang=\"es\""));
    assert_eq!(visitor.get("/?lang=en").status, 303);
    assert!(accepting(&mut visitor, "es").contains("<html lang=\"en\""));
}

#[test]
fn what_is_wrong_is_said_on_a_page() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    for (query, words) in [
        ("length=0", "&#39;length&#39; must be an integer from 1 to 100"),
        ("unit=year", "&#39;unit&#39; must be"),
        (
            "app_id=x",
            "&#39;app_id&#39; must be the id of an app of this workspace",
        ),
        ("filter=%7B%7D", "&#39;filter&#39;"),
        ("ending_at=%3Cscript%3E", "&lt;script&gt;"),
        ("group_by=x", "&#39;group_by&#39;"),
        ("metric=x", "&#39;metric&#39; must be one of"),
        ("length=1&length=2", "given twice"),
    ] {
        let page = visitor.get(&format!("/?{query}"));
        assert_eq!(page.status, 400, "{query}");
        let text = page.text.replace('\'', "&#39;");
        assert!(text.contains(words), "{query}: {text}");
        assert_eq!(page.header("content-security-policy"), POLICY);
    }
    assert_eq!(visitor.get("/?workspace=none").status, 404);
    let nowhere = visitor.get("/ui/nowhere");
    assert_eq!(
        (nowhere.status, nowhere.header("content-type")),
        (404, "text/html; charset=utf-8")
    );
    let method = visitor.post("/", "");
    assert_eq!(method.status, 405);
}

#[test]
fn addresses_are_kept_short() {
    let server = Server::start();
    let mut visitor = Visitor::signed_in(&server);
    for (query, tidy) in [
        ("app_id=&segment_id=&length=28&ending_at=&compare=weeks", "/"),
        ("length=7&ending_at=", "/?length=7"),
        ("unit=week&length=13&app_id=", "/?unit=week"),
    ] {
        let page = visitor.get(&format!("/?{query}"));
        assert_eq!((page.status, page.header("location")), (303, tidy), "{query}");
    }
    let today = jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date();
    let page = visitor.get(&format!("/?ending_at={today}&length=14"));
    // At midnight it is another day.
    assert!(
        page.status == 200 || page.header("location") == "/?length=14",
        "{page:?}"
    );
}
