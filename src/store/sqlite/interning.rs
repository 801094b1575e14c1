//! Users, devices and property combinations as ordinals, with the recent ones in memory.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::recent::Recent;
use crate::store::StoreError;

/// What kind of identity a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum IdentityKind {
    /// `user_id`
    User = 1,
    /// `device_id`
    Device = 2,
}

/// Ordinals that were used lately. Owned by the writer; forgotten when a transaction fails, since ordinals that it
/// gave out are void then.
#[derive(Default)]
pub(super) struct Interned {
    identities: Recent,
    properties: Recent,
}

impl Interned {
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
        let (find, add) = (&mut self.find_identity, &mut self.add_identity);
        self.cache.identities.get_or_else((workspace, kind, value), || {
            let parameters = params![workspace, kind as i64, value];
            match find.query_row(parameters, |row| row.get(0)).optional()? {
                Some(ordinal) => Ok(ordinal),
                None => Ok(add.insert(parameters)?),
            }
        })
    }

    /// The ordinal of a combination in canonical form, given out on first sight.
    pub(super) fn properties(&mut self, content: &str) -> Result<i64, StoreError> {
        let (find, add) = (&mut self.find_properties, &mut self.add_properties);
        self.cache.properties.get_or_else(content, || {
            match find.query_row([content], |row| row.get(0)).optional()? {
                Some(ordinal) => Ok(ordinal),
                None => Ok(add.insert([content])?),
            }
        })
    }
}
