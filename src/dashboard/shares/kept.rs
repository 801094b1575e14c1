//! What is kept of a share link: what it shows, until when, and that somebody looked. Its address is shown once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dashboard::overview::Asked;
use crate::dashboard::token::Token;
use crate::model::{AppId, Filter, KeyHash, Millis, SegmentId, WorkspaceId};
use crate::series::{Length, Step};
use crate::store::access::{AccessKind, AccessRow};
use crate::store::{Catalog, Store, StoreError};

const MINUTE: Millis = 60_000;
/// Milliseconds of a day.
pub(super) const DAY: Millis = 24 * 60 * MINUTE;
/// How exactly it is noted when a link was last opened.
const NOTED: Millis = MINUTE;
/// Digits of the hash that people call a link by.
const ID: usize = 12;
/// Characters of a link's name.
const MAX_NAME: usize = 80;

/// A share link, without its address.
#[derive(Debug, Clone)]
pub struct Share {
    hash: KeyHash,
    /// Unix milliseconds.
    pub expires_at: Millis,
    content: Content,
}

/// What is shown is fixed here: nothing of it can be asked for by whoever has the link.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Content {
    name: String,
    workspace: String,
    app: Option<String>,
    segment: Option<String>,
    filter: Option<String>,
    unit: String,
    length: u32,
    opened: Option<Millis>,
}

impl Share {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.content.name
    }

    /// What commands and forms call it by.
    pub fn id(&self) -> String {
        self.hash.to_hex().chars().take(ID).collect()
    }

    /// The workspace that it is of.
    pub fn workspace(&self) -> Option<WorkspaceId> {
        self.content.workspace.parse().ok()
    }

    /// Unix milliseconds at which it was last opened, to within a minute.
    pub fn opened(&self) -> Option<Millis> {
        self.content.opened
    }

    /// The question that it answers; `None` where what it is about is gone.
    pub(super) fn asked(&self, catalog: &Catalog) -> Option<Asked> {
        let workspace = catalog.workspace(self.workspace()?)?;
        let mut asked = Asked::usual(workspace, catalog).ok()?;
        let Content {
            app,
            segment,
            filter,
            unit,
            length,
            ..
        } = &self.content;
        asked.step = unit.parse::<Step>().ok()?;
        asked.length = Length::new(*length)?;
        if let Some(app) = app {
            let app = app.parse::<AppId>().ok()?;
            asked.app = Some(workspace.app(app)?.id);
        }
        if let Some(segment) = segment {
            let segment = segment.parse::<SegmentId>().ok()?;
            asked.segment = Some(workspace.segment(segment).filter(|segment| segment.tracked)?.id);
        }
        if let Some(filter) = filter {
            asked.filter = Some(filter.parse::<Filter>().ok()?);
        }
        Some(asked)
    }

    fn of(row: &AccessRow) -> Option<Self> {
        Some(Self {
            hash: row.hash,
            expires_at: row.expires_at,
            content: serde_json::from_str(&row.content).ok()?,
        })
    }

    fn row(&self) -> AccessRow {
        AccessRow {
            hash: self.hash,
            // Texts and numbers: this can't fail.
            content: serde_json::to_string(&self.content).unwrap_or_default(),
            expires_at: self.expires_at,
        }
    }
}

/// Makes a link that shows what is asked, as it is whenever somebody looks.
pub(super) async fn make(
    store: &dyn Store,
    asked: &Asked,
    name: &str,
    days: i64,
    now: Millis,
) -> Result<Token, StoreError> {
    let token = Token::generate()?;
    let visible = |character: &char| !crate::model::is_invisible(*character);
    let share = Share {
        hash: token.hash(),
        expires_at: now + days * DAY,
        content: Content {
            name: name.chars().filter(visible).take(MAX_NAME).collect(),
            workspace: asked.workspace.workspace.id.to_string(),
            app: asked.app.map(|app| app.to_string()),
            segment: asked.segment.map(|segment| segment.to_string()),
            filter: asked.filter.as_ref().map(Filter::to_json),
            unit: asked.step.to_string(),
            length: u32::try_from(asked.length.get()).unwrap_or(1),
            opened: None,
        },
    };
    store.put_access(AccessKind::Share, share.row(), now).await?;
    Ok(token)
}

/// The link with this token, if it is good.
pub(super) async fn find(store: &dyn Store, token: &Token, now: Millis) -> Result<Option<Share>, StoreError> {
    let row = store.find_access(AccessKind::Share, token.hash(), now).await?;
    Ok(row.as_ref().and_then(Share::of))
}

/// Writes down that a link was opened, without making anybody wait for it.
pub(super) fn note_use(store: &Arc<dyn Store>, share: &Share, now: Millis) {
    if share.opened().is_some_and(|opened| now - opened < NOTED) {
        return;
    }
    let mut share = share.clone();
    share.content.opened = Some(now);
    let store = store.clone();
    tokio::spawn(async move {
        if let Err(error) = store.replace_access(AccessKind::Share, share.row(), now).await {
            tracing::warn!(%error, "can't note when a share link was opened");
        }
    });
}

/// All links that are good, the one that expires first before the others.
///
/// # Errors
/// Those of the store.
pub async fn list(store: &dyn Store, now: Millis) -> Result<Vec<Share>, StoreError> {
    let rows = store.list_access(AccessKind::Share, now).await?;
    Ok(rows.iter().filter_map(Share::of).collect())
}

/// Makes a link void; `None`: there is none of this id.
///
/// # Errors
/// Those of the store.
pub async fn revoke(store: &dyn Store, id: &str, now: Millis) -> Result<Option<Share>, StoreError> {
    let all = list(store, now).await?;
    let Some(share) = all.into_iter().find(|share| share.id() == id) else {
        return Ok(None);
    };
    let taken = store.take_access(AccessKind::Share, share.hash, now).await?;
    Ok(taken.map(|_| share))
}
