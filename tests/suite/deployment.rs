//! Behind a real nginx, as `docs/run.md` sets it up, and as a service of systemd.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Server, eventually, packages, send};

/// The code blocks of the page in a language.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string(packages::source("docs/run.md")).unwrap();
    let opening = format!("```{language}\n");
    let blocks = page.split(&opening).skip(1);
    blocks
        .map(|block| block.split("\n```").next().unwrap().to_owned() + "\n")
        .collect()
}

/// nginx in front of a server; stopped when dropped.
struct Proxy {
    child: Child,
    /// `http://127.0.0.1:PORT`
    url: String,
    _place: TempDir,
}

impl Proxy {
    /// With the documented settings, but for TLS and addresses.
    fn start(server: &Server) -> Self {
        let place = TempDir::new().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let blocks = blocks("nginx");
        let [whole, prefix] = blocks.as_slice() else {
            panic!("docs/run.md has two blocks for nginx: {blocks:?}");
        };
        let lines = whole
            .lines()
            .filter(|line| !line.trim_start().starts_with("ssl_"));
        let mut settings: String = lines.map(|line| format!("{line}\n")).collect();
        for (documented, here) in [
            ("127.0.0.1:8080", server.address().to_owned()),
            ("443 ssl http2", free.to_string()),
            ("    location / {", format!("{prefix}    location / {{")),
        ] {
            assert!(settings.contains(documented), "{documented}: {settings}");
            settings = settings.replace(documented, &here);
        }
        let folder = place.path().display().to_string();
        let rooms = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let rooms: String = rooms
            .map(|room| format!("{room}_temp_path {folder}/{room};\n"))
            .concat();
        let file = place.path().join("nginx.conf");
        let text = format!(
            "daemon off;\nuser root;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\n{rooms}{settings}}}\n"
        );
        fs::write(&file, text).unwrap();
        let child = Command::new(packages::unpacked("nginx", "usr/sbin", "nginx"))
            .args(["-e", "stderr", "-p", &folder, "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut proxy = Self {
            child,
            url: format!("http://{free}"),
            _place: place,
        };
        eventually("nginx listens", || {
            assert_eq!(proxy.child.try_wait().unwrap(), None, "nginx has ended");
            TcpStream::connect(free).is_ok()
        });
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its workers end with it only if it is asked to stop.
        crate::support::terminate(self.child.id());
        let _ = self.child.wait();
    }
}

#[test]
fn everything_works_below_a_prefix_and_at_the_root() {
    let server = Server::start_with(&["--trusted-proxies", "127.0.0.1"]);
    let proxy = Proxy::start(&server);
    for (prefix, sent) in [("", 1_u64), ("/meter", 2)] {
        let base = format!("{}{prefix}", proxy.url);
        // Larger than what nginx takes where nobody says otherwise.
        let sessions: Vec<Value> = (0..9000)
            .map(|index| {
                let mut session = server.session(&format!("{prefix}{index}"), "2024-01-01T00:00:00Z");
                session["attributes"] = json!({ "padding": "x".repeat(200) });
                session
            })
            .collect();
        let track = server
            .client()
            .post(format!("{base}/sessions/track"))
            .bearer_auth(&server.key);
        let answer = send(track.json(&json!({ "sessions": sessions })));
        assert_eq!(
            (answer.status, &answer.json()["sessions_processed"]),
            (201, &9000.into())
        );
        // As the script does it: beside itself.
        let script = send(server.client().get(format!("{base}/session.js")));
        assert_eq!(script.text, server.get("/session.js").text);
        let page = json!({"app_id": server.app, "sessions": [{"session_id": format!("page{prefix}"), "started_at": 1_704_067_200}]});
        let collect = send(
            server
                .client()
                .post(format!("{base}/sessions/collect"))
                .json(&page),
        );
        assert_eq!(collect.status, 201, "{}", collect.text);
        let series = format!("{base}/sessions/data_series?length=1&ending_at=2024-01-01T23:59:59%2B00:00");
        let series = send(server.client().get(series).bearer_auth(&server.key));
        assert_eq!(series.json()["data"][0]["sessions"], 9001 * sent);
        // The root leads to the dashboard, and the pages to their neighbours.
        let root = send(server.client().get(format!("{base}/")));
        assert_eq!(root.status, 401, "{}", root.text);
        assert!(root.text.contains("sessionmeter dashboard link"), "{}", root.text);
        let page = send(server.client().get(format!("{base}/reference")));
        assert_eq!(page.status, 200);
        let address = format!("<span class=\"address\">{base}</span>/sessions/data_series");
        assert!(page.text.contains(&address), "{}", page.text);
        let document = send(server.client().get(format!("{base}/openapi.json"))).json();
        assert_eq!(document["servers"][0]["url"], ".");
        for private in ["/metrics", "/ready"] {
            assert_eq!(send(server.client().get(format!("{base}{private}"))).status, 404);
        }
    }
}

#[test]
fn the_reference_s_script_knows_the_address_that_the_server_was_not_told() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let address = format!("{}/meter", proxy.url);
    for path in ["/reference", "/reference/"] {
        let seen = super::reference::look(&format!("{address}{path}"));
        let command = seen["wide"]["copied"].as_str().unwrap();
        assert!(command.starts_with(&format!("curl \"{address}/")), "{command}");
        assert_eq!(seen["wide"]["document"], format!("{address}/openapi.json"));
    }
}

#[test]
fn the_unit_for_systemd_leaves_little_to_attack() {
    let analyze = packages::program(&["systemd-analyze"], "systemd");
    let place = TempDir::new().unwrap();
    let file = place.path().join("sessionmeter.service");
    let unit = blocks("ini")
        .remove(0)
        .replace("/usr/local/bin/sessionmeter", crate::support::binary());
    fs::write(&file, unit).unwrap();
    let mut verify = Command::new(&analyze);
    let output = verify.args(["verify", "--man=no"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("sessionmeter.service"), "{said}");
    // In tenths: below 3.
    let mut security = Command::new(&analyze);
    security.args(["security", "--offline=true", "--no-pager", "--threshold=29"]);
    packages::run("the unit is exposed too much", security.arg(&file));
}
