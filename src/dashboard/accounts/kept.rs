//! What is kept of an account, and how accounts are made, changed and removed.

use serde::{Deserialize, Serialize};

use super::password::{Hashed, Password};
use crate::dashboard::token::Token;
use crate::dashboard::visitors::end_sessions;
use crate::model::{KeyHash, Millis, Name, WorkspaceId};
use crate::store::access::{AccessKind, AccessRow};
use crate::store::{Store, StoreError};

/// An account does not expire.
const FOREVER: Millis = i64::MAX;

/// What an account may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role", content = "workspaces")]
pub enum Rights {
    /// See and change everything.
    Admin,
    /// See these workspaces, and change nothing.
    Reader(Vec<WorkspaceId>),
}

impl Rights {
    /// As commands and pages call it.
    pub fn role(&self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Reader(_) => "reader",
        }
    }
}

/// A person with a name.
#[derive(Debug, Clone)]
pub struct Account {
    hash: KeyHash,
    content: Content,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Content {
    name: Name,
    rights: Rights,
    password: Hashed,
    /// Another one after each change: a session is good while its account has the one that it was opened with.
    version: String,
}

/// Why an account was not made.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Names are unique, in whatever case they are written.
    #[error("there is an account '{0}' already; 'sessionmeter account remove' removes it")]
    Taken(Name),
    /// Something between the two.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Account {
    /// As it was written when the account was made.
    pub fn name(&self) -> &Name {
        &self.content.name
    }

    /// What it may do.
    pub fn rights(&self) -> &Rights {
        &self.content.rights
    }

    /// What is kept of its password.
    pub(super) fn password(&self) -> &Hashed {
        &self.content.password
    }

    /// What its sessions are opened with.
    pub(in crate::dashboard) fn mark(&self) -> Mark {
        Mark {
            account: self.hash.to_hex(),
            version: self.content.version.clone(),
        }
    }

    fn of(row: &AccessRow) -> Option<Self> {
        let content = serde_json::from_str(&row.content);
        let content = content.inspect_err(|error| tracing::warn!(%error, "an account can't be read"));
        Some(Self {
            hash: row.hash,
            content: content.ok()?,
        })
    }

    fn row(&self) -> Result<AccessRow, StoreError> {
        let content = serde_json::to_string(&self.content)
            .map_err(|error| StoreError::Unavailable(format!("an account can't be written: {error}")))?;
        Ok(AccessRow {
            hash: self.hash,
            content,
            expires_at: FOREVER,
        })
    }
}

/// Whose session it is, and since which change of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::dashboard) struct Mark {
    /// The hash of the account's row, in hexadecimal digits.
    pub(in crate::dashboard) account: String,
    version: String,
}

impl Mark {
    /// The account, unless it was changed or removed since.
    pub(in crate::dashboard) async fn account(
        &self,
        store: &dyn Store,
        now: Millis,
    ) -> Result<Option<Account>, StoreError> {
        let Some(hash) = KeyHash::from_hex(&self.account) else {
            return Ok(None);
        };
        let row = store.find_access(AccessKind::Account, hash, now).await?;
        let account = row.as_ref().and_then(Account::of);
        Ok(account.filter(|account| account.content.version == self.version))
    }
}

/// Under which hash an account of this name is kept. Names that differ in case alone are one.
pub(in crate::dashboard) fn hash_of(name: &str) -> KeyHash {
    KeyHash::of(name.to_lowercase().as_bytes())
}

/// The account of this name, in whatever case it is written.
///
/// # Errors
/// Those of the store.
pub async fn find(store: &dyn Store, name: &str, now: Millis) -> Result<Option<Account>, StoreError> {
    let row = store.find_access(AccessKind::Account, hash_of(name), now).await?;
    Ok(row.as_ref().and_then(Account::of))
}

/// All accounts, by their names.
///
/// # Errors
/// Those of the store.
pub async fn list(store: &dyn Store, now: Millis) -> Result<Vec<Account>, StoreError> {
    let rows = store.list_access(AccessKind::Account, now).await?;
    let mut accounts: Vec<Account> = rows.iter().filter_map(Account::of).collect();
    accounts.sort_by_cached_key(|account| account.name().as_str().to_lowercase());
    Ok(accounts)
}

/// Makes an account. Hashing its password takes 19 MiB and some tens of milliseconds of the calling thread.
///
/// # Errors
/// When the name is taken, and those of the store.
pub async fn add(
    store: &dyn Store,
    name: Name,
    rights: Rights,
    password: &Password,
    now: Millis,
) -> Result<Account, SaveError> {
    let account = Account {
        hash: hash_of(name.as_str()),
        content: Content {
            name,
            rights,
            password: Hashed::of(password, &mut Vec::new())?,
            version: new_version()?,
        },
    };
    let is_new = store.add_access(AccessKind::Account, account.row()?, now);
    if is_new.await? {
        return Ok(account);
    }
    let taken = find(store, account.content.name.as_str(), now).await?;
    Err(SaveError::Taken(taken.unwrap_or(account).content.name))
}

/// Gives an account another password, which ends its sessions; how many those were. `None`: there is no such account.
///
/// # Errors
/// Those of the store.
pub async fn set_password(
    store: &dyn Store,
    name: &str,
    password: &Password,
    now: Millis,
) -> Result<Option<(Account, usize)>, StoreError> {
    let hashed = Hashed::of(password, &mut Vec::new())?;
    let Some(account) = find(store, name, now).await? else {
        return Ok(None);
    };
    match with_password(store, account, hashed, now).await? {
        None => Ok(None),
        Some(account) => {
            let ended = end_sessions(store, Some(&account.mark().account), now).await?;
            Ok(Some((account, ended)))
        }
    }
}

/// The account with another password; from then on none of its sessions is good. `None`: it was removed meanwhile.
pub(super) async fn with_password(
    store: &dyn Store,
    mut account: Account,
    password: Hashed,
    now: Millis,
) -> Result<Option<Account>, StoreError> {
    account.content.password = password;
    account.content.version = new_version()?;
    let replaced = store.replace_access(AccessKind::Account, account.row()?, now);
    Ok(replaced.await?.then_some(account))
}

/// Removes an account, which ends its sessions. `false`: there is none of this name.
///
/// # Errors
/// Those of the store.
pub async fn remove(store: &dyn Store, name: &str, now: Millis) -> Result<bool, StoreError> {
    let taken = store.take_access(AccessKind::Account, hash_of(name), now).await?;
    let Some(row) = taken else {
        return Ok(false);
    };
    end_sessions(store, Some(&row.hash.to_hex()), now).await?;
    Ok(true)
}

fn new_version() -> Result<String, StoreError> {
    Ok(Token::generate()?.reveal().to_owned())
}
