//! Users, devices and property combinations as ordinals, with the recent ones in memory.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use lru::LruCache;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::store::StoreError;

/// About 10 MB when full.
const IDENTITIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);
const PROPERTIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// What kind of identity a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum IdentityKind {
    /// `user_id`
    User = 1,
    /// `device_id`
    Device = 2,
}

/// Ordinals that were seen lately. Owned by the writer; forgotten when a transaction fails, since ordinals
/// that it gave out are void then.
pub(super) struct Interned {
    /// By workspace, kind and value in one text, so that a look-up needs no allocation.
    identities: LruCache<Box<str>, i64>,
    properties: LruCache<Box<str>, i64>,
    key: String,
}

impl Interned {
    pub(super) fn new() -> Self {
        Self {
            identities: LruCache::new(IDENTITIES),
            properties: LruCache::new(PROPERTIES),
            key: String::new(),
        }
    }

    pub(super) fn forget(&mut self) {
        self.identities.clear();
        self.properties.clear();
    }
}

/// The cache and the statements, for the length of one transaction.
pub(super) struct Interner<'a> {
    cache: &'a mut Interned,
    find_identity: CachedStatement<'a>,
    add_identity: CachedStatement<'a>,
    find_properties: CachedStatement<'a>,
    add_properties: CachedStatement<'a>,
}

impl<'a> Interner<'a> {
    pub(super) fn new(connection: &'a Connection, cache: &'a mut Interned) -> Result<Self, StoreError> {
        Ok(Self {
            cache,
            find_identity: connection.prepare_cached(
                "SELECT ordinal FROM identities WHERE workspace = ?1 AND kind = ?2 AND value = ?3",
            )?,
            add_identity: connection
                .prepare_cached("INSERT INTO identities (workspace, kind, value) VALUES (?1, ?2, ?3)")?,
            find_properties: connection
                .prepare_cached("SELECT ordinal FROM properties WHERE content = ?1")?,
            add_properties: connection.prepare_cached("INSERT INTO properties (content) VALUES (?1)")?,
        })
    }

    /// The ordinal of a user or device of a workspace (an ordinal itself), given out on first sight.
    pub(super) fn identity(
        &mut self,
        workspace: i64,
        kind: IdentityKind,
        value: &str,
    ) -> Result<i64, StoreError> {
        let Interned { identities, key, .. } = &mut *self.cache;
        key.clear();
        // Writing to a String can't fail.
        let _ = write!(key, "{workspace} {} {value}", kind as i64);
        if let Some(ordinal) = identities.get(key.as_str()) {
            return Ok(*ordinal);
        }
        let parameters = params![workspace, kind as i64, value];
        let found = self
            .find_identity
            .query_row(parameters, |row| row.get(0))
            .optional()?;
        let ordinal = match found {
            Some(ordinal) => ordinal,
            None => self.add_identity.insert(parameters)?,
        };
        identities.put(key.as_str().into(), ordinal);
        Ok(ordinal)
    }

    /// The ordinal of a combination in canonical form, given out on first sight.
    pub(super) fn properties(&mut self, content: &str) -> Result<i64, StoreError> {
        if let Some(ordinal) = self.cache.properties.get(content) {
            return Ok(*ordinal);
        }
        let found = self
            .find_properties
            .query_row([content], |row| row.get(0))
            .optional()?;
        let ordinal = match found {
            Some(ordinal) => ordinal,
            None => self.add_properties.insert([content])?,
        };
        self.cache.properties.put(content.into(), ordinal);
        Ok(ordinal)
    }
}
