//! Sessions in the order in which they are inserted, prepared by whoever hands them over, so that the writer, which
//! everyone waits for, does nothing but write.

use std::collections::HashMap;

use uuid::Uuid;

use crate::model::{AppId, Session};
use crate::store::StoreError;

/// A session id as the store keeps it. Ordered as SQLite orders it: texts before blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StoredSessionId<'a> {
    Text(&'a str),
    Uuid([u8; 16]),
}

impl<'a> From<&'a str> for StoredSessionId<'a> {
    fn from(text: &'a str) -> Self {
        let canonical = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match Uuid::try_parse(text) {
            Ok(uuid) if canonical => Self::Uuid(uuid.into_bytes()),
            _ => Self::Text(text),
        }
    }
}

impl rusqlite::ToSql for StoredSessionId<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Uuid(bytes) => Ok(rusqlite::types::ToSqlOutput::from(bytes.as_slice())),
        }
    }
}

/// See the module.
pub(super) struct Batch {
    /// In the order of delivery.
    items: Vec<Item>,
    /// Indices of `items` in the order of the sessions' keys.
    by_key: Vec<usize>,
}

/// A session and where it belongs.
pub(super) struct Item {
    pub(super) session: Session,
    /// Ordinal of its app.
    pub(super) app: i64,
    /// Ordinal of the app's workspace.
    pub(super) workspace: i64,
    /// Whether an earlier item of the batch is the same session.
    pub(super) repeated: bool,
    /// The properties with which another store has it.
    pub(super) recorded: Option<String>,
}

impl Item {
    pub(super) fn id(&self) -> StoredSessionId<'_> {
        self.session.session_id().into()
    }
}

impl Batch {
    /// Sorts by key: neighbours share pages, which is what keeps large stores fast. Equal keys keep the order in
    /// which they were delivered.
    pub(super) fn new(
        sessions: impl IntoIterator<Item = (Session, Option<String>)>,
        apps: &HashMap<AppId, (i64, i64)>,
    ) -> Result<Self, StoreError> {
        let items = sessions.into_iter().map(|(session, recorded)| {
            let (app, workspace) = *apps
                .get(&session.app())
                .ok_or_else(|| StoreError::unknown("app", session.app()))?;
            Ok(Item {
                session,
                app,
                workspace,
                repeated: false,
                recorded,
            })
        });
        let mut items = items.collect::<Result<Vec<_>, StoreError>>()?;
        let mut keys: Vec<_> = items
            .iter()
            .enumerate()
            .map(|(index, item)| (item.app, item.session.utc_day(), item.id(), index))
            .collect();
        keys.sort_unstable();
        let repeated: Vec<usize> = keys
            .windows(2)
            .filter_map(|pair| match pair {
                [(app, day, id, _), (next_app, next_day, next_id, index)] => {
                    ((app, day, id) == (next_app, next_day, next_id)).then_some(*index)
                }
                _ => None,
            })
            .collect();
        let by_key = keys.into_iter().map(|(.., index)| index).collect();
        for index in repeated {
            if let Some(item) = items.get_mut(index) {
                item.repeated = true;
            }
        }
        Ok(Self { items, by_key })
    }

    /// In the order of delivery.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// In the order of the keys, with their indices.
    pub(super) fn by_key(&self) -> impl Iterator<Item = (usize, &Item)> {
        self.by_key
            .iter()
            .filter_map(|index| Some((*index, self.items.get(*index)?)))
    }
}
