//! Users, devices and property combinations as ordinals, with the recent ones in memory.

use std::borrow::Cow;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::model::{Properties, UserAttributes};
use crate::store::StoreError;
use crate::store::recent::Recent;

/// What kind of identity a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum IdentityKind {
    /// `user_id`
    User = 1,
    /// `device_id`
    Device = 2,
}

/// What names an identity: the ordinal of its workspace, its kind, its text.
pub(super) type IdentityKey<'a> = (i64, IdentityKind, &'a str);

/// A user or a device, as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) ordinal: i64,
    /// Ordinal of its attributes' combination, 0 for none. Only users have attributes.
    pub(super) attributes: u32,
    /// Whether a session of this person was recorded. `false` may be out of date, see [`Interner::see`].
    pub(super) seen: bool,
}

/// What was used lately. Owned by the writer; forgotten when a transaction fails, since ordinals that it gave out are
/// void then.
#[derive(Default)]
pub(super) struct Interned {
    identities: Recent<Identity>,
    properties: Recent<i64>,
    /// `meta.people_seq` up to which the identities are up to date.
    people_seq: i64,
}

impl Interned {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The store's users are in this state: identities of another one are read anew.
    pub(super) fn refresh(&mut self, people_seq: i64) {
        if self.people_seq != people_seq {
            self.identities.clear();
            self.people_seq = people_seq;
        }
    }

    /// This writer has brought the store's users into this state, and what it holds with them.
    pub(super) fn advance(&mut self, people_seq: i64) {
        self.people_seq = people_seq;
    }
}

/// The cache and the statements, for the length of one transaction.
pub(super) struct Interner<'a> {
    cache: &'a mut Interned,
    connection: &'a Connection,
    find_identity: CachedStatement<'a>,
    add_identity: CachedStatement<'a>,
    see: CachedStatement<'a>,
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
            add_identity: connection
                .prepare_cached("INSERT INTO identities (workspace, kind, value, seen) VALUES (?1, ?2, ?3, 0)")?,
            see: connection.prepare_cached("UPDATE identities SET seen = 1 WHERE ordinal = ?1 AND seen = 0")?,
            find_properties: connection
                .prepare_cached("SELECT ordinal FROM properties WHERE content = ?1")?,
            add_properties: connection.prepare_cached("INSERT INTO properties (content) VALUES (?1)")?,
        })
    }

    /// A user or device; it gets its ordinal on first sight.
    pub(super) fn identity(&mut self, key: IdentityKey<'_>) -> Result<Identity, StoreError> {
        let (find, add) = (&mut self.find_identity, &mut self.add_identity);
        self.cache.identities.get_or_else(key, || {
            let (workspace, kind, value) = key;
            let parameters = params![workspace, kind as i64, value];
            let found = find
                .query_row(parameters, |row| {
                    Ok(Identity {
                        ordinal: row.get(0)?,
                        attributes: row.get(1)?,
                        seen: row.get(2)?,
                    })
                })
                .optional()?;
            match found {
                Some(identity) => Ok(identity),
                None => Ok(Identity {
                    ordinal: add.insert(parameters)?,
                    attributes: 0,
                    seen: false,
                }),
            }
        })
    }

    /// Notes that a session of this person is recorded; whether it is the first.
    ///
    /// The store decides, not what is held here: another process may have recorded one meanwhile.
    pub(super) fn see(&mut self, key: IdentityKey<'_>, identity: Identity) -> Result<bool, StoreError> {
        let first = self.see.execute([identity.ordinal])? == 1;
        self.cache.identities.set(
            key,
            Identity {
                seen: true,
                ..identity
            },
        );
        Ok(first)
    }

    /// Gives a user other attributes.
    pub(super) fn set_attributes(
        &mut self,
        key: IdentityKey<'_>,
        identity: Identity,
        attributes: &UserAttributes,
    ) -> Result<(), StoreError> {
        let number: u32 = match attributes.is_empty() {
            true => 0,
            false => self.attribute_set(attributes.as_str())?,
        };
        self.connection
            .prepare_cached("UPDATE identities SET attributes = NULLIF(?2, 0) WHERE ordinal = ?1")?
            .execute(params![identity.ordinal, number])?;
        let changed = Identity {
            attributes: number,
            ..identity
        };
        self.cache.identities.set(key, changed);
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

    /// The ordinal of a combination that another store has.
    pub(super) fn recorded(&mut self, content: &str) -> Result<i64, StoreError> {
        let (find, add) = (&mut self.find_properties, &mut self.add_properties);
        let key = (content, "recorded");
        self.cache.properties.get_or_else(key, || {
            match find.query_row([content], |row| row.get(0)).optional()? {
                Some(ordinal) => Ok(ordinal),
                None => Ok(add.insert([content])?),
            }
        })
    }

    /// The ordinal of the combination with which a session is recorded: its own properties, its user's attributes
    /// and whether it is the first of its person.
    pub(super) fn properties(
        &mut self,
        own: &Properties,
        user: u32,
        first_session: Option<bool>,
    ) -> Result<i64, StoreError> {
        let (find, add, connection) = (
            &mut self.find_properties,
            &mut self.add_properties,
            self.connection,
        );
        let key = (own.as_str(), user, first_session);
        self.cache.properties.get_or_else(key, || {
            let content: Cow<'_, str> = match (user, first_session) {
                (0, None) => own.as_str().into(),
                _ => own.recorded(first_session, &attributes(connection, user)?).into(),
            };
            match find.query_row([&content], |row| row.get(0)).optional()? {
                Some(ordinal) => Ok(ordinal),
                None => Ok(add.insert([&content])?),
            }
        })
    }
}

fn attributes(connection: &Connection, ordinal: u32) -> Result<UserAttributes, StoreError> {
    if ordinal == 0 {
        return Ok(UserAttributes::default());
    }
    let content = connection
        .prepare_cached("SELECT content FROM attribute_sets WHERE ordinal = ?1")?
        .query_row([ordinal], |row| row.get(0))?;
    Ok(UserAttributes::from_stored(content))
}
