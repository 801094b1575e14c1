//! What was acknowledged is on disk, and what is sent again is counted once: servers and imports are killed in the
//! middle of their work.
//!
//! `SESSIONMETER_CRASH_ROUNDS` sets how often the server is killed, `SESSIONMETER_CRASH_SEED` repeats the random
//! choices of a failure (the race between the threads can't be repeated).

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use crate::support::random::{Random, from_environment};
use crate::support::{Server, binary, clickhouse, command, eventually, signal, store_arguments};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;

const CONNECTIONS: usize = 4;
const DAYS: u64 = 100;
/// 2024-01-01T00:00:00Z
const FIRST_DAY: u64 = 1_704_067_200;
const ALL_DAYS: &str = "length=100&ending_at=2024-04-09";

/// What was sent, by number; a number says everything about its session.
#[derive(Default)]
struct Ledger {
    next: AtomicU64,
    acknowledged: Mutex<Vec<u64>>,
    /// Batches that got no answer, or one that says that nothing was recorded.
    unanswered: Mutex<Vec<Vec<u64>>>,
    refused: Mutex<Vec<Vec<u64>>>,
}

impl Ledger {
    /// Numbers that were never sent.
    fn fresh(&self, count: u64) -> Vec<u64> {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        (first..first + count).collect()
    }

    /// Some that were acknowledged, perhaps none.
    fn some_acknowledged(&self, random: &mut Random, count: usize) -> Vec<u64> {
        let acknowledged = self.acknowledged.lock().unwrap();
        let mut some: Vec<u64> = (0..count)
            .filter(|_| !acknowledged.is_empty())
            .map(|_| *random.pick(&acknowledged))
            .collect();
        some.sort_unstable();
        some.dedup();
        some
    }

    /// How many sessions there are each day once everything was recorded.
    fn by_day(&self) -> Vec<u64> {
        let sent = self.next.load(Ordering::Relaxed);
        (0..DAYS).map(|day| (sent + DAYS - 1 - day) / DAYS).collect()
    }
}

fn session(app: &str, number: u64) -> Value {
    let started_at = FIRST_DAY + number % DAYS * 86_400 + number * 7_919 % 86_400;
    let mut session =
        json!({ "app_id": app, "session_id": format!("session-{number}"), "started_at": started_at });
    if number.is_multiple_of(3) {
        session["user_id"] = json!(format!("user-{}", number % 1_000));
        session["app_version"] = json!(format!("1.{}", number % 50));
        session["duration"] = json!(number % 500);
    }
    session
}

/// A body of sessions, in one of the two formats.
fn body(random: &mut Random, app: &str, numbers: &[u64]) -> (&'static str, String) {
    let sessions: Vec<Value> = numbers.iter().map(|number| session(app, *number)).collect();
    if random.one_in(2) {
        return ("application/json", json!({ "sessions": sessions }).to_string());
    }
    let lines: Vec<String> = sessions.iter().map(Value::to_string).collect();
    ("application/x-ndjson", lines.join("\n"))
}

/// New sessions and duplicates of a 201.
fn tally(answer: &crate::support::Answer) -> (u64, u64) {
    assert_eq!(answer.status, 201, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["errors"], Value::Null);
    let count = |name: &str| body[name].as_u64().unwrap();
    (count("sessions_processed"), count("duplicates"))
}

/// Over ClickHouse a process calls new what it does not remember.
fn check_new(new: u64, fresh: u64) {
    if clickhouse::is_used() {
        assert!(new >= fresh, "{new} of {fresh}");
    } else {
        assert_eq!(new, fresh);
    }
}

/// Sends batches, small and large, with and without re-deliveries, until the server goes away.
fn record_until_it_ends(server: &Server, ledger: &Ledger, mut random: Random, acknowledged: &Sender<()>) {
    loop {
        let count = if random.one_in(8) {
            random.range(500, 3_000)
        } else {
            random.range(1, 6)
        };
        let fresh = ledger.fresh(count as u64);
        let again = if random.one_in(3) {
            ledger.some_acknowledged(&mut random, 20)
        } else {
            Vec::new()
        };
        let (content_type, body) = body(&mut random, &server.app, &[&fresh[..], &again[..]].concat());
        match server.try_track(content_type, body) {
            Err(_) => {
                ledger.unanswered.lock().unwrap().push(fresh);
                return;
            }
            Ok(answer) if answer.status == 503 => ledger.refused.lock().unwrap().push(fresh),
            Ok(answer) => {
                let (new, duplicates) = tally(&answer);
                assert_eq!(new + duplicates, (fresh.len() + again.len()) as u64);
                check_new(new, fresh.len() as u64);
                ledger.acknowledged.lock().unwrap().extend(fresh);
                // Whoever counts may have counted enough.
                let _ = acknowledged.send(());
            }
        }
    }
}

