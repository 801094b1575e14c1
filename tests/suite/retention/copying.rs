//! Copies of a store that seals days while it is copied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sessionmeter::catalog::{Change, WorkspaceChange};
use sessionmeter::model::{
    AppId, Name, NewApp, NewSession, NewWorkspace, Properties, Retention, Session, WorkspaceId,
};
use sessionmeter::store::copy::{Step, copy};
use sessionmeter::store::sqlite::SqliteStore;
use sessionmeter::store::{Administration, Role, Sessions};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::today;

/// More than wait between the store that is read and the one that is written.
const SESSIONS: i64 = 60_000;
const DAYS: i64 = 60;

async fn filled(store: &SqliteStore, today: i64) -> WorkspaceId {
    let (workspace, app) = (WorkspaceId::random(), AppId::random());
    let name = |text: &str| -> Name { text.parse().unwrap() };
    let new = NewWorkspace {
        id: workspace,
        name: name("some"),
        time_zone: "UTC".to_owned(),
    };
    store.change(Change::CreateWorkspace(new)).await.unwrap();
    let new = NewApp {
        id: app,
        name: name("web"),
        platform: String::new(),
    };
    store.change(Change::CreateApp(workspace, new)).await.unwrap();
    let session = |number: i64| {
        let day = today - DAYS + number * DAYS / SESSIONS;
        let id = number.to_string();
        let user = format!("u{}", number % 50);
        let new = NewSession {
            app,
            session_id: &id,
            started_at: (day * 86_400 + number % 86_400) * 1_000,
            end: None,
            user_id: Some(&user),
            device_id: None,
            properties: Properties::from_stored("{}"),
        };
        Session::new(new, today * 86_400_000).unwrap()
    };
    let all: Vec<Session> = (0..SESSIONS).map(session).collect();
    for batch in all.chunks(10_000) {
        store.record(batch.to_vec()).await.unwrap();
    }
    workspace
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_sealed_while_a_store_is_copied_is_in_the_copy() {
    let place = TempDir::new().unwrap();
    let open = |name: &str| SqliteStore::open(&place.path().join(name), Role::Command).unwrap();
    let (from, to) = (Arc::new(open("from")), open("to"));
    let workspace = filled(&from, today()).await;
    let is_sealed = AtomicBool::new(false);
    let progress = |step: Step| {
        if !matches!(step, Step::Sessions(_)) || is_sealed.swap(true, Ordering::Relaxed) {
            return;
        }
        // In the middle of the sessions, all but the last days lose theirs.
        let store = from.clone();
        tokio::task::block_in_place(|| {
            Handle::current().block_on(async {
                let change = WorkspaceChange {
                    retention: Some(Retention::new(5)),
                    ..WorkspaceChange::default()
                };
                store
                    .change(Change::ChangeWorkspace(workspace, change))
                    .await
                    .unwrap();
                let sealing = store.seal(workspace, Arc::new(|_| {})).await.unwrap();
                assert!(sealing.days > 50, "{sealing:?}");
            });
        });
    };
    let copied = copy(from.as_ref(), &to, &progress).await.unwrap();
    assert_eq!(copied.differences, []);
    assert!(copied.sealed_days > 50, "{copied:?}");
    let verified = to.verify(Arc::new(|_| {})).await.unwrap();
    assert!(verified.agrees(), "{verified:?}");
    assert_eq!(verified.sessions + verified.sealed, SESSIONS.unsigned_abs());
    from.close().await;
    to.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_can_not_be_written_ends_with_the_reason() {
    let place = TempDir::new().unwrap();
    let open = |name: &str| SqliteStore::open(&place.path().join(name), Role::Command).unwrap();
    let (from, to) = (open("from"), open("to"));
    filled(&from, today()).await;
    let progress = |step: Step| {
        if matches!(step, Step::Sessions(_)) {
            tokio::task::block_in_place(|| Handle::current().block_on(to.close()));
        }
    };
    let copying = tokio::time::timeout(Duration::from_secs(60), copy(&from, &to, &progress));
    let error = copying.await.expect("it ends").unwrap_err();
    assert!(error.to_string().contains("the store is closed"), "{error}");
    from.close().await;
}
