//! A workspace and an app, for parsers that are called without a server.

use std::sync::{Arc, LazyLock};

use sessionmeter::catalog::Change;
use sessionmeter::model::{App, NewWorkspace, WorkspaceId};
use sessionmeter::store::Role;
use sessionmeter::store::sqlite::SqliteStore;
use sessionmeter::store::{Administration as _, Catalog};

pub const APP: &str = "00dc3cf6-1763-5d5b-8264-db458aa346c3";

pub static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
    let directory = tempfile::TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(directory.path(), Role::Server).unwrap();
        let id = WorkspaceId::random();
        let workspace = NewWorkspace {
            id,
            name: "shop".parse().unwrap(),
            time_zone: "UTC".into(),
        };
        store.change(Change::CreateWorkspace(workspace)).await.unwrap();
        let app = App {
            id: APP.parse().unwrap(),
            name: "web".parse().unwrap(),
            platform: String::new(),
        };
        store.change(Change::CreateApp(id, app)).await.unwrap();
        let catalog = store.catalog();
        store.close().await;
        catalog
    })
});