/// Records from several connections and sends the signal after so many acknowledged batches.
fn record_and_signal(server: &Server, ledger: &Ledger, random: &mut Random, name: &str) {
    let batches = random.below(40);
    let (sender, acknowledgements) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            let random = Random::new(random.next());
            let sender = sender.clone();
            scope.spawn(move || record_until_it_ends(server, ledger, random, &sender));
        }
        for _ in 0..batches {
            let acknowledged = acknowledgements.recv_timeout(Duration::from_secs(60));
            if acknowledged.is_err() {
                // Let the threads end, or the scope would wait for ever.
                signal(server.id(), "KILL");
                panic!("no batch was acknowledged for a minute");
            }
        }
        signal(server.id(), name);
    });
}

/// Everything acknowledged is there; after sending the rest again, everything is there once.
fn check_and_complete(server: &Server, ledger: &Ledger, random: &mut Random) {
    let unanswered = std::mem::take(&mut *ledger.unanswered.lock().unwrap());
    let refused = std::mem::take(&mut *ledger.refused.lock().unwrap());
    let acknowledged = ledger.acknowledged.lock().unwrap().len() as u64;
    let in_doubt: usize = unanswered.iter().map(Vec::len).sum();
    let found: u64 = server.counts(ALL_DAYS).iter().sum();
    let possible = acknowledged..=acknowledged + in_doubt as u64;
    assert!(
        possible.contains(&found),
        "{found} sessions, expected {possible:?}"
    );

    let mut missing = 0;
    let send = |random: &mut Random, numbers: &[u64]| {
        let (content_type, body) = body(random, &server.app, numbers);
        tally(&server.try_track(content_type, body).unwrap())
    };
    for batch in &unanswered {
        let (new, duplicates) = send(random, batch);
        assert_eq!(new + duplicates, batch.len() as u64);
        assert!(
            new == 0 || duplicates == 0,
            "half a batch was recorded: {new} of {}",
            batch.len()
        );
        missing += new;
    }
    check_new(found + missing, acknowledged + in_doubt as u64);
    for batch in &refused {
        assert_eq!(send(random, batch), (batch.len() as u64, 0));
    }
    let again = ledger.some_acknowledged(random, 500);
    if !again.is_empty() {
        let (new, duplicates) = send(random, &again);
        assert_eq!(new + duplicates, again.len() as u64);
        check_new(new, 0);
    }
    let completed = unanswered.into_iter().chain(refused).flatten();
    ledger.acknowledged.lock().unwrap().extend(completed);

    assert_eq!(server.counts(ALL_DAYS), ledger.by_day());
    let verified = server.command(&["verify"]);
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(verified["sessions"], ledger.next.load(Ordering::Relaxed));
}

fn seeded() -> Random {
    let seed = Random::seed("SESSIONMETER_CRASH_SEED");
    println!("SESSIONMETER_CRASH_SEED={seed}");
    Random::new(seed)
}

/// Starts again on the store of a server that has ended.
fn start_again(ended: Server) -> Server {
    let (key, app, data) = (ended.key.clone(), ended.app.clone(), ended.data.clone());
    drop(ended);
    let mut server = Server::start_on(&data, &[]);
    server.key = key;
    server.app = app;
    server
}

