//! What the demo prints when it is up: commands to paste.

use std::path::Path;

use serde_json::json;

use super::generator::DAYS;
use crate::cli::listen::reachable;
use crate::cli::output::{print_json, print_line, thousands};
use crate::cli::serve::Listening;
use crate::model::{App, KeySecret};
use crate::store::shell_word;

/// What was made up.
pub(super) struct Demo {
    pub(super) time_zone: String,
    pub(super) apps: Vec<App>,
    pub(super) secret: KeySecret,
    pub(super) sessions: u64,
}

/// Prints it on standard output.
pub(super) fn print(demo: &Demo, directory: &Path, listening: &Listening, json: bool) {
    // Whoever started the demo may have closed its output; that is no reason not to serve.
    let _ = if json {
        print_json(&as_json(demo, directory, listening))
    } else {
        print_line(&as_text(demo, directory, listening))
    };
}

fn as_json(demo: &Demo, directory: &Path, listening: &Listening) -> serde_json::Value {
    let apps: Vec<_> = demo
        .apps
        .iter()
        .map(|app| json!({"id": app.id, "name": app.name, "platform": app.platform}))
        .collect();
    json!({
        "listen": listening.api.to_string(),
        "ops_listen": listening.ops.map(|ops| ops.to_string()),
        "dashboard": listening.dashboard,
        "store": directory,
        "workspace": "demo",
        "time_zone": demo.time_zone,
        "key": demo.secret.reveal(),
        "apps": apps,
        "sessions": demo.sessions,
    })
}

fn as_text(demo: &Demo, directory: &Path, listening: &Listening) -> String {
    let api = format!("http://{}", reachable(listening.api));
    let key = demo.secret.reveal();
    let curl =
        |query: &str| format!("curl -H 'Authorization: Bearer {key}' '{api}/sessions/data_series?{query}'");
    let mut parts = vec![
        format!(
            "sessionmeter demo on {api}: {} sessions of {DAYS} days, made up, time zone {}.",
            thousands(demo.sessions),
            demo.time_zone
        ),
        dashboard(listening),
        format!("All apps, by day:\n{}", curl("length=14")),
        format!("The same by hour:\n{}", curl("length=24&unit=hour")),
    ];
    if let Some(app) = demo.apps.first() {
        parts.push(format!(
            "One app ({}):\n{}",
            app.name,
            curl(&format!("length=14&app_id={}", app.id))
        ));
        parts.push(format!(
            "Record a session, which all of these count at once:\n\
             curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
             -d '{{\"sessions\":[{{\"app_id\":\"{}\",\"session_id\":\"mine-1\",\"started_at\":'$(date +%s)'}}]}}' \
             '{api}/sessions/track'",
            app.id
        ));
    }
    parts.push(format!(
        "In another terminal, the same numbers as a table with bars:\nsessionmeter --data {} series",
        shell_word(&directory.display().to_string())
    ));
    let mut places = format!("Reference: {api}/reference");
    if let Some(ops) = listening.ops {
        places.push_str(&format!("\nMetrics:   http://{}/metrics", reachable(ops)));
    }
    parts.push(places);
    parts.retain(|part| !part.is_empty());
    parts.push("Everything is gone when this ends (Ctrl-C).\n".to_owned());
    parts.join("\n\n")
}

/// Where to look first.
fn dashboard(listening: &Listening) -> String {
    match &listening.dashboard {
        None => String::new(),
        Some(address) if listening.api.ip().is_loopback() => format!("Dashboard: {address}/"),
        Some(address) => format!("Dashboard: {address}/ ('sessionmeter dashboard link' prints a way in)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        let demo = Demo {
            time_zone: "UTC".to_owned(),
            apps: vec![App {
                id: "5c3b1a52-6f0e-4f5b-9d0a-3b6f1c7e2a01".parse().unwrap(),
                name: "iOS".parse().unwrap(),
                platform: "ios".to_owned(),
            }],
            secret: KeySecret::generate().unwrap(),
            sessions: 150_000,
        };
        let listening = Listening {
            api: "0.0.0.0:1234".parse().unwrap(),
            ops: Some("[::]:8081".parse().unwrap()),
            dashboard: Some("http://127.0.0.1:1234".to_owned()),
        };
        let text = as_text(&demo, Path::new("/tmp/it's here"), &listening);
        let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
        assert_eq!(commands.len(), 4, "{text}");
        for command in commands {
            assert!(command.contains("http://127.0.0.1:1234/sessions/"), "{command}");
            assert!(command.contains(demo.secret.reveal()), "{command}");
        }
        assert!(
            text.contains("150,000 sessions") && text.contains("http://[::1]:8081/metrics"),
            "{text}"
        );
        let command = r"sessionmeter --data '/tmp/it'\''s here' series";
        assert!(text.lines().any(|line| line == command), "{text}");
    }
}
