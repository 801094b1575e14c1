//! What is recorded does not depend on how deliveries are grouped, nor on which process records them.

use std::collections::{BTreeMap, HashSet};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::catalog::Change;
use crate::model::{
    App, AppId, AttributeValue, NewSession, NewWorkspace, Properties, PropertyFields, UserUpdate, WorkspaceId,
};
use crate::store::records::SessionRecord;
use crate::store::{Administration as _, Selection, Sessions as _, Updated};

/// 2024-01-01T00:00:00Z
const FIRST: i64 = 1_704_067_200;
const APPS: usize = 2;

#[derive(Debug, Clone)]
struct Delivery {
    app: usize,
    session: u8,
    day: i64,
    user: Option<u8>,
    device: Option<u8>,
    duration: Option<u32>,
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let ids = (option::weighted(0.7, 0_u8..5), option::weighted(0.5, 0_u8..4));
    let duration = option::of(0_u32..3);
    (0..APPS, 0_u8..9, 0_i64..2, ids, duration).prop_map(|(app, session, day, (user, device), duration)| {
        Delivery {
            app,
            session,
            day,
            user,
            device,
            duration,
        }
    })
}

#[derive(Debug, Clone)]
enum Step {
    Record(Vec<Delivery>),
    /// Gives a user attributes, so that somebody is known of whom no session is.
    Update(u8, bool),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let record = vec(delivery(), 1..25).prop_map(Step::Record);
    let update = (0_u8..5, any::<bool>()).prop_map(|(user, value)| Step::Update(user, value));
    vec((0_usize..2, prop_oneof![4 => record, 1 => update]), 1..10)
}

/// What is known of a recorded session.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    user: Option<String>,
    device: Option<String>,
    duration: Option<u32>,
    /// Its properties as they were recorded.
    properties: String,
}

/// One delivery after the other, by the rules.
#[derive(Default)]
struct Naive {
    sessions: BTreeMap<(usize, i64, String), Known>,
    seen: HashSet<String>,
    attributes: BTreeMap<u8, bool>,
}

impl Delivery {
    /// Texts and UUIDs.
    fn id(&self) -> String {
        match self.session % 2 {
            0 => format!("session {}", self.session),
            _ => uuid::Uuid::from_u128(u128::from(self.session) << 100).to_string(),
        }
    }

    fn user(&self) -> Option<String> {
        self.user.map(|user| format!("user {user}"))
    }

    fn device(&self) -> Option<String> {
        // One text may be a user and a device.
        self.device.map(|device| format!("user {device}"))
    }

    fn session(&self, apps: &[AppId]) -> Session {
        let (id, user, device) = (self.id(), self.user(), self.device());
        let new = NewSession {
            app: apps[self.app],
            session_id: &id,
            started_at: (FIRST + self.day * 86_400 + 7) * 1000,
            end: self
                .duration
                .map(|duration| crate::model::End::After(duration.into())),
            user_id: user.as_deref(),
            device_id: device.as_deref(),
            properties: Properties::new(&PropertyFields::default(), vec![]).unwrap(),
        };
        Session::new(new, (FIRST + 10 * 86_400) * 1000).unwrap()
    }
}

