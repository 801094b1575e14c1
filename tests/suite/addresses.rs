//! `--listen` and `--ops-listen` take addresses as people write them.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{binary, run, send};

/// A running program, killed when dropped, and what it announced.
struct Started(Child, Value);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Started {
    fn new(arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(arguments)
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self(child, serde_json::from_str(&line).unwrap())
    }

    /// Asks for health on a listener, over an address of this machine; the address that was announced.
    fn reach(&self, listener: &str, host: &str) -> SocketAddr {
        let address: SocketAddr = self.1[listener].as_str().unwrap().parse().unwrap();
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let answer = send(client.get(format!("http://{host}:{}/health", address.port())));
        assert_eq!(answer.status, 200, "{address}");
        address
    }
}

#[test]
fn a_port_alone_a_name_and_all_addresses() {
    for (listen, ip, host) in [
        ("localhost:0", "127.0.0.1", "127.0.0.1"),
        ("0", "127.0.0.1", "127.0.0.1"),
        (":0", "", "127.0.0.1"),
        ("0.0.0.0:0", "0.0.0.0", "127.0.0.1"),
        ("[::1]:0", "::1", "[::1]"),
    ] {
        if ip == "::1" && std::net::TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let place = tempfile::TempDir::new().unwrap();
        let data = place.path().to_str().unwrap();
        let server = [
            "serve",
            "--data",
            data,
            "--listen",
            listen,
            "--ops-listen",
            listen,
        ];
        let server = Started::new(&server);
        for listener in ["listen", "ops_listen"] {
            let address = server.reach(listener, host).ip();
            match ip {
                "" => assert!(address.is_unspecified(), "{listen}: {address}"),
                _ => assert_eq!(address.to_string(), ip, "{listen}"),
            }
        }
    }
}

#[test]
fn the_demo_takes_them_too() {
    let demo = Started::new(&["demo", "--listen", ":0", "--ops-listen", "localhost:0"]);
    assert!(demo.reach("listen", "127.0.0.1").ip().is_unspecified());
    assert_eq!(
        demo.reach("ops_listen", "127.0.0.1").ip().to_string(),
        "127.0.0.1"
    );
}

#[test]
fn what_is_no_address_is_wrong_usage_and_says_what_would_be_right() {
    let place = tempfile::TempDir::new().unwrap();
    let data = place.path().join("store");
    for (flag, value, problem) in [
        ("--listen", "localhost", "'localhost' has no port"),
        (
            "--listen",
            "http://localhost:8080",
            "is more than a host and a port",
        ),
        ("--listen", "::1:8080", "needs brackets around its IPv6 address"),
        ("--listen", "off", "'off' has no port"),
        ("--ops-listen", "65536", "has no port from 0 to 65535"),
    ] {
        let output = run(&data, &["serve", flag, value]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(problem), "{value}: {message}");
        assert!(message.contains("localhost:8080, :8080"), "{value}: {message}");
    }
    let config = place.path().join("sessionmeter.toml");
    std::fs::write(&config, "ops-listen = 'localhost'").unwrap();
    let output = run(&data, &["serve", "--config", config.to_str().unwrap()]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("ops-listen in the config file is no address: 'localhost' has no port"),
        "{message}"
    );
    assert!(!data.exists(), "nothing is made before the addresses are known");
    let unknown = run(
        &data,
        &["serve", "--listen", "nowhere.invalid:0", "--ops-listen", "off"],
    );
    assert_eq!(unknown.status.code(), Some(1));
    let message = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        message.contains("can't listen on nowhere.invalid:0") && message.lines().count() == 1,
        "{message}"
    );
}
