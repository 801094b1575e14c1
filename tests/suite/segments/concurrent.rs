//! Segments are tracked, edited and asked for while sessions are recorded without pause, by the server and by commands
//! beside it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::segments::naive::{self, Unit};
use crate::segments::{Caller, Space, assert_adds_up, is, not, patiently, verify};
use crate::support::{Server, command};

const CONNECTIONS: u64 = 3;
/// Sessions before anything is tracked, most in quarter hours of their own.
const PAST: u64 = 20_000;
/// Sessions of a file that is imported meanwhile.
const IMPORTED: u64 = 3_000;
/// 2023-01-01T00:00:00Z
const BEGIN: u64 = 1_672_531_200;
const DAY: u64 = 86_400;
const DAYS: u64 = 500;

/// The source and the number say everything about a session. Persons belong to one source, so that it is known which
/// of their sessions is the first.
fn session(apps: &[String], source: u64, number: u64) -> Value {
    let mixed = (number * 8 + source).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let mut session = json!({
        "app_id": apps[mixed as usize % apps.len()],
        "session_id": format!("{source}-{number}"),
        "started_at": BEGIN + mixed % (DAYS * DAY),
        "app_version": format!("4.{}", mixed % 13),
        "attributes": { "level": mixed % 10 },
    });
    if !mixed.is_multiple_of(4) {
        session["user_id"] = format!("{source}-{}", mixed % 211).into();
    }
    if !mixed.is_multiple_of(3) {
        session["country"] = ["BR", "mx"][mixed as usize % 2].into();
    }
    session
}

/// The window of a hundred days with this number.
fn window(number: u64) -> String {
    let end = BEGIN + (number * 100 + 99) * DAY;
    format!("length=100&ending_at={end}")
}

/// The series of all days.
fn all_days(caller: Caller<'_>, scope: &str) -> Vec<(String, u64)> {
    (0..=DAYS / 100)
        .flat_map(|number| caller.series(&format!("{}{scope}", window(number))))
        .collect()
}

/// Records batches until it is told to stop; the number of its sessions.
fn record(caller: Caller<'_>, apps: &[String], source: u64, stop: &AtomicBool, recorded: &AtomicU64) -> u64 {
    let mut next = 0;
    while !stop.load(Ordering::SeqCst) {
        let count = 1 + next % 90;
        let numbers = next..next + count;
        let sessions: Vec<Value> = numbers.map(|number| session(apps, source, number)).collect();
        assert_eq!(caller.record(&sessions), count);
        next += count;
        recorded.fetch_add(count, Ordering::SeqCst);
    }
    next
}

/// A segment, its opposite, and the filter that they have in the end.
struct Pair {
    one: String,
    other: String,
    filter: Value,
}

impl Pair {
    fn create(caller: Caller<'_>, name: &str, filter: Value) -> Self {
        Self {
            one: caller.create(name, &filter, true),
            other: caller.create(&format!("not {name}"), &not(&filter), true),
            filter,
        }
    }

    fn both(&self) -> [&String; 2] {
        [&self.one, &self.other]
    }

    fn edit(&mut self, caller: Caller<'_>, filter: Value) {
        caller.edit_filter(&self.one, &filter);
        caller.edit_filter(&self.other, &not(&filter));
        self.filter = filter;
    }

    /// Counts only grow, so what is asked for in between lies in between.
    fn check_while_recording(&self, caller: Caller<'_>) {
        let window = window(2);
        let before = caller.counts(&window);
        let [one, other] = self
            .both()
            .map(|id| caller.counts(&format!("{window}&segment_id={id}")));
        let after = caller.counts(&window);
        for day in 0..before.len() {
            let sum = one[day] + other[day];
            assert!(
                before[day] <= sum && sum <= after[day],
                "day {day} of {}: {} <= {sum} <= {}",
                self.filter,
                before[day],
                after[day]
            );
        }
    }

    fn check(&self, caller: Caller<'_>, model: &naive::Workspace) {
        let counts =
            |series: &[(String, u64)]| -> Vec<u64> { series.iter().map(|(_, count)| *count).collect() };
        let [one, other] = self
            .both()
            .map(|id| all_days(caller, &format!("&segment_id={id}")));
        let members = model.members(&self.filter);
        let what = self.filter.to_string();
        naive::assert_series(&one, &model.counts(&members, Unit::Day, None), &what);
        let everyone = all_days(caller, "");
        assert_adds_up(&counts(&one), &counts(&other), &counts(&everyone), &what);
    }
}