impl Naive {
    fn record(&mut self, delivery: &Delivery) -> Recorded {
        let key = (delivery.app, delivery.day, delivery.id());
        if let Some(known) = self.sessions.get_mut(&key) {
            known.duration = known.duration.max(delivery.duration);
            return Recorded::Duplicate;
        }
        let (user, device) = (delivery.user(), delivery.device());
        let person = match (&user, &device) {
            (Some(user), _) => Some(format!("user: {user}")),
            (None, Some(device)) => Some(format!("device: {device}")),
            (None, None) => None,
        };
        let attributes = delivery.user.and_then(|user| self.attributes.get(&user));
        let attributes = attributes.map(|value| format!(r#""attributes":{{"a":{value}}}"#));
        let first = person.map(|person| format!(r#""first_session":{}"#, self.seen.insert(person)));
        let members: Vec<String> = attributes.into_iter().chain(first).collect();
        let known = Known {
            user,
            device,
            duration: delivery.duration,
            properties: format!("{{{}}}", members.join(",")),
        };
        self.sessions.insert(key, known);
        Recorded::New
    }
}

struct Pair {
    stores: [SqliteStore; 2],
    workspace: WorkspaceId,
    apps: Vec<AppId>,
    directory: TempDir,
}

impl Pair {
    async fn open() -> Self {
        let directory = TempDir::new().unwrap();
        let open = || SqliteStore::open(directory.path(), Role::Command).unwrap();
        let stores = [open(), open()];
        let workspace = WorkspaceId::random();
        let new = NewWorkspace {
            id: workspace,
            name: "w".parse().unwrap(),
            time_zone: "UTC".into(),
        };
        stores[0].change(Change::CreateWorkspace(new)).await.unwrap();
        let mut apps = Vec::new();
        for number in 0..APPS {
            let app = App {
                id: AppId::random(),
                name: number.to_string().parse().unwrap(),
                platform: String::new(),
            };
            apps.push(app.id);
            stores[0].change(Change::CreateApp(workspace, app)).await.unwrap();
        }
        stores[1].refresh().await.unwrap();
        Self {
            stores,
            workspace,
            apps,
            directory,
        }
    }

    async fn update(&self, by: usize, user: u8, value: bool) {
        let attributes = vec![("a".into(), Some(AttributeValue::Bool(value)))];
        let update = UserUpdate::new(&format!("user {user}"), attributes).unwrap();
        let updated = self.stores[by]
            .update_users(self.workspace, vec![update])
            .await
            .unwrap();
        assert_eq!(updated, [Updated::Done]);
    }

    async fn sessions(&self) -> BTreeMap<(usize, i64, String), Known> {
        let selection = Selection {
            workspace: self.workspace,
            app: None,
            from: None,
            to: None,
        };
        let (sender, mut batches) = mpsc::channel::<Vec<SessionRecord>>(100);
        self.stores[0].dump_sessions(selection, sender).await.unwrap();
        let mut sessions = BTreeMap::new();
        while let Some(batch) = batches.recv().await {
            for SessionRecord {
                session, recorded, ..
            } in batch
            {
                let app = self.apps.iter().position(|app| *app == session.app()).unwrap();
                let day = session.utc_day() - FIRST / 86_400;
                let known = Known {
                    user: session.user_id().map(str::to_owned),
                    device: session.device_id().map(str::to_owned),
                    duration: session.duration(),
                    properties: recorded,
                };
                sessions.insert((app, day, session.session_id().to_owned()), known);
            }
        }
        sessions
    }

    /// Users and devices that the store knows: kind, text, whether a session of theirs is recorded.
    fn identities(&self) -> Vec<(i64, String, bool)> {
        let connection = rusqlite::Connection::open(self.directory.path().join(FILE)).unwrap();
        let mut statement = connection
            .prepare("SELECT kind, value, seen FROM identities ORDER BY kind, value")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_is_recorded_does_not_depend_on_groups_nor_on_processes(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pair = Pair::open().await;
            let mut naive = Naive::default();
            for (by, step) in steps {
                match step {
                    Step::Record(deliveries) => {
                        let sessions = deliveries.iter().map(|delivery| delivery.session(&pair.apps));
                        let outcomes = pair.stores[by].record(sessions.collect()).await.unwrap();
                        let expected: Vec<_> = deliveries.iter().map(|delivery| naive.record(delivery)).collect();
                        assert_eq!(outcomes, expected);
                    }
                    Step::Update(user, value) => {
                        pair.update(by, user, value).await;
                        naive.attributes.insert(user, value);
                    }
                }
            }
            assert_eq!(pair.sessions().await, naive.sessions);
            // Nobody is known but for a session or an attribute.
            let users = naive.sessions.values().filter_map(|known| known.user.clone());
            let updated = naive.attributes.keys().map(|user| format!("user {user}"));
            let devices = naive.sessions.values().filter_map(|known| known.device.clone());
            let mut expected: BTreeMap<(i64, String), bool> = users.chain(updated).map(|user| {
                let seen = naive.seen.contains(&format!("user: {user}"));
                ((1, user), seen)
            }).collect();
            expected.extend(devices.map(|device| {
                let seen = naive.seen.contains(&format!("device: {device}"));
                ((2, device), seen)
            }));
            let expected: Vec<_> = expected.into_iter().map(|((kind, value), seen)| (kind, value, seen)).collect();
            assert_eq!(pair.identities(), expected);
            for store in &pair.stores {
                store.close().await;
            }
        });
    }
}
