//! Users, devices and property combinations as ordinals, with the recent ones in memory.

use std::borrow::Cow;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::model::{Properties, UserAttributes, is_stored_attributes};
use crate::store::StoreError;
use crate::store::recent::{Digest, Digests, Recent};

/// What kind of identity a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum IdentityKind {
    /// `user_id`
    User = 1,
    /// `device_id`
    Device = 2,
    /// A user who was forgotten, by a number.
    ForgottenUser = 3,
    /// A device that was forgotten, by a number.
    ForgottenDevice = 4,
}

/// What names an identity: the ordinal of its workspace, its kind, its text.
pub(super) type IdentityKey<'a> = (i64, IdentityKind, &'a str);

/// A user or a device, as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) ordinal: i64,
    /// Ordinal of its attributes' combination, 0 for none. Only users have attributes.
    pub(super) attributes: u32,
    /// Whether a session of this person was recorded. `false` may be out of date, see [`Interner::is_seen`].
    pub(super) seen: bool,
}

/// What was used lately. Owned by the writer; forgotten when a transaction fails, since ordinals that it gave out are
/// void then.
pub(super) struct Interned {
    digests: Digests,
    identities: Recent<Identity>,
    properties: Recent<i64>,
    /// `meta.people_seq` up to which the identities are up to date.
    people_seq: i64,
    /// Whether the identity that was not in memory last was not in the store either: then the next ones probably are not.
    expects_new: bool,
}

impl Interned {
    /// Nothing yet; `digests` makes those by which identities and combinations are asked for.
    pub(super) fn new(digests: Digests) -> Self {
        Self {
            digests,
            identities: Recent::default(),
            properties: Recent::default(),
            people_seq: 0,
            expects_new: false,
        }
    }

    pub(super) fn forget(&mut self) {
        *self = Self::new(self.digests.clone());
    }

    /// The store's users are in this state: identities of another one are read anew.
    pub(super) fn refresh(&mut self, people_seq: i64) {
        if self.people_seq != people_seq {
            self.identities.clear();
            // They are known by numbers of users' attributes, which may be others by now.
            self.properties.clear();
            self.people_seq = people_seq;
        }
    }

    /// This writer has brought the store's users into this state, and what it holds with them.
    pub(super) fn advance(&mut self, people_seq: i64) {
        self.people_seq = people_seq;
    }
}

/// Whether an identity was in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Known,
    New,
}

/// The cache and the statements, for the length of one transaction.
pub(super) struct Interner<'a> {
    cache: &'a mut Interned,
    connection: &'a Connection,
    find_identity: CachedStatement<'a>,
    add_identity: CachedStatement<'a>,
    find_properties: CachedStatement<'a>,
    add_properties: CachedStatement<'a>,
}

impl<'a> Interner<'a> {
    pub(super) fn new(connection: &'a Connection, cache: &'a mut Interned) -> Result<Self, StoreError> {
        Ok(Self {
            cache,
            connection,
            find_identity: connection.prepare_cached(
                "SELECT ordinal, COALESCE(attributes, 0), seen FROM identities WHERE workspace = ?1 AND kind = ?2 AND value = ?3",
            )?,
            add_identity: connection.prepare_cached(
                "INSERT INTO identities (workspace, kind, value, seen) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )?,
            find_properties: connection
                .prepare_cached("SELECT ordinal FROM properties WHERE content = ?1")?,
            add_properties: connection.prepare_cached("INSERT INTO properties (content) VALUES (?1)")?,
        })
    }

    /// A user or device; it gets its ordinal on first sight.
    pub(super) fn identity(&mut self, key: IdentityKey<'_>) -> Result<Identity, StoreError> {
        let digest = self.cache.digests.of(key);
        if let Some(identity) = self.known(digest) {
            return Ok(identity);
        }
        let (identity, _) = self.find_or_add(key, false)?;
        self.note(digest, identity);
        Ok(identity)
    }

    /// The identity whose key has this digest, if it is in memory.
    pub(super) fn known(&mut self, digest: Digest) -> Option<Identity> {
        self.cache.identities.known(digest)
    }

    /// From now on this is known of the identity whose key has this digest.
    pub(super) fn note(&mut self, digest: Digest, identity: Identity) {
        self.cache.identities.note(digest, identity);
    }

    /// The identity in the store, where a new one is noted as seen if `seen` says so. What comes back of a new one is that
    /// it is not.
    pub(super) fn find_or_add(
        &mut self,
        key: IdentityKey<'_>,
        seen: bool,
    ) -> Result<(Identity, Found), StoreError> {
        let mut found = None;
        if !self.cache.expects_new {
            found = self.find(key)?;
        }
        if found.is_none() && self.add(key, seen)? {
            self.cache.expects_new = true;
            let new = Identity {
                ordinal: self.connection.last_insert_rowid(),
                attributes: 0,
                seen: false,
            };
            return Ok((new, Found::New));
        }
        self.cache.expects_new = false;
        let found = match found {
            Some(identity) => Some(identity),
            None => self.find(key)?,
        };
        match found {
            Some(identity) => Ok((identity, Found::Known)),
            None => Err(StoreError::damaged(
                "a user or device is there and can't be found",
            )),
        }
    }

    /// The identity in the store, if there is one.
    pub(super) fn find(
        &mut self,
        (workspace, kind, value): IdentityKey<'_>,
    ) -> Result<Option<Identity>, StoreError> {
        let parameters = params![workspace, kind as i64, value];
        let found = self.find_identity.query_row(parameters, |row| {
            Ok(Identity {
                ordinal: row.get(0)?,
                attributes: row.get(1)?,
                seen: row.get(2)?,
            })
        });
        Ok(found.optional()?)
    }

    /// Whether it was not there yet.
    fn add(&mut self, (workspace, kind, value): IdentityKey<'_>, seen: bool) -> Result<bool, StoreError> {
        let added = self
            .add_identity
            .execute(params![workspace, kind as i64, value, seen])?;
        Ok(added == 1)
    }

    /// Whether a session of this person is recorded, as the store says it.
    pub(super) fn is_seen(&self, ordinal: i64) -> Result<bool, StoreError> {
        let sql = "SELECT seen FROM identities WHERE ordinal = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([ordinal], |row| row.get(0))?)
    }

    /// Notes in the store whether a session of this person is recorded.
    pub(super) fn set_seen(&self, ordinal: i64, seen: bool) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE identities SET seen = ?2 WHERE ordinal = ?1")?
            .execute(params![ordinal, seen])?;
        Ok(())
    }

