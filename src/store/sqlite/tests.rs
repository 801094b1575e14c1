//! Two stores over one file, as two processes have them: whatever they record in turns, each answers with all that it was
//! told itself, and with what the other was told once it has looked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::catalog::Change;
use crate::model::{
    App, AppId, Filter, Name, NewSession, NewWorkspace, Properties, PropertyFields, WorkspaceId,
};
use crate::store::{Administration as _, Rollups as _, Sessions as _};

/// 2024-01-01T00:00:00Z
const FIRST: i64 = 1_704_067_200;
const DAYS: i64 = 3;
const APPS: usize = 2;
const COUNTRIES: [&str; 3] = ["BR", "MX", "DE"];

#[derive(Debug, Clone)]
enum Step {
    /// Records this many sessions from a seed on.
    Record { by: usize, seed: u64, count: u64 },
    /// Asks for everything and looks at each number.
    Ask { by: usize },
    /// Looks for what the other did.
    Look { by: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let count = prop_oneof![5 => 1_u64..4, 1 => 300_u64..400];
    let record =
        (0_usize..2, 0_u64..5_000, count).prop_map(|(by, seed, count)| Step::Record { by, seed, count });
    let ask = (0_usize..2).prop_map(|by| Step::Ask { by });
    let look = (0_usize..2).prop_map(|by| Step::Look { by });
    vec(prop_oneof![4 => record, 3 => ask, 1 => look], 1..40)
}

/// The seed says everything about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    seed: u64,
}

impl Made {
    fn mixed(self) -> u64 {
        self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
    }

    fn app(self) -> usize {
        (self.mixed() % 5 / 3) as usize
    }

    fn start(self) -> i64 {
        FIRST + (self.mixed() >> 8) as i64 % (DAYS * 86_400)
    }

    fn country(self) -> &'static str {
        COUNTRIES[(self.mixed() >> 5) as usize % 3]
    }

    fn session(self, apps: &[AppId]) -> Session {
        let model = format!("model {}", self.seed % 700);
        let fields = PropertyFields {
            country: Some(self.country()),
            device_model: Some(&model),
            ..PropertyFields::default()
        };
        let id = match self.seed % 2 {
            0 => uuid::Uuid::from_u128(u128::from(self.mixed()) << 60).to_string(),
            _ => format!("session {}", self.seed),
        };
        let user = format!("user {}", self.seed % 50);
        let new = NewSession {
            app: apps[self.app()],
            session_id: &id,
            started_at: self.start() * 1000,
            end: None,
            user_id: Some(&user),
            device_id: None,
            properties: Properties::new(&fields, vec![]).unwrap(),
        };
        Session::new(new, (FIRST + 10 * 86_400) * 1000).unwrap()
    }
}

fn open_tuned(directory: &TempDir, tuning: Tuning) -> SqliteStore {
    let manner = Manner {
        role: Role::Command,
        opening: &Opening::default(),
        tuning,
    };
    SqliteStore::open_as(directory.path(), manner).unwrap()
}

/// A filter, and the same as a function.
type Naive = (Filter, Box<dyn Fn(Made) -> bool + Send + Sync>);

struct Pair {
    stores: [SqliteStore; 2],
    workspace: WorkspaceId,
    apps: Vec<AppId>,
    filters: Vec<Naive>,
    /// All sessions, each with who was told of it at least: bit 0 the first store, bit 1 the second.
    recorded: BTreeMap<Made, u8>,
    directory: TempDir,
}

impl Pair {
    async fn open() -> Self {
        let directory = TempDir::new().unwrap();
        // A short log, so that it is too short at times, and days that are quiet at once, so that rollups are kept.
        let limits = log::Limits {
            commits: 6,
            cells: 350,
            quiet: Duration::ZERO,
        };
        let patience = counting::PATIENCE;
        let open = || open_tuned(&directory, Tuning { limits, patience });
        let stores = [open(), open()];
        let workspace = WorkspaceId::random();
        let name = |text: &str| -> Name { text.parse().unwrap() };
        let new = NewWorkspace {
            id: workspace,
            name: name("w"),
            time_zone: "UTC".into(),
        };
        stores[0].change(Change::CreateWorkspace(new)).await.unwrap();
        let mut apps = Vec::new();
        for number in 0..APPS {
            let app = App {
                id: AppId::random(),
                name: name(&number.to_string()),
                platform: String::new(),
            };
            apps.push(app.id);
            stores[0].change(Change::CreateApp(workspace, app)).await.unwrap();
        }
        let mut pair = Self {
            filters: filters(&apps),
            stores,
            workspace,
            apps,
            recorded: BTreeMap::new(),
            directory,
        };
        pair.look(1);
        pair
    }

    fn look(&mut self, by: usize) {
        let store = &self.stores[by];
        let look = |connection: &rusqlite::Connection| watch::look(connection, &store.published, &store.log);
        store.readers.with(look).unwrap();
        self.recorded.values_mut().for_each(|told| *told |= 1 << by);
    }

