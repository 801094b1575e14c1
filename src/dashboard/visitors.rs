//! Who is in: links that open once, and the sessions of browsers that came in by one or as an account.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::accounts::{Account, Mark, Rights};
use super::token::Token;
use crate::model::{KeyHash, Millis, WorkspaceId};
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
/// Digits of the hash that forms call a browser by.
const ID: usize = 12;

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
    /// Of whom it is; nobody's came in by a link.
    #[serde(default)]
    of: Option<Mark>,
}

/// Somebody who is in.
#[derive(Debug, Clone, Default)]
pub(super) struct Visitor {
    /// None for whoever came in by a link: the command line that makes links may do everything.
    pub(super) account: Option<Arc<Account>>,
}

impl Visitor {
    /// Whether there is such a workspace, as far as this visitor is told.
    pub(super) fn sees(&self, workspace: WorkspaceId) -> bool {
        match self.rights() {
            Rights::Admin => true,
            Rights::Reader(workspaces) => workspaces.contains(&workspace),
        }
    }

    /// Whether it may change anything but what is its own.
    pub(super) fn may_change(&self) -> bool {
        *self.rights() == Rights::Admin
    }

    pub(super) fn rights(&self) -> &Rights {
        self.account
            .as_ref()
            .map_or(&Rights::Admin, |account| account.rights())
    }

    /// Which sessions are its own.
    fn owner(&self) -> Option<String> {
        self.account.as_ref().map(|account| account.mark().account)
    }
}

/// A browser that is signed in.
#[derive(Debug, Clone)]
pub(super) struct Browser {
    pub(super) hash: KeyHash,
    /// The account's hash in hexadecimal digits; none of whoever came in by a link.
    pub(super) owner: Option<String>,
    /// Unix milliseconds.
    pub(super) since: Millis,
    /// Likewise, to within a minute.
    pub(super) used: Millis,
    pub(super) agent: String,
}

impl Browser {
    /// What forms call it by.
    pub(super) fn id(&self) -> String {
        self.hash.to_hex().chars().take(ID).collect()
    }
}

/// Browsers that are signed in, the one that was used last before the others.
pub(super) async fn browsers(store: &dyn Store, now: Millis) -> Result<Vec<Browser>, StoreError> {
    let rows = store.list_access(AccessKind::Session, now).await?;
    let read = |row: AccessRow| {
        let kept = serde_json::from_str::<Kept>(&row.content).ok()?;
        Some(Browser {
            hash: row.hash,
            owner: kept.of.map(|mark| mark.account),
            since: kept.since,
            used: kept.used,
            agent: kept.agent,
        })
    };
    let mut browsers: Vec<Browser> = rows.into_iter().filter_map(read).collect();
    browsers.sort_by_key(|browser| std::cmp::Reverse((browser.used, browser.since)));
    Ok(browsers)
}

/// Ends the sessions of an account, or of all who came in by a link; how many those were.
pub(super) async fn end_sessions(
    store: &dyn Store,
    owner: Option<&str>,
    now: Millis,
) -> Result<usize, StoreError> {
    let mut ended = 0;
    for browser in browsers(store, now).await? {
        if browser.owner.as_deref() == owner {
            store.take_access(AccessKind::Session, browser.hash, now).await?;
            ended += 1;
        }
    }
    Ok(ended)
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
    known: Mutex<HashMap<[u8; 32], (Instant, Visitor)>>,
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
            Some(_) => self.open(None, agent, now).await.map(Some),
        }
    }

    /// Signs a browser in: as this account, or as somebody who came in by a link.
    pub(super) async fn open(
        &self,
        account: Option<&Account>,
        agent: &str,
        now: Millis,
    ) -> Result<Token, StoreError> {
        let token = Token::generate()?;
        let kept = Kept {
            since: now,
            used: now,
            agent: agent.chars().take(MAX_AGENT).collect(),
            of: account.map(Account::mark),
        };
        self.store
            .put_access(AccessKind::Session, kept.row(token.hash()), now)
            .await?;
        Ok(token)
    }

    /// Who has this token, if its browser is signed in.
    pub(super) async fn knows(&self, token: &Token, now: Millis) -> Result<Option<Visitor>, StoreError> {
        let hash = token.hash();
        let seen = self.known.lock().get(hash.as_bytes()).cloned();
        if let Some((seen, visitor)) = seen
            && seen.elapsed() < FRESH
        {
            return Ok(Some(visitor));
        }
        let found = self.find(hash, now).await?;
        let mut known = self.known.lock();
        let Some((row, kept, visitor)) = found else {
            known.remove(hash.as_bytes());
            return Ok(None);
        };
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(*hash.as_bytes(), (Instant::now(), visitor.clone()));
        drop(known);
        self.note_use(row, kept, now);
        Ok(Some(visitor))
    }

    /// A row that can't be read lets nobody in: whose it is stands in it.
    async fn find(
        &self,
        hash: KeyHash,
        now: Millis,
    ) -> Result<Option<(AccessRow, Kept, Visitor)>, StoreError> {
        let row = self.store.find_access(AccessKind::Session, hash, now).await?;
        let read = row.and_then(|row| Some((serde_json::from_str::<Kept>(&row.content).ok()?, row)));
        let Some((kept, row)) = read else {
            return Ok(None);
        };
        let visitor = match &kept.of {
            None => Visitor::default(),
            Some(mark) => match mark.account(self.store.as_ref(), now).await? {
                None => return Ok(None),
                Some(account) => Visitor {
                    account: Some(Arc::new(account)),
                },
            },
        };
        Ok(Some((row, kept, visitor)))
    }

    /// The browsers of a visitor.
    pub(super) async fn own(&self, visitor: &Visitor, now: Millis) -> Result<Vec<Browser>, StoreError> {
        let owner = visitor.owner();
        let mut browsers = browsers(self.store.as_ref(), now).await?;
        browsers.retain(|browser| browser.owner == owner);
        Ok(browsers)
    }

    /// Ends the session of one of a visitor's browsers, if it is one.
    pub(super) async fn end(&self, visitor: &Visitor, id: &str, now: Millis) -> Result<(), StoreError> {
        let own = self.own(visitor, now).await?;
        for browser in own.iter().filter(|browser| browser.id() == id) {
            self.put_out(browser.hash, now).await?;
        }
        Ok(())
    }

    /// Ends the sessions of all of a visitor's browsers.
    pub(super) async fn end_all(&self, visitor: &Visitor, now: Millis) -> Result<(), StoreError> {
        end_sessions(self.store.as_ref(), visitor.owner().as_deref(), now).await?;
        self.known.lock().clear();
        Ok(())
    }

    /// Writes down that a browser is used, without making anybody wait for it.
    fn note_use(&self, row: AccessRow, mut kept: Kept, now: Millis) {
        if now - kept.used < NOTED {
            return;
        }
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
        self.put_out(token.hash(), now).await
    }

    async fn put_out(&self, hash: KeyHash, now: Millis) -> Result<(), StoreError> {
        self.store.take_access(AccessKind::Session, hash, now).await?;
        self.known.lock().remove(hash.as_bytes());
        Ok(())
    }
}
