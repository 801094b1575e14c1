//! Behind a reverse proxy: whose request it is, in every form in which proxies say so.

use crate::support::{Answer, Server, command, eventually, send};

const SERIES: &str = "/sessions/data_series?length=1&ending_at=2024-01-01";
const TRUSTED: [&str; 2] = ["--trusted-proxies", "127.0.0.1"];

fn key(server: &Server, name: &str, allow: &str) -> String {
    let arguments = ["key", "create", name, "--permission", "all", "--allow", allow];
    let created = command(&server.data, &arguments);
    created["key"].as_str().unwrap().to_owned()
}

fn through(server: &Server, key: &str, forwarded: &[u8]) -> Answer {
    let request = server.client().get(format!("{}{SERIES}", server.url));
    send(request.bearer_auth(key).header("x-forwarded-for", forwarded))
}

#[test]
fn what_the_proxy_may_do_its_clients_may_not() {
    let server = Server::start_with(&TRUSTED);
    let inside = key(&server, "inside", "127.0.0.0/8");
    let anywhere = key(&server, "anywhere", "0.0.0.0/0,::/0");
    let direct = send(
        server
            .client()
            .get(format!("{}{SERIES}", server.url))
            .bearer_auth(&inside),
    );
    assert_eq!(direct.status, 200, "the proxy itself");
    for (forwarded, is_readable) in [
        (b"203.0.113.9".as_slice(), true),
        (b"203.0.113.9:50123", true),
        (b"[2001:db8::1]:443", true),
        (b"2001:db8::1", true),
        (b"\"[2001:db8::1]:443\"", true),
        (b"for=\"203.0.113.9:50123\";proto=https", true),
        (b"127.0.0.1, 203.0.113.9:50123", true),
        (b"", false),
        (b"unknown", false),
        (b"_hidden", false),
        (b"127.0.0.1, nonsense", false),
        (b"203.0.113.9:http", false),
        (b"\xff", false),
    ] {
        let shown = String::from_utf8_lossy(forwarded);
        let refused = through(&server, &inside, forwarded);
        assert_eq!(refused.status, 403, "{shown}: {refused:?}");
        let other = through(&server, &anywhere, forwarded);
        if is_readable {
            assert_eq!(other.status, 200, "{shown}: {other:?}");
        } else {
            // In no allow-list, not even in that of everybody.
            assert_eq!(other.status, 403, "{shown}: {other:?}");
            let message = other.message();
            assert!(message.contains("X-Forwarded-For is no address"), "{message}");
        }
        assert_eq!(through(&server, &server.key, forwarded).status, 200, "{shown}");
    }
}

#[test]
fn an_allow_list_lets_in_addresses_with_ports_and_brackets() {
    let server = Server::start_with(&TRUSTED);
    let office = key(&server, "office", "203.0.113.0/24,2001:db8::/32");
    for (forwarded, status) in [
        ("203.0.113.9:50123", 200),
        ("[2001:db8::1]:443", 200),
        ("[2001:db8::1]", 200),
        ("192.0.2.1:50123", 403),
        ("[2001:db9::1]:443", 403),
    ] {
        let answer = through(&server, &office, forwarded.as_bytes());
        assert_eq!(answer.status, status, "{forwarded}: {answer:?}");
    }
}

/// Asks until the limit is reached; within a minute there are two requests, and the minute may change once.
fn limited(server: &Server, forwarded: Option<&str>) -> bool {
    (0..6).any(|_| {
        let request = server.client().post(format!("{}/sessions/collect", server.url));
        let request = match forwarded {
            Some(forwarded) => request.header("x-forwarded-for", forwarded),
            None => request,
        };
        send(request).status == 429
    })
}

#[test]
fn each_client_has_a_limit_of_its_own_and_so_have_those_who_cannot_be_told() {
    let server = Server::start_with(&[TRUSTED[0], TRUSTED[1], "--client-rate-limit", "2"]);
    let first = |forwarded: Option<&str>| {
        let request = server.client().post(format!("{}/sessions/collect", server.url));
        let request = match forwarded {
            Some(forwarded) => request.header("x-forwarded-for", forwarded),
            None => request,
        };
        send(request).status
    };
    assert!(limited(&server, Some("203.0.113.1:1")));
    assert_ne!(first(Some("203.0.113.2:1")), 429, "another client, another port");
    assert!(limited(&server, Some("nonsense")));
    assert_ne!(first(None), 429, "the proxy itself");
    assert_ne!(first(Some("[2001:db8::1]:1")), 429);
}

#[test]
fn a_proxy_that_nobody_trusts_is_logged_once_with_what_to_set() {
    let server = Server::start();
    for _ in 0..3 {
        assert_eq!(through(&server, &server.key, b"203.0.113.9").status, 200);
    }
    let last = server.client().get(format!("{}{SERIES}", server.url));
    send(last.header("x-request-id", "the-last-one"));
    eventually("the last log line", || server.log().contains("the-last-one"));
    let log = server.log();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("X-Forwarded-For"))
        .collect();
    let [line] = lines.as_slice() else {
        panic!("{log}");
    };
    assert!(
        line.contains("WARN") && line.contains("--trusted-proxies 127.0.0.1"),
        "{line}"
    );
    assert!(!log.contains("203.0.113.9"), "whose address it is says nobody");
}
