//! What must happen as one thing, asked of the store itself: a process that dies in between can't be stopped at will.

use std::sync::Arc;

use sessionmeter::catalog::Change;
use sessionmeter::model::{
    App, AppId, KeyId, KeySecret, NewKey, NewSession, NewWorkspace, Permissions, Properties, PropertyFields,
    Session, WorkspaceId,
};
use sessionmeter::store::StoreError;
use tempfile::TempDir;

use crate::support;

fn workspace(name: &str) -> NewWorkspace {
    NewWorkspace {
        id: WorkspaceId::random(),
        name: name.parse().unwrap(),
        time_zone: "UTC".into(),
    }
}

fn app(name: &str) -> App {
    App {
        id: AppId::random(),
        name: name.parse().unwrap(),
        platform: String::new(),
    }
}

fn key(id: KeyId) -> NewKey {
    NewKey {
        id,
        name: "default".parse().unwrap(),
        hash: KeySecret::generate().unwrap().hash(),
        permissions: Permissions::All,
        allow: Vec::new(),
    }
}

fn session(app: AppId, id: &str) -> Session {
    let new = NewSession {
        app,
        session_id: id,
        started_at: 1_530_248_399_000,
        end: None,
        user_id: None,
        device_id: None,
        properties: Properties::new(&PropertyFields::default(), Vec::new()).unwrap(),
    };
    Session::new(new, 1_530_248_399_000).unwrap()
}

#[tokio::test]
async fn a_first_start_makes_everything_or_nothing() {
    let directory = TempDir::new().unwrap();
    let store = support::open(&directory.path().join("store")).await;
    let first = workspace("default");
    // The last of the three can't be made: its id is the first one's.
    let taken: KeyId = first.id.to_string().parse().unwrap();
    let refused = store
        .change(Change::First(first.clone(), app("default"), key(taken)))
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert!(store.catalog().workspaces().is_empty());
    let made = store
        .change(Change::First(first, app("default"), key(KeyId::random())))
        .await;
    assert!(made.unwrap());
    let again = store
        .change(Change::First(
            workspace("default"),
            app("default"),
            key(KeyId::random()),
        ))
        .await;
    assert!(!again.unwrap());
    let catalog = store.catalog();
    let [entry] = catalog.workspaces() else {
        panic!("not one workspace")
    };
    assert_eq!((entry.apps.len(), entry.keys.len()), (1, 1));
    store.close().await;
}

// Commands block this thread; what the store notices meanwhile it notices on another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_while_its_app_is_deleted_is_nobody_elses() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    let serving = support::open(&path).await;
    let owner = workspace("acme");
    let old = app("old");
    for change in [
        Change::CreateWorkspace(owner.clone()),
        Change::CreateApp(owner.id, old.clone()),
    ] {
        serving.change(change).await.unwrap();
    }
    // Another process deletes the app and makes one that the store may give the same number.
    support::command(&path, &["app", "delete", "old", "--yes"]);
    let new = support::command(&path, &["app", "create", "new"]);
    let recorded = serving.record(vec![session(old.id, "a")]).await;
    assert!(recorded.is_err(), "{recorded:?}");
    let series = support::command(
        &path,
        &[
            "series",
            "--length",
            "1",
            "--ending-at",
            "2018-06-29",
            "--app",
            "new",
        ],
    );
    assert_eq!(series["data"][0]["sessions"], 0);
    let id: AppId = new["id"].as_str().unwrap().parse().unwrap();
    serving.refresh().await.unwrap();
    serving.record(vec![session(id, "a")]).await.unwrap();
    let found = serving.verify(Arc::new(|_| {})).await.unwrap();
    assert_eq!((found.sessions, found.agrees()), (1, true));
    serving.close().await;
}
