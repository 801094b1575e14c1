//! What a terminal, a shell and a pipe get from commands.

mod pipes;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr as _;

use crate::support::{self, binary, command, eventually, packages, run, store_arguments, terminate};

/// A store with the workspace `acme` and the app `Shop`.
struct Place {
    directory: TempDir,
    store: std::path::PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = directory.path().join("store");
        command(&store, &["workspace", "create", "acme"]);
        command(&store, &["app", "create", "Shop"]);
        Self { directory, store }
    }

    /// With so many sessions, of which each takes some hundred bytes.
    fn with(sessions: u64) -> Self {
        let place = Self::new();
        let line = |id: u64| {
            let start = 1_530_248_399 + id;
            format!("{{\"session_id\":\"s-{id}\",\"started_at\":{start},\"user_id\":\"u-{id:0>100}\"}}\n")
        };
        let file = place.directory.path().join("in.ndjson");
        std::fs::write(&file, (0..sessions).map(line).collect::<String>()).unwrap();
        place.json(&["import", file.to_str().unwrap(), "--app", "Shop"]);
        place
    }

    fn json(&self, arguments: &[&str]) -> Value {
        command(&self.store, arguments)
    }

    fn start(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(store_arguments(&self.store)).args(arguments);
        command
    }

    /// What it prints where the terminal has so many columns.
    fn in_columns(&self, columns: &str, arguments: &[&str]) -> String {
        let output = self.start(arguments).env("COLUMNS", columns).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a terminal gets, in which the command runs.
    fn on_terminal(&self, arguments: &[&str]) -> String {
        let script = packages::program(&["script"], "bsdutils");
        let store = store_arguments(&self.store).map(|argument| argument.into_string().unwrap());
        let words = [binary()].into_iter().chain(store.iter().map(String::as_str));
        let words = words.chain(arguments.iter().copied());
        let line: Vec<String> = words.map(|word| format!("'{word}'")).collect();
        let output = Command::new(script)
            .args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const TRICKS: &str = "\u{1b}[2Jgone\u{9b}31m\u{202e}desrever\u{200b}\nsecond line\u{7}";

fn is_harmless(text: &str) -> bool {
    let obeyed = |character: char| character.is_control() && !matches!(character, '\n' | '\r');
    !text.contains(|character| obeyed(character) || "\u{202e}\u{200b}".contains(character))
}

#[test]
fn what_others_wrote_can_not_command_a_terminal() {
    let place = Place::new();
    let filter = json!({"field": "attributes.plan", "op": "eq", "value": TRICKS}).to_string();
    let made = run(
        &place.store,
        &[
            "segment",
            "create",
            "s",
            "--filter",
            &filter,
            "--description",
            TRICKS,
        ],
    );
    assert!(made.status.success(), "{}", said(&made));
    let made = String::from_utf8(made.stdout).unwrap();
    assert!(is_harmless(&made), "{made:?}");
    let shown = run(&place.store, &["segment", "show", "s"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(is_harmless(&shown), "{shown:?}");
    let line = r"notes     \u{1b}[2Jgone\u{9b}31m\u{202e}desrever\u{200b}\nsecond line\u{7}";
    assert!(shown.contains(line), "{shown:?}");
    // JSON means the same and is as harmless.
    let shown = run(&place.store, &["segment", "show", "s", "--json"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(is_harmless(&shown), "{shown:?}");
    let value: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["text_description"], TRICKS);
    assert_eq!(value["filter"]["value"], TRICKS);

    // Neither can files: what is refused of them, their names and their columns.
    let file = place.directory.path().join("trick\u{1b}[2J.csv");
    let table = format!("session_id,started_at,\"{TRICKS}\"\na,\"{TRICKS}\",\n");
    std::fs::write(&file, table).unwrap();
    let refused = run(&place.store, &["import", file.to_str().unwrap(), "--app", "Shop"]);
    let printed = format!("{}{}", String::from_utf8_lossy(&refused.stdout), said(&refused));
    assert!(is_harmless(&printed), "{printed:?}");
    assert!(printed.contains(r"trick\u{1b}[2J.csv:"), "{printed:?}");
    let missing = run(&place.store, &["import", "none\u{1b}[2J\u{202e}.csv"]);
    assert!(is_harmless(&said(&missing)), "{:?}", said(&missing));
}

#[test]
fn an_export_on_a_terminal_is_harmless_and_in_a_pipe_as_it_is() {
    let place = Place::new();
    let user = "u\u{9b}31m\u{202e}";
    let session = json!({"session_id": "a", "started_at": 1_530_248_399, "user_id": user});
    let file = place.directory.path().join("in.ndjson");
    std::fs::write(&file, session.to_string()).unwrap();
    place.json(&["import", file.to_str().unwrap(), "--app", "Shop"]);
    for format in ["ndjson", "csv"] {
        let seen = place.on_terminal(&["export", "--format", format]);
        assert!(
            is_harmless(&seen) && seen.contains(r"u\u{9b}31m\u{202e}"),
            "{seen:?}"
        );
        let piped = run(&place.store, &["export", "--format", format, "--output", "-"]);
        let piped = String::from_utf8(piped.stdout).unwrap();
        assert!(piped.contains(user), "{piped:?}");
    }
    for arguments in [&["export", "--format", "parquet"][..], &["backup", "-"]] {
        let seen = place.on_terminal(arguments);
        assert!(seen.contains("not for terminals"), "{seen:?}");
    }
}

#[test]
fn names_refuse_what_can_not_be_seen() {
    let place = Place::new();
    for name in ["Sh\u{202e}op", "Shop\u{200b}", "Sh\u{1b}op", "\u{2066}Shop"] {
        for arguments in [
            &["workspace", "create", name][..],
            &["app", "create", name],
            &["app", "rename", "Shop", name],
            &["workspace", "rename", "acme", name],
            &["key", "create", name, "--permission", "all"],
        ] {
            let output = run(&place.store, arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert!(is_harmless(&said(&output)), "{:?}", said(&output));
            assert!(said(&output).contains("a name has "), "{}", said(&output));
        }
    }
    place.json(&["app", "create", "I \u{2764}\u{fe0f} 東京"]);
}

#[test]
fn tables_fit_into_the_terminal_whatever_their_characters_are_wide() {
    let place = Place::new();
    for name in ["東京のとても長い名前のアプリケーションです", "Café – iOS"] {
        place.json(&["app", "create", name, "--platform", "ios"]);
    }
    let allow = "10.0.0.0/8,192.168.0.0/16,203.0.113.7,2001:db8::/32";
    place.json(&[
        "key",
        "create",
        "k",
        "--permission",
        "sessions.track,sessions.data_series",
        "--allow",
        allow,
    ]);
    let filter = r#"{"field": "platform", "op": "exists", "value": true}"#;
    place.json(&[
        "segment", "create", "s", "--filter", filter, "--tag", "one", "--tag", "two",
    ]);
    for list in ["workspace", "app", "key", "segment"] {
        for columns in ["60", "80", "200"] {
            let table = place.in_columns(columns, &[list, "list"]);
            let widest = table.lines().map(|line| line.width()).max().unwrap();
            assert!(widest <= columns.parse().unwrap(), "{table}");
        }
        // What another program reads has a line for each.
        let output = place
            .start(&[list, "list"])
            .env_remove("COLUMNS")
            .output()
            .unwrap();
        let table = String::from_utf8(output.stdout).unwrap();
        assert!(table.starts_with("ID  "), "{table}");
    }
    let table = place.in_columns("200", &["app", "list"]);
    let places: Vec<usize> = table
        .lines()
        .map(|line| {
            line.split_at(line.rfind("acme").or(line.rfind("WORKSPACE")).unwrap())
                .0
                .width()
        })
        .collect();
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
}

#[test]
fn the_unfinished_unit_is_marked_for_people_only() {
    let place = Place::new();
    let table = place.in_columns("80", &["series", "--length", "2"]);
    let lines: Vec<&str> = table.lines().collect();
    let marked: Vec<bool> = lines[2..4].iter().map(|line| line.contains('*')).collect();
    assert_eq!(
        (marked, lines[5]),
        (vec![false, true], "* not over yet"),
        "{table}"
    );
    let past = place.in_columns("80", &["series", "--length", "2", "--ending-at", "2018-06-28"]);
    assert!(!past.contains('*'), "{past}");
    for format in ["--csv", "--json"] {
        let text = place.in_columns("80", &["series", format]);
        assert!(!text.contains('*'), "{text}");
    }
}

#[test]
fn what_takes_long_says_how_far_it_is() {
    let place = Place::with(1_000);
    let file = |name: &str| place.directory.path().join(name).display().to_string();
    for (arguments, words) in [
        (vec!["verify".to_owned()], "verifying"),
        (
            vec!["export".to_owned(), "--output".to_owned(), file("out.csv")],
            "exporting",
        ),
        (vec!["backup".to_owned(), file("copy")], "backing up"),
        (
            vec!["migrate".to_owned(), "--to".to_owned(), file("moved")],
            "copying",
        ),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let seen = place.on_terminal(&arguments);
        assert!(seen.contains(words), "{seen:?}");
        // Not in a log.
        let quiet = run(&place.store, &["verify"]);
        assert_eq!(said(&quiet), "");
    }
}

#[test]
fn zones_without_rules_are_warned_about() {
    let place = Place::new();
    for arguments in [
        &["workspace", "create", "east", "--time-zone", "EST"][..],
        &["workspace", "set-time-zone", "acme", "EST"],
    ] {
        let output = run(&place.store, arguments);
        assert!(output.status.success());
        let expected = "warning: EST has one offset all year and no daylight saving time; give the zone of a city, such as America/New_York";
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    let output = run(&place.store, &["workspace", "set-time-zone", "acme", "Etc/GMT+5"]);
    assert!(
        said(&output).contains("5 hours behind UTC all year"),
        "{}",
        said(&output)
    );
    let output = run(
        &place.store,
        &["workspace", "set-time-zone", "acme", "America/New_York"],
    );
    assert_eq!(said(&output), "");
}

#[test]
fn shells_complete_commands() {
    let print = |shell: &str| {
        let output = Command::new(binary())
            .args(["completions", shell])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let directory = TempDir::new().unwrap();
    let script = directory.path().join("complete.bash");
    std::fs::write(&script, print("bash")).unwrap();
    let ask = format!(
        "source {}; COMP_WORDS=(sessionmeter wor); COMP_CWORD=1; _sessionmeter sessionmeter wor sessionmeter; echo ${{COMPREPLY[@]}}",
        script.display()
    );
    let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "workspace\n",
        "{}",
        said(&output)
    );
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(print(shell).contains("rename"), "{shell}");
    }
    let output = Command::new(binary())
        .args(["completions", "tcsh"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn manual_pages_are_written() {
    let man = |arguments: &[&str]| {
        let output = Command::new(binary())
            .arg("man")
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            said(&output),
        )
    };
    let (code, page, _) = man(&[]);
    assert_eq!(code, Some(0));
    assert!(
        page.contains(".TH sessionmeter 1") && page.contains("import"),
        "{page}"
    );
    let (code, page, _) = man(&["workspace", "rename"]);
    assert_eq!(code, Some(0));
    assert!(
        page.contains("Give a workspace another name") && page.contains("workspace rename"),
        "{page}"
    );
    let (code, _, error) = man(&["workspace", "paint"]);
    assert_eq!(
        (code, error.contains("'workspace' has no command 'paint'")),
        (Some(2), true),
        "{error}"
    );
    let directory = TempDir::new().unwrap();
    let (code, _, error) = man(&["--directory", directory.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{error}");
    for page in [
        "sessionmeter.1",
        "sessionmeter-import.1",
        "sessionmeter-workspace-rename.1",
    ] {
        let mut text = String::new();
        let mut file = std::fs::File::open(directory.path().join(page)).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert!(text.contains(".TH "), "{page}");
    }
}

#[test]
fn an_id_that_another_workspace_has_does_not_tell_what_has_it() {
    let server = support::Server::start();
    let other = server.command(&["workspace", "create", "other"]);
    let app = server.command(&["app", "create", "Web", "--workspace", "other"]);
    let filter = json!({"field": "platform", "op": "exists", "value": true});
    for id in [&other["id"], &app["id"]] {
        let body = json!({"name": "s", "filter": filter, "id": id});
        let request = server.client().post(format!("{}/segments/create", server.url));
        let answer = support::send(request.bearer_auth(&server.key).json(&body));
        let expected = format!(
            "the id {} is taken already; ids are unique on the whole server",
            id.as_str().unwrap()
        );
        assert_eq!((answer.status, answer.message()), (400, expected));
    }
    eventually("nothing was made", || {
        server.command(&["segment", "list"]) == json!([])
    });
}

#[test]
fn wrong_usage_is_said_in_one_line() {
    for (arguments, said) in [
        (
            &["series", "--unit", "fortnight"][..],
            "invalid value 'fortnight' for '--unit",
        ),
        (&["app", "delete"], "required arguments were not provided: <APP>"),
        (
            &["serve", "--lisen", "8080"],
            "a similar argument exists: '--listen'",
        ),
        (&["verifi"], "unrecognized subcommand 'verifi'"),
        (
            &["series", "--csv", "--json"],
            "the argument '--csv' cannot be used with '--json'",
        ),
        (&["app", "create", "a\u{202e}b"], "a\\u{202e}b"),
        // What shows only when the command has begun.
        (&["man", "worksapce"], "has no command 'worksapce'"),
        (&["import", "-", "-"], "can be read only once"),
        (
            &["app", "list", "--store", "http://127.0.0.1/x"],
            "must begin with clickhouse://",
        ),
        (&["migrate", "--from", "x", "--to", ""], "--from or --to is empty"),
        (&["serve", "--log-level", "loud"], "'loud' is no log level"),
    ] {
        let output = Command::new(binary()).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(output.stdout.is_empty());
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.starts_with("sessionmeter: ") && text.ends_with("(--help says more)\n"),
            "{text}"
        );
        assert!(text.contains(said), "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains("Usage:"), "{text}");
    }
    // Whoever names no command wants to know which there are.
    let output = Command::new(binary()).arg("app").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("\nCommands:\n"));
}