/// Changes segments in every way; those that are tracked in the end.
fn change_segments(caller: Caller<'_>, some_more: &dyn Fn()) -> Vec<Pair> {
    let version = json!({ "field": "app_version", "op": "lt", "value": "4.10" });
    let level = json!({ "field": "attributes.level", "op": "gte", "value": 5 });
    let mut pairs = vec![
        Pair::create(caller, "first", is("first_session", true)),
        Pair::create(caller, "level", level),
        Pair::create(caller, "country", is("country", "DE")),
    ];
    // Right after one another.
    for country in ["BR", "MX"] {
        some_more();
        pairs[2].edit(caller, json!({ "any": [is("country", country), version] }));
    }
    let forgotten = Pair::create(caller, "forgotten", version.clone());
    caller.change("delete", &forgotten.one);
    caller.change("untrack", &forgotten.other);
    pairs[0].check_while_recording(caller);
    caller.change("untrack", &pairs[1].one);
    some_more();
    caller.change("track", &pairs[1].one);
    // By a command beside the server.
    let late = is("attributes.level", 3);
    let text = late.to_string();
    let create = [
        "segment",
        "create",
        "late",
        "--workspace",
        "busy",
        "--filter",
        &text,
    ];
    let created = command(
        &caller.server.data,
        &[&create[..], &["--track", "--wait"]].concat(),
    );
    let one = created["id"].as_str().unwrap().to_owned();
    patiently("the command's segment", || {
        caller.list("").iter().any(|listed| listed["id"] == one.as_str())
    });
    pairs.push(Pair {
        other: caller.create("not late", &not(&late), true),
        one,
        filter: late,
    });
    for pair in &pairs {
        pair.check_while_recording(caller);
    }
    some_more();
    pairs[1].edit(caller, is("country", "br"));
    pairs
}

#[test]
fn what_is_recorded_while_segments_change_is_counted_once() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "busy", "UTC", 3);
    let server = Server::start_on(&data, &[]);
    let caller = space.caller(&server);
    let apps = &space.apps;
    let past: Vec<Value> = (0..PAST).map(|number| session(apps, 7, number)).collect();
    for batch in past.chunks(10_000) {
        caller.record(batch);
    }
    let lines: Vec<String> = (0..IMPORTED)
        .map(|number| session(apps, 6, number).to_string())
        .collect();
    let file = directory.path().join("sessions.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let import = ["import", file.to_str().unwrap(), "--workspace", "busy"];

    let (stop, recorded) = (AtomicBool::new(false), AtomicU64::new(0));
    let some_more = || {
        let enough = recorded.load(Ordering::SeqCst) + 300;
        patiently("some more sessions", || recorded.load(Ordering::SeqCst) >= enough);
    };
    let (pairs, mut sent) = std::thread::scope(|scope| {
        let recording: Vec<_> = (0..CONNECTIONS)
            .map(|source| {
                let (stop, recorded) = (&stop, &recorded);
                scope.spawn(move || record(caller, apps, source, stop, recorded))
            })
            .collect();
        let importing = scope.spawn(|| command(&data, &import));
        let pairs = change_segments(caller, &some_more);
        assert_eq!(importing.join().unwrap()["recorded"], IMPORTED);
        stop.store(true, Ordering::SeqCst);
        let sent = (0..).zip(recording.into_iter().map(|thread| thread.join().unwrap()));
        (pairs, sent.collect::<Vec<(u64, u64)>>())
    });
    sent.extend([(6, IMPORTED), (7, PAST)]);
    let mut model = naive::Workspace::new("UTC");
    for (source, count) in sent {
        for number in 0..count {
            assert!(model.record(&session(apps, source, number)));
        }
    }
    let all = model.sessions.len() as u64;
    patiently("the last imported session", || {
        all_days(caller, "").iter().map(|(_, count)| count).sum::<u64>() == all
    });
    for pair in &pairs {
        pair.check(caller, &model);
    }
    verify(&data);
}
