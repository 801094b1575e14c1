//! A process that stands still between any two statements of a recording, and goes on as if nothing had been: what a
//! machine does that is out of memory, or that is moved while it runs.

use std::time::Duration;

use super::*;
use crate::clickhouse::cluster::LoneServer;
use crate::support::gate::Gate;
use crate::support::{eventually, signal};

/// Seconds that it stands still; without it, as long as the other process takes.
const STOPPED: &str = "SESSIONMETER_STOPPED_SECONDS";
/// Sessions of a recording.
const BATCH: u64 = 40;
/// More pieces than the statements of a recording have.
const MOST: usize = 60;

#[test]
fn a_recorder_that_stands_still_between_two_statements_loses_nothing_and_counts_nothing_twice() {
    let longer = std::env::var(STOPPED).map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let server = LoneServer::start();
    let store = address_on_one(&server.host(), "stopped");
    let other = serve(&store, None);
    let gate = Gate::start(&server.host());
    let stopping = serve(&address_on_one(&gate.address, "stopped"), Some(&other));
    let app = other.app.as_str();
    let (mut recorded, mut rounds) = (0, 0);
    for pieces in 0..MOST {
        let mine = body(app, recorded..recorded + BATCH);
        // Half of them are the same; on days that both write.
        let others = body(app, recorded + BATCH / 2..recorded + BATCH + 10);
        let end = recorded + BATCH + 10;
        gate.close_after(pieces);
        let was_held = std::thread::scope(|scope| {
            let answer = scope.spawn(|| stopping.track(&mine));
            eventually("a statement that is held, or the end of the recording", || {
                answer.is_finished() || gate.holds_something()
            });
            let was_held = !answer.is_finished();
            signal(stopping.id(), "STOP");
            gate.open();
            // Meanwhile the other process records the same days, and answers.
            assert_eq!(other.track(&others).status, 201);
            let now: u64 = other.counts(ALL_DAYS).iter().sum();
            assert!((end - BATCH / 2..=end).contains(&now), "{pieces}: {now} of {end}");
            if let Ok(longer) = longer {
                std::thread::sleep(longer);
            }
            signal(stopping.id(), "CONT");
            let answer = answer.join().unwrap();
            assert!(matches!(answer.status, 201 | 503), "{pieces}: {}", answer.text);
            if answer.status == 503 {
                eventually("the same batch again", || stopping.track(&mine).status == 201);
            }
            was_held
        });
        recorded = end;
        for server in [&stopping, &other] {
            eventually("what was acknowledged, once", || {
                server.counts(ALL_DAYS) == by_day(end)
            });
        }
        rounds += usize::from(was_held);
        if !was_held {
            break;
        }
    }
    assert!(rounds >= 2, "a recording is more than one statement: {rounds}");
    assert_eq!(command(&store, &["verify"])["agrees"], true);
}