    /// Takes back an identity that this transaction added.
    pub(super) fn remove(&self, ordinal: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM identities WHERE ordinal = ?1")?
            .execute([ordinal])?;
        Ok(())
    }

    /// Gives a user other attributes.
    pub(super) fn set_attributes(
        &mut self,
        key: IdentityKey<'_>,
        identity: Identity,
        attributes: &UserAttributes,
    ) -> Result<(), StoreError> {
        let number: u32 = if attributes.is_empty() {
            0
        } else {
            self.attribute_set(attributes.as_str())?
        };
        self.connection
            .prepare_cached("UPDATE identities SET attributes = NULLIF(?2, 0) WHERE ordinal = ?1")?
            .execute(params![identity.ordinal, number])?;
        let changed = Identity {
            attributes: number,
            ..identity
        };
        let digest = self.cache.digests.of(key);
        self.note(digest, changed);
        Ok(())
    }

    fn attribute_set(&self, content: &str) -> Result<u32, StoreError> {
        self.connection
            .prepare_cached("INSERT INTO attribute_sets (content) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([content])?;
        let ordinal = self
            .connection
            .prepare_cached("SELECT ordinal FROM attribute_sets WHERE content = ?1")?
            .query_row([content], |row| row.get(0))?;
        Ok(ordinal)
    }

    /// The attributes behind an ordinal, none behind 0.
    pub(super) fn attributes(&self, ordinal: u32) -> Result<UserAttributes, StoreError> {
        attributes(self.connection, ordinal)
    }

    /// The ordinal of a combination that another store has; `digest` is that of the text.
    pub(super) fn recorded(&mut self, digest: Digest, content: &str) -> Result<i64, StoreError> {
        if let Some(ordinal) = self.cache.properties.known(digest) {
            return Ok(ordinal);
        }
        self.combination(digest, content)
    }

    /// The same of a text whose digest nobody has made yet.
    pub(super) fn recorded_as(&mut self, content: &str) -> Result<i64, StoreError> {
        let digest = self.cache.digests.of((content, "recorded"));
        self.recorded(digest, content)
    }

    /// The ordinal of the combination with which a session is recorded: its own properties, whose digest this is, its
    /// user's attributes and whether it is the first of its person.
    pub(super) fn properties(
        &mut self,
        digest: Digest,
        own: &Properties,
        user: u32,
        first_session: Option<bool>,
    ) -> Result<i64, StoreError> {
        let first = first_session.map_or(0, |first| 1 + u64::from(first));
        let digest = digest.with(u64::from(user) << 2 | first);
        if let Some(ordinal) = self.cache.properties.known(digest) {
            return Ok(ordinal);
        }
        let content: Cow<'_, str> = match (user, first_session) {
            (0, None) => own.as_str().into(),
            _ => own.recorded(first_session, &self.attributes(user)?).into(),
        };
        self.combination(digest, &content)
    }

    fn combination(&mut self, digest: Digest, content: &str) -> Result<i64, StoreError> {
        let found = self.find_properties.query_row([content], |row| row.get(0));
        let ordinal = match found.optional()? {
            Some(ordinal) => ordinal,
            None => self.add_properties.insert([content])?,
        };
        self.cache.properties.note(digest, ordinal);
        Ok(ordinal)
    }
}

fn attributes(connection: &Connection, ordinal: u32) -> Result<UserAttributes, StoreError> {
    if ordinal == 0 {
        return Ok(UserAttributes::default());
    }
    let content: String = connection
        .prepare_cached("SELECT content FROM attribute_sets WHERE ordinal = ?1")?
        .query_row([ordinal], |row| row.get(0))?;
    if !is_stored_attributes(&content) {
        return Err(StoreError::damaged(format!(
            "combination of users' attributes number {ordinal} can't be read"
        )));
    }
    Ok(UserAttributes::from_stored(content))
}
