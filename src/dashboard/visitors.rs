//! Who is in: links that open once, and the sessions of browsers that came in by one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::token::Token;
use crate::model::{KeyHash, Millis};
use crate::store::access::{AccessKind, AccessRow};
use crate::store::{Store, StoreError};

const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;
/// How long a link opens.
const LINK: Millis = 10 * MINUTE;
/// Links that are open at one time; another one closes the oldest.
const MAX_LINKS: usize = 3;
/// How long a browser stays signed in, used or not.
const LONGEST: Millis = 30 * DAY;
/// How long it stays so without being used.
const IDLE: Millis = 7 * DAY;
/// How exactly it is noted when it was used.
const NOTED: Millis = MINUTE;
/// How long what is known of a visitor may be old: who is put out is out within a second.
const FRESH: Duration = Duration::from_secs(1);
const MAX_KNOWN: usize = 10_000;
/// Characters of what a browser calls itself.
const MAX_AGENT: usize = 80;

/// Makes a link's code.
///
/// # Errors
/// Those of the store.
pub async fn make_link(store: &dyn Store, now: Millis) -> Result<Token, StoreError> {
    let open = store.list_access(AccessKind::Link, now).await?;
    let surplus = (open.len() + 1).saturating_sub(MAX_LINKS);
    for row in open.into_iter().take(surplus) {
        store.take_access(AccessKind::Link, row.hash, now).await?;
    }
    let token = Token::generate()?;
    let row = AccessRow {
        hash: token.hash(),
        content: "{}".to_owned(),
        expires_at: now + LINK,
    };
    store.put_access(AccessKind::Link, row, now).await?;
    Ok(token)
}

/// What is kept of a browser that is signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    /// Unix milliseconds.
    since: Millis,
    /// Likewise, to within a minute.
    used: Millis,
    /// What the browser calls itself.
    agent: String,
}

impl Kept {
    fn row(&self, hash: KeyHash) -> AccessRow {
        AccessRow {
            hash,
            // Numbers and a text: this can't fail.
            content: serde_json::to_string(self).unwrap_or_default(),
            expires_at: (self.since + LONGEST).min(self.used + IDLE),
        }
    }
}

/// Browsers that are signed in.
pub(super) struct Visitors {
    store: Arc<dyn Store>,
    known: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Visitors {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: Mutex::default(),
        }
    }

    /// Spends a link; the token of the browser that is in by it. `None`: the link is void.
    pub(super) async fn enter(
        &self,
        code: &Token,
        agent: &str,
        now: Millis,
    ) -> Result<Option<Token>, StoreError> {
        let taken = self.store.take_access(AccessKind::Link, code.hash(), now).await?;
        match taken {
            None => Ok(None),
            Some(_) => self.open(agent, now).await.map(Some),
        }
    }

    /// Signs a browser in.
    pub(super) async fn open(&self, agent: &str, now: Millis) -> Result<Token, StoreError> {
        let token = Token::generate()?;
        let kept = Kept {
            since: now,
            used: now,
            agent: agent.chars().take(MAX_AGENT).collect(),
        };
        self.store
            .put_access(AccessKind::Session, kept.row(token.hash()), now)
            .await?;
        Ok(token)
    }

    /// Whether whoever has this token is signed in.
    pub(super) async fn knows(&self, token: &Token, now: Millis) -> Result<bool, StoreError> {
        let hash = token.hash();
        let seen = self.known.lock().get(hash.as_bytes()).copied();
        if seen.is_some_and(|seen| seen.elapsed() < FRESH) {
            return Ok(true);
        }
        let Some(row) = self.store.find_access(AccessKind::Session, hash, now).await? else {
            self.known.lock().remove(hash.as_bytes());
            return Ok(false);
        };
        let mut known = self.known.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(*hash.as_bytes(), Instant::now());
        drop(known);
        self.note_use(row, now);
        Ok(true)
    }

    /// Writes down that a browser is used, without making anybody wait for it.
    fn note_use(&self, row: AccessRow, now: Millis) {
        let kept = serde_json::from_str::<Kept>(&row.content);
        let Some(mut kept) = kept.ok().filter(|kept| now - kept.used >= NOTED) else {
            return;
        };
        kept.used = now;
        let store = self.store.clone();
        tokio::spawn(async move {
            let replaced = store
                .replace_access(AccessKind::Session, kept.row(row.hash), now)
                .await;
            if let Err(error) = replaced {
                tracing::warn!(%error, "can't note when a browser was used");
            }
        });
    }

    /// Signs a browser out.
    pub(super) async fn leave(&self, token: &Token, now: Millis) -> Result<(), StoreError> {
        let hash = token.hash();
        self.store.take_access(AccessKind::Session, hash, now).await?;
        self.known.lock().remove(hash.as_bytes());
        Ok(())
    }
}