    async fn record(&mut self, by: usize, seeds: std::ops::Range<u64>) {
        let made: Vec<Made> = seeds.map(|seed| Made { seed }).collect();
        let sessions = made.iter().map(|made| made.session(&self.apps)).collect();
        let outcomes = self.stores[by].record(sessions).await.unwrap();
        for (made, outcome) in made.iter().zip(outcomes) {
            let is_new = !self.recorded.contains_key(made);
            assert_eq!(outcome == Recorded::New, is_new);
            *self.recorded.entry(*made).or_default() |= 1 << by;
        }
    }

    /// Everything lies between what the store was told and what there is.
    async fn ask(&self, by: usize) {
        let told = |(made, told): (&Made, &u8)| (*told & 1 << by != 0).then_some(*made);
        let least = self.recorded.iter().filter_map(told).collect();
        self.ask_and_compare(by, &least, || self.recorded.keys().copied().collect())
            .await;
    }

    /// Every number lies between that of these sessions and that of those that `most` knows of after the answer.
    async fn ask_and_compare(&self, by: usize, least: &BTreeSet<Made>, most: impl Fn() -> BTreeSet<Made>) {
        let edges: Vec<i64> = (0..=DAYS * 4).map(|step| FIRST + step * 6 * 3600).collect();
        let scopes = [None, Some(0), Some(1)];
        let mut questions: Vec<(Whose<'_>, &(dyn Fn(Made) -> bool + Sync))> =
            vec![(Whose::Everyone, &|_| true)];
        questions.extend(
            self.filters
                .iter()
                .map(|(filter, holds)| (Whose::Filter(filter), &**holds as _)),
        );
        for scope in scopes {
            let of = scope.map_or(Scope::Workspace(self.workspace), |app: usize| {
                Scope::App(self.apps[app])
            });
            for (whose, holds) in &questions {
                let store = &self.stores[by];
                let counts = crate::store::count_patiently(store, (of, *whose), &edges, &|_| {});
                let counts = counts.await.unwrap();
                let most = most();
                for (gap, count) in edges.windows(2).zip(counts) {
                    let members = |among: &BTreeSet<Made>| {
                        let within = |made: &&Made| {
                            (gap[0]..gap[1]).contains(&made.start())
                                && scope.is_none_or(|app| made.app() == app)
                                && holds(**made)
                        };
                        among.iter().filter(within).count() as u64
                    };
                    let (least, most) = (members(least), members(&most));
                    assert!(
                        (least..=most).contains(&count),
                        "store {by}, {scope:?}, {whose:?}, {gap:?}: {least} <= {count} <= {most}"
                    );
                }
            }
        }
    }
}

fn filters(apps: &[AppId]) -> Vec<Naive> {
    let filter = |text: &str| -> Filter { text.parse().unwrap() };
    let country = r#"{"field":"country","op":"eq","value":"BR"}"#;
    let app = format!(r#"{{"field":"app_id","op":"eq","value":"{}"}}"#, apps[1]);
    vec![
        (filter(country), Box::new(|made| made.country() == "BR")),
        (
            filter(&format!(r#"{{"any":[{{"not":{country}}},{app}]}}"#)),
            Box::new(|made| made.country() != "BR" || made.app() == 1),
        ),
        (
            filter(r#"{"field":"device_model","op":"prefix","value":"model 6"}"#),
            Box::new(|made| (made.seed % 700).to_string().starts_with('6')),
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn two_stores_over_one_file_miss_nothing(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::open().await;
            for step in steps {
                match step {
                    Step::Record { by, seed, count } => pair.record(by, seed..seed + count).await,
                    Step::Ask { by } => pair.ask(by).await,
                    Step::Look { by } => pair.look(by),
                }
            }
            for by in [0, 1] {
                pair.look(by);
                pair.ask(by).await;
            }
            let found = pair.stores[0].verify(Arc::new(|_| {})).await.unwrap();
            assert!(found.agrees(), "{found:?}");
            assert_eq!(found.sessions, pair.recorded.len() as u64);
            for store in &pair.stores {
                store.close().await;
            }
            // What is kept is what the sessions say, in a process that starts anew as well.
            let store = SqliteStore::open(pair.directory.path(), Role::Existing).unwrap();
            let found = store.verify(Arc::new(|_| {})).await.unwrap();
            assert!(found.agrees(), "{found:?}");
            store.close().await;
        });
    }
}

/// What two stores were given to record, and what each was told is recorded.
#[derive(Default)]
struct Progress {
    begun: BTreeSet<Made>,
    told: [BTreeSet<Made>; 2],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_answer_while_both_record_the_same_days() {
    const BATCHES: u64 = 40;
    let pair = Arc::new(Pair::open().await);
    let (progress, recording) = (
        Arc::new(Mutex::new(Progress::default())),
        Arc::new(AtomicUsize::new(2)),
    );
    let mut tasks = tokio::task::JoinSet::new();
    for by in [0, 1] {
        let (of, now, left) = (pair.clone(), progress.clone(), recording.clone());
        tasks.spawn(async move {
            for batch in 0..BATCHES {
                // Half of them the other one records as well.
                let first = batch * 40 + by as u64 * 20;
                let made: Vec<Made> = (first..first + 40).map(|seed| Made { seed }).collect();
                now.lock().begun.extend(&made);
                let sessions = made.iter().map(|made| made.session(&of.apps)).collect();
                of.stores[by].record(sessions).await.unwrap();
                now.lock().told[by].extend(&made);
            }
            left.fetch_sub(1, Ordering::SeqCst);
        });
        let (of, now, left) = (pair.clone(), progress.clone(), recording.clone());
        tasks.spawn(async move {
            let mut has_looked = false;
            while left.load(Ordering::SeqCst) > 0 {
                let mut least = now.lock().told[by].clone();
                has_looked = !has_looked;
                if has_looked {
                    least.extend(&now.lock().told[1 - by]);
                    of.stores[by].refresh().await.unwrap();
                }
                of.ask_and_compare(by, &least, || now.lock().begun.clone()).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let all = progress.lock().begun.clone();
    for by in [0, 1] {
        pair.stores[by].refresh().await.unwrap();
        pair.ask_and_compare(by, &all, || all.clone()).await;
    }
    let found = pair.stores[0].verify(Arc::new(|_| {})).await.unwrap();
    assert!(found.agrees(), "{found:?}");
    for store in &pair.stores {
        store.close().await;
    }
}

#[tokio::test]
async fn what_was_recorded_is_prepared_and_kept_at_once() {
    let pair = Pair::open().await;
    let made: Vec<Made> = (0..3_000).map(|seed| Made { seed }).collect();
    // As if nothing were ever quiet.
    let store = open_tuned(&pair.directory, Tuning::default());
    let (earlier, later) = made.split_at(1_000);
    for (by, made) in [(&pair.stores[0], earlier), (&store, later)] {
        let sessions = made.iter().map(|made| made.session(&pair.apps)).collect();
        by.record(sessions).await.unwrap();
    }
    let heard = Mutex::new(Vec::new());
    store
        .prepare_answers(&|done, total| heard.lock().push((done, total)))
        .await
        .unwrap();
    assert!(heard.lock().iter().all(|(done, total)| done <= total));
    store.close().await;
    let connection = rusqlite::Connection::open(pair.directory.path().join(FILE)).unwrap();
    let days = |table: &str| -> i64 {
        let kept = format!("SELECT COUNT(*) FROM {table} JOIN days USING (app, day, seq)");
        connection.query_row(&kept, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(
        (days("day_cells"), days("day_people")),
        (APPS as i64 * DAYS, APPS as i64 * DAYS)
    );
    let percents = Arc::new(Mutex::new(Vec::new()));
    let heard = percents.clone();
    let progress = Arc::new(move |percent| heard.lock().push(percent));
    let found = pair.stores[0].verify(progress).await.unwrap();
    assert_eq!(percents.lock().last(), Some(&100));
    assert!(found.agrees(), "{found:?}");
    for store in &pair.stores {
        store.close().await;
    }
}

#[tokio::test]
async fn who_has_no_patience_is_told_how_far_counting_has_come_and_finds_it_done_later() {
    let pair = Pair::open().await;
    let made: Vec<Made> = (0..2_000).map(|seed| Made { seed }).collect();
    let sessions = made.iter().map(|made| made.session(&pair.apps)).collect();
    pair.stores[0].record(sessions).await.unwrap();
    let tuning = Tuning {
        patience: Duration::ZERO,
        ..Tuning::default()
    };
    let store = open_tuned(&pair.directory, tuning);
    let (filter, holds) = &pair.filters[0];
    let edges = [FIRST, FIRST + DAYS * 86_400];
    let asked = (Scope::Workspace(pair.workspace), Whose::Filter(filter));
    match store.count(asked.0, asked.1, &edges).await {
        Err(StoreError::Counting(percent)) => assert!(percent < 100),
        other => panic!("{other:?}"),
    }
    let counts = crate::store::count_patiently(&store, asked, &edges, &|percent| assert!(percent < 100));
    let expected = made.iter().filter(|made| holds(**made)).count() as u64;
    assert_eq!(counts.await.unwrap(), [expected]);
    assert_eq!(store.count(asked.0, asked.1, &edges).await.unwrap(), [expected]);
    for store in pair.stores.iter().chain([&store]) {
        store.close().await;
    }
    // What is asked of a store that has ended fails, and nobody waits for ever.
    let filter = &pair.filters[1].0;
    assert!(store.count(asked.0, Whose::Filter(filter), &edges).await.is_err());
}
