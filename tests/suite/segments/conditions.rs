//! Every operator on every field.

use serde_json::Value;
use tempfile::TempDir;

use crate::segments::generator::{self, Generator};
use crate::segments::naive::{self, Unit};
use crate::segments::{Space, verify};
use crate::support::Server;
use crate::support::random::Random;

#[test]
fn every_condition_selects_what_a_naive_reading_of_it_selects() {
    let seed = Random::seed("SESSIONMETER_SEGMENTS_SEED");
    println!("SESSIONMETER_SEGMENTS_SEED={seed}");
    let mut generator = Generator::new(Random::new(seed));
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let space = Space::create(&data, "conditions", "Asia/Kathmandu", 2);
    let server = Server::start_on(&data, &[]);
    let caller = space.caller(&server);
    let mut model = naive::Workspace::new("Asia/Kathmandu");
    let [_, days] = generator.windows();
    let mut record = |model: &mut naive::Workspace, count: usize| {
        let updates: Vec<Value> = (0..count / 10).map(|_| generator.user_update()).collect();
        caller.set_users(&updates);
        for update in &updates {
            model.set_user(update);
        }
        let sessions: Vec<Value> = (0..count).map(|_| generator.session(&space.apps)).collect();
        let new = sessions.iter().filter(|session| model.record(session)).count();
        assert_eq!(caller.record(&sessions), new as u64);
    };
    record(&mut model, 600);
    // As many at a time as may be tracked.
    for filters in generator::conditions(&space.apps[1]).chunks(25) {
        let create = |(number, filter)| caller.create(&format!("segment {number}"), filter, true);
        let ids: Vec<String> = filters.iter().enumerate().map(create).collect();
        // These are recorded with the segments, those before are their past.
        record(&mut model, 40);
        for (id, filter) in ids.iter().zip(filters) {
            let series = caller.series(&format!("{}&segment_id={id}", days[0]));
            let counts = model.counts(&model.members(filter), Unit::Day, None);
            naive::assert_series(&series, &counts, &filter.to_string());
        }
        for id in &ids {
            caller.change("delete", id);
        }
    }
    verify(&data);
}
