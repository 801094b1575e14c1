//! Where a store is, and opening whatever is there.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::clickhouse::{Address, AddressError, ClickHouseStore};
use super::sqlite::{Opening, SqliteStore};
use super::{Role, Store, StoreError};

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The embedded one, in this directory.
    Directory(PathBuf),
    /// In ClickHouse.
    ClickHouse(Address),
}

impl Place {
    /// Reads what `--store` takes.
    ///
    /// # Errors
    /// When it is meant to be an address and is none; the error quotes nothing of it.
    pub fn read(text: &str) -> Result<Self, AddressError> {
        if Address::is_meant(text) {
            text.parse().map(Self::ClickHouse)
        } else {
            Ok(Self::Directory(text.into()))
        }
    }

    /// Opens the store. Whoever opens it closes it.
    ///
    /// # Errors
    /// As [`SqliteStore::open`] and [`ClickHouseStore::open`].
    pub async fn open(&self, role: Role) -> Result<Arc<dyn Store>, StoreError> {
        self.open_with(role, &Opening::default()).await
    }

    /// The same; an embedded store is opened as `opening` says.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub async fn open_with(&self, role: Role, opening: &Opening) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Directory(directory) => Arc::new(SqliteStore::open_with(directory, role, opening)?),
            Self::ClickHouse(address) => Arc::new(ClickHouseStore::open(address, role).await?),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::ClickHouse(address) => address.fmt(f),
        }
    }
}

/// A text as a shell takes it, in a command that is shown to be copied.
pub fn shell_word(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
