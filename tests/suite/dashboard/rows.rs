//! What a store promises about rows that stand for a secret.

use std::sync::Arc;

use sessionmeter::model::KeyHash;
use sessionmeter::store::Store;
use sessionmeter::store::access::{AccessKind, AccessRow};
use tempfile::TempDir;

use crate::support;

const KINDS: [AccessKind; 6] = [
    AccessKind::Link,
    AccessKind::Session,
    AccessKind::Share,
    AccessKind::Account,
    AccessKind::Address,
    AccessKind::Import,
];
const NOW: i64 = 1_800_000_000_000;

fn row(secret: &str, content: &str, expires_at: i64) -> AccessRow {
    AccessRow {
        hash: KeyHash::of(secret.as_bytes()),
        content: content.to_owned(),
        expires_at,
    }
}

async fn with_store<F: Future<Output = ()>>(test: impl FnOnce(Arc<dyn Store>) -> F) {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("store");
    let store = support::open(&data).await;
    test(store.clone()).await;
    store.close().await;
    let removing = move || support::clickhouse::remove(&data);
    tokio::task::spawn_blocking(removing).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_kept_by_kind_until_they_expire() {
    with_store(|store| async move {
        for (nth, kind) in (1..).zip(KINDS) {
            let content = format!("{{\"nth\":{nth}}}");
            let kept = row("secret", &content, NOW + nth);
            store.put_access(kind, kept.clone(), NOW).await.unwrap();
            let found = store.find_access(kind, kept.hash, NOW).await.unwrap();
            assert_eq!(found, Some(kept.clone()));
            assert_eq!(store.list_access(kind, NOW).await.unwrap(), vec![kept.clone()]);
            let expired = NOW + nth;
            assert_eq!(store.find_access(kind, kept.hash, expired).await.unwrap(), None);
            assert_eq!(store.list_access(kind, expired).await.unwrap(), []);
        }
        let other = KeyHash::of(b"another");
        assert_eq!(
            store.find_access(AccessKind::Link, other, NOW).await.unwrap(),
            None
        );
        assert_eq!(
            store.take_access(AccessKind::Link, other, NOW).await.unwrap(),
            None
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_replaced_only_where_it_is() {
    with_store(|store| async move {
        let kind = AccessKind::Session;
        let (first, second) = (row("one", "{}", NOW + 10), row("one", "{\"used\":1}", NOW + 20));
        assert!(!store.replace_access(kind, second.clone(), NOW).await.unwrap());
        store.put_access(kind, first.clone(), NOW).await.unwrap();
        assert!(store.replace_access(kind, second.clone(), NOW).await.unwrap());
        assert_eq!(
            store.find_access(kind, first.hash, NOW).await.unwrap(),
            Some(second.clone())
        );
        assert_eq!(
            store.take_access(kind, first.hash, NOW).await.unwrap(),
            Some(second.clone())
        );
        assert!(!store.replace_access(kind, second.clone(), NOW).await.unwrap());
        // Somebody else's row stays, and the same secret may come again.
        store
            .put_access(kind, row("two", "{}", NOW + 5), NOW)
            .await
            .unwrap();
        store.put_access(kind, first.clone(), NOW).await.unwrap();
        let listed = store.list_access(kind, NOW).await.unwrap();
        assert_eq!(listed, [row("two", "{}", NOW + 5), first]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_add_a_row_one_of_them_does() {
    with_store(|store| async move {
        let kind = AccessKind::Account;
        let adders: Vec<_> = (0..8)
            .map(|nth| {
                let (store, row) = (store.clone(), row("ana", &format!("{{\"nth\":{nth}}}"), NOW + 10));
                tokio::spawn(async move {
                    store
                        .add_access(kind, row.clone(), NOW)
                        .await
                        .unwrap()
                        .then_some(row)
                })
            })
            .collect();
        let mut added = Vec::new();
        for adder in adders {
            added.extend(adder.await.unwrap());
        }
        assert_eq!(added.len(), 1);
        assert_eq!(store.list_access(kind, NOW).await.unwrap(), added);
        // One that has expired is none.
        let later = row("ana", "{}", NOW + 20);
        assert!(store.add_access(kind, later.clone(), NOW + 10).await.unwrap());
        assert_eq!(store.list_access(kind, NOW + 10).await.unwrap(), [later]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_take_a_row_one_gets_it() {
    with_store(|store| async move {
        let link = row("link", "{}", NOW + 10);
        store
            .put_access(AccessKind::Link, link.clone(), NOW)
            .await
            .unwrap();
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let (store, hash) = (store.clone(), link.hash);
                tokio::spawn(async move { store.take_access(AccessKind::Link, hash, NOW).await.unwrap() })
            })
            .collect();
        let mut taken = 0;
        for taker in takers {
            taken += usize::from(taker.await.unwrap().is_some());
        }
        assert_eq!(taken, 1);
        store
            .put_access(AccessKind::Link, link.clone(), NOW)
            .await
            .unwrap();
        let expired = store
            .take_access(AccessKind::Link, link.hash, NOW + 10)
            .await
            .unwrap();
        assert_eq!(expired, None, "a link is void when its time is over");
    })
    .await;
}