/// A server that is killed before it has said where it listens.
fn kill_while_starting(data: &Path) {
    let mut child = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"])
        .args(store_arguments(data))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_server_has_lost_nothing_and_counts_nothing_twice() {
    let mut random = seeded();
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let ledger = Ledger::default();
    let mut server = Server::start_on(&data, &[]);
    for round in 0..from_environment("SESSIONMETER_CRASH_ROUNDS", 20) {
        println!("round {round}");
        record_and_signal(&server, &ledger, &mut random, "KILL");
        if random.one_in(4) {
            kill_while_starting(&data);
        }
        server = start_again(server);
        check_and_complete(&server, &ledger, &mut random);
    }
}

#[test]
fn a_server_that_is_stopped_while_recording_finishes_what_it_acknowledges() {
    let mut random = seeded();
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let ledger = Ledger::default();
    let mut server = Server::start_on(&data, &[]);
    for round in 0..5 {
        println!("round {round}");
        record_and_signal(&server, &ledger, &mut random, "TERM");
        let (key, app) = (server.key.clone(), server.app.clone());
        assert_eq!(server.wait(), Some(0));
        // Its end left one file: everything is in it.
        assert!(!data.join("sessions.sqlite-wal").exists());
        server = Server::start_on(&data, &[]);
        server.key = key;
        server.app = app;
        check_and_complete(&server, &ledger, &mut random);
    }
}

fn sample_lines() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let file = std::fs::File::open(directory.join("contributors.ndjson.gz")).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// Something that grows with each commit.
fn commits(data: &Path) -> i64 {
    if let Some(sessions) = clickhouse::sessions(data) {
        // What the tests below import comes in batches of 5,000.
        return sessions / 5_000;
    }
    let file = data.join("sessions.sqlite");
    let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    store
        .query_row("SELECT commit_seq FROM meta", [], |row| row.get(0))
        .unwrap()
}

/// Imports the first lines and kills the import after some commits, while it waits for more lines.
fn kill_an_import(data: &Path, lines: &[&str], commits_until_then: i64) {
    let before = commits(data);
    let mut import = Command::new(binary())
        .args(["import", "-", "--app", "default"])
        .args(store_arguments(data))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = import.stdin.take().unwrap();
    stdin.write_all(lines.join("\n").as_bytes()).unwrap();
    eventually("the import's commits", || {
        commits(data) >= before + commits_until_then
    });
    import.kill().unwrap();
    import.wait().unwrap();
}

#[test]
fn an_import_that_was_killed_can_be_run_again() {
    const LINES: u64 = 59_430;
    const SESSIONS: u64 = 57_144;
    let mut random = seeded();
    let server = Server::start();
    let text = sample_lines();
    // All of them to the app `default`: session ids are unique in the file.
    let text = text.lines().map(|line| {
        let mut session: Value = serde_json::from_str(line).unwrap();
        session.as_object_mut().unwrap().remove("app_id");
        session.to_string()
    });
    let text: Vec<String> = text.collect();
    let lines: Vec<&str> = text.iter().map(String::as_str).collect();

    // 5,000 lines are a batch; the second import meets what the first one has recorded.
    kill_an_import(&server.data, &lines[..30_000], random.range(1, 3));
    let first = server.command(&["verify"]);
    kill_an_import(&server.data, &lines[20_000..50_000], 1);
    let second = server.command(&["verify"]);
    for verified in [&first, &second] {
        assert_eq!(verified["agrees"], true, "{verified}");
    }
    let (first, second) = (
        first["sessions"].as_u64().unwrap(),
        second["sessions"].as_u64().unwrap(),
    );
    assert!(
        0 < first && first < second && second < SESSIONS,
        "{first} {second}"
    );

    let file = server.data.with_extension("ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let import = || {
        let report = server.command(&["import", file.to_str().unwrap(), "--app", "default"]);
        assert_eq!(report["refused"], 0);
        let count = |name: &str| report[name].as_u64().unwrap();
        (count("recorded"), count("duplicates"))
    };
    // Over ClickHouse an import remembers what it recorded itself.
    let [before, all] = if clickhouse::is_used() {
        [0, 0]
    } else {
        [second, SESSIONS]
    };
    for known in [before, all] {
        assert_eq!(import(), (SESSIONS - known, LINES - (SESSIONS - known)));
    }
    let verified = command(&server.data, &["verify"]);
    assert_eq!(
        (&verified["agrees"], &verified["sessions"]),
        (&json!(true), &json!(SESSIONS))
    );
    let total = || {
        let windows = (1..=52_i64).map(|window| {
            let end = jiff::civil::date(2012, 12, 31) + jiff::Span::new().days(100 * window);
            server.counts(&format!("length=100&ending_at={end}"))
        });
        windows.flatten().sum::<u64>()
    };
    eventually("the server's counts", || total() == SESSIONS);
}
